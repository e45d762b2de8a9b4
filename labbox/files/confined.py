"""Tying up a process that parses outside formats: nothing to open, nobody to talk to, little to use.

Called in a child that was just forked. No descriptor but those that are named, and none that could be opened,
no path (Landlock) and no socket (seccomp), no new processes, no written byte on any disk, so much memory and
processor time and no more. None of it needs a namespace, which logins may not make.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import resource
import signal
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.files.landlock import hide_files
from labbox.files.refusing import refuse_calls

# <linux/prctl.h>
_PR_SET_PDEATHSIG, _PR_SET_DUMPABLE, _PR_SET_NO_NEW_PRIVS = 1, 4, 38
_MOST_DESCRIPTORS: Final = 1 << 20
_SPARE_SECONDS: Final = 2  # between the signal of the processor limit and the end

_libc = ctypes.CDLL(None, use_errno=True)


def begin() -> None:
    """Right after the fork: the child ends with its parent, and none of the parent's handlers is run."""
    _libc.prctl(_PR_SET_PDEATHSIG, int(signal.SIGKILL), 0, 0, 0)
    signal.set_wakeup_fd(-1)
    for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
        with suppress(OSError, ValueError):  # some are the C library's own
            signal.signal(number, signal.SIG_DFL)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):  # told by the call, as Python has it
        signal.signal(number, signal.SIG_IGN)


def leave_everything(*keep: int) -> tuple[int, ...]:
    """Right after the fork: no descriptor but `keep`, no terminal, no handlers. Returns their new numbers."""
    begin()
    with suppress(OSError):
        os.setsid()  # signals of the terminal go to its foreground group
    behind = 3 + len(keep)
    high = [fcntl.fcntl(one, fcntl.F_DUPFD, behind) for one in keep]  # none is where another will stand
    nothing = os.open(os.devnull, os.O_RDWR)
    for standard in range(3):  # what C libraries complain of must not reach the terminal
        os.dup2(nothing, standard)
    for place, one in enumerate(high, 3):
        os.dup2(one, place)
    os.closerange(behind, _MOST_DESCRIPTORS)
    return tuple(range(3, behind))


def tie_up(memory: int, cpu_seconds: int | None) -> None:
    """After all imports: `memory` is in bytes above what the process already has."""
    _libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
    _libc.prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
    used = _address_space()
    hide_files(_libc)
    limit(resource.RLIMIT_AS, used + memory)
    limit(resource.RLIMIT_CORE, 0)
    limit(resource.RLIMIT_FSIZE, 0)
    limit(resource.RLIMIT_NPROC, 0)
    limit(resource.RLIMIT_MEMLOCK, 0)
    if cpu_seconds is not None:
        spent = int(sum(resource.getrusage(resource.RUSAGE_SELF)[:2]))
        limit(resource.RLIMIT_CPU, spent + cpu_seconds, spent + cpu_seconds + _SPARE_SECONDS)
    _drop_capabilities()
    refuse_calls(_libc)
    limit(resource.RLIMIT_NOFILE, 0)  # what is open stays open; nothing more can be opened


def _drop_capabilities() -> None:
    """Clear all three sets: capset(2), version 3 of its header."""
    header = (ctypes.c_uint32 * 2)(0x20080522, 0)
    none = (ctypes.c_uint32 * 6)()
    _libc.capset(ctypes.byref(header), ctypes.byref(none))


def _address_space() -> int:
    with suppress(OSError, ValueError):
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        return pages * resource.getpagesize()
    return 256 << 20


def limit(which: int, soft: int, hard: int | None = None) -> None:
    """Lower a limit, never raise it."""
    ceiling = resource.getrlimit(which)[1]
    hard = soft if hard is None else hard
    if ceiling != resource.RLIM_INFINITY:
        soft, hard = min(soft, ceiling), min(hard, ceiling)
    with suppress(OSError, ValueError):
        resource.setrlimit(which, (soft, hard))
