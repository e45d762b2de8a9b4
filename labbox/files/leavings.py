"""What a run left in its code beside the code: found, and moved to its results.

Three folders, all open: what the run wrote (`written`: the upper side of an overlay, or a whole copy), the
snapshot that it began with, and where the results go. Plain files and links that are new or hold something
else than the snapshot's are results; caches, sockets and marks of what was removed are not.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Final, NamedTuple

from labbox.errors import LabboxError
from labbox.files.copying import BLOCK, copy_and_hash
from labbox.files.following import Meter
from labbox.files.ignoring import IGNORED_FILES, IGNORED_FOLDERS, VIRTUAL_ENVIRONMENT
from labbox.model import Value
from labbox.text import visible_line

_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_FOLDER: Final = _FLAGS | os.O_DIRECTORY
_CACHES: Final = IGNORED_FOLDERS | {".snakemake", ".cache", ".npm", "node_modules", ".nextflow"}
_CACHED: Final = (".pyc", ".pyo", ".nbi", ".nbc")
_DEEPEST: Final = 100  # folders below each other
_MOST_LOOKED_AT: Final = 200_000  # entries
_MOST_TOLD: Final = 5  # names of a kind

Path = tuple[str, ...]


class Leavings(Value):
    """What came back: how much and the first names; what was left out for its size or number likewise."""

    files: int = 0
    size: int = 0  # bytes
    names: tuple[str, ...] = ()
    left: int = 0
    left_size: int = 0
    left_names: tuple[str, ...] = ()
    whole: bool = True  # all was looked at


class _Found(NamedTuple):
    size: int
    path: Path


def bring_back(
    written: int,
    snapshot: int,
    target: int,
    *,
    most_bytes: int,
    most_files: int,
    meter: Meter,
    below: str = "",
) -> Leavings:
    """Move what is new or changed to `target`, the smallest first, until either limit is reached.

    `below`: to the folder of this name in `target`, which is made.
    """
    looking = _Looking(written, snapshot, most_bytes, meter)
    found = sorted(looking.run())
    taken, size = 0, 0
    for one in found[:most_files]:
        if size + one.size > most_bytes:
            break
        taken, size = taken + 1, size + one.size
    for one in found[:taken]:
        meter.tick()
        _move(written, target, one.path, (below,) if below else ())
    left = found[taken:]
    return Leavings(
        files=taken,
        size=size,
        names=_first(sorted(found[:taken], key=lambda one: one.path)),
        left=len(left),
        left_size=sum(one.size for one in left),
        left_names=_first(left[::-1]),
        whole=looking.whole,
    )


def copy_tree(source: int, target: int, *, most_bytes: int, meter: Meter) -> int:
    """Copy a snapshot into an empty folder, times and modes included; the bytes copied.

    LabboxError "limit" where it is larger than that.
    """
    copied = 0
    waiting: list[Path] = [()]
    while waiting:
        path = waiting.pop()
        with (
            _opened(source, path) as above,
            _opened(target, path) as below,
            os.scandir(above.fileno) as entries,
        ):
            for entry in entries:
                meter.tick()
                if entry.is_symlink():
                    os.symlink(os.readlink(entry.name, dir_fd=above.fileno), entry.name, dir_fd=below.fileno)
                elif entry.is_dir(follow_symlinks=False):
                    os.mkdir(entry.name, 0o755, dir_fd=below.fileno)
                    waiting.append((*path, entry.name))
                else:
                    copied += entry.stat(follow_symlinks=False).st_size
                    if copied > most_bytes:
                        raise LabboxError("limit", "cannot copy the code for a run: it is too large")
                    _copy(above.fileno, below.fileno, entry.name, meter)
    return copied


class _Looking:
    """The walk through what was written; nobody else changes it meanwhile."""

    def __init__(self, written: int, snapshot: int, most_bytes: int, meter: Meter) -> None:
        self.whole = True
        self._written, self._snapshot, self._most, self._meter = written, snapshot, most_bytes, meter
        self._looked = 0

    def run(self) -> list[_Found]:
        found: list[_Found] = []
        waiting: list[Path] = [()]
        while waiting:
            path = waiting.pop()
            try:
                with _opened(self._written, path) as folder:
                    self._look(path, folder.fileno, found, waiting)
            except OSError:
                self.whole = False  # a folder that nobody can read, nor its owner make readable
        return found

    def _look(self, path: Path, folder: int, found: list[_Found], waiting: list[Path]) -> None:
        names = os.listdir(folder)
        if path and VIRTUAL_ENVIRONMENT in names:
            return
        for name in names:
            self._meter.tick()
            self._looked += 1
            if self._looked > _MOST_LOOKED_AT:
                self.whole = False
                return
            seen = os.stat(name, dir_fd=folder, follow_symlinks=False)
            if stat.S_ISDIR(seen.st_mode):
                if name in _CACHES:
                    continue
                if len(path) < _DEEPEST:
                    waiting.append((*path, name))
                else:
                    self.whole = False
            elif stat.S_ISREG(seen.st_mode):
                if name in IGNORED_FILES or name.endswith(_CACHED):
                    continue
                if not self._is_code(path, name, folder, seen):
                    found.append(_Found(seen.st_size, (*path, name)))
            elif stat.S_ISLNK(seen.st_mode) and not self._is_link_of_code(path, name, folder):
                found.append(_Found(0, (*path, name)))

    def _is_code(self, path: Path, name: str, folder: int, seen: os.stat_result) -> bool:
        """Whether the snapshot has the same file: then it was only touched, or given another mode."""
        try:
            with _opened(self._snapshot, path) as above:
                before = os.stat(name, dir_fd=above.fileno, follow_symlinks=False)
                if not stat.S_ISREG(before.st_mode) or before.st_size != seen.st_size:
                    return False
                if before.st_mtime_ns == seen.st_mtime_ns:
                    return True
                return seen.st_size <= self._most and _same(above.fileno, folder, name)
        except OSError:
            return False

    def _is_link_of_code(self, path: Path, name: str, folder: int) -> bool:
        try:
            with _opened(self._snapshot, path) as above:
                return os.readlink(name, dir_fd=above.fileno) == os.readlink(name, dir_fd=folder)
        except OSError:
            return False


class _opened:  # noqa: N801 - a context manager, used like a function
    """A folder below an open one, reached by names alone; its owner's right to read it is restored."""

    def __init__(self, top: int, path: Path, *, make: bool = False) -> None:
        self.fileno = os.dup(top)
        try:
            for name in path:
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(name, 0o755, dir_fd=self.fileno)
                below = _open_folder(self.fileno, name)
                os.close(self.fileno)
                self.fileno = below
        except BaseException:
            os.close(self.fileno)
            raise

    def __enter__(self) -> _opened:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.fileno)


