from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from passable import passable

from labbox.files import work, worker
from labbox.files.project import Defaults
from labbox.model import JobSpec

pytestmark = pytest.mark.root
UID = 70_321


@pytest.fixture
def box(tmp_path: Path) -> Path:
    """A home of the person's, and folders behind one that only root can enter."""
    passable(tmp_path)
    for name in ("home", "root/snapshots", "root/target"):
        (tmp_path / name).mkdir(parents=True)
        os.chown(tmp_path / name, UID, UID)
        (tmp_path / name).chmod(0o700)
    (tmp_path / "root").chmod(0o700)
    return tmp_path


@pytest.fixture
def sock(box: Path) -> Iterator[socket.socket]:
    """A worker that has given up root, as the spawner would make it."""
    ours, theirs = socket.socketpair()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            ours.close()
            os.setgroups([])
            os.setresgid(UID, UID, UID)
            os.setresuid(UID, UID, UID)
            worker.serve(theirs)
            code = 0
        finally:
            os._exit(code)
    theirs.close()
    with ours:
        yield ours
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0


def ask(sock: socket.socket, box: Path, request: work.Request, *folders: Path) -> Any:
    descriptors = [os.open(folder, os.O_RDONLY) for folder in folders]
    message = work.frame(work.Ask(id=1, home=str(box / "home"), request=request))
    socket.send_fds(sock, [message[:4]], descriptors)
    sock.sendall(message[4:])
    for descriptor in descriptors:
        os.close(descriptor)
    while True:
        received = work.receive(sock)
        assert received is not None
        answer = work.decode_from_worker(received[0])
        if not isinstance(answer, work.Report):
            return answer


LOOK = work.Inspect(path="study", spec=JobSpec(command=("ls",)), templates=(), defaults=Defaults())


def test_a_worker_writes_where_its_person_could_never_go(box: Path, sock: socket.socket) -> None:
    study = box / "home/study"
    (study / "input").mkdir(parents=True)
    (study / "input/a").write_text("x")
    for path in (study, *study.rglob("*")):
        os.chown(path, UID, UID)
    answer = ask(sock, box, work.HandIn(look=LOOK), box / "root/snapshots")
    assert isinstance(answer, work.Done), answer
    assert isinstance(answer.result, work.HandedIn)
    assert answer.result.input is not None
    assert (box / "root/snapshots" / answer.result.input.name / "a").stat().st_uid == UID


def test_what_the_person_may_not_read_is_named_and_not_handed_in(box: Path, sock: socket.socket) -> None:
    study = box / "home/study"
    (study / "input").mkdir(parents=True)
    os.chown(study, UID, UID)
    os.chown(study / "input", UID, UID)
    (study / "input/roots").write_text("secret")
    (study / "input/roots").chmod(0o600)  # root's, in the person's folder
    answer = ask(sock, box, work.HandIn(look=LOOK), box / "root/snapshots")
    assert isinstance(answer, work.Failed)
    assert answer.message == "cannot hand in “input/roots”: you may not read it"
    (study / "input/roots").unlink()
    (study / "input/own").write_text("x")
    os.chown(study / "input/own", UID, UID)
    (study / "input/own").chmod(0)
    answer = ask(sock, box, work.HandIn(look=LOOK), box / "root/snapshots")
    assert isinstance(answer, work.Done)
    assert isinstance(answer.result, work.HandedIn)
    errors = [one.text for one in answer.result.inspection.findings if one.level == "error"]
    assert errors == ["cannot hand in “input/own”: you may not read it"]
    assert not list((box / "root/snapshots").glob("tree-*"))


def test_a_commit_is_exported_from_a_repository_behind_closed_folders(box: Path, sock: socket.socket) -> None:
    made = box / "made"
    made.mkdir()
    people = {f"GIT_{who}_{what}": "a@b" for who in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}
    environment = {"PATH": os.environ["PATH"], "GIT_CONFIG_GLOBAL": "/dev/null", **people}
    (made / "app.py").write_text("print(1)")
    for words in ("init -q", "add .", "commit -q -m x", "clone -q --bare . ../root/study.git"):
        subprocess.run(["git", *words.split()], cwd=made, env=environment, check=True)
    commit = subprocess.run(
        ["git", "rev-parse", "HEAD"], cwd=made, env=environment, check=True, capture_output=True, text=True
    ).stdout.strip()
    for path in (box / "root/study.git", *(box / "root/study.git").rglob("*")):
        os.chown(path, UID, UID)
    (box / "root/study.git").chmod(0o700)
    answer = ask(sock, box, work.Export(commit=commit), box / "root/study.git", box / "root/target")
    assert isinstance(answer, work.Done), answer
    assert (box / "root/target/app.py").read_text() == "print(1)"
