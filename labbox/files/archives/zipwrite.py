"""Writing zip with its zip64 fields: names in UTF-8 or as bytes, Unix modes, links, times to the second."""

from __future__ import annotations

import os
import stat
import struct
import time
import zlib
from typing import Final, NamedTuple

from labbox.files.archives.sinks import FileSink
from labbox.files.archives.sparse import Stretches
from labbox.files.places.base import Entry

_LOCAL: Final = struct.Struct("<4s2B4HL2L2H")
_CENTRAL: Final = struct.Struct("<4s4B4HL2L5H2L")
_END: Final = struct.Struct("<4s4H2LH")
_END64: Final = struct.Struct("<4sQ2H2L4Q")
_LOCATOR: Final = struct.Struct("<4sLQL")
_WIDE: Final = 0xF0000000  # bytes from which on a file gets the wide fields: packing may make it longer
_MOST: Final = 0xFFFFFFFF
_UNIX: Final = 3
_LEVEL: Final = 6
_PACKED: Final = (
    *(".gz", ".tgz", ".bz2", ".xz", ".txz", ".zst", ".zip", ".7z", ".png", ".jpg", ".jpeg"),
    *(".mp4", ".mkv", ".mp3", ".ogg", ".webm", ".webp", ".whl", ".docx", ".xlsx", ".npz"),
)
STORED, DEFLATED = 0, 8


class _Row(NamedTuple):
    """What the list at the end says of one entry, but for what is known only then."""

    name: bytes
    entry: Entry
    kind: int  # the bits of a Unix mode that say what it is
    method: int
    at: int
    wide: bool


class ZipWriter:
    """One archive that is being written; its list is held in memory as it will stand at the end."""

    def __init__(self, sink: FileSink) -> None:
        """Write to `sink`."""
        self._sink = sink
        self._list = bytearray()
        self._count = 0
        self._row: _Row | None = None
        self._packer: zlib._Compress | None = None
        self._crc = self._size = self._packed = 0

    def folder(self, path: str, entry: Entry) -> None:
        """Add a folder."""
        self._begin(os.fsencode(path) + b"/", entry, stat.S_IFDIR, STORED, wide=False)
        self.end()

    def link(self, path: str, entry: Entry, says: str) -> None:
        """Add a symbolic link."""
        self._begin(os.fsencode(path), entry, stat.S_IFLNK, STORED, wide=False)
        self.data(os.fsencode(says))
        self.end()

    def same(self, path: str, entry: Entry, other: str) -> bool:
        """Zip has no second names: False, it is added as a file of its own."""
        return False

    def begin(self, path: str, entry: Entry, stretches: Stretches | None = None) -> None:
        """Add a file; its bytes come by `data`."""
        low = path.lower()
        method = STORED if not entry.size or low.endswith(_PACKED) else DEFLATED
        self._begin(os.fsencode(path), entry, stat.S_IFREG, method, wide=entry.size >= _WIDE)

    def data(self, data: bytes) -> None:
        """The next bytes of the entry that was begun."""
        self._crc = zlib.crc32(data, self._crc)
        self._size += len(data)
        self._put(data if self._packer is None else self._packer.compress(data))

    def end(self) -> None:
        """The entry is complete."""
        row = self._row
        assert row is not None  # noqa: S101
        if self._packer is not None:
            self._put(self._packer.flush())
        self._sink.patch(row.at, self._local(row))
        self._list += self._central(row)
        self._count += 1
        self._row = None

    def undo(self) -> None:
        """Forget the entry that was begun."""
        assert self._row is not None  # noqa: S101
        self._sink.back(self._row.at)
        self._row = None

    def finish(self) -> None:
        """All came: write the list."""
        start = self._sink.at
        self._sink.write(bytes(self._list))
        length = len(self._list)
        if self._count >= 0xFFFF or start >= _MOST or length >= _MOST:
            at = self._sink.at
            count = self._count
            self._sink.write(
                _END64.pack(b"PK\6\6", 44, 45 | _UNIX << 8, 45, 0, 0, count, count, length, start)
            )
            self._sink.write(_LOCATOR.pack(b"PK\6\7", 0, at, 1))
        few = min(self._count, 0xFFFF)
        self._sink.write(_END.pack(b"PK\5\6", 0, 0, few, few, min(length, _MOST), min(start, _MOST), 0))
        self._sink.finish()

    def _begin(self, name: bytes, entry: Entry, kind: int, method: int, *, wide: bool) -> None:
        row = self._row = _Row(name, entry, kind, method, self._sink.at, wide)
        self._crc = self._size = self._packed = 0
        self._packer = zlib.compressobj(_LEVEL, zlib.DEFLATED, -15) if method == DEFLATED else None
        self._sink.write(self._local(row))

    def _put(self, data: bytes) -> None:
        self._packed += len(data)
        self._sink.write(data)

    def _local(self, row: _Row) -> bytes:
        extra = b""
        packed, size = self._packed, self._size
        if row.wide:
            extra = struct.pack("<2H2Q", 1, 16, size, packed)
            packed = size = _MOST
        extra += _unix_time(row.entry.mtime) + _owner(row.entry)
        clock, date = _dos(row.entry.mtime)
        head = _LOCAL.pack(
            b"PK\3\4",
            *(45 if row.wide else 20, 0, _flags(row.name), row.method, clock, date, self._crc, packed, size),
            *(len(row.name), len(extra)),
        )
        return head + row.name + extra

    def _central(self, row: _Row) -> bytes:
        packed, size, at = self._packed, self._size, row.at
        wide = b""
        if row.wide:
            wide = struct.pack("<2Q", size, packed)
            packed = size = _MOST
        if at >= _MOST:
            wide += struct.pack("<Q", at)
            at = _MOST
        extra = (struct.pack("<2H", 1, len(wide)) + wide if wide else b"") + _unix_time(row.entry.mtime)
        extra += _owner(row.entry)
        clock, date = _dos(row.entry.mtime)
        mode = (0o755 if row.kind == stat.S_IFDIR else 0o644) if row.entry.mode is None else row.entry.mode
        external = (row.kind | mode) << 16 | (0x10 if row.kind == stat.S_IFDIR else 0)
        need = 45 if wide else 20
        head = _CENTRAL.pack(
            b"PK\1\2",
            *(need, _UNIX, need, 0, _flags(row.name), row.method, clock, date, self._crc, packed, size),
            *(len(row.name), len(extra), 0, 0, 0, external, at),
        )
        return head + row.name + extra


def _flags(name: bytes) -> int:
    if name.isascii():
        return 0
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return 0  # the bytes as they are, as programs of Unix have always done
    return 0x800


def _unix_time(mtime: int) -> bytes:
    seconds = mtime // 1_000_000_000
    return struct.pack("<2HBl", 0x5455, 5, 1, seconds) if -(1 << 31) <= seconds < 1 << 31 else b""


def _owner(entry: Entry) -> bytes:
    if entry.uid is None or entry.gid is None:
        return b""
    return struct.pack("<2H2BLBL", 0x7875, 11, 1, 4, entry.uid & _MOST, 4, entry.gid & _MOST)


def _dos(mtime: int) -> tuple[int, int]:
    year, month, day, hour, minute, second = time.gmtime(min(max(mtime // 1_000_000_000, 0), 1 << 32))[:6]
    if year < 1980:
        return 0, 0x21
    return hour << 11 | minute << 5 | second // 2, min(year - 1980, 127) << 9 | month << 5 | day