def _open_folder(above: int, name: str) -> int:
    try:
        descriptor = os.open(name, _FOLDER, dir_fd=above)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=above)  # of a link, what is changed is the caller's own too
        descriptor = os.open(name, _FOLDER, dir_fd=above)
    mode = os.fstat(descriptor).st_mode
    if mode & 0o700 != 0o700:
        with suppress(PermissionError):  # the engine's own mount points are root's, and empty
            os.fchmod(descriptor, stat.S_IMODE(mode) | 0o700)
    return descriptor


def _same(one: int, other: int, name: str) -> bool:
    first = os.open(name, _FLAGS, dir_fd=one)
    try:
        second = os.open(name, _FLAGS, dir_fd=other)
        try:
            while True:
                block = os.read(first, BLOCK)
                if block != os.read(second, BLOCK):
                    return False
                if not block:
                    return True
        finally:
            os.close(second)
    finally:
        os.close(first)


def _move(source: int, target: int, path: Path, before: Path) -> None:
    *above, name = path
    with _opened(source, tuple(above)) as here, _opened(target, (*before, *above), make=True) as there:
        try:
            _plain(here.fileno, name)
            os.rename(name, name, src_dir_fd=here.fileno, dst_dir_fd=there.fileno)
        except FileNotFoundError:
            return  # it was moved before, and the daemon was killed then
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            _carry(here.fileno, there.fileno, name)


def _plain(folder: int, name: str) -> None:
    """No file of a run comes back as a program that others would run with its owner's rights."""
    mode = os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_ISREG(mode) and mode & (stat.S_ISUID | stat.S_ISGID | stat.S_ISVTX):
        os.chmod(name, mode & 0o777, dir_fd=folder)


def _carry(source: int, target: int, name: str) -> None:
    """Move to another file system."""
    with suppress(FileNotFoundError):
        os.unlink(name, dir_fd=target)
    if stat.S_ISLNK(os.stat(name, dir_fd=source, follow_symlinks=False).st_mode):
        os.symlink(os.readlink(name, dir_fd=source), name, dir_fd=target)
    else:
        _copy(source, target, name, Meter())


def _copy(source: int, target: int, name: str, meter: Meter) -> None:
    reading = os.open(name, _FLAGS, dir_fd=source)
    try:
        seen = os.fstat(reading)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        writing = os.open(name, flags, 0o600, dir_fd=target)
        try:
            copy_and_hash(reading, writing, seen.st_size, meter.moved)
            os.fchmod(writing, stat.S_IMODE(seen.st_mode) | 0o200)
            os.utime(writing, ns=(seen.st_atime_ns, seen.st_mtime_ns))
        finally:
            os.close(writing)
    finally:
        os.close(reading)


def _first(found: list[_Found]) -> tuple[str, ...]:
    return tuple(visible_line("/".join(one.path)) for one in found[:_MOST_TOLD])
