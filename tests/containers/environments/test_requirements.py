"""Requirements files line by line: what is taken, what is refused, and in which words."""

from __future__ import annotations

import msgspec
import pytest
from wishes import asked

from labbox.daemon.containers.environments.complaints import NeedsBuildError, explain
from labbox.daemon.containers.environments.sources import _wrong_python
from labbox.daemon.containers.environments.target import FALLBACK
from labbox.daemon.containers.environments.throwaway import Outcome
from labbox.daemon.containers.environments.wishes import satisfies
from labbox.errors import LabboxError
from labbox.files.software.asked import CondaPlan, Line, ProjectFile, Requirements
from labbox.files.software.finding import understand
from labbox.files.software.reading import Reading


def read(
    content: str | bytes, others: dict[str, bytes] | None = None, **settings: frozenset[str]
) -> Requirements:
    found = asked(("requirements", content), lookup=(others or {}).get, prefix="code/", **settings)
    return found.requirements or Requirements(requirements=())


def refusal(content: str | bytes, others: dict[str, bytes] | None = None) -> LabboxError:
    with pytest.raises(LabboxError) as caught:
        read(content, others)
    assert caught.value.code == "invalid"
    assert caught.value.message.startswith("cannot ")
    assert caught.value.hint
    return caught.value


def test_comments_blank_lines_and_continuations() -> None:
    found = read("# first\n\nnumpy>=1.20 # why\nscipy \\\n  ==1.11\npandas[excel]; python_version > '3'\n")
    assert [line.text for line in found.requirements] == [
        "numpy>=1.20",
        "scipy ==1.11",
        "pandas[excel]; python_version > '3'",
    ]
    assert [line.number for line in found.requirements] == [3, 4, 6]


@pytest.mark.parametrize("encoding", ["utf-16", "utf-8-sig"])
def test_files_that_windows_wrote(encoding: str) -> None:
    assert read("numpy\r\nscipy\r\n".encode(encoding)).text() == "numpy\nscipy\n"


def test_included_files_and_constraints() -> None:
    others = {"code/more/base.txt": b"-c ../limits.txt\nscipy\n", "code/limits.txt": b"numpy<2\n"}
    found = read("-r more/base.txt\nnumpy\n", others)
    assert found.text() == "scipy\nnumpy\n"
    assert found.constraint_text() == "numpy<2\n"
    assert found.requirements[0].file == "code/more/base.txt"


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ("--editable=./pkg", "-e installs"),
        ("./pkg", "file or folder"),
        ("/etc/passwd", "file or folder"),
        ("~/pkg", "file or folder"),
        ("pkg-1.0-py3-none-any.whl", "file or folder"),
        ("numpy @ https://example.org/numpy.whl", "names an address"),
        ("numpy@file:///tmp/numpy.whl", "names an address"),
        ("git+https://example.org/x.git", "names an address"),
        ("https://example.org/x.tar.gz", "names an address"),
        ("--index-url https://example.org/simple", "own index"),
        ("-i https://example.org/simple", "own index"),
        ("--extra-index-url=https://example.org/simple", "own index"),
        ("-f /srv/wheels", "own index"),
        ("--config-settings x=y", "not understood"),
        ("-r missing.txt", "no file"),
        ("-r ../../etc/passwd", "outside"),
        ("-r /etc/passwd", "outside"),
        ("-r https://example.org/r.txt", "no file"),
    ],
)
def test_what_is_refused_names_its_line_and_a_way_out(line: str, word: str) -> None:
    error = refusal(f"numpy\n\n{line}\n")
    assert "line 3 of code/requirements.txt" in error.message
    assert word in error.message


def test_an_index_line_that_names_the_boxs_own_index_changes_nothing() -> None:
    found = read(
        "--extra-index-url https://index.example/simple/\nnumpy\n",
        places=frozenset({"https://index.example/simple"}),
    )
    assert found.text() == "numpy\n"


def test_harmless_options_are_passed_over_and_pre_is_kept() -> None:
    found = read("--prefer-binary\n--pre\nnumpy\n")
    assert found.text() == "numpy\n"
    assert found.prereleases


