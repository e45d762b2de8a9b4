"""Bad input: each gets its sentence and exit code, and a neighbour's job goes on to its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from harness import Box, ssh_options
from person import Person

from labbox.model import JobSpec

pytestmark = [pytest.mark.engine, pytest.mark.root]

RUN = "echo ran\n"


@dataclass(frozen=True)
class Case:
    """A folder, the words of the submission, and what must be said."""

    files: dict[str, str]
    says: tuple[str, ...]  # all of them, somewhere on standard error
    code: int = 1
    words: tuple[str, ...] = ()
    links: dict[str, str] = field(default_factory=dict)


REFUSED = {
    "nothing to run": Case({"notes.txt": "later\n"}, ("cannot find anything to run", "app.py", "hint:")),
    "two entry points": Case({"app.py": "", "run.sh": ""}, ("app.py", "run.sh", "hint:")),
    "broken requirements.txt": Case(
        {"app.py": "", "requirements.txt": "numpy\n=>2 what\n"}, ("requirements.txt", "line 2")
    ),
    "bad job.toml: every wrong key with its line": Case(
        {"run.sh": RUN, "job.toml": "cpu = 2\nmemory = 'lots'\n\nretires = 3\n"},
        ("line 1", "cpus", "line 2", "memory", "line 4", "retries"),
    ),
    "job.toml that is no TOML": Case({"run.sh": RUN, "job.toml": "name = \n"}, ("job.toml", "line 1")),
    "a link out of the project": Case(
        {"run.sh": RUN}, ("passwd", "hint:"), links={"code-link": "/etc/passwd"}
    ),
    "a folder that is not there": Case({}, ("missing-folder", "hint:"), words=("missing-folder",)),
    "more CPUs than the box has": Case({"run.sh": RUN}, ("CPU", "hint:"), words=("--cpus", "5000")),
    "more memory than the box has": Case({"run.sh": RUN}, ("memory", "hint:"), words=("--memory", "900T")),
    "a memory that is no size": Case({"run.sh": RUN}, ("lots",), code=2, words=("--memory", "lots")),
    "an array that is no range": Case({"run.sh": RUN}, ("1-x",), code=2, words=("--array", "1-x")),
    "after a job that is not there": Case(
        {"run.sh": RUN}, ("cannot find job 999999", "hint:"), words=("--after", "999999")
    ),
    "an option that does not exist": Case(
        {"run.sh": RUN}, ("--cpu-count",), code=2, words=("--cpu-count", "1")
    ),
    "Julia without an image": Case({"app.jl": "println(1)\n"}, ("Julia", "hint:")),
    "environment.yml that is no YAML": Case(
        {"app.py": "", "environment.yml": "dependencies: [\n"}, ("environment.yml, line 2", "YAML", "hint:")
    ),
}

FAILS = {
    "a package that does not exist": Case(
        {"app.py": "", "requirements.txt": "labbox-no-such-package-at-all\n"},
        (
            "cannot find the package labbox-no-such-package-at-all (line 1 of requirements.txt)",
            "check its name",
        ),
        code=125,
    ),
    "a version that does not exist": Case(
        {"app.py": "", "requirements.txt": "six==99.99\n"},
        ("cannot find six==99.99 (line 1 of requirements.txt): there is no such version", "ask for another"),
        code=125,
    ),
    "a Dockerfile that fails": Case(
        {"Dockerfile": "FROM labbox/base\nRUN echo about-to-fail && false\n", "run.sh": RUN},
        ("cannot build Dockerfile: step 2/", "about-to-fail"),
        code=125,
    ),
    "a Dockerfile with a base that is not allowed": Case(
        {"Dockerfile": "FROM somewhere/else\n", "run.sh": RUN},
        ("does not allow to start from somewhere/else", "start from one of"),
        code=125,
    ),
    "an apt package that does not exist": Case(
        {"apt.txt": "labbox-no-such-deb\n", "run.sh": RUN},
        ("cannot find the Debian package labbox-no-such-deb", "check its name in apt.txt"),
        code=125,
    ),
    "a command that does not exist": Case(
        {"run.sh": RUN},
        ("the command was not found or cannot be run", "no-such-command"),
        code=127,
        words=("--", "no-such-command"),
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_submission_is_refused_in_words(
    name: str, ada: Person, box: Box, other: Callable[[], None]
) -> None:
    case = REFUSED[name]
    folder = _folder(ada, box, name, case)
    words = case.words if case.words[:1] == ("missing-folder",) else (folder, *case.words)
    done = ada.run("job", "submit", *words)
    assert done.returncode == case.code, done.stderr
    for text in case.says:
        assert text in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stderr
    assert not done.stdout
    other()


@pytest.mark.parametrize("name", FAILS)
def test_a_job_that_cannot_run_says_why(
    name: str, ada: Person, box: Box, neighbour: Callable[[], None]
) -> None:
    case = FAILS[name]
    folder = _folder(ada, box, name, case)
    done = ada.run("job", "submit", folder, "--follow", *case.words)
    assert done.returncode == case.code, done.stderr
    number = ada.json("job", "list")["jobs"][0]["id"]
    why = ada.run("job", "why", str(number)).stdout
    everything = done.stdout + done.stderr + why
    for text in case.says:
        assert text in everything
    assert "Traceback" not in everything
    neighbour()


@dataclass(frozen=True)
class Run:
    """A script that behaves badly, and how it must end."""

    script: str
    state: str
    says: str  # in what `job why` says of it
    code: int | None = 1  # None: by whichever signal comes first
    words: tuple[str, ...] = ()


RUNS = {
    "a fork bomb": Run(
        "bomb() { bomb | bomb & }; bomb; sleep 20\n", "timed_out", "time limit", 124, ("--time", "5s")
    ),
    "too much memory": Run("tail /dev/zero\n", "failed", "memory", 137, ("--memory", "64M")),
    "an endless log": Run("yes\n", "failed", "its log grew beyond the limit of 20.0 MiB", None),
    "one file that is too large": Run(
        "cat /dev/zero >/output/zeros\n", "failed", "file larger than the limit", 153
    ),
    "more output than allowed": Run(
        "i=0; while :; do i=$((i+1)); head -c 20000000 /dev/zero >/output/$i || exit 3; sleep 0.05; done\n",
        "failed",
        "its output grew beyond the limit of 200.0 MiB",
        143,
    ),
    "no network": Run(
        "cat </dev/tcp/192.0.2.1/80 || exit 9\n",
        "failed",
        "exit code 9; it had no network (--network asks for it)",
        9,
    ),
}


@pytest.mark.parametrize("name", RUNS)
def test_a_run_that_behaves_badly_ends_alone(name: str, ada: Person, neighbour: Callable[[], None]) -> None:
    bad = RUNS[name]
    folder = name.replace(" ", "-")
    ada.project(folder, {"run.sh": bad.script})
    done = ada.run("job", "submit", folder, "--follow", *bad.words)
    job = ada.json("job", "list")["jobs"][0]
    why = ada.run("job", "why", str(job["id"])).stdout
    assert job["state"] == bad.state
    assert done.returncode == bad.code if bad.code is not None else done.returncode > 128, why
    assert bad.says in why + done.stderr
    neighbour()


@pytest.mark.parametrize("name", ["größe und länge", "new\nline", "esc\x1b[31mred", "-rf", "a" * 120])
def test_hostile_names_run_and_are_shown_harmless(
    name: str, ada: Person, box: Box, other: Callable[[], None]
) -> None:
    box.put("ada", name, {"code/run.sh": "cat /input/*\n", f"input/{name}": "fine\n"})
    job = box.client(act_as="ada").submit_job(JobSpec(path=name))
    assert ada.run("job", "log", str(job.id), "--follow").stdout == "fine\n"
    for words in (("job", "list"), ("job", "show", str(job.id)), ("job", "why", str(job.id))):
        shown = ada.run(*words).stdout
        assert "\x1b" not in shown
        assert "new\nline" not in shown
    assert str(job.id) in ada.run("job", "list").stdout
    assert ada.job(job.id)["state"] == "succeeded"
    other()


def test_five_gigabytes_are_handed_in_again_in_a_moment(ada: Person, box: Box) -> None:
    box.put("ada", "big", {"run.sh": "stat -c %s /input/big\n", "input/big": ""})
    with (box.state / "homes/ada/big/input/big").open("r+b") as file:
        file.truncate(5 << 30)  # sparse: nobody's disk is filled
    client = box.client(act_as="ada")
    first = client.submit_job(JobSpec(path="big"))
    assert ada.run("job", "log", str(first.id), "--follow").stdout == f"{5 << 30}\n"
    before = shutil.disk_usage(box.state).used
    started = time.monotonic()
    second = client.submit_job(JobSpec(path="big"))
    assert time.monotonic() - started <= 1
    assert ada.run("job", "log", str(second.id), "--follow").stdout == f"{5 << 30}\n"
    assert shutil.disk_usage(box.state).used - before < 1 << 30


def test_an_empty_input_file_is_handed_in(ada: Person) -> None:
    ada.project("empty", {"run.sh": "wc -c </input/nothing\n", "input/nothing": ""})
    done = ada.run("job", "submit", "empty", "--follow")
    assert (done.returncode, done.stdout.split("\n")[1:]) == (0, ["0", ""])


def test_logs_come_as_they_come(ada: Person) -> None:
    ada.project(
        "logs",
        {
            "app.py": "import sys\nprint('x' * 65536)\nprint('wrong', file=sys.stderr)\n"
            "sys.stdout.write('no newline')\n"
        },
    )
    done = ada.run("job", "submit", "logs", "--follow")
    number, *lines = done.stdout.split("\n")
    assert lines == ["x" * 65536, "no newline"]
    assert done.stderr == "wrong\n"
    log = ada.run("job", "log", number)
    assert log.returncode == 0
    assert "x" * 65536 + "\n" in log.stdout
    assert "wrong\n" in log.stdout
    assert "no newline" in log.stdout


def _folder(ada: Person, box: Box, name: str, case: Case) -> str:
    folder = "bad-" + "".join(letter if letter.isalnum() else "-" for letter in name)
    ada.project(folder, case.files or {"keep": ""})
    for link, target in case.links.items():
        path = box.state / "homes" / "ada" / folder / link
        path.symlink_to(target)
    return folder


WARNED = {
    "app.py": "print('ran')\n",
    "requirement.txt": "six\n",
    "renv.lock": '{"Packages": {"dplyr": {}}}\n',
    "bold.nii.gz": "/annex/objects/MD5E-s104857600--0123456789abcdef0123456789abcdef.nii.gz\n",
    "weights.bin": "version https://git-lfs.github.com/spec/v1\noid sha256:" + "0" * 64 + "\nsize 123456\n",
}
SAID = (
    "labbox looks for requirements.txt",
    "renv.lock is not used",
    "r-cran-dplyr",
    "Git LFS",
    "git-annex",
    "hint: ",
)


def test_warnings_are_said_wherever_a_folder_is_handed_in(ada: Person, box: Box, tmp_path: Path) -> None:
    ada.project("warned", WARNED)
    done = ada.run("job", "submit", "warned")
    assert done.stdout.strip().isdigit()
    told = ada.json("job", "submit", "warned")["warnings"]
    checked = ada.run("job", "check", "warned")
    for text in SAID:
        assert text in done.stderr
        assert text in checked.stdout
    assert [one["level"] for one in told] == ["warning"] * 4
    assert checked.returncode == 0
    assert "ok: runs app.py with Python" in checked.stdout
    folder = tmp_path / "pushed"
    folder.mkdir()
    for name, text in {**WARNED, "job.toml": "[git]\nsubmit = true\n"}.items():
        (folder / name).write_text(text)
    shell = {**os.environ, "GIT_SSH_COMMAND": " ".join(["ssh", *ssh_options(box.key, box.port)])}
    identity = ["-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (
        ["init", "-q", "-b", "main"],
        ["init", "-q", "lib"],
        ["-C", "lib", *identity, "commit", "-q", "--allow-empty", "-m", "x"],
        ["add", "."],
        [*identity, "commit", "-qm", "all"],
        ["push", "-q", "ada@127.0.0.1:warned-push", "main"],
    ):
        pushed = subprocess.run(
            ["git", *words], cwd=folder, env=shell, capture_output=True, text=True, check=True, timeout=100
        )
    for text in (*SAID, "lib: submodules, and empty here"):
        assert text in pushed.stderr


def test_a_folder_is_checked_without_submitting_it(ada: Person) -> None:
    before = len(ada.json("job", "list")["jobs"])
    lines = (
        "six @ file:///croot/six_1/work",
        "git+https://example.org/x.git",
        "sklearn",
        "numpy=1.26.4=py311_0",
    )
    ada.project("checked", {"app.py": "1", "requirements.txt": "\n".join([*lines, "pywin32", "numpy"])})
    done = ada.run("job", "check", "checked")
    assert done.returncode == 1
    for number in range(1, 5):
        assert f"requirements.txt, line {number}:" in done.stdout
    for text in ("write scikit-learn", "write numpy==1.26.4", "write six", "pywin32 is left out"):
        assert text in done.stdout
    assert len(ada.json("job", "list")["jobs"]) == before
