"""Logs of runs: from the spool that the run writes to into the results, and from there to whoever follows.

A run writes `stdout` and `stderr` in its spool folder; this takes what is new, appends it to the log, and
records how far it came in the same step (`logfiles`), so a killed daemon loses and doubles nothing. Lines of
the two streams are kept whole where they come whole. All file work happens in a thread pool of its own;
nothing runs while no run does.
"""

from __future__ import annotations

import asyncio
import os
import re
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeVar

from labbox.daemon.jobs.logfiles import LogReader, LogWriter
from labbox.files.following import ProgressOfSteps
from labbox.model import Progress, Stream
from labbox.protocol import LogRecord
from labbox.text import decode, format_bytes

THREADS: Final = 2
_READ: Final = 1 << 20  # bytes taken from one stream at once
_TURN: Final = 8  # such reads before others have their turn
_LINE: Final = 64 << 10  # a line is kept whole up to here
_PARTIAL_SECONDS: Final = 0.5  # a line without end is shown after that: prompts, bars that redraw themselves
_FAST: Final = 0.02  # seconds between two looks while a run is young
_FAST_SECONDS: Final = 1.0
_FOLLOWED: Final = 0.1  # seconds between two looks while somebody follows
_CALM: Final = 0.25
_RECORD_BYTES: Final = 64 << 10  # text of one LogRecord
_OWN_BYTES: Final = 1 << 20  # what labbox itself may say beyond the limit
_PIECES: Final = 256  # records of the index read at once
_BATCH_BYTES: Final = 1 << 20  # text handed to one follower at once
_TAIL_BYTES: Final = 16 << 20  # a tail looks no further back
_PROGRESS: Final = re.compile(
    rb"(?:^|[\r\n])labbox:progress +([0-9]{1,15}(?:\.[0-9]{1,9})?)"
    rb" */ *([0-9]{1,15}(?:\.[0-9]{1,9})?)(?=[\r\n]|$)"
)
_SPOOLED: Final = ((Stream.OUT, "stdout"), (Stream.ERR, "stderr"))

T = TypeVar("T")
Took = Callable[[Progress], None]


class _Spool:
    """One stream of a run and how far it was taken."""

    def __init__(self, path: Path, stream: Stream, taken: int) -> None:
        self.stream = stream
        self.taken = taken
        self._path = path
        self._file: int | None = None
        self._partial_since: float | None = None

    def take(self, final: bool, now: float) -> bytes:
        """What is new, up to the end of a line; the rest stays until it is long, old or the last."""
        if self._file is None:
            try:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
                self._file = os.open(self._path, flags)
            except FileNotFoundError:
                return b""
        data = os.pread(self._file, _READ, self.taken)
        if not data:
            # A run can cut its own spool: what was taken stays, what comes then is taken from its new end.
            self.taken = min(self.taken, os.fstat(self._file).st_size)
            self._partial_since = None
            return b""
        end = data.rfind(b"\n") + 1
        if not end and (final or len(data) >= _LINE or self._is_old(now)):
            end = len(data) if final else _whole_characters(data)
        if end:
            self._partial_since = None
        self.taken += end
        return data[:end]

    def _is_old(self, now: float) -> bool:
        if self._partial_since is None:
            self._partial_since = now
        return now - self._partial_since >= _PARTIAL_SECONDS

    def has_news(self) -> bool:
        """Whether the file has another size than what was taken of it."""
        try:
            found = os.lstat(self._path) if self._file is None else os.fstat(self._file)
        except FileNotFoundError:
            return False
        return found.st_size != self.taken

    def close(self) -> None:
        if self._file is not None:
            os.close(self._file)
            self._file = None


