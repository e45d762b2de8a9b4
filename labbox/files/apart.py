"""Work that would hold Python's lock for long, done in a forked child: sorting a million names.

A thread cannot do it: one `list.sort` of a hundred thousand keys keeps the lock, and the screen stands still.
The child inherits what it works on and hands arrays back through memory that both map.
"""

from __future__ import annotations

import ctypes
import mmap
import os
import signal
import struct
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from labbox.errors import LabboxError

_HEAD: Final = struct.Struct("<8sQQQQQQQQ")  # what it is, where it begins, seven lengths in bytes
_MOST: Final = 7
_PR_SET_PDEATHSIG: Final = 1

Buffer: TypeAlias = "bytes | bytearray | memoryview | array[int]"
Send = Callable[..., None]
"""`send(what, *buffers)`: hand up to seven buffers to the parent."""
Take = Callable[[str, list[memoryview]], None]


class Apart:
    """One piece of work in a child. `run` waits for it, in a thread; `cancel` may come from anywhere."""

    def __init__(self) -> None:
        """Nothing runs yet."""
        self._pid = 0
        self.cancelled = False

    def cancel(self) -> None:
        """End the child, and `run` with it."""
        self.cancelled = True
        if self._pid:
            with suppress(ProcessLookupError):
                os.kill(self._pid, signal.SIGKILL)

    def run(self, work: Callable[[Send], None], take: Take) -> None:
        """Run `work(send)` in a child; `take` gets what it sends, in this thread.

        The memory behind the views is let go when `take` returns. OSErrors of the child come through;
        anything else that ends it is LabboxError "internal".
        """
        if self.cancelled:
            return
        memory = os.memfd_create("labbox-listing", os.MFD_CLOEXEC)
        reading, writing = os.pipe2(os.O_CLOEXEC)
        pid = os.fork()
        if pid == 0:
            _be_the_child(work, memory, writing)
        os.close(writing)
        self._pid = pid
        try:
            if self.cancelled:
                os.kill(pid, signal.SIGKILL)
            done = _receive(reading, memory, take)
        finally:
            os.close(reading)
            os.close(memory)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # where `take` raised
            self._pid = 0
            os.waitpid(pid, 0)
        if not done and not self.cancelled:
            raise LabboxError(
                "internal", "cannot sort so many entries: the helper ended", "try again with fewer"
            )


def _receive(reading: int, memory: int, take: Take) -> bool:
    while len(head := _read(reading, _HEAD.size)) == _HEAD.size:
        what, start, *lengths = _HEAD.unpack(head)
        name = what.rstrip(b"\0").decode()
        if name == "end":
            return True
        if name == "error":
            raise OSError(lengths[0], os.strerror(lengths[0]))
        size = sum(_padded(length) for length in lengths)
        if size == 0:
            take(name, [memoryview(b"")] * _MOST)
            continue
        with mmap.mmap(memory, size, mmap.MAP_SHARED, mmap.PROT_READ, offset=start) as mapped:
            with memoryview(mapped) as whole:
                views: list[memoryview] = []
                at = 0
                for length in lengths:
                    views.append(whole[at : at + length])
                    at += _padded(length)
                try:
                    take(name, views)
                finally:
                    for view in views:
                        view.release()
    return False


def _padded(length: int) -> int:
    return -(-length // 16) * 16


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            break
        data += piece
    return data


def _be_the_child(work: Callable[[Send], None], memory: int, writing: int) -> None:
    """Do the work and end; nothing of the parent's is run, no handler, no exit function."""
    code = 1
    try:
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGWINCH, signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGCHLD):
            signal.signal(number, signal.SIG_DFL)
        place = 0

        def send(what: str, *buffers: Buffer) -> None:
            nonlocal place
            start, lengths = place, [memoryview(buffer).nbytes for buffer in buffers]
            for buffer, length in zip(buffers, lengths, strict=True):
                _write(memory, buffer, place)
                place += _padded(length)
            os.ftruncate(memory, place)
            lengths += [0] * (_MOST - len(lengths))
            os.write(writing, _HEAD.pack(what.encode(), start, *lengths))
            place = -(-place // mmap.ALLOCATIONGRANULARITY) * mmap.ALLOCATIONGRANULARITY

        try:
            work(send)
            os.write(writing, _HEAD.pack(b"end", *[0] * 8))
        except OSError as error:
            os.write(writing, _HEAD.pack(b"error", 0, error.errno or 5, *[0] * 6))
        code = 0
    finally:
        os._exit(code)


def _write(memory: int, buffer: Buffer, place: int) -> None:
    with memoryview(buffer) as view, view.cast("B") as left:
        written = 0
        while written < len(left):
            written += os.pwrite(memory, left[written:], place + written)
