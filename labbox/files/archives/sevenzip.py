"""Reading 7z through the program of 7-Zip, where it is installed.

It is asked for two things only: a list, and the bytes of all files one behind the other on its output. It
is given no name from an archive, and runs confined: see `labbox.files.foreign`.
"""

from __future__ import annotations

import calendar
import os
import shutil
import stat
import tempfile
import threading
import time
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import IO, Final

from labbox.errors import LabboxError
from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.member import Content, Member, What, Where, encrypted
from labbox.files.archives.names import decoded
from labbox.files.archives.source import Source, closed
from labbox.files.archives.sparse import SparseContent
from labbox.files.archives.spool import Spool, cache_folder
from labbox.files.archives.streams import Stream
from labbox.files.foreign import FILE, Program
from labbox.files.listing import shown
from labbox.files.places.errors import explained

# The program itself: in Debian 13 what stands in the path is a shell script, which is not let in.
_PROGRAMS: Final = ("7zz", "/usr/lib/7zip/7za", "/usr/lib/7zip/7z", "/usr/lib/p7zip/7za", "7zzs", "7za", "7z")
_MEMORY: Final = 4 << 30
_SECONDS: Final = 3600  # of the processor
_STEP: Final = 1 << 18
_WHAT: Final = {"d": What.FOLDER, "l": What.LINK, "-": What.FILE}


class SevenZipReader:
    """A 7z archive over a source."""

    mtime_step = 1_000_000_000

    def __init__(self, source: Source, label: str, limits: Limits) -> None:
        """Find the program; LabboxError with the way out where there is none."""
        self.label, self.size = label, source.size
        self._source, self._limits = source, limits
        self._program = program(label)
        self._own: int | None = None
        self._copy: IO[bytes] | None = None
        self._running: list[Program] = []
        self._closed = False
        self._starting, self._fetching = threading.Lock(), threading.Lock()  # several threads may read
        self._stream: Stream | None = None
        self._spool: Spool | None = None
        if source.read_at(0, 6) != b"7z\xbc\xaf\x27\x1c":
            raise damaged(label, "it is no 7z archive")

    def members(self) -> Iterator[Member]:
        """All entries in the order in which their bytes come."""
        at = 0
        self._stream = None
        listing = self._run("l", "-slt", "-ba")
        for facts in _records(lambda most: self._read(listing.out.readline, most), self._limits.header):
            member = self._member(facts, at)
            at += member.size
            if member.what is What.LINK and member.size <= 4096 and not member.encrypted:
                member = member._replace(target=decoded(self.opened(member).read_at(0, member.size)))
            yield member
        self._ended(listing)

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """Offsets and bytes of the present member."""
        self._check_readable(member)
        assert member.where is not None  # noqa: S101
        if self._stream is None:
            self._stream = Stream(self._all())
        done = 0
        missing = not self._stream.skip_to(member.where.offset)
        while done < member.size and not missing:
            piece = self._stream.some(min(_STEP, member.size - done))
            missing = not piece
            yield done, bytes(piece)
            done += len(piece)
        if missing:
            raise damaged(self.label, "it ends in the middle: it was cut off")

    def opened(self, member: Member) -> Content:
        """The bytes of any member."""
        self._check_readable(member)
        assert member.where is not None  # noqa: S101
        if self._spool is None:
            self._spool = Spool(self._all(), self.label, self._limits)
        return SparseContent(self._spool, member.where, member.size, self.label)

    def close(self) -> None:
        """End what runs, and let go of what was unpacked."""
        with self._starting:
            self._closed = True
        for process in self._running:
            process.kill()
        if self._spool is not None:
            self._spool.close()
        if self._copy is not None:
            self._copy.close()
        if self._own is not None:
            os.close(self._own)
            self._own = None

    def _member(self, facts: dict[bytes, bytes], at: int) -> Member:
        words = facts.get(b"Attributes", b"").decode("ascii", "replace").split()
        kind = What.FOLDER if words and "D" in words[0] else What.FILE
        mode: int | None = None
        if len(words) > 1 and len(words[1]) == 10:
            kind = _WHAT.get(words[1][0], What.SPECIAL)
            mode = _mode(words[1])
        size = _number(facts.get(b"Size", b""))
        return Member(
            name=decoded(facts.get(b"Path", b"")),
            what=kind,
            size=size,
            mtime=_time(facts.get(b"Modified", b"")),
            mode=mode,
            where=Where(at, size) if kind in (What.FILE, What.LINK) else None,
            encrypted=facts.get(b"Encrypted", b"-") == b"+",
        )

    def _all(self) -> Generator[bytes, None, None]:
        """The bytes of all files."""
        total = 0
        process = self._run("x", "-so")
        while block := self._read(process.out.read, _STEP):
            total += len(block)
            self._limits.check_size(self.label, total, self.size)
            yield block
        self._ended(process)

    def _read(self, read: Callable[[int], bytes], most: int) -> bytes:
        try:
            return read(most)
        except ValueError:  # its output was closed
            raise closed(self.label) from None

    def _run(self, *words: str) -> Program:
        with self._fetching:
            file = self._file()
        with self._starting:
            if self._closed:
                raise closed(self.label)
            self._running = [one for one in self._running if one.pid]
            words = (self._program, *words, "-t7z", "-p", "-y", "-bd", FILE)
            process = Program(list(words), file, _MEMORY, _SECONDS)
            self._running.append(process)
        return process

    def _file(self) -> int:
        """The archive as a descriptor; from elsewhere it is fetched, for the program jumps about in it."""
        if self._own is None:
            self._own = self._source.duplicate()
        if self._own is not None:
            return self._own
        if self._copy is None:
            if self._source.size > self._limits.kept:
                raise damaged(self.label, "it is too large to be looked into from another place")
            with explained("keep", self.label):
                self._copy = tempfile.TemporaryFile(dir=cache_folder())
                at = 0
                while block := self._source.read_at(at, 1 << 20):
                    self._copy.write(block)
                    at += len(block)
                self._copy.flush()
        return self._copy.fileno()

    def _ended(self, process: Program) -> None:
        if not process.end():
            raise LabboxError(
                "invalid",
                f"cannot read {shown(self.label)}: it is damaged, or encrypted",
                "unpack it with 7z where you may type its password, or fetch it again",
            )

    def _check_readable(self, member: Member) -> None:
        if member.encrypted:
            raise encrypted(member.name, self.label)


