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


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


def refuse_calls(libc: ctypes.CDLL) -> bool:
    """From here on, for good; False where the kernel or the machine is not known to do it."""
    known = _REFUSED.get(os.uname().machine)
    if known is None:
        return False
    machine, numbers = known
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
    program = _Program(len(lines), code)
    return bool(libc.prctl(_PR_SET_SECCOMP, _FILTER, ctypes.byref(program), 0, 0) == 0)
