"""System calls that Python does not offer: renaming without replacing, opening only below a folder."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from typing import Final

_RENAME_NOREPLACE: Final = 1
_RESOLVE_NO_MAGICLINKS: Final = 0x02
_RESOLVE_BENEATH: Final = 0x08
_OPENAT2: Final = 437  # its number on every architecture that Debian 12 runs on
_AT_FDCWD: Final = -100
_TRIES: Final = 64  # the kernel gives EAGAIN where folders are renamed while it looks

_libc: Final = ctypes.CDLL(None, use_errno=True)


_AT_SYMLINK_NOFOLLOW: Final = 0x100
_STATX_BTIME: Final = 0x800
_STATX: Final = struct.Struct("<I76xqI4x160x")  # <linux/stat.h>: what is known, then when it was made


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_renameat2: Final = getattr(_libc, "renameat2", None)
if _renameat2 is not None:
    _renameat2.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_int, ctypes.c_char_p, ctypes.c_uint)
_syscall: Final = _libc.syscall
_syscall.argtypes = (
    ctypes.c_long,
    ctypes.c_int,
    ctypes.c_char_p,
    ctypes.POINTER(_OpenHow),
    ctypes.c_size_t,
)
_syscall.restype = ctypes.c_long


def rename_without_replacing(
    source: str, target: str, source_folder: int | None, target_folder: int | None
) -> None:
    """Rename in one step that fails with EEXIST where `target` is; EINVAL where the disk cannot do that."""
    if _renameat2 is None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    failed = _renameat2(
        _AT_FDCWD if source_folder is None else source_folder,
        os.fsencode(source),
        _AT_FDCWD if target_folder is None else target_folder,
        os.fsencode(target),
        _RENAME_NOREPLACE,
    )
    if failed:
        number = ctypes.get_errno()
        number = errno.EINVAL if number == errno.ENOSYS else number
        raise OSError(number, os.strerror(number))


def born(folder: int, name: str) -> int | None:
    """When an entry was made, ns of the epoch; None where the disk does not know. OSError without it."""
    found = ctypes.create_string_buffer(_STATX.size)
    if _libc.statx(folder, os.fsencode(name), _AT_SYMLINK_NOFOLLOW, _STATX_BTIME, found):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    known, seconds, rest = _STATX.unpack(found.raw)
    return seconds * 1_000_000_000 + rest if known & _STATX_BTIME else None


def open_beneath(folder: int, path: str, flags: int) -> int:
    """Open `path` below `folder`; EXDEV where a link, or ``..`` in one, would lead out of it."""
    how = _OpenHow(flags | os.O_CLOEXEC, 0, _RESOLVE_BENEATH | _RESOLVE_NO_MAGICLINKS)
    for _ in range(_TRIES):
        descriptor = _syscall(_OPENAT2, folder, os.fsencode(path), ctypes.byref(how), ctypes.sizeof(how))
        if descriptor >= 0:
            return int(descriptor)
        number = ctypes.get_errno()
        if number not in (errno.EAGAIN, errno.EINTR):
            raise OSError(number, os.strerror(number))
    raise OSError(errno.EBUSY, os.strerror(errno.EBUSY))
