"""A whole box: how it starts, what keeps it from starting, how it ends and comes back."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from labbox.errors import LabboxError
from labbox.model import JobState, ReasonCode
from labbox.protocol import UserAdd

if TYPE_CHECKING:
    from started import Box

Start = Callable[..., "Box"]


def test_a_box_starts_says_so_and_ends_cleanly(start: Start, state: Path) -> None:
    box = start()
    with socket.create_connection(("127.0.0.1", box.port), 10) as visitor:
        assert visitor.recv(100).startswith(b"SSH-2.0-labbox")
    assert stat.S_IMODE(state.stat().st_mode) == 0o711
    assert stat.S_IMODE((state / "api.sock").stat().st_mode) == 0o666
    assert stat.S_IMODE((state / "secrets").stat().st_mode) == 0o700
    assert stat.S_IMODE((state / "labbox.db").stat().st_mode) == 0o600
    with box.client() as client:
        status = client.status()
    assert status.ready
    assert status.ssh == f"127.0.0.1:{box.port}"
    assert box.end() == 0
    assert not (state / "api.sock").exists()
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", box.port), 10)
    assert "Traceback" not in box.log.read_text()


def test_ctrl_c_ends_it_cleanly_too(start: Start) -> None:
    assert start().end(signal.SIGINT) == 0


def test_it_tells_systemd(start: Start, state: Path) -> None:
    path = state.parent / "notify.sock"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
        manager.settimeout(20)
        manager.bind(str(path))
        box = start(NOTIFY_SOCKET=str(path))
        assert manager.recv(1000).startswith(b"READY=1\n")
        assert box.end() == 0
        assert manager.recv(1000) == b"STOPPING=1"


def test_without_an_engine_everything_else_works_and_jobs_say_why_they_wait(start: Start) -> None:
    box = start()
    with box.client() as client, box.client("ada") as ada:
        client.add_user(UserAdd(name="ada"))
        (problem,) = client.status().problems
        assert problem.startswith("jobs do not start: ")
        job = ada.submit_job(command=("echo", "hi"))
        assert job.state is JobState.QUEUED
        assert ada.why_job(job.id).reasons[0].code is ReasonCode.NO_ENGINE
        assert ada.cancel_job(job.id).state is JobState.CANCELLED


def test_kill_9_loses_nothing(start: Start, state: Path) -> None:
    box = start()
    with box.client() as client, box.client("ada") as ada:
        client.add_user(UserAdd(name="ada"))
        for _ in range(3):
            ada.submit_job(command=("echo", "hi"))
        before = (state / "box.id").read_text()
        box.end(signal.SIGKILL)
        again = start()
        assert [job.id for job in ada.list_jobs().jobs] == [3, 2, 1]
        assert [job.state for job in ada.list_jobs().jobs] == [JobState.QUEUED] * 3
    assert (state / "box.id").read_text() == before
    assert again.end() == 0


def test_two_daemons_on_one_state_folder(start: Start, refusal: Callable[..., str], state: Path) -> None:
    box = start()
    said = refusal()
    assert said == (
        f"error: cannot start on {state}: another labbox runs on it (pid {box.process.pid})\n"
        "hint: stop that one first, or choose another folder with --state\n"
    )
    with box.client() as client:
        assert client.status().ready


def test_an_address_in_use(refusal: Callable[..., str], taken_port: int) -> None:
    said = refusal("--ssh", f"127.0.0.1:{taken_port}")
    assert f"error: cannot listen on 127.0.0.1:{taken_port}: " in said
    assert "hint: choose another address" in said
    assert "cannot use “nowhere”" in refusal("--ssh", "nowhere")


def test_a_state_folder_of_a_newer_version_is_left_alone(
    start: Start, refusal: Callable[..., str], state: Path
) -> None:
    start().end()
    database = sqlite3.connect(state / "labbox.db")
    with database:
        database.execute("INSERT INTO _sqlite_migrations (migration_set, name) VALUES ('labbox', 'm9999_x')")

    database.close()
    before = (state / "labbox.db").read_bytes()
    assert "newer labbox" in refusal()
    assert (state / "labbox.db").read_bytes() == before


def test_a_damaged_store_is_a_sentence(start: Start, refusal: Callable[..., str], state: Path) -> None:
    start().end()
    (state / "labbox.db").write_bytes(b"this is no database, " * 1000)
    assert f"error: cannot open the store {state}/labbox.db" in refusal()


def test_a_bad_configuration_names_its_line(refusal: Callable[..., str], tmp_path: Path) -> None:
    custom = tmp_path / "custom"
    custom.mkdir()
    (custom / "box.toml").write_text('name = "lab"\n[jobs]\ncpus = "many"\n')
    said = refusal("--custom", str(custom))
    assert "box.toml" in said
    assert "3" in said
    assert f"cannot read {tmp_path}/none: there is no such folder" in refusal(
        "--custom", str(tmp_path / "none")
    )


def test_a_state_folder_that_cannot_be_one(refusal: Callable[..., str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert f"error: cannot use the state folder {file}: " in refusal(where=file)
    long = tmp_path / ("x" * 120)
    assert "its path is too long" in refusal(where=long)


def test_a_full_disk_is_a_sentence(refusal: Callable[..., str], tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "labbox-test", str(disk)], check=True)
    try:
        said = refusal(where=disk / "state")
    finally:
        subprocess.run(["umount", str(disk)], check=True)
    assert said.startswith("error: cannot ")
    assert "space" in said or "full" in said


def test_a_removed_user_leaves_nothing(
    start: Start, state: Path, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    box = start()
    with box.client() as client, box.client("ada") as ada:
        client.add_user(UserAdd(name="boss", admin=True))
        client.add_user(UserAdd(name="ada"))
        job = ada.submit_job(command=("echo", "hi"))
        client.remove_user("ada", files="delete")
        with pytest.raises(LabboxError, match="ada"):
            client.show_user("ada")
        assert client.show_job(job.id).job.state is JobState.CANCELLED
    assert not (state / "homes" / "ada").exists()
    assert not (state / "results" / "ada").exists()


def test_the_end_of_the_spawner_ends_the_box_with_a_sentence(
    start: Start, eventually: Callable[[Callable[[], bool]], None]
) -> None:
    box = start()
    children = Path(f"/proc/{box.process.pid}/task/{box.process.pid}/children").read_text().split()
    os.kill(int(children[0]), signal.SIGKILL)
    assert box.process.wait(20) == 1
    assert "error: cannot start a process: the spawner has ended" in box.log.read_text()


def test_daemon_and_spawner_are_small(start: Start) -> None:
    box = start()
    children = Path(f"/proc/{box.process.pid}/task/{box.process.pid}/children").read_text().split()
    total = 0
    for pid in (str(box.process.pid), children[0]):
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                total += int(line.split()[1])
    assert total <= 140 * 1024


def test_a_start_waits_for_no_library_that_only_the_engine_or_a_new_file_needs() -> None:
    code = (
        "import sys, labbox.daemon.app\n"
        "print(*{'docker', 'requests', 'yaml', 'sqlite_utils', 'textual'} & set(sys.modules))"
    )
    said = subprocess.run([sys.executable, "-P", "-c", code], check=True, capture_output=True, text=True)
    assert said.stdout.strip() == ""


def test_a_hang_up_is_ignored_and_said(start: Start) -> None:
    box = start()
    for _ in range(3):
        box.process.send_signal(signal.SIGHUP)
    with box.client() as client:
        assert client.status().ready
    assert box.end() == 0
    assert "SIGHUP is ignored" in box.log.read_text()
