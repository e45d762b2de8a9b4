"""Reading zip, its zip64 included (APPNOTE 6.3.10, and Info-ZIP's extra fields).

The list comes from the central directory alone; what stands before the bytes of a file tells only where these
begin. Sizes and checksums are checked against what really comes out.
"""

from __future__ import annotations

import bz2
import calendar
import lzma
import stat
import struct
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from labbox.errors import LabboxError
from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.member import Content, Member, What, Where, encrypted
from labbox.files.archives.names import decoded
from labbox.files.archives.source import Source
from labbox.files.archives.spool import Spool
from labbox.files.archives.streams import unpacker
from labbox.files.listing import shown

_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_CENTRAL: Final = struct.Struct("<4s4B4HL2L5H2L")
_LOCAL: Final = struct.Struct("<4s2B4HL2L2H")
_STEP: Final = 1 << 18
_MOST: Final = 1 << 20
_MANY: Final = 0xFFFFFFFF
_LONGEST_TARGET: Final = 4096
_LZMA_DICTIONARY: Final = 256 << 20
_FILETIME_EPOCH: Final = 116_444_736_000_000_000  # 1970 in steps of 100 ns since 1601
_UNIX: Final = (3, 19)  # who made it: Unix, macOS
STORED, DEFLATED, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93


class ZipReader:
    """A zip archive over a source."""

    mtime_step = 2_000_000_000

    def __init__(self, source: Source, label: str, limits: Limits) -> None:
        """Find the list; LabboxError where there is none."""
        self.label, self.size = label, source.size
        self._source, self._limits = source, limits
        self._start, self._length, self.count, self._shift = self._find()
        limits.check_entries(label, min(self.count, max(limits.entries, limits.listed) + 1))

    def members(self) -> Iterator[Member]:
        """All entries in the order of the list."""
        at, end = self._start, self._start + self._length
        buffer, place = b"", 0
        for _ in range(self.count):
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
            yield self._member(fields, buffer[place + _CENTRAL.size : place + need])
            place += need

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """Offsets and bytes of a member."""
        at = 0
        for block in self._unpacked(member):
            yield at, block
            at += len(block)

    def opened(self, member: Member) -> Content:
        """The bytes of any member."""
        assert member.where is not None  # noqa: S101
        self._check_readable(member)
        if member.where.method == STORED:
            return _Stored(self._source, self._data(member), member.size, self.label)
        return Spool(self._unpacked(member), self.label, self._limits)

    def close(self) -> None:
        """Nothing is its own."""

    def target(self, member: Member) -> str | None:
        """What a symbolic link says; None where that cannot be told."""
        if member.size > _LONGEST_TARGET or member.encrypted:
            return None
        try:
            return decoded(b"".join(self._unpacked(member)))
        except LabboxError:
            return None

    def _find(self) -> tuple[int, int, int, int]:
        """Where the list stands, its bytes, its entries, and what stands before the archive itself."""
        tail_at = max(0, self.size - 65_557)
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
        raw, extra = rest[:name_end], _extras(rest[name_end : name_end + fields[13]])
        external, offset = fields[17], fields[18]
        wide = extra.get(1, b"")
        values: list[int] = []
        for value in (size, packed, offset):
            if value == _MANY and len(wide) >= 8:
                value, wide = struct.unpack_from("<Q", wide)[0], wide[8:]
            values.append(value)
        size, packed, offset = values
        name = _name(raw, flags, system, extra)
        mode: int | None = external >> 16 if system in _UNIX and external >> 16 else None
        what = What.FOLDER if name.endswith("/") else What.FILE
        if mode is not None and what is What.FILE:
            what = _WHAT.get(stat.S_IFMT(mode), What.SPECIAL) if stat.S_IFMT(mode) else What.FILE
        elif system not in _UNIX and external & 0x10:
            what = What.FOLDER
        uid, gid = _owner(extra.get(0x7875, b""))
        member = Member(
            name=name,
            what=what,
            size=size if what in (What.FILE, What.LINK) else 0,
            mtime=_time(clock, date, extra),
            mode=None if mode is None else mode & 0o7777,
            uid=uid,
            gid=gid,
            where=Where(offset + self._shift, packed, method, crc)
            if what in (What.FILE, What.LINK)
            else None,
            encrypted=bool(flags & 0x41),
        )
        return member._replace(target=self.target(member)) if what is What.LINK else member

    def _unpacked(self, member: Member) -> Iterator[bytes]:
        """What comes out of it, checked."""
        where = member.where
        assert where is not None  # noqa: S101
        self._check_readable(member)
        at = self._data(member)
        out, crc = 0, 0
        try:
            for block in _inflated(self._source, at, where.packed, where.method):
                out += len(block)
                if out > member.size:
                    raise self._wrong(member, "more comes out of it than it says")
                crc = zlib.crc32(block, crc)
                yield block
        except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as error:
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
        if at + where.packed > self.size:
            raise self._wrong(member, "it ends in the middle")
        return at

    def _check_readable(self, member: Member) -> None:
        if member.encrypted:
            raise encrypted(member.name, self.label)
        if member.where is not None and member.where.method not in (STORED, DEFLATED, BZIP2, LZMA, ZSTD):
            raise LabboxError(
                "invalid",
                f"cannot read {shown(member.name)} in {shown(self.label)}: it is packed in a way that labbox "
                f"does not know ({member.where.method})",
                "unpack it with 7z in a job",
            )

    def _wrong(self, member: Member, why: str) -> LabboxError:
        return LabboxError(
            "invalid",
            f"cannot read {shown(member.name)} in {shown(self.label)}: {why}",
            "fetch the archive again from where it came, or test it there",
        )

    def _damaged(self, why: str) -> LabboxError:
        return damaged(self.label, why)


