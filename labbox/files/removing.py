"""Counting and removing what is below a folder, through descriptors alone and at any depth.

One folder is open at a time. The way back up is ``..``, taken only where it leads to the folder that it came
from.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from labbox.errors import LabboxError
from labbox.files.following import Tick
from labbox.model import Value

_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

Enter = Callable[[int], list[str]]
"""Deal with an open folder; the names of the folders below it to enter next."""
Leave = Callable[[int, str], None]
"""Told the open parent and the name of a folder with which all is done."""

Opening = Callable[[int, str], int]
"""Opens a folder by its name in an open one; OSError where it cannot be."""


class Usage(Value):
    """What is below a folder: `size` in bytes on disk, each inode once; `closed` folders were not read."""

    files: int
    size: int
    closed: int = 0


def usage_below(descriptor: int, tick: Tick, *, of: int | None = None) -> Usage:
    """Count everything below an open folder, without leaving its file system; `of`: what is this uid's.

    Folders that the caller has closed to itself hide nothing: each is open to its owner while it is counted
    (where that is cut off, it stays so).
    """
    counting = _Counting(os.fstat(descriptor).st_dev, tick, of)
    visit(descriptor, counting.enter, counting.leave, counting.skip, counting.open)
    counting.close_again(descriptor)
    return Usage(files=counting.files, size=counting.size, closed=counting.closed)


def remove_below(parent: int, name: str, tick: Tick) -> None:
    """Remove `name` in the open folder `parent` and all below it; FileNotFoundError where it is not."""
    if "/" in name or name in ("", ".", ".."):
        raise LabboxError("invalid", f"cannot remove “{name}”: it is no name", "give a name without slashes")
    try:
        folder = _open_writable(parent, name)
    except NotADirectoryError:
        os.unlink(name, dir_fd=parent)
        return
    except OSError:
        if not stat.S_ISLNK(os.stat(name, dir_fd=parent, follow_symlinks=False).st_mode):
            raise
        os.unlink(name, dir_fd=parent)
        return
    try:
        visit(folder, lambda one: _empty(one, tick), lambda above, one: os.rmdir(one, dir_fd=above), None)
    finally:
        os.close(folder)
    os.rmdir(name, dir_fd=parent)


class _Counting:
    def __init__(self, device: int, tick: Tick, of: int | None) -> None:
        self.files = self.size = self.closed = 0
        self._of = of
        self._device, self._tick = device, tick
        self._linked: set[int] = set()
        self._modes: dict[tuple[int, int], int] = {}  # of folders that are open for as long as it takes

    def open(self, parent: int, name: str) -> int:
        """Open a folder, whatever its owner has closed."""
        with suppress(PermissionError):
            return os.open(name, _FLAGS, dir_fd=parent)
        found = os.stat(name, dir_fd=parent, follow_symlinks=False)
        if found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), name)
        self._modes[found.st_dev, found.st_ino] = stat.S_IMODE(found.st_mode)
        os.chmod(name, stat.S_IMODE(found.st_mode) | 0o500, dir_fd=parent)  # follows links, to its own alone
        return os.open(name, _FLAGS, dir_fd=parent)

    def leave(self, parent: int, name: str) -> None:
        """All of a folder is counted."""
        if self._modes:
            with suppress(OSError):  # it is not there any more
                folder = os.open(name, _FLAGS, dir_fd=parent)
                try:
                    self.close_again(folder)
                finally:
                    os.close(folder)

    def close_again(self, folder: int) -> None:
        """Give a folder back the mode that it had."""
        mode = self._modes.pop(_identity(folder), None)
        if mode is not None:
            os.fchmod(folder, mode)

    def enter(self, folder: int) -> list[str]:
        """Count what is in a folder, and name the folders in it."""
        about = os.fstat(folder)
        if about.st_mode & 0o500 != 0o500 and about.st_uid == os.geteuid():
            self._modes[about.st_dev, about.st_ino] = stat.S_IMODE(about.st_mode)
            os.fchmod(folder, stat.S_IMODE(about.st_mode) | 0o500)
        below: list[str] = []
        with os.scandir(folder) as entries:
            for entry in entries:
                self._tick()
                with suppress(FileNotFoundError, PermissionError):
                    if self._count(entry.stat(follow_symlinks=False)):
                        below.append(entry.name)
        return below

    def skip(self, _name: str) -> None:
        self.closed += 1

    def _count(self, found: os.stat_result) -> bool:
        """Count an entry; whether it is a folder to enter."""
        if found.st_dev != self._device:
            return False
        mine = self._of is None or found.st_uid == self._of
        if stat.S_ISDIR(found.st_mode):
            self.size += found.st_blocks * 512 if mine else 0
            return True
        if not mine:
            return False
        if found.st_nlink > 1:
            if found.st_ino in self._linked:
                return False
            self._linked.add(found.st_ino)
        self.files += 1
        self.size += found.st_blocks * 512
        return False


def _empty(folder: int, tick: Tick) -> list[str]:
    """Unlink all that is no folder."""
    below: list[str] = []
    with os.scandir(folder) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_folder in found:
        tick()
        if is_folder:
            below.append(name)
        else:
            os.unlink(name, dir_fd=folder)
    return below


def _open_plainly(parent: int, name: str) -> int:
    return os.open(name, _FLAGS, dir_fd=parent)


def _open_writable(parent: int, name: str) -> int:
    """Open a folder that is to be emptied, giving its owner the right to do so."""
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=parent)
    except PermissionError:
        os.chmod(name, 0o700, dir_fd=parent)  # follows links, but only to what is the caller's own
        descriptor = os.open(name, _FLAGS, dir_fd=parent)
    if os.fstat(descriptor).st_mode & 0o700 != 0o700:
        os.fchmod(descriptor, 0o700)
    return descriptor


def _identity(descriptor: int) -> tuple[int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino


def visit(
    top: int,
    enter: Enter,
    leave: Leave,
    skip: Callable[[str], None] | None,
    opening: Opening | None = None,
) -> None:
    """Enter every folder below `top`, depth first; without `skip`, folders are opened to be emptied."""
    opening = opening or (_open_plainly if skip else _open_writable)
    present = os.dup(top)
    try:
        way = [(_identity(present), "", enter(present))]
        while way:
            _, name, waiting = way[-1]
            if waiting:
                child = waiting.pop()
                try:
                    below = opening(present, child)
                except OSError:
                    if skip is None:
                        raise
                    skip(child)
                    continue
                os.close(present)
                present = below
                way.append((_identity(present), child, enter(present)))
                continue
            way.pop()
            if way:
                parent = os.open("..", _FLAGS, dir_fd=present)
                os.close(present)
                present = parent
                if _identity(present) != way[-1][0]:
                    raise LabboxError(
                        "conflict",
                        "cannot go on: a folder was moved meanwhile",
                        "try again when nothing moves it",
                    )
                leave(present, name)
    finally:
        os.close(present)
