"""System calls that Python has no name for, each with what to do where a file system does not know it."""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from typing import Final

from labbox.files.places.syscalls import rename_without_replacing

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
CREATE: Final = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
REOPEN: Final = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

_OPENAT2: Final = 437  # the same number on every architecture
_NO_MAGIC: Final = 0x02
_NO_SYMLINKS: Final = 0x04
_BENEATH: Final = 0x08
_SYNC_RANGE: Final = 1 | 2 | 4  # wait for what is under way, write the rest, wait for that
_UNKNOWN: Final = (errno.ENOSYS, errno.EINVAL, errno.EOPNOTSUPP)

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long


class _How(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


def rename_new(source: int, name: str, target: int, wanted: str) -> None:
    """Rename where nothing has the new name; FileExistsError where something has."""
    try:
        rename_without_replacing(name, wanted, source, target)
    except OSError as error:
        if error.errno not in _UNKNOWN:
            raise
        _rename_in_steps(source, name, target, wanted)


def _rename_in_steps(source: int, name: str, target: int, wanted: str) -> None:
    """For file systems without the flag: a second name fails where there is one; for folders we look."""
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        try:
            os.link(name, wanted, src_dir_fd=source, dst_dir_fd=target, follow_symlinks=False)
        except FileExistsError:
            raise
        except OSError:
            pass  # no second names here either
        else:
            os.unlink(name, dir_fd=source)
            return
    if lstat(target, wanted) is not None:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST), wanted)
    os.rename(name, wanted, src_dir_fd=source, dst_dir_fd=target)


def lstat(folder: int, name: str) -> os.stat_result | None:
    """What stands there, a link as itself; None where nothing does."""
    try:
        return os.stat(name, dir_fd=folder, follow_symlinks=False)
    except FileNotFoundError:
        return None


def open_beneath(folder: int, path: str, *, links: bool = False) -> int:
    """Open a folder by its path below an open one; OSError where the path leads out of it.

    `links`: links on the way are followed as long as they stay below; otherwise none is.
    """
    if path in ("", "."):
        return os.open(".", FOLDER, dir_fd=folder)
    how = _How(FOLDER & ~os.O_NOFOLLOW, 0, _BENEATH | _NO_MAGIC | (0 if links else _NO_SYMLINKS))
    for _ in range(16):
        found = int(_libc.syscall(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))
        if found >= 0:
            return found
        number = ctypes.get_errno()
        if number == errno.EAGAIN:  # something was renamed meanwhile: the kernel wants us to try again
            continue
        if number in (errno.ENOSYS, errno.ENAMETOOLONG):
            break
        raise OSError(number, os.strerror(number), path)
    return _open_by_parts(folder, path)


def open_file_beneath(folder: int, path: str, flags: int, mode: int = 0) -> int:
    """Open a file by its path below an open folder, through no link at all; OSError where that cannot be."""
    how = _How(flags, mode, _BENEATH | _NO_MAGIC | _NO_SYMLINKS)
    found = int(_libc.syscall(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how)))
    if found < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), path)
    return found


def _open_by_parts(folder: int, path: str) -> int:
    present = os.open(".", FOLDER, dir_fd=folder)
    for part in path.split("/"):
        if part == "..":
            os.close(present)
            raise OSError(errno.EXDEV, os.strerror(errno.EXDEV), path)
        try:
            below = os.open(part, FOLDER, dir_fd=present)
        finally:
            os.close(present)
        present = below
    return present


def write_out(file: int) -> None:
    """Have everything of an open file written to the disk, without its journal where that can be."""
    if _libc.sync_file_range(file, ctypes.c_int64(0), ctypes.c_int64(0), _SYNC_RANGE) != 0:
        os.fdatasync(file)


def sync_file_system(folder: int) -> None:
    """Have the whole file system of an open folder written to the disk."""
    opened = os.open(".", FOLDER, dir_fd=folder)
    try:
        if _libc.syncfs(opened) != 0:
            number = ctypes.get_errno()
            raise OSError(number, os.strerror(number))
    finally:
        os.close(opened)


def identity(found: os.stat_result) -> tuple[int, int]:
    """Device and inode."""
    return found.st_dev, found.st_ino
