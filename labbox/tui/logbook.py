"""The lines of a log as a screen needs them: assembled, made harmless, bounded. No widget, no client."""

from __future__ import annotations

from datetime import datetime
from typing import Final, NamedTuple

from rich.cells import cell_len

from labbox.logtext import PROGRESS, Drawn, drawn
from labbox.model import Stream
from labbox.protocol import LogRecord

MOST_LINES: Final = 20_000
MOST_BYTES: Final = 4 << 20  # of text held; what is above is let go from the front
CUT_TO: Final = 0.75  # of either, so that cutting is rare
LONGEST: Final = 64 << 10  # characters of one line that are kept


class LogLine(NamedTuple):
    """One line: when its first piece came, from where, its text without control characters, its colours."""

    at: datetime
    stream: Stream
    text: str
    spans: tuple[tuple[int, int, str], ...] = ()


def clean(raw: str) -> Drawn:
    """A line as a terminal would leave it, of the length that is kept."""
    return drawn(raw[-LONGEST:] if "\r" in raw else raw[:LONGEST])


class Logbook:
    """Takes records, gives lines."""

    def __init__(self) -> None:
        """Empty."""
        self.lines: list[LogLine] = []
        self.bytes = 0
        self.dropped = 0  # lines let go from the front
        self.skipped = 0  # bytes that were never read, because they came faster than anyone reads
        self.cursor = 0
        self.ended = False
        self._open: dict[Stream, tuple[int, str]] = {}  # place and raw text of a line without its end

    def add(self, records: list[LogRecord]) -> int:
        """Take pieces; returns how many lines were let go from the front."""
        for record in records:
            self.cursor = max(self.cursor, record.cursor)
            if record.end:
                self.ended = True
                continue
            self._piece(record)
        return self._trim()

    def _piece(self, record: LogRecord) -> None:
        pieces = record.text.split("\n")
        opened = self._open.pop(record.stream, None)
        first = pieces[0]
        if opened is not None:
            place, raw = opened
            raw = (raw + first)[-LONGEST:] if "\r" in first else (raw + first)[:LONGEST]
            line = LogLine(self.lines[place].at, record.stream, *clean(raw))
            self.bytes += len(line.text) - len(self.lines[place].text)
            self.lines[place] = line
            if len(pieces) == 1:
                self._open[record.stream] = (place, raw)
                return
            pieces = pieces[1:]
        last = pieces.pop()
        for raw in pieces:
            self._append(record, clean(raw))
        if last:
            self._append(record, clean(last))
            self._open[record.stream] = (len(self.lines) - 1, last[:LONGEST])

    def _append(self, record: LogRecord, line: Drawn) -> None:
        self.lines.append(LogLine(record.at, record.stream, *line))
        self.bytes += len(line.text)

    def _trim(self) -> int:
        if len(self.lines) <= MOST_LINES and self.bytes <= MOST_BYTES:
            return 0
        drop = max(0, len(self.lines) - int(MOST_LINES * CUT_TO))
        size = self.bytes - sum(len(line.text) for line in self.lines[:drop])
        while size > MOST_BYTES * CUT_TO and drop < len(self.lines):
            size -= len(self.lines[drop].text)
            drop += 1
        del self.lines[:drop]
        self.bytes = size
        self.dropped += drop
        self._open = {
            stream: (place - drop, raw) for stream, (place, raw) in self._open.items() if place >= drop
        }
        return drop


class View:
    """Which rows of the screen show which part of which line."""

    def __init__(self, book: Logbook) -> None:
        """All streams, lines cut at the edge."""
        self.book = book
        self.streams = set(Stream)
        self.wrap = False
        self.progress = False  # lines that drive the bar, too
        self.width = 80
        self.rows: list[tuple[int, int]] = []  # (line, first character)
        self._seen = 0
        self._last = ""

    def rebuild(self) -> None:
        """Everything changed: streams, wrapping, width, or lines went from the front."""
        self.rows = []
        self._seen = 0
        self.extend()

    def extend(self) -> None:
        """Lines came at the end; the last one known may have grown."""
        lines = self.book.lines
        if self._seen and self._seen <= len(lines):
            self._seen -= 1
            while self.rows and self.rows[-1][0] >= self._seen:
                self.rows.pop()
        for place in range(self._seen, len(lines)):
            line = lines[place]
            if line.stream not in self.streams or (not self.progress and line.text.startswith(PROGRESS)):
                continue
            if not self.wrap or len(line.text) <= self.width // 2 or cell_len(line.text) <= self.width:
                self.rows.append((place, 0))
            else:
                self.rows += [(place, start) for start in range(0, len(line.text), self.width)]
        self._seen = len(lines)

    def find(self, words: str, start: int, backward: bool = False) -> int | None:
        """The next row from `start` on, around the end, whose line holds the words; else None."""
        words = words.casefold()
        count = len(self.rows)
        order = range(start, start - count, -1) if backward else range(start, start + count)
        for step in order:
            row = step % count
            line, first = self.rows[row]
            if first == 0 and words in self.book.lines[line].text.casefold():
                return row
        return None
