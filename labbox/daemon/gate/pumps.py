"""Bytes between a channel and the descriptors of a process, with flow control both ways.

From the process: read when there is something, stop while the client is slow. To the process: write at once,
keep what does not fit, and ask the client to wait meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Callable
from contextlib import suppress
from typing import Final

READ_SIZE: Final = 256 * 1024  # bytes; one turn of the event loop moves no more than this for one login
_buffer = memoryview(bytearray(READ_SIZE))  # of all pumps: it is empty again at the end of every turn


class Outflow:
    """From a descriptor of a process to the client."""

    def __init__(self, descriptor: int, write: Callable[[memoryview], None]) -> None:
        """Take the descriptor (it is closed at the end) and start reading; `finished` is done at its end."""
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._write = write
        self._paused = False
        self.finished: asyncio.Future[object] = self._loop.create_future()
        self._loop.add_reader(descriptor, self._read)

    @property
    def ended(self) -> bool:
        """Whether the process has closed it."""
        return self.finished.done()

    def pause(self) -> None:
        """The client is slow."""
        if not self._paused and not self.finished.done():
            self._loop.remove_reader(self._descriptor)
        self._paused = True

    def resume(self) -> None:
        """The client has room again."""
        if self._paused and not self.finished.done():
            self._loop.add_reader(self._descriptor, self._read)
        self._paused = False

    def close(self) -> None:
        """End it now."""
        if not self.finished.done():
            self._loop.remove_reader(self._descriptor)
            os.close(self._descriptor)
            self.finished.set_result(None)

    def _read(self) -> None:
        try:
            count = os.readv(self._descriptor, [_buffer])
        except BlockingIOError:
            return
        except OSError as error:
            if error.errno == errno.EIO:  # how a pty says that all its programs have gone
                self.close()
                return
            raise
        if count == 0:
            self.close()
            return
        try:
            self._write(_buffer[:count])
        except OSError:  # the channel has been closed
            self.close()


class Inflow:
    """From the client to a descriptor of a process."""

    def __init__(self, descriptor: int, pause: Callable[[], None], resume: Callable[[], None]) -> None:
        """Take the descriptor; `pause` and `resume` ask the client to wait, and to go on."""
        os.set_blocking(descriptor, False)
        self._loop = asyncio.get_running_loop()
        self._descriptor = descriptor
        self._pause, self._resume = pause, resume
        self._kept: list[memoryview] = []
        self._ending = False
        self.closed = False

    def write(self, data: memoryview) -> None:
        """Write, or keep what does not fit."""
        if self.closed:
            return
        if self._kept:
            self._kept.append(data)
            return
        rest = self._try(data)
        if rest:
            self._kept.append(rest)
            self._pause()
            self._loop.add_writer(self._descriptor, self._write_kept)

    def end(self) -> None:
        """Nothing more comes: close when all is written."""
        self._ending = True
        if not self._kept:
            self.close()

    def close(self) -> None:
        """End it now; what is kept is lost."""
        if self.closed:
            return
        self.closed = True
        if self._kept:
            self._loop.remove_writer(self._descriptor)
            self._kept.clear()
            self._resume()
        os.close(self._descriptor)

    def _try(self, data: memoryview) -> memoryview | None:
        """What could not be written now; nothing where the process reads no more."""
        while data:
            try:
                count = os.write(self._descriptor, data)
            except BlockingIOError:
                return data
            except OSError:  # the process has closed its end, or ended
                self._kept.clear()
                self._loop.remove_writer(self._descriptor)
                return None
            data = data[count:]
        return None

    def _write_kept(self) -> None:
        while self._kept:
            rest = self._try(self._kept[0])
            if rest:
                self._kept[0] = rest
                return
            with suppress(IndexError):  # emptied where the process reads no more
                self._kept.pop(0)
        self._loop.remove_writer(self._descriptor)
        self._resume()  # which may bring more at once, and the end behind it
        if self._ending and not self._kept:
            self.close()
