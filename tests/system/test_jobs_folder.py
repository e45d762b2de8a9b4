"""`~/jobs` is a folder like any other for stock clients, and nobody's to swap; old homes come to have it."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import Box, ssh_options
from person import Person

pytestmark = [pytest.mark.root]

RUN = "2026/11/30/7-study/output"


@pytest.fixture(scope="module")
def alone() -> Iterator[Box]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-jobs-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = Box(folder, ("ada", "grace"))
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def result(alone: Box) -> Path:
    """A result of ada's, as a run leaves one."""
    results, uid = alone.state / "results/ada", (alone.state / "homes/ada").stat().st_uid
    (results / RUN).mkdir(parents=True, exist_ok=True)
    (results / RUN / "table.csv").write_text("1,2\n")
    for path in (results / RUN, results / RUN / "table.csv"):
        os.chown(path, uid, uid)
    return results / RUN / "table.csv"


def options(box: Box, *, port: str = "-P") -> list[str]:
    return [port if word == "-p" else word for word in ssh_options(box.key, box.port)]


def sftp(box: Box, *lines: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sftp", "-q", "-b", "-", *options(box), "ada@127.0.0.1"],
        input="\n".join(lines) + "\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_stock_clients_fetch_it(alone: Box, result: Path, tmp_path: Path) -> None:
    remote = "ssh " + " ".join(options(alone, port="-p"))
    subprocess.run(
        ["rsync", "-a", "-e", remote, "ada@127.0.0.1:jobs", tmp_path / "rsync"], check=True, timeout=60
    )
    subprocess.run(
        ["scp", "-q", "-r", *options(alone), f"ada@127.0.0.1:jobs/{RUN}", tmp_path / "scp"],
        check=True,
        timeout=60,
    )
    fetched = sftp(alone, f"get -R jobs {tmp_path}/sftp")
    assert fetched.returncode == 0, fetched.stderr
    for found in (f"rsync/jobs/{RUN}", "scp", f"sftp/{RUN}"):
        assert (tmp_path / found / "table.csv").read_text() == "1,2\n"


def test_nobody_swaps_it(alone: Box, result: Path) -> None:
    for line in ("rename jobs mine", "rmdir jobs", "rm jobs", "put /etc/hostname jobs/mine"):
        assert sftp(alone, line).returncode != 0, line
    assert result.exists()
    assert not (alone.state / "results/ada/mine").exists()


def test_what_is_deleted_in_it_comes_back_from_the_trash(alone: Box, result: Path) -> None:
    ada = Person(alone, "ada")
    assert ada.run("file", "ls", f"~/jobs/{RUN}").stdout.split()[-1] == "table.csv"
    gone = ada.run("file", "rm", f"~/jobs/{RUN}/table.csv")
    assert gone.returncode == 0, gone.stderr
    assert not result.exists()
    back = ada.run("file", "trash", "restore", f"~/jobs/{RUN}/table.csv")
    assert back.returncode == 0, back.stderr
    assert result.exists()


def test_sshfs_shows_it(alone: Box, result: Path, tmp_path: Path) -> None:
    asked = (f"IdentityFile={alone.key}", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null")
    words = ["-p", str(alone.port), *(word for one in asked for word in ("-o", one))]
    for what, path in (("", f"jobs/{RUN}"), ("jobs", RUN)):
        point = tmp_path / (what or "home")
        point.mkdir()
        subprocess.run(["sshfs", f"ada@127.0.0.1:{what}", point, *words], check=True, timeout=60)
        try:
            assert (point / path / "table.csv").read_text() == "1,2\n"
        finally:
            subprocess.run(["fusermount3", "-u", point], check=True)


def test_old_homes_get_it_and_lose_nothing(alone: Box, result: Path) -> None:
    ada, grace = (alone.state / "homes" / name for name in ("ada", "grace"))
    alone.stop()
    (ada / "jobs").rmdir()
    (ada / "jobs").symlink_to("../../results/ada")
    (grace / "jobs").rmdir()
    (grace / "jobs").mkdir()
    (grace / "jobs" / "letter").write_text("hers")
    uid = grace.stat().st_uid
    os.chown(grace / "jobs", uid, uid)
    alone.start()
    for home in (ada, grace):
        assert (home / "jobs").is_dir()
        assert not (home / "jobs").is_symlink()
        assert (home / "jobs").stat().st_uid == 0
    assert not (ada / "jobs-mine").is_symlink()
    assert (grace / "jobs-mine" / "letter").read_text() == "hers"
    assert sftp(alone, f"ls jobs/{RUN}/table.csv").returncode == 0
