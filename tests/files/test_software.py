"""The files in which people say what their code needs, as public projects have them: used, or named."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from labbox.files.software.asked import Line, Requirements, Software

APP = {"app.py": "import six\n"}


def asked(lab: Any, files: dict[str, Any], **words: Any) -> Software:
    lab.project({**APP, **files})
    found = lab.plan(**words)
    assert found.plan is not None, found.inspection.findings
    software = found.plan.software
    assert isinstance(software, Software)
    return software


def names(software: Software) -> list[str]:
    return [] if software.requirements is None else [one.text for one in software.requirements.requirements]


def said(lab: Any) -> str:
    return "\n".join(f"{one.level}: {one.text} | {one.hint}" for one in lab.inspect().findings)


@pytest.mark.parametrize("prefix", ["", "code/"])
def test_environment_yml_hands_lines_to_pip_as_pip_reads_them(lab: Any, prefix: str) -> None:
    files = {
        f"{prefix}environment.yml": "dependencies:\n  - python\n  - pip\n  - pip:\n"
        "    - -r requirements.txt\n    - -c limits/c.txt\n    - tqdm\n",
        f"{prefix}requirements.txt": "six\n-r more/base.txt\n",
        f"{prefix}more/base.txt": "attrs\n",
        f"{prefix}limits/c.txt": "six<2\n",
    }
    lab.project({f"{prefix}app.py": "1", **files})
    found = lab.plan()
    asked = found.plan.software.requirements
    assert [one.text for one in asked.requirements] == ["six", "attrs", "tqdm"]
    assert asked.constraint_text() == "six<2\n"


@pytest.mark.parametrize("entry", ["- pip: six", "- pip:\n    - six", "- pip: [six]", "- pip:\n      six"])
def test_pip_alone_behind_its_colon_is_one_line(lab: Any, entry: str) -> None:
    assert names(asked(lab, {"environment.yml": f"dependencies:\n  {entry}\n"})) == ["six"]


def test_what_no_line_of_pip_is_in_environment_yml_gets_a_sentence(lab: Any) -> None:
    lab.project({**APP, "environment.yml": "dependencies:\n- pip:\n  - {six: 1}\n  - [a]\n"})
    assert len(lab.errors()) == 2
    assert "below “pip:” is no package" in said(lab)


def test_variables_of_environment_yml_are_the_runs(lab: Any) -> None:
    text = "dependencies: [python]\nvariables:\n  MY_DATA: /input\n  DEPTH: 010\n  MODE: slow\n"
    lab.project({**APP, "environment.yml": text, "job.toml": "[env]\nMODE = 'fast'\n"})
    assert lab.plan().plan.asked.env == {"MY_DATA": "/input", "DEPTH": "010", "MODE": "fast"}


@pytest.mark.parametrize(
    "table", ["[a]", "{A-B: x}", "{LABBOX_JOB: '1'}", "{A: [x]}", "{A: {b: c}}", '{A: "\\0"}']
)
def test_variables_of_environment_yml_that_no_run_can_have(lab: Any, table: str) -> None:
    lab.project({**APP, "environment.yml": f"dependencies: [python]\nvariables: {table}\n"})
    (error,) = lab.errors()
    assert error.file == "environment.yml"


@pytest.mark.attack("S1")
@pytest.mark.parametrize(
    "entry",
    ["file:/srv/x.conda", "FILE:///srv/x.conda", "http://h.example/x.conda", "https:x", "ftp://h.example/x",
     "git+ssh://git@h.example/x", "GIT+file:/srv/x", "--index-url=x", "-e .", "@file", "/srv/x.tar.bz2",
     "~/x.conda", "./x.conda", "../x.conda", "C:/x.conda", "\\\\h.example\\x", "numpy[url=https://h.example/x]",
     "conda-forge::numpy[url=file:///srv/x]"],
)  # fmt: skip
def test_what_is_no_name_of_a_conda_package_is_refused(
    lab: Any, entry: str, tried: Callable[..., None]
) -> None:
    tried()
    lab.project({**APP, "environment.yml": f"dependencies:\n- python\n- '{entry}'\n"})
    (error,) = lab.errors()
    assert error.file == "environment.yml"
    assert "is no package" in error.text


def test_channels_and_builds_stand_in_the_name_of_a_conda_package(lab: Any) -> None:
    entries = ["python", "conda-forge::six", "conda-forge/label/x::tqdm>=4", "numpy=1.26=py312h_0"]
    lab.project({**APP, "environment.yml": f"dependencies: [{', '.join(entries)}]\n"})
    assert not lab.errors()


@pytest.mark.parametrize(
    ("text", "line", "key"),
    [
        ("dependencies:\n- six\ndependencies:\n- tqdm\n", 3, "dependencies"),
        ("dependencies:\n- python\n- pip: [six]\n  pip: [tqdm]\n", 4, "pip"),
        ("channels: [a]\ndependencies: [b]\n'channels': [c]\n", 3, "channels"),
        ("dependencies: [a]\nvariables: {A: x, B: y, A: z}\n", 2, "A"),
    ],
)
def test_a_key_that_stands_twice_in_environment_yml_is_refused(
    lab: Any, text: str, line: int, key: str
) -> None:
    lab.project({**APP, "environment.yml": text})
    (error,) = lab.errors()
    assert (error.line, f"“{key}” stands twice" in error.text) == (line, True)


@pytest.mark.parametrize(
    ("more", "hint"),
    [
        ("pip: [six]", "- pip:"),
        ("dependancies: [six]", "correct its name"),
        ("packages: [six]", "dependencies"),
    ],
)
def test_keys_of_environment_yml_that_say_nothing_are_told(lab: Any, more: str, hint: str) -> None:
    lab.project({**APP, "environment.yml": f"name: x\nprefix: /x\ndependencies: [python]\n{more}\n"})
    (warning,) = lab.warnings()
    assert f"“{more.partition(':')[0]}” in environment.yml is not used" in warning.text
    assert hint in warning.hint


UV_LOCK = """version = 1
[[package]]
name = "study"
version = "0"
source = { virtual = "." }
dependencies = [{ name = "six" }]
[[package]]
name = "six"
version = "1.15.0"
source = { registry = "https://index.example/simple" }
[[package]]
name = "numpy"
version = "1.26.4"
source = { registry = "https://index.example/simple" }
[[package]]
name = "numpy"
version = "2.1.0"
source = { registry = "https://index.example/simple" }
"""
PIPFILE_LOCK = json.dumps(
    {
        "_meta": {"requires": {"python_version": "3.11"}},
        "default": {
            "six": {"version": "==1.15.0", "hashes": ["sha256:" + "0" * 64], "index": "pypi"},
            "requests": {
                "version": "==2.0",
                "hashes": ["sha256:" + "1" * 64],
                "extras": ["socks"],
                "markers": "python_version >= '3'",
            },
        },
        "develop": {"pytest": {"version": "==8.0"}},
    }
)
SETUP_PY = """from setuptools import setup, find_packages
NEEDS = ["six>=1.10", 'numpy; python_version > "3"']
setup(name="study", packages=find_packages("src"), install_requires=NEEDS, python_requires=">=3.9")
"""


@pytest.mark.parametrize(
    ("files", "wanted"),
    [
        ({"Pipfile.lock": PIPFILE_LOCK}, ["six==1.15.0", "requests[socks]==2.0 ; python_version >= '3'"]),
        (
            {"Pipfile": '[packages]\nsix = "*"\nnumpy = "==1.26.4"\nx = {version = ">=1", extras = ["y"]}\n'},
            ["six", "numpy==1.26.4", "x[y]>=1"],
        ),
        ({"setup.py": SETUP_PY}, ["six>=1.10", 'numpy; python_version > "3"']),
        ({"setup.py": "import setuptools\nsetuptools.setup(install_requires=('six',))\n"}, ["six"]),
        ({"setup.cfg": "[options]\ninstall_requires =\n    six\n    numpy>=1\n"}, ["six", "numpy>=1"]),
        ({"setup.cfg": "[flake8]\nmax-line-length = 99\n"}, []),
        ({"requirements.in": "six\n"}, ["six"]),
        ({"requirements/base.txt": "-r more.txt\nsix\n", "requirements/more.txt": "tqdm\n"}, ["tqdm", "six"]),
        ({"requirements.txt": "six\n", "requirements.in": "numpy\n", "setup.py": SETUP_PY}, ["six"]),
        (
            {"requirements.txt": "-e .\ntqdm\n", "setup.py": SETUP_PY},
            ["tqdm", "six>=1.10", 'numpy; python_version > "3"'],
        ),
        (
            {"requirements.txt": ".\n", "pyproject.toml": '[project]\nname="x"\ndependencies=["six"]\n'},
            ["six"],
        ),
        ({"binder/requirements.txt": "six\n"}, ["six"]),
        ({".binder/requirements.txt": "six\n", "setup.py": SETUP_PY}, ["six"]),
        (
            {
                "pyproject.toml": '[project]\nname = "x"\ndynamic = ["dependencies"]\n'
                '[tool.setuptools.dynamic]\ndependencies = {file = ["needs.txt"]}\n',
                "needs.txt": "six\n",
            },
            ["six"],
        ),
        ({"pyproject.toml": "[tool.black]\n", "Pipfile": "[packages]\nsix='*'\n"}, ["six"]),
    ],
)
def test_other_files_that_name_packages_are_used(lab: Any, files: dict[str, str], wanted: list[str]) -> None:
    assert names(asked(lab, files)) == wanted


def test_a_uv_lock_settles_the_versions_of_a_pyproject(lab: Any) -> None:
    pyproject = '[project]\nname = "study"\nrequires-python = ">=3.9"\ndependencies = ["six"]\n'
    wanted = asked(lab, {"pyproject.toml": pyproject, "uv.lock": UV_LOCK}).requirements
    assert wanted is not None
    assert (wanted.text(), wanted.constraint_text()) == ("six\n", "six==1.15.0\n")
    assert "pyproject.toml and uv.lock describe the environment" in said(lab)


ZERO = "0" * 64
NEEDS_SIX = '[project]\nname = "study"\ndependencies = ["six"]\n'
LOCKS = {
    "uv.lock": """version = 1