def program(label: str) -> str:
    """The path of 7-Zip's program; LabboxError where it is not installed."""
    for name in _PROGRAMS:
        found = shutil.which(name)
        if found and _is_program(found):
            return found
    raise LabboxError(
        "unavailable",
        f"cannot open {shown(label)}: the program for 7z archives is not installed on the box",
        "ask whoever runs the box to install 7zip (apt install 7zip), or pack it as zip or tar.zst instead",
    )


def _is_program(path: str) -> bool:
    try:
        with Path(path).open("rb") as file:
            return file.read(4) == b"\x7fELF"
    except OSError:
        return False


def _records(line_of: Callable[[int], bytes], longest: int) -> Iterator[dict[bytes, bytes]]:
    """What stands between two empty lines; a name may go over several lines."""
    facts: dict[bytes, bytes] = {}
    length = 0
    last = b""
    while line := line_of(longest):
        length += len(line)
        if length >= longest:
            return
        line = line.removesuffix(b"\n")
        key, equals, value = line.partition(b" = ")
        if key == b"Path" and b"Size" in facts:
            yield facts
            facts = {}
        if equals and key in _KEYS and key not in facts:
            facts[key] = value
            last = key
        elif last == b"Path" and (line or b"Size" not in facts) and facts:
            facts[b"Path"] += b"\n" + line
        length = length if facts.get(b"Path") else 0
        if b"Block" in facts:
            yield facts
            facts, length, last = {}, 0, b""
    if facts:
        yield facts


_KEYS: Final = (b"Path", b"Size", b"Modified", b"Attributes", b"Encrypted", b"Block")


def _mode(text: str) -> int:
    bits = 0
    for letter, bit in zip(text[1:], (0o400, 0o200, 0o100, 0o40, 0o20, 0o10, 4, 2, 1), strict=True):
        bits |= bit if letter not in "-ST" else 0
    special = zip((text[3], text[6], text[9]), (stat.S_ISUID, stat.S_ISGID, stat.S_ISVTX), strict=True)
    return bits | sum(bit for letter, bit in special if letter in "sStT")


def _number(text: bytes) -> int:
    return int(text) if text.isdigit() and len(text) <= 18 else 0


def _time(text: bytes) -> int:
    whole, _, fraction = text.decode("ascii", "replace").partition(".")
    try:
        seconds = calendar.timegm(time.strptime(whole, "%Y-%m-%d %H:%M:%S"))
    except ValueError:
        return 0
    nanos = int((fraction + "0" * 9)[:9]) if fraction.isdigit() else 0
    return seconds * 1_000_000_000 + nanos