class RunLog:
    """The log of one attempt while it runs; made by `Logs.open`."""

    def __init__(
        self, logs: Logs, results: Path, spool: Path, limit: int, took: Took, full: Callable[[], None]
    ) -> None:
        """`took` gets the progress that the run prints; `full` is called once at `limit` bytes."""
        self._logs = logs
        self._results, self._spool, self._limit = results, spool, limit
        self._took, self._full = took, full
        # one pump at a time, also where a cancelled follower's is still at it
        self._pumping = threading.Lock()
        self._writer: LogWriter | None = None
        self._spools: tuple[_Spool, ...] = ()
        self._said: list[str] = []
        self._is_full = self._told_full = False
        self._meter = ProgressOfSteps("running")
        self._began: float | None = None
        self._hurry = asyncio.Event()
        self.followers = 0
        self.changed = asyncio.Event()
        self.finished = False

    def say(self, text: str) -> None:
        """A line of labbox's own."""
        self._said.append(text if text.endswith("\n") else text + "\n")
        self._hurry.set()

    def begins(self) -> None:
        """The run has just been started: its first words are waited for closely."""
        self._began = time.monotonic()
        self._hurry.set()

    async def follow(self) -> None:
        """Take what the run writes, until cancelled."""
        while True:
            self._hurry.clear()
            more = self._has_news() and await self._pump(final=False)
            pause = 0 if more else self._pause()
            if pause <= _FAST:
                await asyncio.sleep(pause)
                continue
            with suppress(TimeoutError):
                async with asyncio.timeout(pause):
                    await self._hurry.wait()

    async def finish(self) -> None:
        """The run has ended: take all that is left and put it on disk."""
        while await self._pump(final=True):
            pass
        self.finished = True
        await self._logs.in_thread(self._close)
        self._logs.forget(self._results)
        self._wake()

    def _pause(self) -> float:
        if self._began is not None and time.monotonic() - self._began < _FAST_SECONDS:
            return _FAST
        return _FOLLOWED if self.followers else _CALM

    async def _pump(self, *, final: bool) -> bool:
        """One turn in a thread; whether more is waiting."""
        more, grew, progress = await self._logs.in_thread(self._turn, final)
        if grew:
            self._wake()
        if progress is not None:
            self._took(progress)
        if self._is_full and not self._told_full:
            self._told_full = True
            self._full()
        return more

    def _has_news(self) -> bool:
        """Whether a turn has something to do: a look at two sizes costs a hundredth of a turn in a thread."""
        return bool(self._said) or not self._spools or any(spool.has_news() for spool in self._spools)

    def _wake(self) -> None:
        self.changed.set()
        self.changed = asyncio.Event()

    def _turn(self, final: bool) -> tuple[bool, bool, Progress | None]:
        with self._pumping:
            if self.finished:
                return False, False, None
            writer = self._opened()
            before = writer.last.end
            found: tuple[float, float] | None = None
            self._write_said(writer)
            more = True
            for _ in range(_TURN):
                taken = False
                for spool in self._spools:
                    data = spool.take(final, time.monotonic())
                    if data:
                        taken = True
                        found = _find_progress(data) or found
                        self._write(writer, data, spool.stream)
                if not taken:
                    more = False
                    break
            progress = None if found is None else self._meter.at(*found)
            return more or bool(self._said), writer.last.end != before, progress

    def _opened(self) -> LogWriter:
        if self._writer is None:
            self._writer = LogWriter(self._results)
            last = self._writer.last
            self._is_full = last.end >= self._limit
            self._spools = tuple(
                _Spool(self._spool / name, stream, last.out if stream is Stream.OUT else last.err)
                for stream, name in _SPOOLED
            )
        return self._writer

    def _write_said(self, writer: LogWriter) -> None:
        said, self._said = self._said, []
        if said and writer.last.end < self._limit + _OWN_BYTES:
            data = "".join(said).encode("utf-8", "replace")
            writer.append(data, Stream.BOX, time.time_ns() // 1000, *self._taken())

    def _write(self, writer: LogWriter, data: bytes, stream: Stream) -> None:
        """Append, up to the limit; what is beyond it is taken from the spool and not kept."""
        if self._is_full:
            return
        room = self._limit - writer.last.end
        if room < len(data):
            self._is_full = True
            data = data[: max(0, room)]
            self._said.append(
                f"\nlabbox: the log is full at {format_bytes(self._limit)}; what follows is not kept\n"
            )
        writer.append(data, stream, time.time_ns() // 1000, *self._taken())

    def _taken(self) -> tuple[int, int]:
        return self._spools[0].taken, self._spools[1].taken

    def _close(self) -> None:
        with self._pumping:
            for spool in self._spools:
                spool.close()
            if self._writer is not None:
                self._writer.flush()
                self._writer.close()
                self._writer = None


class Logs:
    """All logs of the box."""

    def __init__(self) -> None:
        """Make the threads; `close` ends them."""
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="logs")
        self._running: dict[Path, RunLog] = {}

    def close(self) -> None:
        """End the threads once they are done."""
        self._threads.shutdown()

    async def in_thread(self, function: Callable[..., T], *arguments: Any) -> T:
        """Run a function on files in the pool of the logs."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, function, *arguments)

    def open(
        self, *, results: Path, spool: Path, limit: int, progress: Took, full: Callable[[], None]
    ) -> RunLog:
        """Begin or go on with an attempt's log; `full` is called once when it has reached `limit` bytes."""
        log = RunLog(self, results, spool, limit, progress, full)
        self._running[results] = log
        return log

    def forget(self, results: Path) -> None:
        """The log in this folder grows no more."""
        self._running.pop(results, None)

    async def read(
        self,
        results: Path,
        *,
        attempt: int,
        after: int = 0,
        follow: Callable[[], Awaitable[bool]] | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[LogRecord]:
        """The records after a byte offset, or the last `tail` lines; the last record has `end`.

        While the attempt's log is open here its growth wakes the reader. Otherwise `follow` is awaited at the
        end of what there is: it returns when there may be more, False where nothing more can come.
        """
        place = after
        reader: LogReader | None = None
        over = False
        try:
            while True:
                log = self._running.get(results)
                changed = None if log is None else log.changed
                if reader is None:
                    reader = _open(results)
                    if reader is not None and tail is not None:
                        start = await self.in_thread(reader.using, lambda one: one.tail(tail, _TAIL_BYTES), 0)
                        place = max(after, start)
                if reader is not None:
                    records = await self.in_thread(reader.using, partial(_records, place, attempt), [])
                    if records:
                        for record in records:
                            place = record.cursor
                            yield record
                        continue
                if over or follow is None:
                    break
                if log is not None and changed is not None and not log.finished:
                    await _wait(log, changed)
                else:
                    over = not await follow()
        finally:
            if reader is not None:
                reader.close()
        yield LogRecord(cursor=place, at=datetime.now(UTC), stream=Stream.BOX, attempt=attempt, end=True)


def _open(results: Path) -> LogReader | None:
    try:
        return LogReader(results)
    except FileNotFoundError:
        return None


async def _wait(log: RunLog, changed: asyncio.Event) -> None:
    log.followers += 1
    try:
        await changed.wait()
    finally:
        log.followers -= 1


def _records(place: int, attempt: int, reader: LogReader) -> list[LogRecord]:
    """The next records after an offset, at most about a megabyte of text."""
    found: list[LogRecord] = []
    left = _BATCH_BYTES
    for piece in reader.pieces(reader.first_after(place), _PIECES):
        at = datetime.fromtimestamp(piece.time / 1e6, UTC)
        while place < piece.end and left > 0:
            data = reader.bytes(place, min(piece.end, place + _RECORD_BYTES))
            if not data:
                return found
            if place + len(data) < piece.end:
                data = data[: _whole_characters(data)]
            place += len(data)
            left -= len(data)
            found.append(
                LogRecord(cursor=place, at=at, stream=piece.stream, text=decode(data), attempt=attempt)
            )
        if left <= 0:
            break
    return found


def _whole_characters(data: bytes) -> int:
    """How many bytes to take so that no UTF-8 character is cut: all but up to three at the end."""
    for back in range(1, min(4, len(data)) + 1):
        byte = data[-back]
        if byte & 0xC0 == 0x80:
            continue
        needed = 4 if byte >= 0xF0 else 3 if byte >= 0xE0 else 2 if byte >= 0xC0 else 1
        cut = len(data) - back
        return cut if needed > back and cut else len(data)
    return len(data)


def _find_progress(data: bytes) -> tuple[float, float] | None:
    """The last line of the form ``labbox:progress 40/100``."""
    if b"labbox:progress" not in data:
        return None
    last = None
    for match in _PROGRESS.finditer(data):
        last = match
    return None if last is None else (float(last[1]), float(last[2]))
