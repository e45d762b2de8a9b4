"""System calls that a child which parses outside formats has no use for are refused by the kernel.

Signals and debugging are among them: the kernel lets a process do both to every other one of the same user.
So are sockets and what is shared between processes by a key: such a child talks to its parent alone.
"""

from __future__ import annotations

import ctypes
from typing import Final

from labbox import seccomp

_LOADING: Final = frozenset({"execve", "execveat"})
_REFUSED: Final = (
    seccomp.SESSION
    | _LOADING
    | frozenset(
        "kill tkill tgkill rt_sigqueueinfo rt_tgsigqueueinfo pidfd_send_signal pidfd_open socket fork vfork"
        " shmget shmat semget msgget mq_open".split()
    )
)
_CHANGING: Final = frozenset(  # files
    "rename renameat renameat2 mkdir mkdirat rmdir creat link linkat unlink unlinkat symlink symlinkat chmod"
    " fchmod fchmodat fchmodat2 chown fchown lchown fchownat mknod mknodat truncate ftruncate setxattr"
    " lsetxattr fsetxattr utimensat".split()
)


def refuse_calls(libc: ctypes.CDLL, *, program: bool = False) -> bool:
    """From here on, for good; False where the kernel or the machine is not known to do it.

    `program`: this process is about to become a program of others, which changes no file.
    """
    refused = (_REFUSED - _LOADING) | _CHANGING if program else _REFUSED
    return seccomp.install(libc, seccomp.Filter(refused))
