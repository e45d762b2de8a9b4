"""What is put into a shared place, by whatever way, its people read, change, rename and delete."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
import sys
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from harness import Box, Terminal, ssh_options
from person import Person, wait_for

from labbox.model import JobState

pytestmark = [pytest.mark.root]

PLACES = ("project:atlas", "shared:")
NAME = 'two "words" — ö'  # of a file: what logs and words of programs have to quote


@pytest.fixture(scope="module")
def shared() -> Iterator[Box]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-shared-", dir="/var/tmp"))
    folder.chmod(0o755)
    running = Box(folder, ("ada", "grace"))
    running.client().add_project("atlas", ("ada", "grace"))
    yield running
    running.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(autouse=True)
def _nothing_is_left(shared: Box) -> Iterator[None]:
    """What one way left behind is no other's."""
    yield
    for place in PLACES:
        for path in folder_of(shared, place).iterdir():
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()


@pytest.fixture
def mine(tmp_path: Path) -> Path:
    """What people have: a file and a folder that they alone may read."""
    top = tmp_path / "mine"
    (top / "deep").mkdir(parents=True)
    (top / NAME).write_text("of ada")
    (top / "deep" / "read-only").write_text("of ada")
    for path, mode in ((top / NAME, 0o600), (top / "deep" / "read-only", 0o400)):
        path.chmod(mode)
        os.utime(path, (1_500_000_000, 1_500_000_000))
    (top / "deep").chmod(0o700)
    top.chmod(0o700)
    return top


def folder_of(box: Box, place: str) -> Path:
    return box.state / ("shared" if place == "shared:" else "projects/atlas")


def at_home(box: Box, mine: Path, name: str = "mine") -> Path:
    """The same in ada's home."""
    home = box.state / "homes" / "ada"
    target = home / name
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(mine, target)
    uid = home.stat().st_uid
    for path in (target, *target.rglob("*")):
        os.chown(path, uid, uid)
    return target


def as_grace(box: Box, script: str) -> subprocess.CompletedProcess[str]:
    """Run it with her ids and groups, as a login of hers has them."""
    uid = (box.state / "homes" / "grace").stat().st_uid
    groups = [folder_of(box, place).stat().st_gid for place in PLACES]
    return subprocess.run(
        [sys.executable, "-c", f"import os, shutil; os.umask(0o027)\n{script}"],
        user=uid, group=uid, extra_groups=groups, capture_output=True, text=True, check=False,
    )  # fmt: skip


def others_work_on(box: Box, top: Path) -> None:
    """Grace does everything with all that is there."""
    done = as_grace(
        box,
        f"""
def failed(error): raise error
top = {str(top)!r}
for above, folders, files in os.walk(top, onerror=failed) if os.path.isdir(top) else ():
    for name in files:
        path = os.path.join(above, name)
        assert open(path, "rb").read() is not None
        with open(path, "ab") as file:
            file.write(b" and grace")
        os.rename(path, path + ".renamed")
    with open(os.path.join(above, "new"), "w") as file:
        file.write("of grace")
if os.path.isdir(top):
    shutil.rmtree(top)
else:
    open(top, "ab").write(b" and grace")
    os.rename(top, top + ".renamed")
    os.unlink(top + ".renamed")
""",
    )
    assert done.returncode == 0, done.stderr
    assert not top.exists()


