"""A user goes: logins and jobs end, files stay or go, and the trail tells."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from harness import Box
from person import Person, wait_for

pytestmark = [pytest.mark.engine, pytest.mark.root]

_DEEP = 1500  # folders in each other: more than a recursion takes
_KINDS = ("homes", "results", "operations", "snapshots", "git")
_FINE = {"run.sh": "echo kept >/output/result; ln -s / /output/root; chmod 500 /output\n"}
_ENDLESS = {"run.sh": "sleep 600\n"}


@pytest.fixture
def leaver(box: Box, request: pytest.FixtureRequest) -> Iterator[Person]:
    name = f"leaver{len(request.node.name)}"  # a name of its own for each test
    subprocess.run([*box.labbox, "user", "add", name, "--key", f"{box.key}.pub"], check=True)
    yield Person(box, name)
    for kind in _KINDS:
        for left in (box.state / kind).glob(f"{name}*"):
            subprocess.run(["rm", "-rf", left], check=True)


def test_a_user_is_removed_with_all_files(leaver: Person, box: Box, grace: Person) -> None:
    home = box.state / "homes" / leaver.name
    uid = home.stat().st_uid
    precious = box.folder / "precious"
    precious.mkdir()
    (precious / "keep").write_text("not the leaver's")
    leaver.project("fine", _FINE)
    assert leaver.run("job", "submit", "fine", "--follow").returncode == 0
    assert leaver.run("file", "sum", "fine").returncode == 0
    assert (box.state / "operations" / leaver.name).is_dir()
    leaver.project("endless", _ENDLESS)
    number = int(leaver.run("job", "submit", "endless", "--quiet").stdout)
    wait_for(lambda: leaver.job(number)["state"] == "running")
    _nest(home, uid)
    (home / "link").symlink_to(precious)
    (home / "of root").mkdir(mode=0o700)
    (home / "of root" / "file").write_text("put there by an administrator")
    (box.state / "git" / leaver.name / "study.git").mkdir(parents=True)
    login = subprocess.Popen(box.ssh(leaver.name, tty=True), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert login.stdout is not None
    assert login.stdout.read(1)

    _remove(box, leaver.name, "delete")

    login.communicate(timeout=30)
    assert login.returncode != 0
    assert not [kind for kind in _KINDS if os.path.lexists(box.state / kind / leaver.name)]
    assert (precious / "keep").exists()
    assert box.client().show_job(number).job.state == "cancelled"
    refused = leaver.run("job", "list")
    assert refused.returncode == 255
    assert "ermission denied" in refused.stderr
    assert _trail(box, leaver.name)[:2] == [
        ("user removed", f"uid {uid}"),
        ("user remove", "files are deleted"),
    ]
    assert grace.run("job", "list").returncode == 0


def test_a_user_is_removed_and_the_files_stay(leaver: Person, box: Box) -> None:
    uid = (box.state / "homes" / leaver.name).stat().st_uid
    leaver.project("fine", _FINE)
    assert leaver.run("job", "submit", "fine", "--follow").returncode == 0
    results = leaver.json("job", "list")["jobs"][0]["results"].removeprefix("jobs/")
    wait_for(lambda: (box.client().show_user(leaver.name).storage or 0) > 0)
    subprocess.run([*box.labbox, "user", "limits", leaver.name, "--storage", "1K"], check=True)
    over = leaver.run("job", "submit", "fine")
    assert over.returncode == 1
    assert "error: cannot submit: your home and results take" in over.stderr

    _remove(box, leaver.name, "keep")

    label = f"{leaver.name}~{uid}"
    output = box.state / "results" / label / results / "output"
    assert (output / "result").read_text() == "kept\n"
    assert (box.state / "homes" / label / "fine" / "run.sh").exists()
    assert _trail(box, leaver.name)[1] == ("user remove", "files are kept")
    (job, *_) = box.client().list_jobs(owner=label).jobs
    log = subprocess.run([*box.labbox, "job", "log", str(job.id)], capture_output=True, text=True)
    assert (job.owner, log.returncode) == (label, 0), log.stderr


@pytest.mark.attack("S11")
@pytest.mark.parametrize("files", ["keep", "delete"])
def test_a_namesake_reaches_nothing_of_who_was_removed(
    leaver: Person, box: Box, tried: Callable[..., None], files: str
) -> None:
    """Jobs, variables, results, transfers and groups stay the old one's, whoever gets the name."""
    leaver.project("fine", _FINE)
    assert leaver.run("job", "submit", "fine", "--env", "TOKEN=s3cret", "--follow").returncode == 0
    run = leaver.json("job", "list")["jobs"][0]["id"]
    assert leaver.run("file", "cp", "fine", f"shared:/{leaver.name}-old").returncode == 0
    copy = leaver.json("job", "list", "--files")["jobs"][0]["id"]
    assert leaver.run("job", "group", "set", "sims", "--parallel", "1").returncode == 0
    assert leaver.run("host", "add", "sftp://me@192.0.2.9").returncode == 0
    waiting = leaver.run("job", "submit", "fine", "--hold", "--quiet").stdout.strip()

    _remove(box, leaver.name, files)
    subprocess.run([*box.labbox, "user", "add", leaver.name, "--key", f"{box.key}.pub"], check=True)

    for number in (run, copy, waiting):
        for words in (
            ("job", "show"), ("job", "log"), ("job", "why"), ("job", "history"), ("job", "describe"),
            ("job", "rerun"), ("job", "retry"), ("job", "cancel"), ("job", "kill"), ("job", "hold"),
            ("job", "release"), ("job", "edit", "--name", "mine"), ("job", "fetch"), ("file", "undo"),
        ):  # fmt: skip
            tried()
            done = leaver.run(words[0], words[1], str(number), *words[2:])
            assert done.returncode != 0, words
            assert "s3cret" not in done.stdout + done.stderr
    tried(6)
    assert leaver.run("file", "ls", f"job:{run}/output").returncode != 0
    assert leaver.run("job", "submit", "--after", str(run), "--", "true").returncode != 0
    assert leaver.json("job", "list", "--user", leaver.name)["jobs"] == []
    assert leaver.json("job", "group", "list")["groups"] == []
    assert leaver.json("host", "list")["hosts"] == []
    assert [row["jobs"] for row in leaver.json("usage")["rows"]] in ([], [0])


def _remove(box: Box, name: str, files: str) -> None:
    subprocess.run([*box.labbox, "user", "remove", name, "--files", files, "--yes"], check=True, timeout=110)


def _trail(box: Box, name: str) -> list[tuple[str, str]]:
    """What was done to the user, newest first."""
    page = box.client().audit(limit=50)
    assert page.intact
    return [(entry.action, entry.detail) for entry in page.entries if entry.target == name]


def _nest(home: Path, uid: int) -> None:
    """Folders in each other, deeper than any path may be long, as the user."""
    descriptor = os.open(home, os.O_RDONLY | os.O_DIRECTORY)
    for _ in range(_DEEP):
        os.mkdir("deep", dir_fd=descriptor)
        os.chown("deep", uid, uid, dir_fd=descriptor)
        below = os.open("deep", os.O_RDONLY | os.O_DIRECTORY, dir_fd=descriptor)
        os.close(descriptor)
        descriptor = below
    os.close(descriptor)
