"""Giving what somebody owned in a project's folder to the project, and closing hard links that lead out.

Root walks here through folders that people rearrange meanwhile. So no path is ever followed: each name is
opened by itself below a folder that is open already (O_PATH, O_NOFOLLOW), looked at by that descriptor, and
changed through it. What is swapped after it was opened is not what is changed.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.model import Value

_log = logging.getLogger(__name__)

_LOOK: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEEPEST: Final = 2000  # folders open at once, one in the other
_ACCESS: Final = "system.posix_acl_access"
_DEFAULT: Final = "system.posix_acl_default"


class Given(Value):
    """What was done: things that belong to the project now, files with other names closed to others."""

    things: int = 0
    links: int = 0

    def __add__(self, other: Given) -> Given:
        """Both together."""
        return Given(things=self.things + other.things, links=self.links + other.links)


def give(folder: Path, uid: int, gid: int, default: bytes) -> Given:
    """Give all that `uid` owns below `folder` to the project whose uid and gid is `gid`; blocks.

    Files that have further names, wherever those are, are opened to nobody but owner and group: a name that
    somebody made elsewhere shows them nothing once they are not in the group. `default` is the list of access
    that new things in the project's folders get. Things that vanish meanwhile are passed over.
    """
    total = Given()
    here = os.open(folder, _FOLDER)
    frames: list[tuple[int, list[str]]] = []
    try:
        while True:
            done, below = _all_in(here, uid, gid, default)
            total += done
            frames.append((here, below))
            found = _next(frames)
            if found is None:
                return total
            here = found
    finally:
        for descriptor, _ in frames:
            os.close(descriptor)


def _all_in(folder: int, uid: int, gid: int, default: bytes) -> tuple[Given, list[str]]:
    """See to all things in a folder, and tell which are folders."""
    total, below = Given(), []
    for name in _names(folder):
        with suppress(OSError):
            done, is_folder = _one(folder, name, uid, gid, default)
            total += done
            if is_folder:
                below.append(name)
    return total, below


def _next(frames: list[tuple[int, list[str]]]) -> int | None:
    """The next folder, opened; a folder whose last one that is has no need to stay open."""
    while frames:
        above, names = frames[-1]
        found = None
        if names and len(frames) <= _DEEPEST:
            with suppress(OSError):
                found = os.open(names.pop(), _FOLDER, dir_fd=above)
        elif names:
            _log.warning("a project has folders too deep within each other: some were not looked through")
            names.clear()
        if not names:
            frames.pop()
            os.close(above)
        if found is not None:
            return found
    return None


def _names(folder: int) -> list[str]:
    with suppress(OSError), os.scandir(folder) as entries:
        return [entry.name for entry in entries]
    return []


def _one(folder: int, name: str, uid: int, gid: int, default: bytes) -> tuple[Given, bool]:
    """See to one thing; whether it is a folder."""
    descriptor = os.open(name, _LOOK, dir_fd=folder)
    try:
        found = os.fstat(descriptor)
        this = f"/proc/self/fd/{descriptor}"  # the thing itself, whatever its name stands for by now
        is_folder = stat.S_ISDIR(found.st_mode)
        linked = stat.S_ISREG(found.st_mode) and found.st_nlink > 1
        if found.st_uid == uid:
            os.chown(this, gid, gid)
        if stat.S_ISLNK(found.st_mode):
            return Given(things=int(found.st_uid == uid)), False
        if found.st_uid == uid or linked:
            _close_to_others(this, found.st_mode)
        if is_folder and found.st_uid == uid:
            with suppress(OSError):  # a file system without access lists
                os.setxattr(this, _DEFAULT, default)
        return Given(things=int(found.st_uid == uid), links=int(linked)), is_folder
    finally:
        os.close(descriptor)


def _close_to_others(this: str, mode: int) -> None:
    with suppress(OSError):  # there is none
        os.removexattr(this, _ACCESS)
    shared = (mode & 0o700) >> 3  # the group may what the owner could
    bits = (mode & 0o770) | shared | (stat.S_ISGID if stat.S_ISDIR(mode) else 0)
    os.chmod(this, bits)  # noqa: PTH101 - by descriptor