def sftp(box: Box, name: str, *lines: str) -> None:
    options = [word if word != "-p" else "-P" for word in ssh_options(box.key, box.port)]
    done = subprocess.run(
        ["sftp", "-q", "-b", "-", *options, f"{name}@127.0.0.1"],
        input="".join(f"{line}\n" for line in lines),
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr


def scp(box: Box, *words: str) -> None:
    options = [word if word != "-p" else "-P" for word in ssh_options(box.key, box.port)]
    subprocess.run(
        ["scp", "-q", *words[:-2], *options, words[-2], f"ada@127.0.0.1:{words[-1]}"], check=True, timeout=60
    )


def rsync(box: Box, *words: str) -> None:
    remote = "ssh " + " ".join(ssh_options(box.key, box.port))
    subprocess.run(["rsync", *words[:-1], "-e", remote, f"ada@127.0.0.1:{words[-1]}"], check=True, timeout=60)


def verb(box: Box, *words: str) -> None:
    done = Person(box, "ada").run("file", *words)
    assert done.returncode == 0, done.stderr


Way = Callable[[Box, Path, str, Path], Path]
"""Puts what is in the folder to a place (its location, and its path); what came of it."""


def by_copying(box: Box, mine: Path, place: str, top: Path) -> Path:
    at_home(box, mine)
    verb(box, "cp", "-r", "~/mine", f"{place}/put")
    return top / "put"


def by_copying_a_file(box: Box, mine: Path, place: str, top: Path) -> Path:
    at_home(box, mine)
    verb(box, "cp", "~/mine/deep/read-only", f"{place}/")
    return top / "read-only"


def by_moving(box: Box, mine: Path, place: str, top: Path) -> Path:
    at_home(box, mine)
    verb(box, "mv", "~/mine", f"{place}/")
    return top / "mine"


def by_syncing(box: Box, mine: Path, place: str, top: Path) -> Path:
    at_home(box, mine)
    verb(box, "sync", "~/mine", f"{place}/put")
    return top / "put"


def by_unpacking(box: Box, mine: Path, place: str, top: Path) -> Path:
    home = at_home(box, mine, "packed").parent
    with tarfile.open(home / "packed.tar", "w") as tar:
        tar.add(mine, "unpacked")
    verb(box, "unpack", "~/packed.tar", "--to", f"{place}/put")
    return top / "put"


def by_packing(box: Box, mine: Path, place: str, top: Path) -> Path:
    at_home(box, mine)
    verb(box, "pack", "~/mine", f"{place}/mine.zip")
    return top / "mine.zip"


def by_making_a_folder(box: Box, _mine: Path, place: str, top: Path) -> Path:
    verb(box, "mkdir", f"{place}/put")
    return top / "put"


def by_rsync(box: Box, mine: Path, _place: str, top: Path) -> Path:
    rsync(box, "-a", f"{mine}/", f"{top}/put")
    return top / "put"


def by_rsync_with_protected_words(box: Box, mine: Path, _place: str, top: Path) -> Path:
    rsync(box, "-rp", "-s", f"{mine}", f"{top}/put")
    return top / "put"


def by_scp(box: Box, mine: Path, _place: str, top: Path) -> Path:
    scp(box, "-r", "-p", str(mine), f"{top}/put")
    return top / "put"


def by_old_scp(box: Box, mine: Path, _place: str, top: Path) -> Path:
    scp(box, "-O", "-r", "-p", str(mine), f"{top}/put")
    return top / "put"


def by_sftp_keeping(box: Box, mine: Path, _place: str, top: Path) -> Path:
    sftp(box, "ada", f"put -pR {mine} {top}/put")
    return top / "put"


def by_sftp(box: Box, mine: Path, _place: str, top: Path) -> Path:
    sftp(box, "ada", f"cd {top}", f"put -R {mine}")
    return top / "mine"


def by_sftp_rename(box: Box, mine: Path, _place: str, top: Path) -> Path:
    # within the place: from a home to it is another file system, which no rename crosses
    sftp(box, "ada", f"put -r -p {mine} {top}/first", f"rename {top}/first {top}/put")
    return top / "put"


def in_panes(box: Box, mine: Path, place: str, key: bytes, title: str) -> None:
    """What a key does with the folder in one pane, where the other stands in the place."""
    home = box.state / "homes" / "ada"
    folder = home / "pane"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    os.chown(folder, home.stat().st_uid, home.stat().st_uid)
    at_home(box, mine, "pane/mine")
    jobs = box.client("ada")
    before = {job.id for job in jobs.list_jobs().jobs}
    terminal = Terminal(box.ssh("ada", tty=True))
    try:
        terminal.wait_for("Modified", "Quit")
        for target, shown in ((f"{place}/", f"▸{place}/"), ("~/pane", "▸~/pane")):
            os.write(terminal.fd, b"\t")
            terminal.drain()
            terminal.reach(b"\x1bc", "Go to")
            terminal.reach(f"{target}\r".encode(), shown)
            terminal.drain()
        os.write(terminal.fd, b"\x1b[B")
        terminal.drain()
        terminal.reach(key, title)
        terminal.drain()
        os.write(terminal.fd, b"\r")
        wait_for(
            lambda: any(
                job.state is JobState.SUCCEEDED and job.id not in before for job in jobs.list_jobs().jobs
            )
        )
    finally:
        terminal.close()


def by_f5(box: Box, mine: Path, place: str, top: Path) -> Path:
    in_panes(box, mine, place, b"\x1b[15~", "Copy")
    return top / "mine"


def by_f6(box: Box, mine: Path, place: str, top: Path) -> Path:
    in_panes(box, mine, place, b"\x1b[17~", "Move")
    assert not (box.state / "homes" / "ada" / "pane" / "mine").exists()
    return top / "mine"


WAYS: tuple[Way, ...] = (
    by_copying, by_copying_a_file, by_moving, by_syncing, by_unpacking, by_packing, by_making_a_folder,
    by_rsync,    by_rsync_with_protected_words, by_scp, by_old_scp, by_sftp_keeping, by_sftp, by_sftp_rename,
    by_f5, by_f6,
)  # fmt: skip


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_others_work_on_what_came(shared: Box, mine: Path, way: Way, place: str) -> None:
    others_work_on(shared, way(shared, mine, place, folder_of(shared, place)))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: str(way.__name__))
