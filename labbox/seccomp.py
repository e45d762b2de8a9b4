"""System calls that a process has no use for are refused by the kernel, from a moment on and for good.

A filter is a small program (classic BPF, seccomp(2)) that looks at a call's number and words. It is kept by
children and across execve; nothing can take it back.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import Final

# <linux/seccomp.h>, <linux/filter.h>, <linux/prctl.h>
_PR_SET_SECCOMP, _MODE_FILTER, _SET_MODE_FILTER, _SPEC_ALLOW = 22, 2, 1, 4
_ALLOW, _ERRNO = 0x7FFF0000, 0x00050000
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_NUMBER, _MACHINE, _FIRST_WORD = 0, 4, 16  # offsets in struct seccomp_data; both machines are little-endian
_OTHER_ABI: Final = 0x40000000  # numbers of x32 on x86-64
_EPERM, _ENOSYS, _EAFNOSUPPORT = 1, 38, 97

_MACHINES: Final = {"x86_64": (0xC000003E, 317), "aarch64": (0xC00000B7, 277)}  # <linux/audit.h>; seccomp(2)
# Numbers by name, of x86-64 and of arm64; None where that has none. From asm/unistd_64.h and
# asm-generic/unistd.h; from 424 on they are the same on both.
NUMBERS: Final[Mapping[str, tuple[int | None, int | None]]] = {
    "kill": (62, 129), "tkill": (200, 130), "tgkill": (234, 131), "rt_sigqueueinfo": (129, 138),
    "rt_tgsigqueueinfo": (297, 240), "pidfd_send_signal": (424, 424), "pidfd_open": (434, 434),
    "pidfd_getfd": (438, 438), "ptrace": (101, 117), "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271), "kcmp": (312, 272), "execve": (59, 221), "execveat": (322, 281),
    "socket": (41, 198), "fork": (57, None), "vfork": (58, None), "clone": (56, 220), "clone3": (435, 435),
    "unshare": (272, 97), "setns": (308, 268), "chroot": (161, 51), "pivot_root": (155, 41),
    "mount": (165, 40), "umount2": (166, 39), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "open_by_handle_at": (304, 265), "quotactl": (179, 60),
    "quotactl_fd": (443, 443), "swapon": (167, 224), "swapoff": (168, 225), "acct": (163, 89),
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "fanotify_init": (300, 262),
    "keyctl": (250, 219), "add_key": (248, 217), "request_key": (249, 218), "memfd_secret": (447, 447),
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
    "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "syslog": (103, 116),
    "settimeofday": (164, 170), "clock_settime": (227, 112), "clock_adjtime": (305, 266),
    "adjtimex": (159, 171), "sethostname": (170, 161), "setdomainname": (171, 162), "vhangup": (153, 58),
    "personality": (135, 92), "lookup_dcookie": (212, 18), "iopl": (172, None), "ioperm": (173, None),
    "modify_ldt": (154, None), "ioctl": (16, 29), "shmget": (29, 194), "shmat": (30, 196),
    "semget": (64, 190), "msgget": (68, 186), "mq_open": (240, 180),
    "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276), "mkdir": (83, None),
    "mkdirat": (258, 34), "rmdir": (84, None), "creat": (85, None), "link": (86, None), "linkat": (265, 37),
    "unlink": (87, None), "unlinkat": (263, 35), "symlink": (88, None), "symlinkat": (266, 36),
    "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54),
    "mknod": (133, None), "mknodat": (259, 33), "truncate": (76, 45), "ftruncate": (77, 46),
    "setxattr": (188, 5), "lsetxattr": (189, 6), "fsetxattr": (190, 7), "utimensat": (280, 88),
}  # fmt: skip

_NAMESPACES: Final = 0x7E020000  # CLONE_NEWNS … CLONE_NEWNET of <linux/sched.h>
_FAMILIES: Final = (1, 2, 10, 16)  # Unix, IPv4, IPv6, and netlink, by which addresses are listed
_TERMINAL_TRICKS: Final = (0x5412, 0x541C)  # TIOCSTI and TIOCLINUX: typing in another's name

# What no login and no worker has a use for: other namespaces and mounts, other processes' memory, keys,
# the kernel's own machinery, the clock.
SESSION: Final = frozenset(
    "ptrace process_vm_readv process_vm_writev kcmp pidfd_getfd unshare setns chroot pivot_root mount"
    " umount2 open_tree move_mount fsopen fsconfig fsmount fspick mount_setattr open_by_handle_at"
    " quotactl quotactl_fd swapon swapoff acct bpf perf_event_open userfaultfd fanotify_init keyctl"
    " add_key request_key memfd_secret io_uring_setup io_uring_enter io_uring_register init_module"
    " finit_module delete_module kexec_load kexec_file_load reboot syslog settimeofday clock_settime"
    " clock_adjtime adjtimex sethostname setdomainname vhangup personality lookup_dcookie iopl ioperm"
    " modify_ldt".split()
)


class _Program(ctypes.Structure):
    _fields_ = (("length", ctypes.c_ushort), ("filter", ctypes.c_char_p))


@dataclass(frozen=True, slots=True)
class Filter:
    """`refused` are names of calls. `guarded`: clone, socket and ioctl are looked at more closely."""

    refused: frozenset[str]
    guarded: bool = False

    def code(self, machine: str) -> bytes:
        """The program; KeyError for a machine that is not known."""
        audit, _ = _MACHINES[machine]
        column = list(_MACHINES).index(machine)
        lines = [
            (_LOAD, 0, 0, _MACHINE),
            (_EQUAL, 1, 0, audit),
            (_RETURN, 0, 0, _ERRNO | _EPERM),  # a 32-bit program's numbers mean other calls
            (_LOAD, 0, 0, _NUMBER),
            (_AT_LEAST, 0, 1, _OTHER_ABI),
            (_RETURN, 0, 0, _ERRNO | _EPERM),
        ]
        for name in sorted(self.refused):
            if (number := NUMBERS[name][column]) is not None:
                lines += [(_EQUAL, 0, 1, number), (_RETURN, 0, 0, _ERRNO | _EPERM)]
        if self.guarded:
            lines += _guards(column)
        lines.append((_RETURN, 0, 0, _ALLOW))
        return b"".join(struct.pack("HBBI", *line) for line in lines)


def _guards(column: int) -> Iterable[tuple[int, int, int, int]]:
    clone, clone3, socket, ioctl = (NUMBERS[name][column] for name in ("clone", "clone3", "socket", "ioctl"))
    if clone is None or clone3 is None or socket is None or ioctl is None:
        raise AssertionError("every machine has these")
    yield from (
        (_EQUAL, 0, 1, clone3),  # its words stand in memory, where a filter cannot look; libraries fall back
        (_RETURN, 0, 0, _ERRNO | _ENOSYS),
        (_EQUAL, 0, 4, clone),
        (_LOAD, 0, 0, _FIRST_WORD),
        (_ANY_BIT, 0, 1, _NAMESPACES),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
        (_RETURN, 0, 0, _ALLOW),
        (_EQUAL, 0, 3 + len(_FAMILIES), socket),
        (_LOAD, 0, 0, _FIRST_WORD),
        *((_EQUAL, len(_FAMILIES) - place, 0, one) for place, one in enumerate(_FAMILIES)),
        (_RETURN, 0, 0, _ERRNO | _EAFNOSUPPORT),
        (_RETURN, 0, 0, _ALLOW),
        (_EQUAL, 0, 3 + len(_TERMINAL_TRICKS), ioctl),
        (_LOAD, 0, 0, _FIRST_WORD + 8),
        *((_EQUAL, len(_TERMINAL_TRICKS) - place, 0, one) for place, one in enumerate(_TERMINAL_TRICKS)),
        (_RETURN, 0, 0, _ALLOW),
        (_RETURN, 0, 0, _ERRNO | _EPERM),
    )


@cache
def made(wanted: Filter, machine: str) -> bytes:
    """Its code, made once: whoever forks processes asks for it before."""
    return wanted.code(machine)


def install(libc: ctypes.CDLL, wanted: Filter) -> bool:
    """From here on, for good; False where the kernel or the machine is not known to do it.

    The caller has given up new privileges (PR_SET_NO_NEW_PRIVS), or is root.
    """
    name = os.uname().machine
    if name not in _MACHINES:
        return False
    code = made(wanted, name)
    program = ctypes.byref(_Program(len(code) // 8, code))
    # Up to Linux 5.15 a filter slows a process down against Spectre unless it says that it need not.
    call = ctypes.c_long(_MACHINES[name][1])
    if libc.syscall(call, _SET_MODE_FILTER, _SPEC_ALLOW, program) == 0:
        return True
    return bool(libc.prctl(_PR_SET_SECCOMP, _MODE_FILTER, program, 0, 0) == 0)
