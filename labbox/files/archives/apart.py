"""The parent's end of a child that reads an archive: started, listened to, ended."""

from __future__ import annotations

import mmap
import os
import select
import signal
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import msgspec
import zstandard  # noqa: F401 - the child can import nothing any more, and many archives are packed so

from labbox.errors import LabboxError
from labbox.files.archives import wire
from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.parsing import Job, be_the_child
from labbox.files.archives.source import Source, closed
from labbox.text import format_bytes

_LOOK_MS: Final = 500  # between two looks whether anybody still wants it
_LAST_MS: Final = 5000  # that a child takes to end once it said its last
_RECEIVED: Final = 1 << 18


class Child:
    """One child. `frame` and `say` come from one thread at a time; `end` may come from any."""

    def __init__(
        self, job: Job, source: Source, label: str, limits: Limits, idle: Callable[[], None] = lambda: None
    ) -> None:
        """Start it; `idle` is called now and then while it is waited for, and may raise."""
        self._source, self._label, self._limits, self._idle = source, label, limits, idle
        self._seconds = limits.seconds(source.size)
        self._unwanted = False
        self._lock = threading.Lock()
        self._ending = threading.Lock()
        self._buffer = bytearray()
        self._at = 0
        self._status = 0
        descriptor = source.duplicate()
        self.shared = mmap.mmap(-1, wire.SHARED)
        self._channel, theirs = socket.socketpair()
        try:
            self._pid = os.fork()
            if self._pid == 0:
                be_the_child(job, theirs, self.shared, descriptor, source.size, label, limits)
        finally:
            theirs.close()
            if descriptor is not None:
                os.close(descriptor)

    def frame(self) -> tuple[bytes, bytes]:
        """What it says next; its wishes to read are answered meanwhile. LabboxError once there is no more."""
        with self._lock:
            while True:
                kind, length = wire.HEAD.unpack(self._taken(wire.HEAD.size))
                if length > wire.MOST_FRAME:
                    raise self.nonsense()
                data = self._taken(length)
                if kind != wire.READ:
                    break
                self._answer(data)
        if kind == wire.BROKEN:
            raise self.said(data)
        return kind, data

    def said(self, data: bytes) -> LabboxError:
        """An error that it told of."""
        try:
            return wire.unpacked_error(data)
        except msgspec.MsgspecError:
            return self.nonsense()

    def say(self, word: bytes, number: int | None = None, text: bytes | None = None) -> None:
        """A word, and the number and the text behind it."""
        data = word if number is None else word + wire.NUMBER.pack(number)
        if text is not None:
            data += wire.NUMBER.pack(len(text)) + text
        self._send(data)

    def block(self, data: bytes) -> tuple[int, memoryview, int]:
        """A block of the frame BLOCK: its offset, its bytes until `free` is called, its slot."""
        if len(data) != wire.AT.size:
            raise self.nonsense()
        offset, length, slot = wire.AT.unpack(data)
        if slot >= wire.SLOTS or length > wire.SLOT:
            raise self.nonsense()
        at = wire.ANSWER + slot * wire.SLOT
        try:
            return offset, memoryview(self.shared)[at : at + length], slot
        except ValueError:
            raise closed(self._label) from None

    def free(self, slot: int) -> None:
        """The child may use it again."""
        self._send(wire.FREE + bytes((slot,)))

    def nonsense(self) -> LabboxError:
        """What it said cannot be."""
        return damaged(self._label, "its reader answered nonsense")

    def end(self, *, unwanted: bool = False) -> int:
        """End it, and say how it ended; whoever listens to it hears so at once."""
        self._unwanted |= unwanted
        with self._ending:
            if self._pid:
                with suppress(ProcessLookupError):
                    os.kill(self._pid, signal.SIGKILL)
                self._status = os.waitpid(self._pid, 0)[1]
                self._pid = 0
        if self._lock.acquire(blocking=not unwanted):
            self._channel.close()
            with suppress(BufferError):  # a block of it is looked at: it goes with that
                self.shared.close()
            self._lock.release()
        return self._status

    def _taken(self, size: int) -> bytes:
        while len(self._buffer) - self._at < size:
            del self._buffer[: self._at]
            self._at = 0
            self._receive()
        found = bytes(memoryview(self._buffer)[self._at : self._at + size])
        self._at += size
        return found

    def _receive(self) -> None:
        waiting = select.poll()
        try:
            waiting.register(self._channel, select.POLLIN)
        except ValueError:
            raise closed(self._label) from None
        while not waiting.poll(_LOOK_MS):
            self._idle()
            if self._has_ended():  # another child may still hold its end of the socket
                raise self._why()
        try:
            data = self._channel.recv(_RECEIVED)
        except OSError:
            data = b""
        if not data:
            raise self._why()
        self._buffer += data

    def _answer(self, data: bytes) -> None:
        if len(data) != wire.ASKED.size:
            raise self.nonsense()
        offset, size = wire.ASKED.unpack(data)
        found = self._source.read_at(min(offset, 1 << 62), min(size, wire.ANSWER))
        self.shared[: len(found)] = found
        self.say(wire.GOT, len(found))

    def _send(self, data: bytes) -> None:
        with suppress(OSError):  # it has ended: the next frame says how
            self._channel.sendall(data)

    def _has_ended(self) -> bool:
        with self._ending:
            if self._pid and os.waitid(os.P_PID, self._pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                return False
        return True

    def _settle(self) -> None:
        """It said nothing more: wait for its end, but not for ever."""
        with self._ending:
            if not self._pid:
                return
            ended = os.pidfd_open(self._pid)
            waiting = select.poll()
            waiting.register(ended, select.POLLIN)
            if not waiting.poll(_LAST_MS):
                os.kill(self._pid, signal.SIGKILL)
            os.close(ended)
            self._status = os.waitpid(self._pid, 0)[1]
            self._pid = 0

    def _why(self) -> LabboxError:
        if self._unwanted:
            return closed(self._label)
        self._settle()
        status = self._status
        number = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        if not number:
            return damaged(self._label, "its reader gave up")
        if number in (signal.SIGXCPU, signal.SIGKILL):
            return damaged(self._label, f"to read it takes more than {self._seconds:,} seconds of work")
        much = format_bytes(self._limits.memory)
        return damaged(
            self._label,
            f"its reader crashed ({signal.Signals(number).name}), or would take more than {much} of memory: "
            "it may be damaged, or made to do harm",
        )
