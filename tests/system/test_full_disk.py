"""A disk filled to the last block, by people and by root: the box starts, people delete, all goes on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from harness import Box, ssh_options
from person import Person, wait_for

pytestmark = [pytest.mark.root]

MIB = 1 << 20
SIZE = 256 * MIB


@pytest.fixture
def disk() -> Iterator[Path]:
    """A small ext4 file system of its own, with the blocks that ext4 keeps for root."""
    folder = Path(tempfile.mkdtemp(prefix="labbox-full-", dir="/var/tmp"))
    folder.chmod(0o755)
    memory, mounted = folder / "memory", folder / "disk"
    memory.mkdir()
    mounted.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE + 8 * MIB}", "none", memory], check=True)
    image = memory / "image"
    with image.open("wb") as file:
        file.truncate(SIZE)
    subprocess.run(["mkfs.ext4", "-q", "-F", image], check=True)
    subprocess.run(["mount", "-o", "loop", image, mounted], check=True)
    yield mounted
    for one in (mounted, memory):
        subprocess.run(["umount", "--lazy", one], check=True)  # the loop device lets go in a moment
    shutil.rmtree(folder)


@pytest.fixture
def box(disk: Path) -> Iterator[Box]:
    (disk / "box").mkdir()
    running = Box(disk / "box", ("ada", "grace"), '[jobs]\nfree_floor = "16M"\n')
    yield running
    if running.process is not None and running.process.poll() is None:
        running.stop()


def fill(path: Path, uid: int = 0) -> int:
    """Write until nothing more goes in, in ever smaller pieces; as the person, or with root's reserve."""
    pid = os.fork()
    if pid == 0:
        with suppress(OSError):
            os.setgroups([])
            os.setresgid(uid, uid, uid)
            os.setresuid(uid, uid, uid)
        file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        for size in (MIB, 4096, 1):
            with suppress(OSError):
                while True:
                    os.write(file, bytes(size))
        os.fsync(file)
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    return path.stat().st_size


def home(box: Box, name: str) -> Path:
    return box.state / "homes" / name


def fill_roots(disk: Path) -> None:
    before = -1
    while (now := fill(disk / "roots")) != before:  # until not even root gets another byte in
        before = now


def fill_all(box: Box, disk: Path) -> None:
    """Ada fills what people may have, something of root's the rest."""
    fill(home(box, "ada") / "large", box.client().show_user("ada").uid)
    fill_roots(disk)


def seed(box: Box, *paths: str) -> None:
    uid = box.client().show_user("ada").uid
    for path in paths:
        place = home(box, "ada") / path
        place.parent.mkdir(exist_ok=True)
        place.write_bytes(bytes(3 * MIB))
        for one in (place, place.parent):
            if one != home(box, "ada"):
                os.chown(one, uid, uid)


def deleted(box: Box, ada: Person, way: str) -> subprocess.CompletedProcess[str]:
    """Delete `study` with what is in it."""
    if way != "sftp":
        words = {"rm": ("file", "rm", "study"), "for good": ("file", "rm", "--erase", "--yes", "study")}[way]
        return ada.run(*words)
    options = [word.replace("-p", "-P") if word == "-p" else word for word in ssh_options(box.key, box.port)]
    return subprocess.run(
        ["sftp", "-b", "-", *options, "ada@127.0.0.1"],
        input="rm study/a\nrm study/b\nrmdir study\n",
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.attack("S16")
@pytest.mark.parametrize("restarted", [False, True])
@pytest.mark.parametrize("way", ["rm", "for good", "sftp"])
def test_on_a_full_disk_people_delete_and_all_goes_on(
    box: Box, disk: Path, way: str, restarted: bool, tried: Callable[..., None]
) -> None:
    tried()
    seed(box, "study/a", "study/b")
    wait_for(lambda: (box.state / "reserve").stat().st_blocks > 0)
    fill_all(box, disk)
    if restarted:
        box.kill()
        fill_roots(disk)
        box.start()
    ada = Person(box, "ada")
    done = deleted(box, ada, way)
    assert done.returncode == 0, (done.stdout, done.stderr)
    assert not (home(box, "ada") / "study").exists()
    assert any("the disk is full" in one for one in box.client().status().problems)
    assert ada.run("file", "rm", "--erase", "--yes", "large").returncode == 0
    (disk / "roots").unlink()
    wait_for(lambda: not box.client().status().problems, 30)
    assert (box.state / "reserve").stat().st_blocks > 0
    box.stop()
    box.start()
    assert ada.run("file", "mkdir", "again").returncode == 0
    listed = ada.run("file", "trash", "list")
    assert ("study" in listed.stdout) == (way == "rm"), listed
    if way == "rm":  # where it was did not fit on the disk, so it comes back under its name
        assert ada.run("file", "trash", "restore", "study").returncode == 0
        assert (home(box, "ada") / "study" / "a").stat().st_size == 3 * MIB
