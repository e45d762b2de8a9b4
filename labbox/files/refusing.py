"""System calls that a child has no use for are refused by the kernel: a seccomp filter.

Signals and debugging are among them: the kernel lets a process do both to every other one of the same user.
"""

from __future__ import annotations

import ctypes
import os
import struct
from typing import Final

# <linux/seccomp.h>, <linux/audit.h>, <linux/filter.h>
_PR_SET_SECCOMP, _FILTER = 22, 2
_ALLOW, _REFUSE = 0x7FFF0000, 0x00050001  # the second: EPERM
_LOAD, _JUMP_EQUAL, _JUMP_AT_LEAST, _RETURN = 0x20, 0x15, 0x35, 0x06
_OTHER_ABI: Final = 0x40000000  # numbers of x32 on x86-64

# By the machine: its name in <linux/audit.h>, and the numbers of: kill, tkill, tgkill, rt_sigqueueinfo,
# rt_tgsigqueueinfo, pidfd_send_signal, pidfd_open, pidfd_getfd, ptrace, process_vm_readv, process_vm_writev,
# execve, execveat, socket, unshare, setns, mount, bpf, perf_event_open, userfaultfd, keyctl, add_key,
# request_key, io_uring_setup; on x86-64 also fork and vfork.
_REFUSED: Final = {
    "x86_64": (
        0xC000003E,
        (
            62,
            200,
            234,
            129,
            297,
            424,
            434,
            438,
            101,
            310,
            311,
            59,
            322,
            41,
            272,
            308,
            165,
            321,
            298,
            323,
            250,
            248,
            249,
            425,
            57,
            58,
        ),
    ),
    "aarch64": (
        0xC00000B7,
        (
            129,
            130,
            131,
            138,
            240,
            424,
            434,
            438,
            117,
            270,
            271,
            221,
            281,
            198,
            97,
            268,
            40,
            280,
            241,
            282,
            219,
            217,
            218,
            425,
        ),
    ),
}

# A program of others may be loaded (execve, execveat), and changes no file: rename, mkdir, rmdir, creat,
# link, unlink, symlink, chmod, fchmod, chown, fchown, lchown, mknod, truncate, ftruncate, setxattr and its
# kin, and their relatives with a folder as the first word.
_LOADING: Final = {"x86_64": (59, 322), "aarch64": (221, 281)}
_CHANGING: Final = {
    "x86_64": (
        *(82, 83, 84, 85, 86, 87, 88, 90, 91, 92, 93, 94, 133, 76, 77, 188, 189, 190),
        *(258, 259, 260, 263, 264, 265, 266, 268, 280, 316, 452),
    ),
    "aarch64": (33, 34, 35, 36, 37, 38, 45, 46, 52, 53, 54, 55, 88, 276, 452, 5, 6, 7),
}


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_calls(libc: ctypes.CDLL, *, program: bool = False) -> bool:
    """From here on, for good; False where the kernel or the machine is not known to do it.

    `program`: this process is about to become a program of others.
    """
    name = os.uname().machine
    known = _REFUSED.get(name)
    if known is None:
        return False
    machine, numbers = known
    if program:
        numbers = (*(one for one in numbers if one not in _LOADING[name]), *_CHANGING[name])
    count = len(numbers)
    lines = [  # a jump counts the lines between itself and the last one, which refuses
        (_LOAD, 0, 0, 4),  # the machine that the call is made for
        (_JUMP_EQUAL, 0, count + 3, machine),
        (_LOAD, 0, 0, 0),  # the call's number
        (_JUMP_AT_LEAST, count + 1, 0, _OTHER_ABI),
        *((_JUMP_EQUAL, count - place, 0, number) for place, number in enumerate(numbers)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _REFUSE),
    ]
    code = b"".join(struct.pack("HBBI", *line) for line in lines)
    filtering = _Program(len(lines), code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(filtering), 0, 0) == 0)
