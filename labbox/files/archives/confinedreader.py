"""An archive read by confined children: this process sees entries and bytes, never the formats themselves.

One child tells of the entries, and of the bytes of packed files where all is unpacked; another, started when
the first packed file is opened, gives the bytes of single ones. What stands in the archive as it is is
read from there without either.
"""

from __future__ import annotations

import threading
import zlib
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, suppress
from itertools import count
from typing import Final

import msgspec

from labbox.errors import LabboxError
from labbox.files.archives import wire
from labbox.files.archives.apart import Child
from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.member import Content, Member, encrypted, wrong
from labbox.files.archives.parsing import Job
from labbox.files.archives.source import Source, closed
from labbox.files.archives.sparse import SparseContent
from labbox.files.archives.spool import Spool
from labbox.files.archives.wire import Comes, Told
from labbox.locations import archive_ending

_PIECE: Final = 1 << 18


class ConfinedReader:
    """A zip or tar archive over a source."""

    def __init__(
        self,
        source: Source,
        label: str,
        limits: Limits,
        mtime_step: int,
        *,
        unpacking: bool,
        idle: Callable[[], None],
    ) -> None:
        """Nothing is read yet; see `reading.reader`."""
        self.label, self.size, self.mtime_step = label, source.size, mtime_step
        self._source, self._limits, self._idle = source, limits, idle
        self._job = Job.WALK if unpacking else Job.LIST
        self._is_zip = archive_ending(label.rpartition("/")[2]) == ".zip"
        self._walking: Child | None = None
        self._present: Told | None = None
        self._taking: Iterator[tuple[int, bytes | memoryview]] | None = None
        self._files: _Files | None = None
        self._whole: Spool | None = None
        self._lock = threading.Lock()
        self._closed = False

    def members(self) -> Iterator[Member]:
        """All entries in the order of the archive."""
        child = self._walking = self._started(self._job)
        try:
            while True:
                kind, data = child.frame()
                if kind == wire.DONE:
                    return
                if kind != wire.ENTRY:
                    raise child.nonsense()
                self._present = told = _told(child, data)
                self._taking = None
                yield told.member
                if told.comes is not Comes.NOTHING:
                    self._pass_over(child, told)
        finally:
            child.end()

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes | memoryview]]:
        """Offsets and bytes of the present member."""
        told, child = self._present, self._walking
        assert told is not None and child is not None and told.member is member  # noqa: S101
        if member.encrypted:
            raise encrypted(member.name, self.label)
        if told.comes is Comes.NOTHING:
            yield from self._standing(told)
            return
        if told.comes is Comes.ASKED:
            child.say(wire.YES)
        self._taking = _walked(child)
        end, left = 0, _held(member)
        for offset, block in self._taking:
            left -= len(block)
            if offset < end or offset + len(block) > member.size or left < 0:
                raise child.nonsense()
            end = offset + len(block)
            yield offset, block
        if left:
            raise child.nonsense()

    def opened(self, member: Member) -> Content:
        """The bytes of any member."""
        assert member.where is not None  # noqa: S101
        if member.encrypted:
            raise encrypted(member.name, self.label)
        with self._lock:
            if self._closed:
                raise closed(self.label)
            if self._whole is not None:
                return SparseContent(self._whole, member.where, member.size, self.label)
            if self._files is None or self._files.ended:
                self._files = _Files(self._started(Job.FILES))
            stands = self._files.open(member)
            if isinstance(stands, int):
                standing = member.where._replace(offset=stands)
                return SparseContent(self._source, standing, member.size, self.label)
            if self._is_zip:
                return Spool(_counted(stands, member, self.label), self.label, self._limits)
            self._whole = Spool(stands, self.label, self._limits)
            return SparseContent(self._whole, member.where, member.size, self.label)

    def close(self) -> None:
        """End what runs, and let go of what was unpacked."""
        self._closed = True
        if self._walking is not None:
            self._walking.end(unwanted=True)
        files = self._files
        if files is not None:
            files.end()
        with self._lock:
            if self._files is not None:
                self._files.end()
            if self._whole is not None:
                self._whole.close()

    def _started(self, job: Job) -> Child:
        return Child(job, self._source, self.label, self._limits, self._idle)

    def _pass_over(self, child: Child, told: Told) -> None:
        """Go on behind the bytes of the present member, of which none or not all were wanted."""
        if self._taking is None and told.comes is Comes.ASKED:
            child.say(wire.NO)
            return
        with suppress(LabboxError):  # what is wrong with a file that nobody wants
            for _ in self._taking or _walked(child):
                pass

    def _standing(self, told: Told) -> Iterator[tuple[int, bytes]]:
        """Bytes that stand in the archive as they are."""
        member, at = told.member, told.stands
        assert member.where is not None and at is not None  # noqa: S101
        stretches = member.where.stretches
        crc = 0
        for start, length in ((0, member.size),) if stretches is None else stretches:
            done = 0
            while done < length:
                piece = self._source.read_at(at, min(_PIECE, length - done))
                if not piece:
                    raise damaged(self.label, "it ends in the middle: it was cut off")
                if self._is_zip:
                    crc = zlib.crc32(piece, crc)
                yield start + done, piece
                at, done = at + len(piece), done + len(piece)
        if self._is_zip and crc != member.where.crc:
            raise wrong(member.name, self.label, "its checksum does not fit")


