"""A program of others that reads outside formats: it sees its own libraries, one file, and a pipe.

It cannot be tied up as our own children are, for it must be loaded first. So the kernel is told beforehand
what it may open (Landlock) and which calls it may make (seccomp); no network, no written byte, and limits.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import threading
from contextlib import suppress
from typing import Final

from labbox.files import confined
from labbox.files.landlock import hide_files
from labbox.files.refusing import refuse_calls

_PR_SET_NO_NEW_PRIVS: Final = 38
_LIBRARIES: Final = ("/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/libexec", "/etc/ld.so.cache")
FILE: Final = "{}"
_SYSTEM: Final = ("/dev/null", "/proc/self", "/sys/devices/system/cpu")


class Program:
    """A program that runs; `out` is where its output is read."""

    def __init__(self, words: list[str], file: int, memory: int, seconds: int) -> None:
        """Start `words`; in the place of `FILE` it is told the path of `file`."""
        out, theirs = os.pipe2(os.O_CLOEXEC)
        try:
            self.pid = os.fork()
            if self.pid == 0:
                _become(words, file, theirs, memory, seconds)
        finally:
            os.close(theirs)
        self.out = os.fdopen(out, "rb")
        self._reaping = threading.Lock()  # it may end in one thread while another kills it
        self._content = False

    def end(self) -> bool:
        """Close its output, wait for its end, and say whether it was content."""
        self.out.close()
        running = self.pid
        if running:
            with suppress(ChildProcessError):  # another thread was first
                os.waitid(os.P_PID, running, os.WEXITED | os.WNOWAIT)
        with self._reaping:
            if self.pid:
                self._content = os.waitpid(self.pid, 0)[1] == 0
                self.pid = 0
        return self._content

    def kill(self) -> None:
        """End it."""
        with self._reaping:
            if self.pid:
                os.kill(self.pid, signal.SIGKILL)
        self.end()


def _become(words: list[str], file: int, out: int, memory: int, seconds: int) -> None:
    """Never returns."""
    try:
        kept, written = confined.leave_everything(file, out)
        os.dup2(written, 1)
        os.close(written)
        os.set_inheritable(kept, True)
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(_PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
        hide_files(libc, (*_LIBRARIES, *_SYSTEM, words[0]), kept)
        for which, most in (
            (resource.RLIMIT_AS, memory),
            (resource.RLIMIT_CPU, seconds),
            (resource.RLIMIT_FSIZE, 0),
            (resource.RLIMIT_CORE, 0),
        ):
            confined.limit(which, most)
        refuse_calls(libc, program=True)
        environment = {"PATH": os.defpath, "TZ": "UTC", "LC_ALL": "C.UTF-8"}
        path = f"/proc/self/fd/{kept}"
        os.execve(words[0], [path if word == FILE else word for word in words], environment)  # noqa: S606
    finally:
        os._exit(127)
