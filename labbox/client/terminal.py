"""A person's terminal joined to a shell inside a running job: bytes both ways, and the window's size."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import termios
import threading
import tty
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from queue import SimpleQueue
from types import FrameType, TracebackType
from typing import Final, Protocol, Self

from labbox.client.transport import pump
from labbox.errors import LabboxError

_PATIENCE: Final = 2.0  # seconds that a last change of the size may take when the shell has ended
_WITHOUT_WINDOW: Final = os.terminal_size((80, 24))


class Shells(Protocol):
    """What is needed of a client."""

    def open_shell(self, id: int, rows: int = 24, columns: int = 80, name: str = "") -> socket.socket:  # noqa: A002 - as the client has it
        """Open a shell under a name."""

    def resize_shell(self, id: int, name: str, rows: int, columns: int) -> None:  # noqa: A002 - as the client has it
        """Tell it the size of its window."""


class JobTerminal:
    """A shell in a job, as large as the window of `display`; `join` is where the person is in it."""

    def __init__(self, box: Shells, job: int, display: int = 1) -> None:
        """Open it; LabboxError where the job does not run."""
        self._box, self._job, self._display = box, job, display
        self._name = secrets.token_hex(8)
        self._size = _size_of(display)
        self._sock = box.open_shell(job, self._size.lines, self._size.columns, self._name)
        self._changes: SimpleQueue[bool] = SimpleQueue()  # its `put` may be called where a signal interrupts

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._sock.close()

    def join(self, keyboard: int = 0) -> None:
        """Carry bytes both ways until the shell has ended; LabboxError where it was lost.

        From the main thread only, which hears of new sizes by a signal. They are sent by a thread: over a
        slow line that takes a while, and typing goes on.
        """
        with _raw(keyboard), self._told_of_sizes():
            try:
                pump(self._sock, keyboard, self._display)
            except OSError as error:
                raise LabboxError(
                    "unavailable", f"cannot go on with the shell in job {self._job}: it was lost"
                ) from error

    @contextmanager
    def _told_of_sizes(self) -> Iterator[None]:
        def changed(_number: int, _frame: FrameType | None) -> None:
            self._changes.put(True)

        sender = threading.Thread(target=self._send_sizes, name="window size", daemon=True)
        sender.start()
        before = signal.signal(signal.SIGWINCH, changed)
        self._changes.put(True)  # it may have changed since the shell was asked for
        try:
            yield
        finally:
            signal.signal(signal.SIGWINCH, before)
            self._changes.put(False)
            sender.join(_PATIENCE)

    def _send_sizes(self) -> None:
        while self._changes.get():
            size = _size_of(self._display)
            if size != self._size:
                self._size = size
                with suppress(LabboxError):  # the shell has ended, or goes on with the size that it has
                    self._box.resize_shell(self._job, self._name, size.lines, size.columns)


def _size_of(display: int) -> os.terminal_size:
    try:
        size = os.get_terminal_size(display)
    except OSError:
        return _WITHOUT_WINDOW
    return size if size.lines and size.columns else _WITHOUT_WINDOW


@contextmanager
def _raw(keyboard: int) -> Iterator[None]:
    """Every key goes to the shell, Ctrl+C too; afterwards the terminal is as it was."""
    if not os.isatty(keyboard):
        yield
        return
    before = termios.tcgetattr(keyboard)
    try:
        tty.setraw(keyboard, termios.TCSADRAIN)  # what was typed ahead is the shell's
        yield
    finally:
        termios.tcsetattr(keyboard, termios.TCSADRAIN, before)
