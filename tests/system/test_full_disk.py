"""A disk filled to the last block, by people and by root: the box starts, people delete, all goes on."""

from __future__ import annotations

import os
import shlex
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


@pytest.fixture
def roomy(disk: Path) -> Iterator[Box]:
    """A box that wants 160 MB free, and takes nothing in where 80 MB are left."""
    (disk / "box").mkdir()
    running = Box(disk / "box", ("ada", "grace"), '[jobs]\nfree_floor = "160M"\n')
    yield running
    running.stop()


def left(disk: Path) -> int:
    found = os.statvfs(disk)
    return found.f_bavail * found.f_frsize


def leave(disk: Path, free: int) -> None:
    """Something of root's takes the rest."""
    size = left(disk) - free
    assert size >= 0
    with (disk / f"other-{free}").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, max(1, size))


UPLOADS: dict[str, Callable[[Box], list[str]]] = {
    "sftp": lambda box: ["scp", "-s", "-l", "100000", *_options(box), "LARGE", "ada@127.0.0.1:"],
    "scp": lambda box: ["scp", "-O", "-l", "100000", *_options(box), "LARGE", "ada@127.0.0.1:"],
    "rsync": lambda box: [
        "rsync", "--bwlimit=12m", "-e", shlex.join(["ssh", *ssh_options(box.key, box.port)]),
        "LARGE", "ada@127.0.0.1:",
    ],
}  # fmt: skip


def _options(box: Box) -> list[str]:
    return [word.replace("-p", "-P") if word == "-p" else word for word in ssh_options(box.key, box.port)]


@pytest.mark.attack("S10")
@pytest.mark.parametrize("way", UPLOADS)
def test_an_upload_that_fills_the_disk_is_ended_in_words_and_the_box_goes_on(
    roomy: Box, disk: Path, way: str, tried: Callable[..., None], tmp_path: Path
) -> None:
    tried()
    large = tmp_path / "large"
    with large.open("wb") as file:
        file.truncate(300 * MIB)
    wait_for(lambda: (roomy.state / "reserve").stat().st_blocks > 0)
    leave(disk, 130 * MIB)
    words = [str(large) if word == "LARGE" else word for word in UPLOADS[way](roomy)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode != 0
    assert "cannot go on: the box has only" in done.stderr, done.stderr
    assert left(disk) > 0
    assert (roomy.state / "reserve").stat().st_blocks > 0  # the box had no need of its own room
    ada, grace = Person(roomy, "ada"), Person(roomy, "grace")
    assert grace.run("whoami").returncode == 0
    if way == "scp":  # the next one is told before it begins; sftp comes in, since it can delete
        again = subprocess.run(words, capture_output=True, text=True, timeout=100, check=False)
        assert "cannot take anything in: the box has only" in again.stderr
    options = _options(roomy)
    listed = subprocess.run(
        ["sftp", "-q", "-b", "-", *options, "ada@127.0.0.1"],
        input="ls -la\n-rm large\n", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert listed.returncode == 0, listed
    assert "cannot" not in listed.stderr
    assert ada.run("file", "rm", "--erase", "--yes", "nothing").returncode == 1


@pytest.mark.attack("S10")
def test_on_a_nearly_full_disk_copies_and_submissions_are_refused_and_deletions_go_on(
    roomy: Box, disk: Path, tried: Callable[..., None]
) -> None:
    seed(roomy, "study/a", "study/b")
    leave(disk, 60 * MIB)
    ada = Person(roomy, "ada")
    for words in (
        ("file", "cp", "study", "again"),
        ("file", "pack", "study", "study.zip"),
        ("job", "submit", "study", "--", "true"),
    ):
        tried()
        done = ada.run(*words)
        assert done.returncode != 0
        assert "the box has only" in done.stdout + done.stderr, done
    assert not (home(roomy, "ada") / "again").exists()
    assert ada.run("file", "mv", "study/a", "study/c").returncode == 0
    assert ada.run("file", "rm", "--erase", "--yes", "study").returncode == 0


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
