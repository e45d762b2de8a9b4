"""What a person sees of a login: stock ssh on a pseudo-terminal, read by a terminal emulator."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Sequence

import pyte
from emulator import Emulator

_KEYBOARD_MODES = re.compile(rb"\x1b\[[<>=][0-9;]*u")  # pyte would print the letter


class Screen:
    """A program on a terminal of its own, and the characters that stand on it."""

    def __init__(self, argv: Sequence[str], rows: int = 30, columns: int = 100) -> None:
        self._screen = Emulator(columns, rows)
        self._stream = pyte.ByteStream(self._screen)
        size = struct.pack("HHHH", rows, columns, 0, 0)
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, size)
            os.environ["TERM"] = "xterm-256color"
            os.execvp(argv[0], list(argv))
        self._code: int | None = None
        self._painted = 0  # bytes

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    def resize(self, rows: int, columns: int) -> None:
        """Pull at the corner of the window: the kernel tells ssh."""
        self._screen.resize(rows, columns)
        fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, keys: str) -> None:
        os.write(self._master, keys.encode())

    def press(self, key: str) -> None:
        """One key, and whatever is painted for it: the next one finds the focus where this one moved it."""
        before = self._painted
        self.type(key)
        self.wait(lambda _lines: self._painted > before)

    def wait(self, reached: Callable[[list[str]], object], seconds: float = 60) -> list[str]:
        end = time.monotonic() + seconds
        while not reached(self.lines):
            assert time.monotonic() < end, "it did not come about:\n" + "\n".join(self.lines)
            self._read()
        return self.lines

    def wait_for(self, *texts: str) -> list[str]:
        return self.wait(lambda lines: all(text in "\n".join(lines) for text in texts))

    def ended(self, seconds: float = 30) -> int:
        """The exit code of the program, once it has written all."""
        end = time.monotonic() + seconds
        while self._code is None:
            assert time.monotonic() < end, "it did not end:\n" + "\n".join(self.lines)
            self._read()
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._code = os.waitstatus_to_exitcode(status)
        return self._code

    def close(self) -> None:
        if self._code is None:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        os.close(self._master)

    def _read(self) -> None:
        if select.select([self._master], [], [], 0.1)[0]:
            try:
                data = os.read(self._master, 65536)
            except OSError:  # the last program has closed the terminal
                return
            self._painted += len(data)
            self._stream.feed(_KEYBOARD_MODES.sub(b"", data))