class _Stored:
    """Bytes that stand in the archive as they are."""

    def __init__(self, source: Source, at: int, size: int, label: str) -> None:
        self._source, self._at, self._size, self._label = source, at, size, label

    def read_at(self, offset: int, size: int) -> bytes:
        size = min(size, self._size - offset)
        if size <= 0:
            return b""
        data = self._source.read_at(self._at + offset, size)
        if len(data) < size:
            raise damaged(self._label, "it ends in the middle: it was cut off")
        return data

    def close(self) -> None:
        """Nothing is its own."""


_WHAT: Final = {stat.S_IFREG: What.FILE, stat.S_IFDIR: What.FOLDER, stat.S_IFLNK: What.LINK}


def _inflated(source: Source, at: int, packed: int, method: int) -> Iterator[bytes]:
    """What comes out of `packed` bytes at `at`, a mebibyte at once at most."""
    end = at + packed
    take = _TAKERS[method]()
    if method == LZMA:
        head = source.read_at(at, 4)
        length = int.from_bytes(head[2:4], "little")
        properties = source.read_at(at + 4, length)
        if len(properties) != 5:
            raise ValueError("the properties of LZMA are five bytes")
        at += 4 + length
        take = _Pulling(_lzma(properties))
    while at < end:
        data = source.read_at(at, min(_STEP, end - at))
        if not data:
            return
        at += len(data)
        yield from take(data)


class _Deflated:
    """Raw deflate."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(-15)

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data and not self._inner.eof:
            out = self._inner.decompress(data, _MOST)
            data = self._inner.unconsumed_tail
            if out:
                yield out
        while not self._inner.eof and (out := self._inner.decompress(b"", _MOST)):
            yield out


class _Pulling:
    """bzip2 and LZMA, which are asked again for what they hold back."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while not self._inner.eof:
            out = self._inner.decompress(data, _MOST)
            data = b""
            if out:
                yield out
            elif self._inner.needs_input:
                return


def _whole(data: bytes) -> Iterator[bytes]:
    yield data


_TAKERS: Final[dict[int, Callable[[], Callable[[bytes], Iterator[bytes]]]]] = {
    STORED: lambda: _whole,
    DEFLATED: _Deflated,
    BZIP2: lambda: _Pulling(bz2.BZ2Decompressor()),
    LZMA: lambda: _whole,
    ZSTD: lambda: unpacker("zstd").take,
}


def _lzma(properties: bytes) -> lzma.LZMADecompressor:
    first, dictionary = properties[0], int.from_bytes(properties[1:], "little")
    if first >= 9 * 5 * 5 or dictionary > _LZMA_DICTIONARY:
        raise ValueError("properties out of range")
    settings = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(dictionary, 4096),
        "lc": first % 9,
        "lp": first // 9 % 5,
        "pb": first // 45,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings])


def _extras(data: bytes) -> dict[int, bytes]:
    """Extra fields by number, the first of each."""
    found: dict[int, bytes] = {}
    at = 0
    while at + 4 <= len(data):
        number, length = struct.unpack_from("<2H", data, at)
        found.setdefault(number, data[at + 4 : at + 4 + length])
        at += 4 + length
    return found


def _name(raw: bytes, flags: int, system: int, extra: dict[int, bytes]) -> str:
    """With ``/`` between its parts; what does not say how it is written is read as its system writes."""
    wide = extra.get(
        0x7075, b""
    )  # Info-ZIP: the name in UTF-8, and the checksum of the one that it stands for
    if len(wide) > 5 and struct.unpack_from("<L", wide, 1)[0] == zlib.crc32(raw):
        return decoded(wide[5:])
    if flags & 0x800 or system in _UNIX:
        name = decoded(raw)
    else:
        name = raw.decode("cp437")
    if system not in _UNIX and "/" not in name:
        name = name.replace("\\", "/")  # some programs of Windows write what they should not
    return name


def _owner(field: bytes) -> tuple[int | None, int | None]:
    """Info-ZIP's third Unix field: version, then lengths and numbers."""
    if len(field) < 3 or field[0] != 1:
        return None, None
    length = field[1]
    rest = field[2 + length :]
    if not rest or len(rest) < 1 + rest[0]:
        return None, None
    return int.from_bytes(field[2 : 2 + length], "little"), int.from_bytes(rest[1 : 1 + rest[0]], "little")


def _time(clock: int, date: int, extra: dict[int, bytes]) -> int:
    """Nanoseconds of the epoch; the time of MS-DOS knows no zone and is taken for UTC."""
    unix = extra.get(0x5455, b"")
    if len(unix) >= 5 and unix[0] & 1:
        return int(struct.unpack_from("<l", unix, 1)[0]) * 1_000_000_000
    windows = extra.get(0x000A, b"")
    if len(windows) >= 16 and windows[4:8] == b"\1\0\x18\0":
        return (int.from_bytes(windows[8:16], "little") - _FILETIME_EPOCH) * 100
    year, month, day = (date >> 9) + 1980, date >> 5 & 15, date & 31
    if not (1 <= month <= 12 and 1 <= day <= 31):
        return 0
    hour, minute, second = clock >> 11, clock >> 5 & 63, (clock & 31) * 2
    return calendar.timegm((year, month, day, hour, minute, second)) * 1_000_000_000
