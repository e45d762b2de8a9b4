"""In the child: read an archive and tell the parent of it. Whatever happens ends in a frame."""

from __future__ import annotations

import gc
import mmap
import os
import socket
import time
from collections.abc import Iterator
from enum import Enum, auto
from typing import Final

from labbox.errors import LabboxError
from labbox.files import confined
from labbox.files.archives import wire, zipnames
from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.member import Member, Parser, What
from labbox.files.archives.reading import parser
from labbox.files.archives.source import FileSource, Source
from labbox.files.archives.wire import Comes

_SENT_AT: Final = 64 << 10  # bytes that are gathered before they are sent
_SENT_AFTER: Final = 0.05  # or seconds
_EAGER: Final = 1 << 20  # bytes of a file whose blocks are sent unasked


zipnames.warm()  # Python imports an encoding when it is first used, and the child can open nothing


class Job(Enum):
    """What a child is for."""

    LIST = auto()  # tell of all entries
    WALK = auto()  # and of the bytes of the files among them
    FILES = auto()  # give the bytes of those that are asked for


class _NobodyError(Exception):
    """The parent wants nothing any more."""


class _Channel:
    """The child's end of all that is said."""

    def __init__(self, inner: socket.socket, shared: mmap.mmap) -> None:
        self._inner, self.shared = inner, shared
        self._out = bytearray()
        self._sent = 0.0  # the first frame goes at once
        self._in = b""
        self._free = list(range(wire.SLOTS))

    def put(self, kind: bytes, data: bytes = b"") -> None:
        self._out += wire.HEAD.pack(kind, len(data)) + data
        if len(self._out) >= _SENT_AT:
            self.send()
        else:
            self.send_late()

    def put_block(self, offset: int, data: bytes | memoryview) -> None:
        """Any length, in pieces."""
        left = memoryview(data)
        while len(left) > wire.INLINE:
            piece, left = left[: wire.SLOT], left[wire.SLOT :]
            slot = self._slot()
            at = wire.ANSWER + slot * wire.SLOT
            self.shared[at : at + len(piece)] = piece
            self.put(wire.BLOCK, wire.AT.pack(offset, len(piece), slot))
            self.send()  # the parent writes it while the next one is made
            offset += len(piece)
        if left:
            self.put(wire.SHORT, wire.SHORT_AT.pack(offset) + left)

    def send(self) -> None:
        if self._out:
            self._inner.sendall(self._out)
            self._out.clear()
        self._sent = time.monotonic()

    def send_late(self) -> None:
        """What has waited for long."""
        if self._out and time.monotonic() - self._sent > _SENT_AFTER:
            self.send()

    def read(self, offset: int, size: int) -> bytes:
        """Some bytes of the archive, read by the parent."""
        self.put(wire.READ, wire.ASKED.pack(offset, size))
        self.send()
        self.heard(wire.GOT)
        return self.shared[: self.number()]

    def heard(self, *wanted: bytes) -> bytes:
        """The next word of the parent that is none about slots."""
        self.send()
        while (word := self._take(1)) == wire.FREE:
            self._free.append(self._take(1)[0])
        if word not in wanted:
            raise _NobodyError
        return word

    def number(self) -> int:
        """The number behind a word."""
        return int(wire.NUMBER.unpack(self._take(wire.NUMBER.size))[0])

    def text(self) -> bytes:
        """The text behind a word."""
        return self._take(self.number())

    def _slot(self) -> int:
        while not self._free:
            self.send()
            if self._take(1) != wire.FREE:
                raise _NobodyError
            self._free.append(self._take(1)[0])
        return self._free.pop()

    def _take(self, size: int) -> bytes:
        while len(self._in) < size:
            data = self._inner.recv(1 << 16)
            if not data:
                raise _NobodyError
            self._in += data
        found, self._in = self._in[:size], self._in[size:]
        return found


