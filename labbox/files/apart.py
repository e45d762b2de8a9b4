"""Work that would hold Python's lock for long, done in a forked child: sorting a million names.

A thread cannot do it: one `list.sort` of a hundred thousand keys keeps the lock, and the screen stands still.
The child inherits what it works on and hands columns of numbers back through a pipe. The parent takes them
piece by piece and lets go of the lock for each: the loop waits for none of them.
"""

from __future__ import annotations

import errno
import fcntl
import gc
import os
import signal
import struct
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import Final, TypeAlias

from labbox.errors import LabboxError
from labbox.files import confined

_HEAD: Final = struct.Struct("<8sI")  # what it is, and how many columns follow; or the number of an error
_COLUMN: Final = struct.Struct("<cQ")  # its type as `array` has it, B for a bytearray; its bytes
_PIECE: Final = 1 << 18  # bytes that are taken with the lock held
_PIPE: Final = 1 << 20  # bytes that the child may be ahead

Column: TypeAlias = "bytearray | array[int]"
Send = Callable[..., None]
"""`send(what, *columns)`: hand columns to the parent; views of numbers become arrays."""
Take = Callable[[str, list[Column]], None]


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

        OSErrors of the child come through; anything else that ends it is LabboxError "internal".
        """
        if self.cancelled:
            return
        reading, writing = os.pipe2(os.O_CLOEXEC)
        with suppress(OSError):  # where a person has many pipes: it takes longer
            fcntl.fcntl(writing, fcntl.F_SETPIPE_SZ, _PIPE)
        pid = os.fork()
        if pid == 0:
            _be_the_child(work, writing)
        os.close(writing)
        self._pid = pid
        try:
            if self.cancelled:
                os.kill(pid, signal.SIGKILL)
            done = _receive(reading, take)
        finally:
            os.close(reading)
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)  # where `take` raised
            self._pid = 0
            os.waitpid(pid, 0)
        if not done and not self.cancelled:
            raise LabboxError(
                "internal", "cannot sort so many entries: the helper ended", "try again with fewer"
            )


def _receive(reading: int, take: Take) -> bool:
    while len(head := _read(reading, _HEAD.size)) == _HEAD.size:
        what, count = _HEAD.unpack(head)
        name = what.rstrip(b"\0").decode()
        if name == "end":
            return True
        if name == "error":
            raise OSError(count, os.strerror(count))
        columns: list[Column] = []
        for _ in range(count):
            kind, size = _COLUMN.unpack(_read(reading, _COLUMN.size))
            column: Column = bytearray() if kind == b"B" else array(kind.decode())
            if not _fill(column, reading, size):
                return False
            columns.append(column)
        take(name, columns)
    return False


def _fill(column: Column, reading: int, size: int) -> bool:
    """Take so many bytes; whether they all came."""
    piece = bytearray(_PIECE)
    with memoryview(piece) as room:
        have = 0  # less than one number, left from the last piece
        while size > 0:
            if (came := os.readv(reading, [room[have : min(_PIECE, have + size)]])) == 0:
                return False
            size -= came
            have += came
            if isinstance(column, bytearray):
                column += room[:have]
                have = 0
                continue
            whole = have - have % column.itemsize
            column.frombytes(room[:whole])
            room[: have - whole] = bytes(room[whole:have])
            have -= whole
    return True


def _read(descriptor: int, size: int) -> bytes:
    data = b""
    while len(data) < size:
        piece = os.read(descriptor, size - len(data))
        if not piece:
            break
        data += piece
    return data


def _be_the_child(work: Callable[[Send], None], writing: int) -> None:
    """Do the work and end; nothing of the parent's is run, no handler, no exit function."""
    code = 1
    try:
        gc.disable()  # looking through what is the parent's would copy it
        confined.begin()

        def send(what: str, *columns: Column | memoryview) -> None:
            _write(writing, _HEAD.pack(what.encode(), len(columns)))
            for column in columns:
                with memoryview(column) as view:
                    _write(writing, _COLUMN.pack(view.format.encode(), view.nbytes))
                    _write(writing, view)

        try:
            work(send)
            _write(writing, _HEAD.pack(b"end", 0))
        except OSError as error:
            _write(writing, _HEAD.pack(b"error", error.errno or errno.EIO))
        code = 0
    finally:
        os._exit(code)


def _write(writing: int, data: bytes | memoryview) -> None:
    with memoryview(data) as view, view.cast("B") as left:
        written = 0
        while written < len(left):
            written += os.write(writing, left[written:])