[[package]]
name = "study"
version = "0"
source = { editable = "." }
dependencies = [{ name = "six" }]
[package.dev-dependencies]
dev = [{ name = "helper" }]
[[package]]
name = "six"
version = "1.15.0"
source = { SOURCE }
sdist = { url = "https://x/six.tar.gz", hash = "HASH" }
wheels = [{ url = "https://x/six.whl", hash = "sha256:%s" }]
[[package]]
name = "helper"
version = "1"
source = { git = "https://x/helper#abc" }
"""
    % ("1" * 64),
    "poetry.lock": """[[package]]
name = "Six"
version = "1.15.0"
groups = ["main"]
files = [{file = "six.tar.gz", hash = "HASH"}, {file = "six.whl", hash = "sha256:%s"}]
[package.source]
SOURCE
[[package]]
name = "helper"
version = "1"
files = []
[package.source]
type = "git"
"""
    % ("1" * 64),
    "pdm.lock": """[[package]]
name = "six"
version = "1.15.0"
SOURCE
files = [{file = "six.tar.gz", hash = "HASH"}, {file = "six.whl", hash = "sha256:%s"}]
[[package]]
name = "helper"
version = "1"
git = "https://x/helper"
"""
    % ("1" * 64),
    "pylock.toml": """lock-version = "1.0"