def test_files_that_include_each_other() -> None:
    assert (
        "without end"
        in refusal("-r requirements.txt\n", {"code/requirements.txt": b"-r requirements.txt\n"}).message
    )


@pytest.mark.parametrize("content", [b"numpy\n\x80\xff\n", b"nu\0mpy\n"])
def test_what_is_no_text(content: bytes) -> None:
    assert "not text" in refusal(content).message


def test_control_characters_reach_no_message() -> None:
    assert "\x1b" not in refusal("\x1b]0 x\x07 @ https://a/b\n").message


def pyproject(text: str) -> Requirements | None:
    return asked(("pyproject", text)).requirements


def test_pyproject_gives_its_dependencies_and_its_python() -> None:
    found = pyproject(
        '[project]\nname = "x"\nrequires-python = ">=3.9"\ndependencies = ["numpy", "scipy>1"]\n'
    )
    assert found is not None
    assert (found.text(), found.requires_python) == ("numpy\nscipy>1\n", ">=3.9")
    assert pyproject("[tool.ruff]\nline-length = 99\n") is None


@pytest.mark.parametrize(
    ("value", "means"),
    [
        ("'*'", "six"),
        ("'1.15'", "six==1.15"),
        ("'1.*'", "six==1.*"),
        ("'^1.2.3'", "six>=1.2.3,<2"),
        ("'^0.2.3'", "six>=0.2.3,<0.3"),
        ("'^0.0.3'", "six>=0.0.3,<0.0.4"),
        ("'^0.0'", "six>=0.0,<0.1"),
        ("'^0'", "six>=0,<1"),
        ("'~1.2.3'", "six>=1.2.3,<1.3"),
        ("'~1'", "six>=1,<2"),
        ("'~=1.4'", "six~=1.4"),
        ("'>= 1.2, <1.5 !=1.3'", "six>=1.2,<1.5,!=1.3"),
        ("'^1.2b1'", "six>=1.2b1,<2"),
        ("{version = '^1', extras = ['a', 'b']}", "six[a,b]>=1,<2"),
        ("{version = '^1', markers = \"os_name == 'nt' or os_name == 'posix'\"}",
         "six>=1,<2 ; (os_name == 'nt' or os_name == 'posix')"),
        ("[{version = '1', python = '<3.9'}, {version = '2', python = '3.9.*', platform = 'linux'}]",
         'six==1 ; python_full_version < "3.9"\n'
         'six==2 ; python_full_version == "3.9.*" and sys_platform == "linux"'),
    ],
)  # fmt: skip
def test_what_poetry_asks_for(value: str, means: str) -> None:
    found = pyproject(f"[tool.poetry]\nname = 'study'\n[tool.poetry.dependencies]\nsix = {value}\n")
    assert found is not None
    assert found.text() == f"{means}\n"


def test_poetry_gives_the_python_leaves_groups_and_takes_extras_that_are_asked_for() -> None:
    text = (
        "[tool.poetry.dependencies]\npython = '^3.9'\nsix = '^1'\nnumpy = {version = '>1', optional = true}\n"
        "[tool.poetry.extras]\nfast = ['numpy']\n[tool.poetry.group.dev.dependencies]\npytest = '*'\n"
    )
    found = pyproject(text)
    assert found is not None
    assert (found.text(), found.requires_python) == ("six>=1,<2\n", ">=3.9,<4")
    found = asked(("requirements", "-e .[fast]\n"), ("pyproject", text)).requirements
    assert found is not None
    assert sorted(found.text().split()) == ["numpy>1", "six>=1,<2"]
    assert pyproject("[tool.poetry]\nname = 'study'\n") is None
    assert pyproject("[tool.poetry.dependencies]\npython = []\nsix = []\n") is None
    assert pyproject("[tool.poetry.dependencies]\npython = '~2.7 || ^3.6'\n") is None


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("[project\n", "line 1"),
        ("[tool.poetry.dependencies]\nnumpy = '^1 || ^2'\n", "numpy"),
        ("[tool.poetry.dependencies]\nnumpy = 1\n", "numpy"),
        ("[tool.poetry.dependencies]\nnumpy = {git = 'https://x/numpy'}\n", "address"),
        ("[tool.poetry.dependencies]\nnumpy = {path = '../numpy'}\n", "address"),
        ('[project]\nname = "x"\ndynamic = ["dependencies"]\n', "dynamic"),
        ('[project]\nname = "x"\ndependencies = "numpy"\n', "list"),
    ],
)
def test_a_pyproject_that_cannot_be_used(text: str, word: str) -> None:
    with pytest.raises(LabboxError, match=word):
        pyproject(text)