class _Files:
    """The child that gives the bytes of single files; calls may come from several threads."""

    def __init__(self, child: Child) -> None:
        self.ended = False
        self._child = child
        self._lock = threading.Lock()
        self._numbers = count()

    def open(self, member: Member) -> int | Generator[bytes, None, None]:
        """Where its bytes stand, or what comes out of them."""
        with self._lock:
            number = next(self._numbers)
            self._child.say(wire.OPEN, number, wire.packed(member))
            kind, data = self._heard()
            if kind != wire.STANDS or len(data) not in (0, wire.SHORT_AT.size):
                raise self._child.nonsense()
        return int(wire.SHORT_AT.unpack(data)[0]) if data else self._blocks(number)

    def end(self) -> None:
        """End the child."""
        self.ended = True
        self._child.end(unwanted=True)

    def _blocks(self, number: int) -> Generator[bytes, None, None]:
        more = True
        try:
            while more:
                found: list[bytes] = []
                with self._lock:
                    self._child.say(wire.NEXT, number)
                    while (frame := self._heard())[0] != wire.END:
                        found.append(_copied(self._child, *frame))
                more = bool(frame[1])
                yield from found
        finally:
            if not self.ended:
                with self._lock:
                    self._child.say(wire.CLOSE, number)

    def _heard(self) -> tuple[bytes, bytes]:
        try:
            kind, data = self._child.frame()
        except LabboxError:
            self.ended = True
            self._child.end()
            raise
        if kind == wire.FAILED:
            raise self._child.said(data)
        return kind, data


def _told(child: Child, data: bytes) -> Told:
    try:
        return wire.unpacked(data)
    except (msgspec.MsgspecError, UnicodeError) as error:
        raise child.nonsense() from error


def _walked(child: Child) -> Iterator[tuple[int, bytes | memoryview]]:
    """The blocks of one file, each good until the next is asked for."""
    while True:
        kind, data = child.frame()
        if kind == wire.END:
            return
        if kind == wire.FAILED:
            raise child.said(data)
        if kind == wire.SHORT and len(data) >= wire.SHORT_AT.size:
            yield wire.SHORT_AT.unpack_from(data)[0], data[wire.SHORT_AT.size :]
        elif kind == wire.BLOCK:
            offset, block, slot = child.block(data)
            yield offset, block
            child.free(slot)
        else:
            raise child.nonsense()


def _copied(child: Child, kind: bytes, data: bytes) -> bytes:
    if kind == wire.SHORT:
        return data[wire.SHORT_AT.size :]
    if kind != wire.BLOCK:
        raise child.nonsense()
    _, block, slot = child.block(data)
    found = bytes(block)
    child.free(slot)
    return found


def _counted(
    blocks: Generator[bytes, None, None], member: Member, label: str
) -> Generator[bytes, None, None]:
    """No more than the list says."""
    left = member.size
    with closing(blocks):
        for block in blocks:
            left -= len(block)
            if left < 0:
                raise wrong(member.name, label, "more comes out of it than it says")
            yield block
    if left:
        raise wrong(member.name, label, "it ends in the middle")


def _held(member: Member) -> int:
    where = member.where
    if where is None or where.stretches is None:
        return member.size
    return sum(length for _, length in where.stretches)