[[packages]]
name = "six"
version = "1.15.0"
SOURCE
sdist = { hashes = { sha256 = "HASH" } }
wheels = [{ hashes = { md5 = "0", sha256 = "%s" } }]
"""
    % ("1" * 64),
}
OF_AN_INDEX = {"uv.lock": 'registry = "https://x/simple"', "poetry.lock": 'type = "legacy"'}
ELSEWHERE = {
    "uv.lock": [
        'git = "https://x#abc"',
        'url = "https://x"',
        'path = "x.whl"',
        'directory = "x"',
        'editable = "x"',
    ],
    "poetry.lock": ['type = "git"', 'type = "url"', 'type = "file"', 'type = "directory"'],
    "pdm.lock": ['git = "https://x/six"', 'path = "./six"', 'url = "https://x/six.whl"'],
    "pylock.toml": ['vcs = {type = "git"}', 'directory = {path = "six"}', 'archive = {url = "https://x"}'],
}


def lock(name: str, source: str | None = None, digits: str = "") -> str:
    """A lock that settles six, and a stranger that nobody needs."""
    kind = "" if name == "pylock.toml" else "sha256:"
    source = OF_AN_INDEX.get(name, "") if source is None else source
    return LOCKS[name].replace("SOURCE", source).replace("HASH", digits or f"{kind}{ZERO}")


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_settles_versions_and_hashes_of_a_pyproject(lab: Any, name: str) -> None:
    wanted = asked(lab, {"pyproject.toml": NEEDS_SIX, name: lock(name)}).requirements
    assert wanted is not None
    assert wanted.text() == "six\n"
    (settled,) = wanted.constraints
    assert (settled.package, settled.version, settled.file) == ("six", "1.15.0", name)
    assert set(settled.hashes) == {"sha256:" + ZERO, "sha256:" + "1" * 64}
    assert f"pyproject.toml and {name} describe the environment" in said(lab)


@pytest.mark.parametrize(
    ("name", "source"), [(name, one) for name, each in ELSEWHERE.items() for one in each]
)
def test_what_a_lock_takes_from_elsewhere_is_refused(lab: Any, name: str, source: str) -> None:
    lab.project({**APP, "pyproject.toml": NEEDS_SIX, name: lock(name, source)})
    (error,) = lab.errors()
    assert error.file == name
    assert "“six” comes from an address or a folder" in error.text.lower()


@pytest.mark.parametrize("name", [name for name in LOCKS if name != "pylock.toml"])
@pytest.mark.parametrize("digits", ["md5:" + "0" * 32, "sha1:" + "0" * 40, "sha256:" + "0" * 63])
def test_hashes_of_a_lock_prove_something_or_are_refused(lab: Any, name: str, digits: str) -> None:
    lab.project({**APP, "pyproject.toml": NEEDS_SIX, name: lock(name, digits=digits)})
    (error,) = lab.errors()
    assert error.file == name


def test_a_pylock_stands_alone(lab: Any) -> None:
    wanted = asked(lab, {"pylock.toml": lock("pylock.toml")}).requirements
    assert wanted is not None
    assert names(lab.plan().plan.software) == ["six==1.15.0"]
    assert wanted.in_hash_mode
    lab.project({**APP, "pylock.toml": lock("pylock.toml", 'vcs = {type = "git"}')})
    assert len(lab.errors()) == 1


def test_a_lock_that_is_older_than_its_pyproject_is_told(lab: Any) -> None:
    lab.project(
        {**APP, "pyproject.toml": NEEDS_SIX.replace('"six"', '"six", "tqdm"'), "uv.lock": lock("uv.lock")}
    )
    (warning,) = lab.warnings()
    assert "uv.lock says nothing of tqdm" in warning.text
    assert "uv lock" in warning.hint


def test_versions_of_a_lock_for_some_pythons_keep_their_markers(lab: Any) -> None:
    fork = """[[package]]
