"""Reading tar: POSIX (pax), ustar and GNU, also packed; see `man 5 tar` of GNU and POSIX.1-2017, pax.

One pass forward tells of all entries. Nothing that a header says is believed beyond what can be checked:
sizes are capped, names stay text, numbers out of range end the reading in words.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.member import Member, What, Where
from labbox.files.archives.names import decoded
from labbox.files.archives.source import Source
from labbox.files.archives.sparse import Stretches, from_pairs, read_map
from labbox.files.archives.streams import SourceStream, Stream, compression, unpacked

BLOCK: Final = 512
_PIECE: Final = 1 << 18
_MOST_NUMBER: Final = 1 << 62
_TYPES: Final = {
    b"0": What.FILE,
    b"\0": What.FILE,
    b"7": What.FILE,
    b"S": What.FILE,
    b"1": What.SAME,
    b"2": What.LINK,
    b"3": What.SPECIAL,
    b"4": What.SPECIAL,
    b"5": What.FOLDER,
    b"6": What.SPECIAL,
    b"D": What.FOLDER,
}


_EMPTY: Final = frozenset((b"1", b"2", b"3", b"4", b"5", b"6"))  # no bytes follow, whatever their size says


class TarReader:
    """The tar family."""

    def __init__(self, source: Source, label: str, limits: Limits) -> None:
        """Looks only how it begins."""
        self._label, self._source, self._limits = label, source, limits
        self._packed = compression(source)
        self.whole = bool(self._packed)
        self._stream: Stream | None = None

    def members(self) -> Iterator[Member]:
        """All entries in order."""
        stream = self._stream = self._opened()
        own: dict[str, bytes] = {}
        common: dict[str, bytes] = {}
        zeros = count = 0
        while True:
            header = stream.read(BLOCK)
            if len(header) < BLOCK:
                if header or not (zeros or count) or own:
                    raise self._damaged(
                        "it ends in the middle: it was cut off" if count else "it is no tar archive"
                    )
                break  # without the end mark that it should have, as some programs write it
            if not header.strip(b"\0"):
                zeros += 1
                if zeros == 2:
                    break
                continue
            self._check(header, first=not count)
            count += 1
            kind, size = header[156:157], self._number(header[124:136])
            data = stream.at
            if kind in (b"x", b"g", b"L", b"K"):
                self._extension(kind, self._short(stream, size), own, common)
                stream.skip_to(data + _padded(size))
                continue
            facts = {**common, **own}
            own = {}
            member, after = self._member(stream, header, kind, size, facts)
            yield member
            if not stream.skip_to(after):
                raise self._damaged("it ends in the middle: it was cut off")
        if self._packed:
            while stream.some(_PIECE):  # its checksum stands at the end
                pass

    def stands(self, member: Member) -> int | None:
        """Its bytes stand together, unless all is packed."""
        assert member.where is not None  # noqa: S101
        return None if self.whole else member.where.offset

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """Offsets and bytes of the present member."""
        where, stream = member.where, self._stream
        assert where is not None and stream is not None  # noqa: S101
        stream.skip_to(where.offset)
        for start, length in where.stretches if where.stretches is not None else ((0, member.size),):
            done = 0
            while done < length:
                piece = stream.some(min(_PIECE, length - done))
                if not piece:
                    raise self._damaged("it ends in the middle: it was cut off")
                yield start + done, bytes(piece)
                done += len(piece)

    def unpacked(self, member: Member) -> Iterator[bytes]:
        """All that comes out, whichever file is asked for."""
        return unpacked(self._source, self._label, self._limits, self._packed)

    def _opened(self) -> Stream:
        if self._packed:
            return Stream(unpacked(self._source, self._label, self._limits, self._packed))
        return SourceStream(self._source)

    def _member(
        self, stream: Stream, header: bytes, kind: bytes, size: int, facts: dict[str, bytes]
    ) -> tuple[Member, int]:
        """The entry, and where the next header stands."""
        name = self._name(header)
        target = header[157:257].split(b"\0", 1)[0]
        what = _TYPES.get(kind, What.FILE if kind not in b"MVNX" else What.SPECIAL)
        if what is What.FILE and name.endswith(b"/"):
            what = What.FOLDER  # before POSIX folders were told so
        mtime = self._number(header[136:148], signed=True) * 1_000_000_000
        if facts:
            name, target = facts.get("path", name), facts.get("linkpath", target)
            size = self._fact(facts, "size", size)
            mtime = self._time(facts.get("mtime"), mtime)
        start = stream.at
        stretches: Stretches | None = None
        real = size
        if kind == b"S":
            stretches, real = self._old_sparse(stream, header)
            start = stream.at
        elif "GNU.sparse.major" in facts or "GNU.sparse.map" in facts or "GNU.sparse.size" in facts:
            name = facts.get("GNU.sparse.name", name)
            real = self._fact(facts, "GNU.sparse.realsize", self._fact(facts, "GNU.sparse.size", size))
            if "GNU.sparse.map" in facts:
                stretches = from_pairs(facts["GNU.sparse.map"].replace(b",", b" ").split(), self._label)
            elif "GNU.sparse.major" in facts:
                stretches = read_map(stream, size, self._limits, self._label)
        held = size - (stream.at - start) if kind != b"S" else size
        if stretches is not None:
            self._check_stretches(stretches, held, real)
        member = Member(
            name=decoded(name),
            what=what,
            size=real if what is What.FILE else 0,
            mtime=mtime,
            mode=self._number(header[100:108]) & 0o7777,
            uid=self._fact(facts, "uid", self._number(header[108:116], signed=True)),
            gid=self._fact(facts, "gid", self._number(header[116:124], signed=True)),
            target=decoded(target) if what in (What.LINK, What.SAME) else None,
            where=Where(stream.at, held, stretches=stretches) if what is What.FILE else None,
        )
        return member, start + (0 if kind in _EMPTY else _padded(size))

    def _extension(self, kind: bytes, data: bytes, own: dict[str, bytes], common: dict[str, bytes]) -> None:
        if kind == b"L":
            own["path"] = data.split(b"\0", 1)[0]
        elif kind == b"K":
            own["linkpath"] = data.split(b"\0", 1)[0]
        else:
            self._records(data, own if kind == b"x" else common)

    def _records(self, data: bytes, into: dict[str, bytes]) -> None:
        r"""``LENGTH KEY=VALUE\n``, as often as there is room."""
        at = 0
        pairs: list[bytes] = []
        while at < len(data) and data[at]:
            space = data.find(b" ", at, at + 20)
            length = data[at:space]
            if space < 0 or not length.isdigit() or not space < at + int(length) <= len(data):
                raise self._damaged("an extended header is damaged")
            end = at + int(length)
            key, equals, value = data[space + 1 : end - 1].partition(b"=")
            if not equals or data[end - 1 : end] != b"\n":
                raise self._damaged("an extended header is damaged")
            if key in (b"GNU.sparse.offset", b"GNU.sparse.numbytes"):
                pairs.append(value)
            else:
                into[decoded(key)] = value
            at = end
        if pairs:
            into["GNU.sparse.map"] = b",".join(pairs)

    def _short(self, stream: Stream, size: int) -> bytes:
        if size > self._limits.header:
            raise self._damaged("what it tells of one entry is too long")
        data = stream.read(size)
        if len(data) < size:
            raise self._damaged("it ends in the middle: it was cut off")
        return data

    def _old_sparse(self, stream: Stream, header: bytes) -> tuple[Stretches, int]:
        """GNU's old way: four stretches in the header, 21 in each block behind it."""
        found: list[tuple[int, int]] = []
        real = self._number(header[483:495])
        table, more = header[386:482], header[482]
        while True:
            for at in range(0, len(table) - 23, 24):
                if not table[at : at + 24].strip(b"\0"):
                    break
                found.append((self._number(table[at : at + 12]), self._number(table[at + 12 : at + 24])))
            if not more:
                return tuple(found), real
            if len(found) * 24 > self._limits.header:
                raise self._damaged("what it tells of one entry is too long")
            block = self._short(stream, BLOCK)
            table, more = block[:504], block[504]

    def _check_stretches(self, stretches: Stretches, held: int, real: int) -> None:
        before = total = 0
        for start, length in stretches:
            if start < before or length < 0 or start + length > real:
                raise self._damaged("what it tells of the holes in a file cannot be")
            before = start + length
            total += length
        if total > held:
            raise self._damaged("what it tells of the holes in a file cannot be")

    def _check(self, header: bytes, *, first: bool) -> None:
        said = header[148:156].strip(b" \0")
        plain = sum(header) - sum(header[148:156]) + 256
        if said.isdigit() and plain == _octal(said):
            return
        signed = plain - 256 * sum(1 for byte in header[:148] + header[156:] if byte > 127)
        if not said.isdigit() or signed != _octal(said):
            raise self._damaged("it is no tar archive" if first else "a header in it is damaged")

    def _number(self, field: bytes, *, signed: bool = False) -> int:
        if field[0] & 0x80:
            value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
            if field[0] & 0x40:
                value -= 1 << (8 * len(field) - 1)
        else:
            text = field.split(b"\0", 1)[0].strip()
            if not text:
                return 0
            value = _octal(text)
            if value < 0:
                raise self._damaged("a number in it is none")
        if abs(value) > _MOST_NUMBER or (value < 0 and not signed):
            raise self._damaged("a number in it is out of range")
        return value

    def _fact(self, facts: dict[str, bytes], key: str, otherwise: int) -> int:
        text = facts.get(key)
        if text is None:
            return otherwise
        if not text.isdigit() or len(text) > 18:
            raise self._damaged("a number in it is none")
        return int(text)

    def _time(self, text: bytes | None, otherwise: int) -> int:
        """Seconds with a fraction, as nanoseconds."""
        if text is None:
            return otherwise
        whole, _, fraction = text.partition(b".")
        digits = whole.removeprefix(b"-")
        if not digits.isdigit() or len(digits) > 12 or (fraction and not fraction.isdigit()):
            return otherwise
        nanos = int((fraction[:9] + b"0" * 9)[:9])
        seconds = int(digits) * 1_000_000_000 + nanos
        return -seconds if whole.startswith(b"-") else seconds

    def _name(self, header: bytes) -> bytes:
        name = header[:100].split(b"\0", 1)[0]
        if header[257:263] == b"ustar\0":
            prefix = header[345:500].split(b"\0", 1)[0]
            if prefix:
                return prefix + b"/" + name
        return name

    def _damaged(self, why: str) -> Exception:
        return damaged(self._label, why)


def _octal(text: bytes) -> int:
    try:
        return int(text, 8)
    except ValueError:
        return -1


def _padded(size: int) -> int:
    return -(-size // BLOCK) * BLOCK