class _Asked:
    """The archive, where only the parent can read it."""

    def __init__(self, channel: _Channel, size: int) -> None:
        self.size = size
        self._channel = channel

    def read_at(self, offset: int, size: int) -> bytes:
        parts: list[bytes] = []
        while size > 0 and offset >= 0:
            data = self._channel.read(offset, min(size, wire.ANSWER))
            if not data:
                break
            parts.append(data)
            offset, size = offset + len(data), size - len(data)
        return b"".join(parts)

    def duplicate(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is its own."""


class _Open:
    """The archive as a descriptor; what is told of it meanwhile does not wait for long."""

    def __init__(self, channel: _Channel, inner: FileSource) -> None:
        self.size = inner.size
        self._channel, self._inner = channel, inner

    def read_at(self, offset: int, size: int) -> bytes:
        self._channel.send_late()
        return self._inner.read_at(offset, size) if offset >= 0 else b""

    def duplicate(self) -> int | None:
        return None

    def close(self) -> None:
        """Nothing is its own."""


class _Forward:
    """One file, read forward; `ahead`: its last block is given once all of it was checked."""

    def __init__(self, blocks: Iterator[bytes], *, ahead: bool) -> None:
        self._blocks, self._ahead = blocks, ahead
        self._begun = False
        self._next: bytes | None = None

    def next(self) -> tuple[bytes | None, bool]:
        """A block, and whether there may be more."""
        if not self._ahead:
            block = next(self._blocks, None)
            return block, block is not None
        if not self._begun:
            self._begun, self._next = True, next(self._blocks, None)
        block = self._next
        self._next = next(self._blocks, None)
        return block, self._next is not None


def be_the_child(
    job: Job,
    channel: socket.socket,
    shared: mmap.mmap,
    descriptor: int | None,
    size: int,
    label: str,
    limits: Limits,
) -> None:
    """Never returns."""
    try:
        gc.disable()
        keep = (channel.fileno(),) if descriptor is None else (channel.fileno(), descriptor)
        numbers = confined.leave_everything(*keep)
        said = _Channel(socket.socket(fileno=numbers[0]), shared)
        source: Source
        if descriptor is None:
            source = _Asked(said, size)
        else:
            source = _Open(said, FileSource(numbers[1], label))
        confined.tie_up(limits.memory, limits.seconds(size))
        try:
            _work(job, said, source, label, limits)
        except LabboxError as error:
            said.put(wire.BROKEN, wire.packed_error(error))
        except _NobodyError:
            return
        except MemoryError:
            said.put(wire.BROKEN, wire.packed_error(damaged(label, "to read it takes too much memory")))
        except Exception as error:  # noqa: BLE001 - damaged archives may raise anything
            why = f"it is damaged ({type(error).__name__}: {error})"[:300]
            said.put(wire.BROKEN, wire.packed_error(damaged(label, why)))
        said.send()
    finally:
        os._exit(0)


def _work(job: Job, said: _Channel, source: Source, label: str, limits: Limits) -> None:
    if job is Job.FILES:
        _serve(said, source, label, limits)
        return
    made = parser(source, label, limits)
    for member in made.members():
        if job is Job.LIST:
            said.put(wire.ENTRY, wire.packed(member))
        else:
            _tell(said, made, member)
    said.put(wire.DONE)


def _tell(said: _Channel, made: Parser, member: Member) -> None:
    if member.what is not What.FILE:
        said.put(wire.ENTRY, wire.packed(member))
        return
    try:
        stands = made.stands(member)
    except LabboxError as error:
        said.put(wire.ENTRY, wire.packed(member, comes=Comes.BLOCKS))
        said.put(wire.FAILED, wire.packed_error(error))
        return
    if stands is not None:
        said.put(wire.ENTRY, wire.packed(member, stands))
        return
    if member.size <= _EAGER:
        said.put(wire.ENTRY, wire.packed(member, comes=Comes.BLOCKS))
    else:
        said.put(wire.ENTRY, wire.packed(member, comes=Comes.ASKED))
        if said.heard(wire.YES, wire.NO) == wire.NO:
            return
    try:
        for offset, block in made.blocks(member):
            said.put_block(offset, block)
    except LabboxError as error:
        said.put(wire.FAILED, wire.packed_error(error))
        return
    said.put(wire.END)


def _serve(said: _Channel, source: Source, label: str, limits: Limits) -> None:
    """Several files may be open; each is read forward."""
    made: Parser | None = None  # the archive is not read before a word has come: words cannot cross
    files: dict[int, _Forward] = {}
    while True:
        word = said.heard(wire.OPEN, wire.NEXT, wire.CLOSE)
        number = said.number()
        if word == wire.CLOSE:
            files.pop(number, None)
            continue
        try:
            if word == wire.OPEN:
                member = wire.unpacked(said.text()).member
                made = made or parser(source, label, limits)
                stands = made.stands(member)
                if stands is None:
                    files[number] = _Forward(made.unpacked(member), ahead=not made.whole)
                said.put(wire.STANDS, b"" if stands is None else wire.SHORT_AT.pack(stands))
                continue
            block, more = files[number].next()
            if block is not None:
                said.put_block(0, block)
            said.put(wire.END, b"+" if more else b"")
        except LabboxError as error:
            said.put(wire.FAILED, wire.packed_error(error))
        except MemoryError:
            said.put(wire.FAILED, wire.packed_error(damaged(label, "to read it takes too much memory")))