name = "six"
version = "VERSION"
source = { registry = "https://x/simple" }
resolution-markers = ["python_full_version MARK '3.10'"]
wheels = [{ hash = "sha256:DIGITS" }]
"""
    text = "".join(
        fork.replace("VERSION", version).replace("MARK", mark).replace("DIGITS", digit * 64)
        for version, mark, digit in (("1.15.0", "<", "1"), ("1.16.0", ">=", "2"))
    )
    wanted = asked(lab, {"pyproject.toml": NEEDS_SIX, "uv.lock": text}).requirements
    assert wanted is not None
    assert wanted.constraint_text() == (
        "six==1.15.0 ; (python_full_version < '3.10')\nsix==1.16.0 ; (python_full_version >= '3.10')\n"
    )
    assert [line.version for line in wanted.hashed("Six", "1.16.0")] == ["1.16.0"]
    assert len(wanted.hashed("six", "1.16")) == 2


def test_versions_of_a_lock_that_do_not_say_for_whom_are_left_open(lab: Any) -> None:
    text = lock("uv.lock")
    text += text[text.index("[[package]]") :].replace("1.15.0", "1.16.0")
    wanted = asked(lab, {"pyproject.toml": NEEDS_SIX, "uv.lock": text}).requirements
    assert wanted is not None
    assert wanted.constraint_text() == ""


def test_hashes_of_a_line_that_names_no_version_hold_for_each() -> None:
    lines = [
        Line(text=text, file="requirements.txt", number=1, hashes=(f"sha256:{digit * 64}",))
        for text, digit in (("six>=1.15", "1"), ("six==1.16.0", "2"), ("six==1.17.0", "3"))
    ]
    wanted = Requirements(requirements=tuple(lines))
    assert wanted.hashed("six", "1.16.0") == tuple(lines[:2])
    assert wanted.hashed("six", "1.15.0") == tuple(lines)


@pytest.mark.parametrize(
    ("table", "level"),
    [
        ("[tool.uv.sources]\nsix = {git = 'https://x/six'}", "error"),
        ("[tool.uv.sources]\nSix = [{path = 'six'}]", "error"),
        ("[tool.uv.sources]\nsix = {workspace = true}", "error"),
        ("[tool.poetry.dependencies]\nsix = {git = 'https://x/six'}", "error"),
        ("[tool.uv.sources]\nsix = {index = 'other'}", "warning"),
        ("[tool.uv.sources]\nother = {git = 'https://x/other'}", ""),
    ],
)
def test_sources_in_tables_of_tools(lab: Any, table: str, level: str) -> None:
    lab.project({**APP, "pyproject.toml": f"{NEEDS_SIX}{table}\n"})
    assert [one.level for one in (*lab.errors(), *lab.warnings())] == ([level] if level else [])


@pytest.mark.parametrize("hashes", [{"sha256": ZERO}, ["sha256: " + ZERO], [True], "sha256:" + ZERO])
def test_hashes_of_a_pipfile_lock_that_are_no_list_are_not_dropped(lab: Any, hashes: Any) -> None:
    text = json.dumps({"default": {"six": {"version": "==1.15.0", "hashes": hashes}}})
    lab.project({**APP, "Pipfile.lock": text})
    (error,) = lab.errors()
    assert "hashes of “six”" in error.text


EXTRAS = """[project]
name = "study"
dependencies = ["six"]
[project.optional-dependencies]
analysis = ["numpy"]
Fast_Plots = ["study[analysis]", "tqdm"]
dev = ["pytest"]
"""
SETUP_EXTRAS = """from setuptools import setup
PLOTS = ["tqdm"]
setup(name="study", install_requires=["six"], extras_require={"analysis": ["numpy"], "plots": PLOTS})
"""
CFG_EXTRAS = """[options]
install_requires = six
[options.extras_require]
analysis =
    numpy
