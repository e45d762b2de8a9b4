"""Writing tar as POSIX has it (pax): any name, any size, exact times, holes as GNU tar keeps them."""

from __future__ import annotations

import os
from typing import Final

from labbox.files.archives.sinks import Sink
from labbox.files.archives.sparse import Stretches
from labbox.files.places.base import Entry, EntryKind

_BLOCK: Final = 512
_RECORD: Final = 10_240
_OCTAL_SIZE: Final = 0o77777777777
_OCTAL_ID: Final = 0o7777777


class TarWriter:
    """One archive that is being written."""

    def __init__(self, sink: Sink) -> None:
        """Write to `sink`."""
        self._sink = sink
        self._left = 0  # bytes of the present file that are still to come

    def folder(self, path: str, entry: Entry) -> None:
        """Add a folder."""
        self._header(os.fsencode(path) + b"/", entry, b"5", 0)

    def link(self, path: str, entry: Entry, says: str) -> None:
        """Add a symbolic link."""
        self._header(os.fsencode(path), entry, b"2", 0, os.fsencode(says))

    def same(self, path: str, entry: Entry, other: str) -> bool:
        """Add another name of the file `other`."""
        self._header(os.fsencode(path), entry, b"1", 0, os.fsencode(other))
        return True

    def begin(self, path: str, entry: Entry, stretches: Stretches | None = None) -> None:
        """Add a file; its bytes, without holes, come by `data`."""
        name = os.fsencode(path)
        if stretches is None:
            self._header(name, entry, b"0", entry.size)
            self._left = entry.size
            return
        numbers = [len(stretches), *(number for stretch in stretches for number in stretch)]
        table = b"".join(b"%d\n" % number for number in numbers)
        table += bytes(-len(table) % _BLOCK)
        held = sum(length for _, length in stretches)
        facts = {
            b"GNU.sparse.major": b"1",
            b"GNU.sparse.minor": b"0",
            b"GNU.sparse.name": name,
            b"GNU.sparse.realsize": b"%d" % entry.size,
        }
        above, _, last = name.rpartition(b"/")
        stand_in = b"/".join(part for part in (above, b"GNUSparseFile.0", last) if part)
        self._header(stand_in, entry, b"0", len(table) + held, facts=facts)
        self._sink.write(table)
        self._left = held

    def data(self, data: bytes) -> None:
        """The next bytes of the file that was begun."""
        self._left -= len(data)
        self._sink.write(data)

    def end(self) -> None:
        """The file is complete; bytes that did not come are zeros: its header says how many there are."""
        missing = self._left
        for at in range(0, missing, 1 << 20):
            self._sink.write(bytes(min(1 << 20, missing - at)))
        self._left = 0
        self._sink.write(bytes(-self._sink.at % _BLOCK))

    def finish(self) -> None:
        """All came."""
        self._sink.write(bytes(2 * _BLOCK))
        self._sink.write(bytes(-self._sink.at % _RECORD))
        self._sink.finish()

    def _header(
        self,
        name: bytes,
        entry: Entry,
        kind: bytes,
        size: int,
        target: bytes = b"",
        facts: dict[bytes, bytes] | None = None,
    ) -> None:
        facts = dict(facts or {})
        seconds, nanos = divmod(entry.mtime, 1_000_000_000)
        short, prefix = _split(name)
        if prefix is None:
            facts[b"path"] = name
            short, prefix = name[:100], b""
        if len(target) > 100:
            facts[b"linkpath"] = target
        if nanos or not 0 <= seconds <= _OCTAL_SIZE:
            facts[b"mtime"] = _time(entry.mtime)
            seconds = min(max(seconds, 0), _OCTAL_SIZE)
        if size > _OCTAL_SIZE:
            facts[b"size"] = b"%d" % size
        for key, number in ((b"uid", entry.uid or 0), (b"gid", entry.gid or 0)):
            if number > _OCTAL_ID:
                facts[key] = b"%d" % number
        if any(_is_binary(facts.get(key, b"")) for key in (b"path", b"linkpath", b"GNU.sparse.name")):
            facts = {b"hdrcharset": b"BINARY", **facts}
        if facts:
            self._extended(name, facts)
        self._sink.write(_block(short, prefix, entry, kind, 0 if b"size" in facts else size, target, seconds))

    def _extended(self, name: bytes, facts: dict[bytes, bytes]) -> None:
        data = b"".join(_record(key, value) for key, value in facts.items())
        plain = Entry("", EntryKind.FILE, mode=0o644)
        last = name.rstrip(b"/").rpartition(b"/")[2]
        self._sink.write(_block((b"PaxHeaders/" + last)[:100], b"", plain, b"x", len(data), b"", 0))
        self._sink.write(data + bytes(-len(data) % _BLOCK))


def _block(
    name: bytes, prefix: bytes, entry: Entry, kind: bytes, size: int, target: bytes, seconds: int
) -> bytes:
    mode = 0o644 if entry.mode is None else entry.mode
    made = bytearray(_BLOCK)
    made[0 : len(name)] = name
    made[100:108] = b"%07o\0" % mode
    made[108:116] = b"%07o\0" % _small(entry.uid)
    made[116:124] = b"%07o\0" % _small(entry.gid)
    made[124:136] = b"%011o\0" % size
    made[136:148] = b"%011o\0" % seconds
    made[148:156] = b" " * 8
    made[156:157] = kind
    made[157 : 157 + len(target[:100])] = target[:100]
    made[257:265] = b"ustar\00000"
    made[345 : 345 + len(prefix)] = prefix
    made[148:156] = b"%06o\0 " % sum(made)
    return bytes(made)


def _small(number: int | None) -> int:
    return number if number is not None and 0 <= number <= _OCTAL_ID else 0


def _split(name: bytes) -> tuple[bytes, bytes | None]:
    """The name in its two fields; None where it does not fit in them, or is not ASCII."""
    if not name.isascii():
        return b"", None
    if len(name) <= 100:
        return name, b""
    cut = name.find(b"/", max(0, len(name) - 101), len(name) - 1)
    if 0 < cut <= 155:
        return name[cut + 1 :], name[:cut]
    return b"", None


def _record(key: bytes, value: bytes) -> bytes:
    length = len(key) + len(value) + 3
    whole = length + len(str(length))
    whole = length + len(str(whole))
    return b"%d %s=%s\n" % (whole, key, value)


def _time(nanoseconds: int) -> bytes:
    seconds, nanos = divmod(abs(nanoseconds), 1_000_000_000)
    text = f"{'-' if nanoseconds < 0 else ''}{seconds}.{nanos:09d}".rstrip("0").rstrip(".")
    return text.encode()


def _is_binary(value: bytes) -> bool:
    try:
        value.decode("utf-8")
    except UnicodeDecodeError:
        return True
    return False
