"""What a process may open is told to the kernel (Landlock); no namespace and no right is needed for it."""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable
from contextlib import suppress
from typing import Final

# <linux/landlock.h>; the numbers of its three calls are the same on every machine
_CREATE, _ADD, _RESTRICT, _BENEATH = 444, 445, 446, 1
_EXECUTE, _READ_FILE, _READ_FOLDER = 1, 4, 8
_ON_FILES: Final = _EXECUTE | 2 | _READ_FILE | 1 << 14 | 1 << 15  # the rest are rights on folders
_RIGHTS: Final = (13, 14, 15, 15, 16)  # how many rights on files its versions know
_NETWORK, _OUTSIDE = 3, 3  # binding and connecting; abstract sockets and signals of processes outside


def hide_files(libc: ctypes.CDLL, paths: Iterable[str] = (), *descriptors: int) -> bool:
    """Whatever the kernel can deny: everything but reading these. The caller has given up new privileges.

    False on a kernel without it.
    """
    version = libc.syscall(_CREATE, None, 0, 1)
    if version < 1:
        return False
    rights = (1 << _RIGHTS[min(version, len(_RIGHTS)) - 1]) - 1
    wanted = struct.pack("Q", rights)
    if version >= 4:
        wanted += struct.pack("Q", _NETWORK)
    if version >= 6:
        wanted += struct.pack("Q", _OUTSIDE)
    rules = libc.syscall(_CREATE, wanted, len(wanted), 0)
    if rules < 0:
        return False
    for path in paths:
        with suppress(OSError):
            found = os.open(path, os.O_PATH | os.O_CLOEXEC)
            _allow(libc, rules, found, os.path.isdir(path))  # noqa: PTH112 - in a forked child: the least code
            os.close(found)
    for descriptor in descriptors:
        _allow(libc, rules, descriptor, folder=False)
    done = libc.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return bool(done)


def confine(libc: ctypes.CDLL, readable: Iterable[str], writable: Iterable[str]) -> bool:
    """Leave this thread, and what it starts, only these folders: to read, and to change files below.

    The caller has given up new privileges. False on a kernel without it, or whose first version of it lets
    nobody move files between folders.
    """
    version = libc.syscall(_CREATE, None, 0, 1)
    if version < 2:
        return False
    rights = (1 << _RIGHTS[min(version, len(_RIGHTS)) - 1]) - 1
    wanted = struct.pack("QQ", rights, _NETWORK) if version >= 4 else struct.pack("Q", rights)
    rules = libc.syscall(_CREATE, wanted, len(wanted), 0)
    if rules < 0:
        return False
    for paths, granted in ((readable, _EXECUTE | _READ_FILE | _READ_FOLDER), (writable, rights)):
        for path in paths:
            with suppress(OSError):
                found = os.open(path, os.O_PATH | os.O_CLOEXEC)
                on_files = granted & (rights if os.path.isdir(path) else _ON_FILES)  # noqa: PTH112 - as above
                libc.syscall(_ADD, rules, _BENEATH, struct.pack("=Qi", on_files, found), 0)
                os.close(found)
    done = libc.syscall(_RESTRICT, rules, 0) == 0
    os.close(rules)
    return bool(done)


def _allow(libc: ctypes.CDLL, rules: int, found: int, folder: bool) -> None:
    rights = _EXECUTE | _READ_FILE | (_READ_FOLDER if folder else 0)
    libc.syscall(_ADD, rules, _BENEATH, struct.pack("=Qi", rights, found), 0)