"""
DYNAMIC_EXTRAS = """[project]
name = "study"
dynamic = ["dependencies", "optional-dependencies"]
[tool.setuptools.dynamic]
dependencies = {file = ["needs.txt"]}
optional-dependencies.analysis = {file = ["more.txt"]}
"""


@pytest.mark.parametrize(
    ("line", "files", "wanted"),
    [
        ("-e .[analysis]", {"pyproject.toml": EXTRAS}, ["six", "numpy"]),
        (".[analysis]", {"pyproject.toml": EXTRAS}, ["six", "numpy"]),
        ("-e '.[Analysis, dev]'", {"pyproject.toml": EXTRAS}, ["six", "numpy", "pytest"]),
        ("--editable=./[fast-plots]", {"pyproject.toml": EXTRAS}, ["six", "tqdm", "numpy"]),
        (".[analysis]", {"setup.py": SETUP_EXTRAS}, ["six", "numpy"]),
        (".[plots,analysis]", {"setup.py": SETUP_EXTRAS}, ["six", "numpy", "tqdm"]),
        (".[analysis]", {"setup.cfg": CFG_EXTRAS}, ["six", "numpy"]),
        (
            ".[analysis]",
            {"pyproject.toml": DYNAMIC_EXTRAS, "needs.txt": "six\n", "more.txt": "numpy\n"},
            ["six", "numpy"],
        ),
    ],
)
@pytest.mark.parametrize("name", ["requirements.txt", "environment.yml"])
def test_extras_of_the_project_itself(
    lab: Any, line: str, files: dict[str, str], wanted: list[str], name: str
) -> None:
    quoted = json.dumps(line)
    text = f"{line}\n" if name == "requirements.txt" else f"dependencies:\n- pip:\n  - {quoted}\n"
    assert names(asked(lab, {name: text, **files})) == wanted


HASHED = f"six==1.16.0 \\\n    --hash=sha256:{ZERO} \\\n    --hash=sha256:{'1' * 64}\n    # via study\n"


@pytest.mark.parametrize(
    "pyproject",
    [NEEDS_SIX, NEEDS_SIX.replace("six", "Six>=1.10"), EXTRAS.replace('"numpy"', '"six"')],
)
@pytest.mark.parametrize("line", ["-e .", "-e .[analysis]", "."])
def test_what_uv_export_writes_is_used_as_it_is(lab: Any, pyproject: str, line: str) -> None:
    pyproject += "" if "analysis" in pyproject else '[project.optional-dependencies]\nanalysis = ["six"]\n'
    wanted = asked(lab, {"requirements.txt": f"{line}\n{HASHED}", "pyproject.toml": pyproject}).requirements
    assert wanted is not None
    assert wanted.in_hash_mode
    assert {one.package for one in wanted.requirements} == {"six"}


def test_what_the_project_needs_beside_hashed_lines_has_a_hash_or_is_refused(lab: Any) -> None:
    pyproject = NEEDS_SIX.replace('"six"', '"six", "tqdm"')
    lab.project({**APP, "requirements.txt": f"-e .\n{HASHED}", "pyproject.toml": pyproject})
    (error,) = lab.errors()
    assert "“tqdm” has no --hash" in error.text
    lab.project({"requirements.txt": f"six\n{HASHED}", "pyproject.toml": NEEDS_SIX})
    (error,) = lab.errors()
    assert (error.file, error.line) == ("requirements.txt", 1)


def test_an_extra_that_the_project_does_not_have(lab: Any) -> None:
    lab.project({**APP, "requirements.txt": "tqdm\n-e .[plots]\n", "pyproject.toml": EXTRAS})
    (error,) = lab.errors()
    assert (error.file, error.line) == ("requirements.txt", 2)
    assert "no extra “plots”; it has Fast_Plots, analysis, dev" in error.text


def test_extras_and_groups_that_are_not_installed_are_named(lab: Any) -> None:
    groups = "[dependency-groups]\nfigures = ['seaborn']\ntest = ['pytest']\n"
    lab.project({**APP, "pyproject.toml": EXTRAS + groups})
    group, extra = lab.warnings()
    assert "groups of dependencies list is not installed: figures" in group.text
    assert "extras list is not installed: analysis, Fast_Plots" in extra.text
    assert "-e .[analysis]" in extra.hint
    lab.project({**APP, "pyproject.toml": EXTRAS, "requirements.txt": "-e .[Fast_Plots]\n"})
    assert not lab.warnings()


def test_hashes_of_a_pipfile_lock_travel_with_their_package(lab: Any) -> None:
    wanted = asked(lab, {"Pipfile.lock": PIPFILE_LOCK}).requirements
    assert wanted is not None
    assert wanted.requirements[0].hashes == ("sha256:" + "0" * 64,)
    assert wanted.requires_python == ""


@pytest.mark.parametrize("name", ["env.yml", "env.yaml", "conda.yml", "binder/environment.yml"])
def test_other_names_of_environment_yml(lab: Any, name: str) -> None:
    conda = asked(lab, {name: "dependencies: [numpy=1.26]\n"}).conda
    assert conda is not None
    assert (conda.file, conda.specs) == (name, ("numpy=1.26",))


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("runtime.txt", "python-3.10\n"),
        ("runtime.txt", "python-3.10.12"),
        (".python-version", "3.10.4\n"),
        ("binder/runtime.txt", "python-3.10\n"),
        ("Pipfile", "[packages]\nsix = '*'\n[requires]\npython_version = '3.10'\n"),
        ("Pipfile.lock", json.dumps({"_meta": {"requires": {"python_version": "3.10"}}, "default": {}})),
    ],
)
def test_the_python_that_a_file_asks_for(lab: Any, name: str, text: str) -> None:
    software = asked(lab, {name: text})
    assert (software.python, software.python_file) == ("3.10", name)


@pytest.mark.parametrize(
    ("text", "python", "told"),
    [
        ("# what the cluster has\n3.10.4\n", "3.10", False),
        ("3.10  # as the cluster\n", "3.10", False),
        ("3.10\n3.11\n", "3.10", True),
        ("\n\n# a\ncpython-3.10.2\n", "3.10", False),
        ("system\n", "", True),
        ("# nothing\n", "", True),
    ],
)
def test_a_python_version_with_comments_or_several_lines(
    lab: Any, text: str, python: str, told: bool
) -> None:
    assert asked(lab, {".python-version": text}).python == python
    assert bool(lab.warnings()) == told


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("sudo apt install bc jq\n", ("bc", "jq")),
        ("apt-get install -y --no-install-recommends bc \\\n  jq\n", ("bc", "jq")),
        ("sudo apt-get -y install bc", ("bc",)),
        ("RUN apt install bc", ("bc",)),
        ("bc, jq\nffmpeg;\n", ("bc", "jq", "ffmpeg")),
        ("- bc\n- jq\n", ("bc", "jq")),
        ("apt\ninstall\n", ("apt", "install")),
    ],
)
def test_apt_txt_as_people_type_it(lab: Any, text: str, wanted: tuple[str, ...]) -> None:
    assert asked(lab, {"apt.txt": text}).packages == wanted


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        ("BC", "write bc:"),
        ("bc>=1.0", "write bc:"),
        ("Graphviz==2", "write graphviz:"),
        ("./tool.deb", "image"),
        ("ppa:some/where", "nothing else"),
    ],
)
def test_what_is_no_package_in_apt_txt_has_its_line_and_the_mend(lab: Any, line: str, hint: str) -> None:
    lab.project({**APP, "apt.txt": f"jq\n{line}\n"})
    (error,) = lab.errors()
    assert error.line == 2
    assert hint in error.hint


@pytest.mark.parametrize("value", ["file: needs.txt", "file: needs.txt, more/needs.txt", "\n  six\n  tqdm"])
def test_setup_cfg_names_lines_or_files(lab: Any, value: str) -> None:
    files = {"needs.txt": "six\n", "more/needs.txt": "tqdm\n"}
    wanted = names(asked(lab, {"setup.cfg": f"[options]\ninstall_requires = {value}\n", **files}))
    assert wanted == (["six"] if value == "file: needs.txt" else ["six", "tqdm"])
    lab.project({"setup.cfg": "[options]\ninstall_requires = file: none.txt\n"})
    (error,) = lab.errors()
    assert "there is no file “none.txt”" in error.text


def test_a_setup_py_that_adds_lists_is_read_and_another_is_not_claimed(lab: Any) -> None:
    added = "from setuptools import setup\nbase = ['six']\nsetup(install_requires=base + ['idna'])\n"
    assert names(asked(lab, {"setup.py": added})) == ["six", "idna"]
    lab.project({"setup.py": added.replace("base + ['idna']", "open('x').read().split()")})
    assert len(lab.warnings()) == 1
    assert "setup.py describe" not in said(lab)
    lab.project({"setup.py": "print(1)\n", "setup.cfg": "[flake8]\nmax-line-length = 99\n"})
    assert "describe" not in said(lab)


def test_code_in_src_is_imported_from_there(lab: Any) -> None:
    assert asked(lab, {"src/study/__init__.py": ""}).roots == ("src",)
    assert asked(lab, {"setup.py": SETUP_PY}).roots == ("src", "")


SCRIPT = """#!/usr/bin/env python
# /// script
# requires-python = ">=3.9"
# dependencies = [
#   "six",
# ]
# ///
import six
"""


def test_a_script_says_itself_what_it_needs(lab: Any) -> None:
    software = asked(lab, {"app.py": SCRIPT, "requirements.txt": "tqdm\n", "other.py": SCRIPT})
    assert names(software) == ["tqdm", "six"]
    lab.project({"app.py": "# /// script\n# dependencies = [\n# ///\n"})
    (error,) = lab.errors()
    assert (error.file, error.line) == ("app.py", 1)


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("renv.lock", json.dumps({"Packages": {"dplyr": {}, "MASS": {}}}), "apt.txt: r-cran-dplyr"),
        (
            "renv.lock",
            json.dumps(
                {
                    "Packages": {
                        "DESeq2": {"Source": "Bioconductor"},
                        "Dplyr": {"Source": "Repository"},
                        "mypkg": {"Source": "GitHub"},
                        "tidyr": {"Source": "GitHub"},
                        "nowhere": {},
                    }
                }
            ),
            "apt.txt: r-bioc-deseq2 r-cran-dplyr; "
            "Debian has none of mypkg from GitHub, tidyr from GitHub, nowhere: use an image that has it",
        ),
        ("install.R", "install.packages(c('ggplot2', \"data.table\"))\n", "r-cran-ggplot2 r-cran-data.table"),
        (
            "DESCRIPTION",
            "Package: x\nImports:\n    dplyr (>= 1.0),\n    tidyr\nLicense: x\n",
            "r-cran-dplyr r-cran-tidyr",
        ),
        ("conda-lock.yml", "version: 1\n", "environment.yml"),
        ("pixi.toml", "[project]\n", "pixi workspace export"),
        ("postBuild", "#!/bin/sh\n", "run.sh"),
        ("binder/postBuild", "#!/bin/sh\n", "run.sh"),
        ("Project.toml", "[deps]\nCSV = '1'\n", "Julia"),
        ("runtime.txt", "r-4.2-2023-01-01\n", "names no Python"),
        (
            "setup.py",
            "from setuptools import setup\nsetup(install_requires=open('x').read())\n",
            "requirements.txt",
        ),
    ],
)
def test_what_is_not_used_is_named_with_the_way_that_works(lab: Any, name: str, text: str, says: str) -> None:
    lab.project({**APP, name: text})
    (warning,) = lab.warnings()
    assert warning.file == name
    assert "not used" in warning.text
    assert says in warning.hint + warning.text


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("REQUIREMENTS.TXT", "requirements.txt"),
        ("requirments.txt", "requirements.txt"),
        ("requierments.txt", "requirements.txt"),
        ("requirements.txt.txt", "requirements.txt"),
        ("requirements (1).txt", "requirements.txt"),
        ("requirements - Copy.txt", "requirements.txt"),
        ("Environment.yml", "environment.yml"),
        ("enviroment.yml", "environment.yml"),
        ("enviornment.yaml", "environment.yaml"),
        ("environments.yml", "environment.yml"),
        ("environment.yml.txt", "environment.yml"),
        ("environment_dev.yaml", "environment.yml"),
        ("environment-linux.yml", "environment.yml"),
        ("my_env.yml", "environment.yml"),
        ("anaconda-project.yml", "environment.yml"),
        ("Apt.txt", "apt.txt"),
        ("Aptfile", "apt.txt"),
        ("apt-packages.txt", "apt.txt"),
        ("dockerfile", "Dockerfile"),
        ("Dockerfile.txt", "Dockerfile"),
        ("PipFile", "Pipfile"),
        ("requirements.lock", "requirements.txt"),
    ],
)
@pytest.mark.parametrize("prefix", ["", "code/"])
def test_names_that_are_nearly_right_are_told_with_the_right_one(
    lab: Any, name: str, meant: str, prefix: str
) -> None:
    lab.project({f"{prefix}app.py": "1", f"{prefix}{name}": "six\n"})
    (warning,) = lab.warnings()
    assert (warning.file, "not used" in warning.text) == (f"{prefix}{name}", True)
    assert warning.hint == f"rename it to {meant}"


@pytest.mark.parametrize(
    ("name", "text", "says"),
    [
        ("conda-linux-64.lock", "@EXPLICIT\n", "environment.yml"),
        ("spec-file.txt", "@EXPLICIT\nhttps://x/y.conda\n", "environment.yml"),
        ("meta.yaml", "package:\n", "environment.yml"),
        ("requirements-dev.txt", "six\n", "requirements.txt: -r requirements-dev.txt"),
        ("requirements_linux.txt", "six\n", "-r requirements_linux.txt"),
        ("requirements/analysis.txt", "six\n", "-r requirements/analysis.txt"),
        (".tool-versions", "python 3.11.4\n", "runtime.txt"),
        ("packrat/packrat.lock", "PackratFormat: 1.4\n\nPackage: dplyr\nSource: CRAN\n", "r-cran-dplyr"),
        ("requirements.R", "install.packages('dplyr')\n", "r-cran-dplyr"),
        ("install_packages.R", "x <- c('dplyr', 'tidyr')\nfor (p in x) install.packages(p)", "r-cran-tidyr"),
        ("install.R", "pacman::p_load(dplyr, tidyr)  # x\n", "r-cran-dplyr r-cran-tidyr"),
        ("JuliaProject.toml", "[deps]\nCSV = '1'\n", "Julia"),
        ("flake.nix", "{}\n", "image"),
        ("Singularity.def", "Bootstrap: docker\n", "image"),
        ("pyproject.toml", "[tool.pixi.dependencies]\nsix = '*'\n", "pixi workspace export"),
        ("pyproject.toml", "[project]\nname='x'\n[tool.pixi.pypi-dependencies]\nsix='*'\n", "pixi workspace"),
        ("pyproject.toml", "[tool.hatch.envs.default]\ndependencies = ['six']\n", "[project] dependencies"),
        ("uv.lock", lock("uv.lock"), "pyproject.toml"),
        ("poetry.lock", lock("poetry.lock"), "pyproject.toml"),
    ],
)  # fmt: skip
def test_neighbours_of_files_that_are_used_are_told(lab: Any, name: str, text: str, says: str) -> None:
    lab.project({**APP, name: text})
    (warning,) = lab.warnings()
    assert (warning.file, "not used" in warning.text) == (name, True)
    assert says in warning.hint


def test_what_is_told_beside_a_file_that_is_used(lab: Any) -> None:
    more = {
        "requirements_linux.txt": "tqdm\n",
        "requirements-dev.txt": "pytest\n",
        "requirements.in": "six\n",
    }
    lab.project({**APP, "requirements.txt": "six\n", **more})
    (warning,) = lab.warnings()
    assert warning.hint == "write into requirements.txt: -r requirements_linux.txt"
    lab.project({"requirements.txt": "six\n-r requirements_linux.txt\n"})
    assert not lab.warnings()
    lab.project({"uv.lock": lock("uv.lock"), "Requirements.txt": "six\n"})
    assert {one.file: one.hint for one in lab.warnings()} == {
        "uv.lock": "remove requirements.txt if uv.lock is meant, or remove that",
        "Requirements.txt": "put what is missing into requirements.txt, and remove it",
    }


@pytest.mark.parametrize(
    "name",
    [
        "app.txt", "cat.txt", "project.toml", "env.txt", "runtimes.txt", "data.lock", "results.yml",
        "setup.R.txt", "packages.csv", "conda.txt", "spec-list.txt", "config.yml", "environment.csv",
        "profile", "description.txt",
    ],
)  # fmt: skip
def test_other_files_are_no_reason_to_warn(lab: Any, name: str) -> None:
    lab.project({**APP, name: "six\n"})
    assert not lab.warnings()


def test_r_packages_that_apt_txt_names_are_no_reason_to_warn(lab: Any) -> None:
    lab.project({**APP, "install.R": "install.packages('dplyr')\n", "apt.txt": "r-cran-dplyr\n"})
    assert not lab.warnings()


@pytest.mark.attack("S4")
@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("Pipfile.lock", "[" * 100_000),
        ("Pipfile.lock", '{"default": {"a": ' + "9" * 500_000 + "}}"),
        ("Pipfile.lock", '{"default": {"' + "a" * 500_000 + '": "*"}}'),
        ("Pipfile", "x = " + "{a=" * 100_000),
        ("setup.py", "x = " + "(" * 100_000),
        ("setup.py", "x = " + "-" * 100_000 + "1"),
        ("setup.py", "setup(install_requires=" + "[" * 150 + "]" * 150 + ")"),
        ("setup.cfg", "[options]\ninstall_requires = " + "a" * 900_000),
        ("renv.lock", "{" * 100_000),
        ("install.R", "install.packages(" * 50_000),
        ("DESCRIPTION", "Imports: " + "a (" * 200_000),
        ("runtime.txt", "python-" + "3." * 400_000),
        ("uv.lock", "x = " + "[" * 100_000),
        ("app.py", "# /// script\n" + "#\n" * 20_000),
        ("app.py", "# /// script\n# x = " + "[" * 40_000 + "\n# ///\n"),
    ],
)
def test_hostile_ones_are_refused_or_passed_over(lab: Any, name: str, text: str, tried: Any) -> None:
    tried()
    lab.project({**APP, name: text})
    for finding in lab.inspect().findings:
        assert len(finding.text) < 2_000


POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 1234567\n"


@pytest.mark.parametrize("name", ["model.bin", "deep/er/model.bin", "input/scan.nii", "sheet.xlsx"])
def test_pointers_of_git_lfs_are_told_by_name(lab: Any, name: str) -> None:
    lab.project({**APP, name: POINTER, "notes.md": "x" * 130})
    (warning,) = lab.warnings()
    assert warning.file == name
    assert f"{name}: pointers of Git LFS" in warning.text
    assert "git lfs pull" in warning.hint


KEY = "annex/objects/MD5E-s104857600--0123456789abcdef0123456789abcdef.nii.gz"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("sub-01/bold.nii.gz", f"/{KEY}\n"),
        ("input/bold.nii.gz", f"/{KEY}\n"),
        ("bold.nii.gz", f"/{KEY}\n/annex/note of a later git-annex\n"),
        ("deep/er/bold.nii.gz", f"../../.git/{KEY}"),
        ("bold.nii.gz", f".git/{KEY}"),
    ],
)
def test_pointers_of_git_annex_are_told_by_name(lab: Any, name: str, text: str) -> None:
    """As unlocked files, and as links where the disk has none."""
    lab.project({**APP, name: text, "notes.md": f"see /{KEY}"})
    (warning,) = lab.warnings()
    assert warning.file == name
    assert f"{name}: pointers of git-annex (DataLad)" in warning.text
    assert "git annex get" in warning.hint and "git annex unlock" in warning.hint


def test_links_of_git_annex_are_told_by_name(lab: Any) -> None:
    lab.project(APP)
    for name, target in (("a.nii", f".git/{KEY}"), ("sub/b.nii", f"../.git/{KEY}")):
        (lab.home / "study" / name).parent.mkdir(exist_ok=True)
        (lab.home / "study" / name).symlink_to(target)
    (lab.home / "study" / "plain").symlink_to("nowhere")
    (warning,) = lab.warnings()
    assert warning.text.startswith("a.nii, sub/b.nii: pointers of git-annex (DataLad)")


def test_empty_submodules_are_told_by_name(lab: Any) -> None:
    """Those that hold something are there; a folder that is empty for itself is nobody's business."""
    lab.project(
        {
            **APP,
            ".gitmodules": '[submodule "a"]\n\tpath = lib/a\n\turl = ../a\n[submodule "b"]\n\tpath = b\n',
            "b/mod.py": "",
        }
    )
    (lab.home / "study" / "lib/a").mkdir(parents=True)
    (lab.home / "study" / "results").mkdir()
    (warning,) = lab.warnings()
    assert warning.file == "lib/a"
    assert warning.text == "lib/a: submodules, and empty here"
    assert "git submodule update --init" in warning.hint