@pytest.mark.parametrize(
    ("specifier", "fits"),
    [
        (">=3.9", True),
        (">=3.9,<3.11", False),
        ("==3.11.*", True),
        ("!=3.11.*", False),
        ("~=3.10", True),
        ("~=3.10.1", False),
        (">3.11.2", False),
        ("<=3.11.2", True),
        ("", True),
        ("whatever", True),
    ],
)
def test_requires_python(specifier: str, fits: bool) -> None:
    assert satisfies("3.11.2", specifier) is fits


def conda(text: str) -> CondaPlan:
    plan = asked(("conda", text)).conda
    assert plan is not None
    return plan


@pytest.mark.parametrize(
    ("text", "needs", "python"),
    [
        ("dependencies: [python, pip, {pip: [numpy]}]", False, ""),
        ("dependencies: [python=3.11, {pip: [numpy]}]", False, "==3.11.*"),
        ("dependencies: ['python>=3.9,<4', {pip: [numpy]}]", False, ">=3.9,<4"),
        ("dependencies: [python 3.11.*, numpy]", True, "==3.11.*"),
        ("dependencies: ['conda-forge::gdal']", True, ""),
    ],
)
def test_what_an_environment_yml_needs_conda_for(text: str, needs: bool, python: str) -> None:
    plan = conda(text)
    assert (plan.needs_conda, plan.requires_python) == (needs, python)


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("dependencies:\n  - [numpy\n", "line 3 of environment.yml"),
        ("- numpy\n", "says nothing about packages"),
        ("dependencies: numpy\n", "no list"),
        ("dependencies: [{conda: [x]}]\n", "no package"),
        ("!!python/object/apply:os.system [id]\n", "cannot use"),
    ],
)
def test_a_broken_environment_yml(text: str, word: str) -> None:
    with pytest.raises(LabboxError, match=word) as caught:
        conda(text)
    assert caught.value.hint


ASKED = Requirements(
    requirements=tuple(
        Line(text=text, file="code/requirements.txt", number=number)
        for number, text in ((1, "numpy"), (3, "scipy=>1"), (4, "no-such-thing"), (5, "pandas>=99"))
    )
)


@pytest.mark.parametrize(
    ("said", "code", "words"),
    [
        (
            "error: Couldn't parse requirement in `requirements.in` at position 6\n  cause: no operator\n",
            "invalid",
            "cannot read line 3 of code/requirements.txt: scipy=>1: no operator",
        ),
        (
            "  cause: Because no-such-thing was not found in the package registry and you\n",
            "invalid",
            "cannot find the package no-such-thing (line 4 of code/requirements.txt)",
        ),
        (
            "  cause: Because there is no version of numpy==99.0 and you require numpy==99.0, we\n",
            "invalid",
            "cannot find numpy==99.0 (line 1 of code/requirements.txt)",
        ),
        (
            "  cause: Because only pandas<=3.1 is available and you require pandas>=99, we\n",
            "invalid",
            "cannot find pandas>=99 (line 5 of code/requirements.txt): there is pandas<=3.1",
        ),
        (
            "error: Failed to fetch: http://x/\n  cause: dns error\n  cause: no such name\n",
            "unavailable",
            "cannot reach the package index: no such name",
        ),
        ("error: x\n  cause: No space left on device (os error 28)\n", "unavailable", "no space left"),
        (
            "error: x\n  cause: HTTP status client error (401 Unauthorized) for url (http://x)\n",
            "unavailable",
            "it answered 401 Unauthorized",
        ),
        (
            "error: x\n  cause: invalid peer certificate: UnknownIssuer\n",
            "unavailable",
            "certificate is not trusted",
        ),
        (
            "error: No solution found\n  cause: Because a wants b<1 and c wants b>2, they exclude\n",
            "invalid",
            "cannot put together what requirements.txt asks for: Because a wants",
        ),
    ],
)
def test_what_uv_says_becomes_a_sentence(said: str, code: str, words: str) -> None:
    with pytest.raises(LabboxError) as caught:
        explain(said, ASKED, "requirements.txt")
    assert caught.value.code == code
    assert words in caught.value.message
    assert caught.value.hint


