"""The examples that come with labbox run on a box as they are."""

from __future__ import annotations

from pathlib import Path

import pytest
from harness import Box
from person import Person

pytestmark = [pytest.mark.engine, pytest.mark.root]

EXAMPLES = Path(__file__).parents[2] / "custom" / "shared" / "examples"


@pytest.mark.timeout(300)  # the image with Octave is made once for each engine
@pytest.mark.parametrize(
    ("name", "says", "table", "line"),
    [
        ("word-count", "box: 73 words", "texts.csv", "text,words,different"),
        ("reaction-time", "flanker effect 52.4 ms", "effects.csv", "incongruent - congruent,52.4,"),
        ("pendulum", "period by crossings", "pendulum.csv", "period_crossings_s,period_fit_s"),
    ],
)
def test_an_example_runs_as_it_is(
    name: str, says: str, table: str, line: str, ada: Person, tmp_path: Path
) -> None:
    ada.scp(str(EXAMPLES / name), "box:")
    done = ada.run("job", "submit", name, "--follow", timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert says in done.stdout
    job = ada.json("job", "list")["jobs"][0]
    assert job["name"] == name
    ada.scp(f"box:{job['results']}/output", str(tmp_path / "output"))
    assert line in (tmp_path / "output" / table).read_text()


def test_a_project_as_people_publish_them_runs(ada: Person) -> None:
    ada.project(
        "published",
        {
            "app.py": "# /// script\n# dependencies = ['six']\n# ///\n"
            "import six, study\nprint('ran with', study.NAME, six.PY3)\n",
            "src/study/__init__.py": "NAME = 'src'\n",
            "setup.py": "from setuptools import setup\nsetup(name='study', install_requires=['six'])\n",
            "runtime.txt": "python-3.99\n",
        },
    )
    done = ada.run("job", "submit", "published", "--follow", timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "ran with src True" in done.stdout
    assert "runtime.txt asks for Python 3.99, which is not to be had here" in done.stdout + done.stderr


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_scripts_as_windows_saves_them_run(ada: Person, box: Box, encoding: str) -> None:
    def saved(text: str) -> bytes:
        return text.replace("\n", "\r\n").encode(encoding)

    script = "#!/bin/bash\nset -e\nif true; then\n  echo ran ü as $0\nfi\nexit 7\n"
    for name, files in (
        ("shell", {"run.sh": saved(script), "apt.txt": saved("# none\n")}),
        (
            "r",
            {"app.R": saved("x <- c(1,\n 2)\nif (sum(x) == 3) {\n  cat('ran ü\\n')\n}\nquit(status = 7)\n")},
        ),
    ):
        folder = box.put("ada", f"windows-{name}-{encoding}", {"notes.txt": ""})
        top = box.state / "homes" / "ada" / folder
        for path, content in files.items():
            (top / path).write_bytes(content)
        done = ada.run("job", "submit", folder, "--follow", timeout=280)
        assert done.returncode == 7, done.stdout + done.stderr
        assert "ran ü" in done.stdout
        if name == "shell":
            assert "as run.sh" in done.stdout


def test_a_script_of_sh_as_powershell_saves_it_runs(ada: Person, box: Box) -> None:
    folder = box.put("ada", "powershell", {"notes.txt": ""})
    text = "#!/bin/sh -u\nif true; then\n  echo ran ü as $0 $-\nfi\nexit 7\n"
    script = box.state / "homes" / "ada" / folder / "run.sh"
    script.write_bytes(text.replace("\n", "\r\n").encode("utf-16"))
    done = ada.run("job", "submit", folder, "--follow", timeout=280)
    assert done.returncode == 7, done.stdout + done.stderr
    assert "ran ü as run.sh u" in done.stdout


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be"])
def test_programs_as_powershell_saves_them_run(ada: Person, box: Box, encoding: str) -> None:
    python = (
        "import sys\nfrom pathlib import Path\nimport beside\n"
        "print('ran ü', beside.X, Path(__file__).with_name('notes.txt').exists(), sys.argv)\n"
    )
    for number, (name, text, command, says) in enumerate(
        (
            ("app.py", python, "", "ran ü 1 True ['app.py']"),
            ("fit.py", python, 'command = ["python", "fit.py", "two"]\n', "ran ü 1 True ['fit.py', 'two']"),
            ("app.m", "beside\n", "", "ran too"),
        )
    ):
        files = {"notes.txt": "", "beside.py": "X = 1\n", "beside.m": "disp('ran too')\n"}
        folder = box.put(
            "ada", f"wide-{number}-{encoding}", files | ({"job.toml": command} if command else {})
        )
        (box.state / "homes" / "ada" / folder / name).write_bytes(text.replace("\n", "\r\n").encode(encoding))
        done = ada.run("job", "submit", folder, "--follow", timeout=280)
        assert done.returncode == 0, done.stdout + done.stderr
        assert says in done.stdout


def test_octave_ends_without_a_false_error(ada: Person) -> None:
    ada.project("octave-good", {"app.m": "disp('fine')\n"})
    done = ada.run("job", "submit", "octave-good", "--follow", timeout=280)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "fine" in done.stdout
    assert "error" not in done.stdout + done.stderr


def test_the_first_line_of_a_script_is_obeyed(ada: Person) -> None:
    for number, (text, code, says) in enumerate(
        (
            ("#!/bin/bash -e\nfalse\necho went on\n", 1, ""),
            ("#!/usr/bin/env -S bash -eu\necho $NAUGHT\necho went on\n", 1, ""),
            ("#!/usr/bin/env python3\nimport sys\nprint('python', sys.argv)\n", 0, "python ['run.sh']"),
            ("#!/usr/bin/perl -w\nprint qq(perl $0\\n);\n", 0, "perl run.sh"),
            ("#!/bin/tcsh\nset x=1; echo $x\n", 127, "write tcsh into apt.txt"),
        )
    ):
        ada.project(f"first-{number}", {"run.sh": text})
        done = ada.run("job", "submit", f"first-{number}", "--follow", timeout=280)
        assert done.returncode == code, done.stdout + done.stderr
        assert says in done.stdout + done.stderr
        assert "went on" not in done.stdout
