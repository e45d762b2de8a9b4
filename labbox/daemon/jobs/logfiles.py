"""The log of one attempt on disk: bytes in `log.txt`, and `log.index`, which says what they are.

The index is a row of fixed records, one for each piece that was appended:

    end      where the piece ends in log.txt
    time     when it was seen, microseconds of the epoch
    out, err how far the spool's stdout and stderr had been taken by then
    stream   0 stdout, 1 stderr, 2 labbox itself

A piece is first written to `log.txt`, then recorded. So the index is the truth: what stands in `log.txt`
behind its last record was cut off by a crash, is cut away at the next start, and comes again from the spool.
"""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from labbox.files.copying import write_all
from labbox.model import Stream

LOG, INDEX = "log.txt", "log.index"
_RECORD: Final = struct.Struct("<QQQQB7x")
_STREAMS: Final = (Stream.OUT, Stream.ERR, Stream.BOX)
_OPEN: Final = os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


T = TypeVar("T")


class Piece(NamedTuple):
    """One record of the index."""

    end: int
    time: int  # microseconds of the epoch
    out: int
    err: int
    stream: Stream


NOTHING: Final = Piece(0, 0, 0, 0, Stream.BOX)


def _unpack(data: bytes) -> Piece:
    end, time, out, err, stream = _RECORD.unpack(data)
    return Piece(end, time, out, err, _STREAMS[stream] if stream < len(_STREAMS) else Stream.BOX)


def _whole(size: int) -> int:
    return size - size % _RECORD.size


class LogWriter:
    """Appends to a log; `last` is the newest record."""

    def __init__(self, folder: Path) -> None:
        """Open or make the log in a folder of root's; both files are cut to what the index vouches for."""
        gid = folder.stat().st_gid
        self._log = os.open(folder / LOG, _OPEN | os.O_RDWR, 0o640)
        self._index = os.open(folder / INDEX, _OPEN | os.O_RDWR, 0o640)
        if os.geteuid() == 0:
            os.fchown(self._log, 0, gid)
            os.fchown(self._index, 0, gid)  # readable, so that `scp -r` of the whole folder has no error
        self.last = self._mend()

    def _mend(self) -> Piece:
        size = os.fstat(self._log).st_size
        count = os.fstat(self._index).st_size // _RECORD.size
        last = NOTHING
        while count:
            last = _unpack(os.pread(self._index, _RECORD.size, (count - 1) * _RECORD.size))
            if last.end <= size:
                break
            count -= 1  # a power cut kept the record and lost the bytes
            last = NOTHING
        os.ftruncate(self._index, count * _RECORD.size)
        os.ftruncate(self._log, last.end)
        os.lseek(self._index, 0, os.SEEK_END)
        os.lseek(self._log, 0, os.SEEK_END)
        return last

    def append(self, data: bytes | memoryview, stream: Stream, time: int, out: int, err: int) -> None:
        """Append a piece; `out` and `err` say how far the spool is taken with it."""
        write_all(self._log, data)
        piece = Piece(self.last.end + len(data), time, out, err, stream)
        write_all(self._index, _RECORD.pack(*piece[:4], _STREAMS.index(stream)))
        self.last = piece

    def flush(self) -> None:
        """Have it all on disk, the bytes before what vouches for them."""
        os.fsync(self._log)
        os.fsync(self._index)

    def close(self) -> None:
        """Close both files."""
        os.close(self._log)
        os.close(self._index)


class LogReader:
    """Reads a log while it is written, or afterwards; through `using` in a thread."""

    def __init__(self, folder: Path) -> None:
        """FileNotFoundError where there is none yet."""
        self._log = os.open(folder / LOG, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._reading = threading.Lock()  # nothing is closed under a thread that reads
        self._closed = False
        try:
            self._index = os.open(folder / INDEX, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            os.close(self._log)
            raise

    def close(self) -> None:
        """Close both files, once nobody reads."""
        with self._reading:
            self._closed = True
            os.close(self._log)
            os.close(self._index)

    def using(self, function: Callable[[LogReader], T], nothing: T) -> T:
        """Read with `function`; `nothing` where it was closed before."""
        with self._reading:
            return nothing if self._closed else function(self)

    def _count(self) -> int:
        return os.fstat(self._index).st_size // _RECORD.size

    def _record(self, number: int) -> Piece:
        return _unpack(os.pread(self._index, _RECORD.size, number * _RECORD.size))

    def end(self) -> int:
        """Where the log ends now."""
        count = self._count()
        return self._record(count - 1).end if count else 0

    def first_after(self, offset: int) -> int:
        """The number of the piece that holds the byte at `offset`."""
        low, high = 0, self._count()
        while low < high:
            middle = (low + high) // 2
            if self._record(middle).end <= offset:
                low = middle + 1
            else:
                high = middle
        return low

    def pieces(self, number: int, most: int) -> list[Piece]:
        """Up to `most` records from `number` on."""
        count = max(0, min(most, self._count() - number))
        data = os.pread(self._index, count * _RECORD.size, number * _RECORD.size)
        return [_unpack(data[at : at + _RECORD.size]) for at in range(0, _whole(len(data)), _RECORD.size)]

    def bytes(self, start: int, end: int) -> bytes:
        """What stands between two offsets."""
        return os.pread(self._log, end - start, start)

    def tail(self, lines: int, most: int) -> int:
        """The offset at which the last `lines` lines begin, at most `most` bytes before the end."""
        end = self.end()
        if lines <= 0:
            return end
        floor = max(0, end - most)
        place, block = end, b""
        wanted = lines + 1
        found = 0
        while place > floor:
            start = max(floor, place - (64 << 10))
            block = self.bytes(start, place)
            if place == end and not block.endswith(b"\n"):
                found += 1  # the last line has no end yet
            count = block.count(b"\n")
            if found + count >= wanted:
                at = len(block)
                while found < wanted:
                    at = block.rindex(b"\n", 0, at)
                    found += 1
                return start + at + 1
            found += count
            place = start
        return floor
