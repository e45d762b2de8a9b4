"""What stands in a shared folder is its people's, whatever mode it came with.

A default access list holds for what is made there; a program that keeps modes (rsync -a, scp -p, tar) sets
them afterwards and thereby narrows the list's mask, a move brings its old group along, and not every disk has
lists.
So what was put there is opened to the folder's group once it is whole. A shared folder is told by its group,
which it hands on (setgid). Only what belongs to the caller is changed, through descriptors that no link leads
astray; what others in the group may reach is never more than what stands below the shared folder.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.files.following import Tick
from labbox.files.removing import visit

_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ITSELF: Final = os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC
_ACCESS, _DEFAULT = "system.posix_acl_access", "system.posix_acl_default"
_ENTRY: Final = struct.Struct("<HHI")  # <linux/posix_acl_xattr.h>: tag, bits, id; a version of 4 bytes before
_GROUP_OBJ: Final = 0x04
_CLOCK: Final = 20_000_000  # ns by which the clock that stamps files may be behind

Wanted = Callable[[os.stat_result], bool]


def is_shared(folder: int) -> bool:
    """Whether an open folder hands a group of several people on to what is put into it."""
    found = os.fstat(folder)
    own = found.st_gid == os.getegid()  # somebody's own group has nobody else in it
    return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & stat.S_ISGID) and not own


def shared_mode(mode: int, *, folder: bool) -> int:
    """A mode with which the group reads and changes: execution is theirs where it is the owner's."""
    return mode | 0o2770 if folder else mode | 0o660 | (mode & 0o100) >> 3


def since(moment: int) -> Wanted:
    """What was made or changed at a moment (ns of the epoch) or later."""
    return lambda found: not_before(found.st_ctime_ns, moment)


def not_before(stamp: int, moment: int) -> bool:
    """Whether a file's time is that of a moment (both ns of the epoch) or later."""
    return stamp >= moment - _CLOCK


def open_to_group(folder: int, name: str) -> None:
    """Let the group of an open shared folder read and change an entry of it that is the caller's."""
    try:
        itself = os.open(name, _ITSELF, dir_fd=folder)
    except FileNotFoundError:
        return  # taken away meanwhile
    try:
        found = os.fstat(itself)
        is_folder = stat.S_ISDIR(found.st_mode)
        if found.st_uid != os.geteuid() or not (is_folder or stat.S_ISREG(found.st_mode)):
            return
        path, group = f"/proc/self/fd/{itself}", os.fstat(folder).st_gid
        with suppress(OSError):  # a disk without owners, a group that was left meanwhile: no more can be done
            if found.st_gid != group:
                os.chown(path, -1, group)
            mode = stat.S_IMODE(found.st_mode)
            if shared_mode(mode, folder=is_folder) != mode or found.st_gid != group:
                os.chmod(path, shared_mode(mode, folder=is_folder))  # noqa: PTH101 - of a descriptor
        with suppress(OSError):  # no access lists here
            _open_list(path)
            handed = _list(f"/proc/self/fd/{folder}", _DEFAULT) if is_folder else None
            if handed is not None and _list(path, _DEFAULT) != handed:
                os.setxattr(path, _DEFAULT, handed)
    finally:
        os.close(itself)


def open_below(folder: int, wanted: Wanted, tick: Tick) -> None:
    """The same for all that is wanted, or brought another group along, below an open shared folder."""
    own = os.geteuid()
    private = trash_name()

    def enter(present: int) -> list[str]:
        group = os.fstat(present).st_gid
        below: list[str] = []
        with os.scandir(present) as entries:
            names = [entry.name for entry in entries]
        for name in names:
            tick()
            try:
                one = os.stat(name, dir_fd=present, follow_symlinks=False)
            except FileNotFoundError:
                continue
            if name == private and one.st_uid == own:
                continue
            if one.st_uid == own and (one.st_gid != group or wanted(one)):
                open_to_group(present, name)
            if stat.S_ISDIR(one.st_mode):
                below.append(name)
        return below

    visit(folder, enter, lambda _parent, _name: None, lambda _name: None)


def open_all(folder: int, name: str, wanted: Wanted, tick: Tick) -> None:
    """One entry of an open shared folder, with what is below it."""
    if name == trash_name():
        return
    with suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        if wanted(found) or found.st_gid != os.fstat(folder).st_gid:
            open_to_group(folder, name)
        if stat.S_ISDIR(found.st_mode):
            with suppress(PermissionError):
                below = os.open(name, _FLAGS, dir_fd=folder)
                try:
                    if is_shared(below):
                        open_below(below, wanted, tick)
                finally:
                    os.close(below)


def take_in(folder: int, name: str) -> None:
    """What was moved to a place in an open folder becomes its people's, where it is shared."""
    if is_shared(folder):
        open_all(folder, name, lambda _found: False, lambda: None)


def trash_name() -> str:
    """The folder at the top of a shared place that holds what its owner alone threw away."""
    return f".Trash-{os.geteuid()}"


def _list(path: str, name: str) -> bytes | None:
    try:
        return os.getxattr(path, name)
    except OSError as error:
        if error.errno == errno.ENODATA:
            return None
        raise


def _open_list(path: str) -> None:
    """Let the owning group have in an access list what the mode, which is only the list's mask, gives it."""
    found = _list(path, _ACCESS)
    if found is None:
        return
    bits = stat.S_IMODE(Path(path).stat().st_mode) >> 3 & 7
    rows = [_ENTRY.unpack_from(found, at) for at in range(4, len(found), _ENTRY.size)]
    opened = [(tag, had | bits if tag == _GROUP_OBJ else had, whose) for tag, had, whose in rows]
    if opened != rows:
        os.setxattr(path, _ACCESS, found[:4] + b"".join(_ENTRY.pack(*row) for row in opened))