def test_others_work_on_what_came_where_there_are_no_access_lists(shared: Box, mine: Path, way: Way) -> None:
    top = folder_of(shared, "project:atlas")
    with without_access_list(top):
        others_work_on(shared, way(shared, mine, "project:atlas", top))


@contextmanager
def without_access_list(folder: Path) -> Iterator[None]:
    """As on a disk that keeps none; where this is one, nothing need be done."""
    name = "system.posix_acl_default"
    try:
        found = os.getxattr(folder, name)
    except OSError as error:
        assert error.errno in (errno.ENODATA, errno.EOPNOTSUPP), error
        yield
        return
    os.removexattr(folder, name)
    try:
        yield
    finally:
        os.setxattr(folder, name, found)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_mode_that_the_owner_chooses_holds(shared: Box, mine: Path) -> None:
    top = folder_of(shared, "project:atlas")
    one, two, three, folder = (top / name for name in ("one", "two", "three", "closed"))
    source = str(mine / "deep" / "read-only")
    sftp(
        shared,
        "ada",
        f"put -p {source} {one}",
        f"put {source} {two}",
        f"put {source} {three}",
        f"mkdir {folder}",
        f"chmod 600 {two}",
        f"chmod 700 {folder}",
    )
    assert [mode(path) & 0o777 for path in (one, two, three, folder)] == [0o660, 0o600, 0o660, 0o700]
    sftp(shared, "ada", f"chmod 600 {one}")
    verb(shared, "chmod", "600", "project:atlas/three")
    sftp(shared, "ada", f"ls {top}")
    at_home(shared, mine)
    verb(shared, "cp", "-r", "~/mine", "project:atlas/other")
    assert [mode(path) & 0o777 for path in (one, two, three)] == [0o600] * 3


def test_what_is_put_into_a_home_stays_private(shared: Box, mine: Path) -> None:
    home = shared.state / "homes" / "ada"
    sftp(shared, "ada", f"put -p {mine / 'deep' / 'read-only'} kept")
    rsync(shared, "-a", f"{mine}/", "private")
    verb(shared, "cp", "~/kept", "~/copied")
    assert [mode(home / name) for name in ("kept", "copied", "private", "private/deep")] == [
        0o400,
        0o400,
        0o700,
        0o700,
    ]
