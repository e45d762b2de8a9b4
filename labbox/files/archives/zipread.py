"""Reading zip, its zip64 included (APPNOTE 6.3.10, and Info-ZIP's extra fields).

The list comes from the central directory alone; what stands before the bytes of a file tells only where these
begin. Sizes and checksums are checked against what really comes out.
"""

from __future__ import annotations

import stat
import struct
import zlib
from collections.abc import Iterator
from typing import Any, Final

from labbox.errors import LabboxError
from labbox.files.archives.inflating import ERRORS, KNOWN, STORED, inflated
from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.member import Member, What, Where, encrypted, wrong
from labbox.files.archives.names import decoded
from labbox.files.archives.source import Source
from labbox.files.archives.zipfields import UNIX, extras, name_of, owner_of, says_nothing, time_of
from labbox.files.archives.zipnames import guess
from labbox.files.listing import shown

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_CENTRAL: Final = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL: Final = struct.Struct("<4s2B4HL2L2H")
_STEP: Final = 1 << 18
_MANY: Final = 0xFFFFFFFF
_LONGEST_TARGET: Final = 4096
_WHAT: Final = {stat.S_IFREG: What.FILE, stat.S_IFDIR: What.FOLDER, stat.S_IFLNK: What.LINK}


class ZipReader:
    """A zip archive over a source."""

    whole = False

    def __init__(self, source: Source, label: str, limits: Limits) -> None:
        """Find the list; LabboxError where there is none."""
        self._label, self._size = label, source.size
        self._source, self._limits = source, limits
        self._codec = ""
        self._start, self._length, self._count, self._shift = self._find()
        limits.check_entries(label, min(self._count, max(limits.entries, limits.listed) + 1))

    def members(self) -> Iterator[Member]:
        """All entries in the order of the list."""
        for fields, rest in self._entries():
            yield self._member(fields, rest)

    def _codec_of_names(self) -> str:
        """How the names are written that do not say it: one guess for all of them."""
        if not self._codec:
            self._codec = guess(
                rest[: fields[12]]
                for fields, rest in self._entries()
                if says_nothing(
                    rest[: fields[12]],
                    fields[5],
                    fields[2],
                    extras(rest[fields[12] : fields[12] + fields[13]]),
                )
            )
        return self._codec

    def _entries(self) -> Iterator[tuple[tuple[Any, ...], bytes]]:
        """The fields of each, and the name and all else that stands behind them."""
        at, end = self._start, self._start + self._length
        buffer, place = b"", 0
        for _ in range(self._count):
            for need in (_CENTRAL.size, 0):
                if not need:
                    fields = _CENTRAL.unpack_from(buffer, place)
                    if fields[0] != b"PK\1\2":
                        raise self._damaged("its list is damaged")
                    need = _CENTRAL.size + fields[12] + fields[13] + fields[14]
                if len(buffer) - place < need:
                    piece = self._source.read_at(at, min(_STEP, end - at))
                    buffer, place, at = buffer[place:] + piece, 0, at + len(piece)
                if len(buffer) - place < need:
                    raise self._damaged("its list ends in the middle")
            yield fields, buffer[place + _CENTRAL.size : place + need]
            place += need

    def stands(self, member: Member) -> int | None:
        """Where its bytes begin, unless they are packed."""
        assert member.where is not None  # noqa: S101
        self._check_readable(member)
        return self._data(member) if member.where.method == STORED else None

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """Offsets and bytes of a member."""
        at = 0
        for block in self.unpacked(member):
            yield at, block
            at += len(block)

    def target(self, member: Member) -> str | None:
        """What a symbolic link says; None where that cannot be told."""
        if member.size > _LONGEST_TARGET or member.encrypted:
            return None
        try:
            return decoded(b"".join(self.unpacked(member)))
        except LabboxError:
            return None

    def _find(self) -> tuple[int, int, int, int]:
        """Where the list stands, its bytes, its entries, and what stands before the archive itself."""
        tail_at = max(0, self._size - 65_557)
        tail = self._source.read_at(tail_at, 65_557)
        found = len(tail)
        while (found := tail.rfind(b"PK\5\6", 0, found)) >= 0:
            if (
                len(tail) - found >= _END.size
                and _END.unpack_from(tail, found)[7] <= len(tail) - found - _END.size
            ):
                break
        if found < 0:
            cut = self._source.read_at(0, 4) == b"PK\3\4"
            raise self._damaged("it was cut off: its list is missing" if cut else "it is no zip archive")
        fields = _END.unpack_from(tail, found)
        count, length, offset, end = fields[4], fields[5], fields[6], tail_at + found
        if 0xFFFF in fields[1:5] or _MANY in (length, offset):
            locator = (
                self._source.read_at(end - _LOCATOR.size, _LOCATOR.size) if end >= _LOCATOR.size else b""
            )
            if locator[:4] == b"PK\6\7":
                end -= _LOCATOR.size
                record = self._source.read_at(_LOCATOR.unpack(locator)[2], _END64.size)
                end = _LOCATOR.unpack(locator)[2]
                if record[:4] != b"PK\6\6":  # something stands before the archive
                    end = tail_at + found - _LOCATOR.size - _END64.size
                    record = self._source.read_at(end, _END64.size)
                if record[:4] != b"PK\6\6" or len(record) < _END64.size:
                    raise self._damaged("its list is damaged")
                wide = _END64.unpack(record)
                count, length, offset = wide[7], wide[8], wide[9]
        start = end - length
        if start < 0 or count * _CENTRAL.size > length or start < offset:
            raise self._damaged("its list is damaged")
        return start, length, count, start - offset

    def _member(self, fields: tuple[Any, ...], rest: bytes) -> Member:
        (_, _made, system, _need, _, flags, method, clock, date, crc, packed, size) = fields[:12]
        name_end = fields[12]
        raw, extra = rest[:name_end], extras(rest[name_end : name_end + fields[13]])
        external, offset = fields[17], fields[18]
        wide = extra.get(1, b"")
        values: list[int] = []
        for value in (size, packed, offset):
            if value == _MANY and len(wide) >= 8:
                value, wide = struct.unpack_from("<Q", wide)[0], wide[8:]
            values.append(value)
        size, packed, offset = values
        name = name_of(raw, flags, system, extra, self._codec_of_names)
        mode: int | None = external >> 16 if system in UNIX and external >> 16 else None
        what = What.FOLDER if name.endswith("/") else What.FILE
        if mode is not None and what is What.FILE:
            what = _WHAT.get(stat.S_IFMT(mode), What.SPECIAL) if stat.S_IFMT(mode) else What.FILE
        elif system not in UNIX and external & 0x10:
            what = What.FOLDER
        uid, gid = owner_of(extra.get(0x7875, b""))
        member = Member(
            name=name,
            what=what,
            size=size if what in (What.FILE, What.LINK) else 0,
            mtime=time_of(clock, date, extra),
            mode=None if mode is None else mode & 0o7777,
            uid=uid,
            gid=gid,
            where=Where(offset + self._shift, packed, method, crc)
            if what in (What.FILE, What.LINK)
            else None,
            encrypted=bool(flags & 0x41),
        )
        return member._replace(target=self.target(member)) if what is What.LINK else member

    def unpacked(self, member: Member) -> Iterator[bytes]:
        """What comes out of it, checked."""
        where = member.where
        assert where is not None  # noqa: S101
        self._check_readable(member)
        at = self._data(member)
        out, crc = 0, 0
        try:
            for block in inflated(self._source, at, where.packed, where.method):
                out += len(block)
                if out > member.size:
                    raise self._wrong(member, "more comes out of it than it says")
                crc = zlib.crc32(block, crc)
                yield block
        except ERRORS as error:
            raise self._wrong(member, "its data is damaged") from error
        if out < member.size:
            raise self._wrong(member, "it ends in the middle")
        if crc != where.crc:
            raise self._wrong(member, "its checksum does not fit")

    def _data(self, member: Member) -> int:
        """Where the bytes of a member begin."""
        where = member.where
        assert where is not None  # noqa: S101
        header = self._source.read_at(where.offset, _LOCAL.size) if where.offset >= 0 else b""
        if len(header) < _LOCAL.size or header[:4] != b"PK\3\4":
            raise self._wrong(member, "it is not where the archive's list says")
        fields = _LOCAL.unpack(header)
        at: int = where.offset + _LOCAL.size + fields[-2] + fields[-1]
        if at + where.packed > self._size:
            raise self._wrong(member, "it ends in the middle")
        return at

    def _check_readable(self, member: Member) -> None:
        if member.encrypted:
            raise encrypted(member.name, self._label)
        if member.where is not None and member.where.method not in KNOWN:
            raise LabboxError(
                "invalid",
                f"cannot read {shown(member.name)} in {shown(self._label)}: it is packed in a way that "
                f"labbox does not know ({member.where.method})",
                "unpack it with 7z in a job",
            )

    def _wrong(self, member: Member, why: str) -> LabboxError:
        return wrong(member.name, self._label, why)

    def _damaged(self, why: str) -> LabboxError:
        return damaged(self._label, why)