def test_what_has_no_wheel_must_be_built() -> None:
    with pytest.raises(NeedsBuildError):
        explain("  cause: Because all versions of docopt have no usable wheels and you require\n", ASKED, "r")


def test_a_package_for_other_pythons_says_which() -> None:
    asked = read("six\nnumpy==1.21.6\n")
    said = (
        "ERROR: Ignored the following versions that require a different python version: "
        "1.21.5 Requires-Python >=3.6,<3.10; 1.21.6 Requires-Python >=3.7,<3.11",
        "ERROR: No matching distribution found for numpy==1.21.6",
    )
    target = msgspec.structs.replace(FALLBACK, version="3.11.2")
    error = _wrong_python(Outcome(code=1, lines=said), ("numpy==1.21.6",), target, asked)
    assert error is not None
    assert error.message.startswith("cannot use numpy==1.21.6 (line 2 of code/requirements.txt): ")
    assert error.message.endswith("it needs Python < 3.11, this box has 3.11")
    with pytest.raises(LabboxError, match=r"it needs Python >= 3\.13, this box has 3\.11"):
        explain(
            "  cause: Because the requested Python version (>=3.11.2) does not satisfy Python>=3.13 and "
            "numpy==1.21.6 depends on Python>=3.13, we can conclude that numpy==1.21.6 cannot be used.",
            asked,
            "r",
        )


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("six @ file:///croot/six_1644875935023/work", "write six"),
        ("numpy @ file:///tmp/x/numpy-1.26.4-cp311-cp311-linux_x86_64.whl", "write numpy==1.26.4"),
        ("x @ git+https://example.org/x.git@v1", "write x==VERSION"),
        ("git+https://example.org/x.git#egg=study", "write study==VERSION"),
        ("git+ssh://git@example.org/x.git", "put its code into your folder"),
        ("--extra-index-url https://example.org/simple", "remove the line"),
        ("numpy=1.26.4=py311h64a7726_0", "write numpy==1.26.4"),
        ("_libgcc_mutex=0.1=main", "conda's packages into an environment.yml"),
        ("python==3.11", 'image = "python:3.11"'),
        ("python>=3.8", "remove the line"),
        ("sklearn", "write scikit-learn"),
        ("PIL==9.0", "write pillow"),
        ("pip install numpy", "write numpy"),
        ("numpy pandas", "each package in a line of its own"),
        ("numpy=>1.2", "write numpy>=1.2"),
    ],
)
def test_lines_that_can_never_work_are_told_what_to_write(line: str, hint: str) -> None:
    assert hint in refusal(f"six\n{line}\n").hint


@pytest.mark.parametrize(
    "line",
    [
        "pywin32==306",
        "pkg_resources==0.0.0",
        "pkg-resources==0.0.0",
        "windows-curses",
        "distro-info===1.1build1",
        "python-apt==2.4.0+ubuntu3",
        "json",
        "dataclasses==0.6",
    ],
)
def test_what_is_harmless_and_of_no_use_is_left_out(line: str) -> None:
    assert read(f"six\n{line}\n").text() == "six\n"


def test_all_that_is_wrong_is_said_at_once() -> None:
    reading = Reading()
    content = b"sklearn\nsix @ file:///croot/six\npython==3.11\npywin32\nnumpy\n"
    understand([ProjectFile(kind="requirements", name="r.txt", content=content)], reading, frozenset())
    assert [(one.level, one.line) for one in reading.findings] == [
        ("error", 1),
        ("error", 2),
        ("error", 3),
        ("warning", 4),
    ]
