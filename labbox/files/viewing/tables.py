"""CSV and TSV files of any length: rows are found again by their number. Runs in a confined child.

A quoted cell may hold newlines, so rows are counted by reading the file once, beside all else; every
`STRIDE` rows the place is noted.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Literal

from labbox.files.viewing import apart
from labbox.files.viewing.encodings import BY_CODEC, Encoding, guess
from labbox.files.viewing.source import Source
from labbox.model import Value
from labbox.text import visible_line

SAMPLE: Final = 256 << 10  # bytes that titles, delimiter and columns are found by
COLUMNS: Final = 500
CELL: Final = 300  # characters of a cell that are shown
STRIDE: Final = 500  # rows between two noted places
_LINE: Final = 1 << 20  # bytes of a line that are read
_SNIFF_ROWS: Final = 50
_TYPE_ROWS: Final = 200
_DELIMITERS: Final = "\t;,|"
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_COMMA_DECIMAL: Final = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?:Z|[+-][0-9:]+)?)?", re.ASCII)
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})
_WATCHED: Final = apart.Limits(seconds=None, cpu_seconds=None)

ColumnKind = Literal["integer", "number", "date", "text"]


class Column(Value):
    """A column of a table: numbers stand to the right. `width` is that of its longest cell seen."""

    title: str
    kind: ColumnKind
    width: int


class Shape(Value):
    """How a table is written, found by looking at its beginning."""

    columns: tuple[Column, ...]
    delimiter: str
    codec: str
    body: int  # byte where the first row behind the titles begins
    wider: bool  # there are more columns than are shown


class Noted(Value):
    """Rows counted so far and where they begin: `places` of each `STRIDE`th row, `read` bytes in all."""

    rows: int
    read: int
    places: tuple[int, ...]


Rows = tuple[tuple[str, ...], ...]


async def shape(source: Source) -> Shape:
    """Titles, columns, delimiter and encoding."""
    return await apart.run(source, look, (), Shape)


async def rows(source: Source, known: Shape, place: int, skip: int, count: int) -> Rows:
    """`count` rows behind the first `skip` ones from the byte `place` on, safe to show."""
    return await apart.run(source, some, (known, place, skip, count), Rows)


async def note(source: Source, known: Shape, told: Callable[[Noted], None]) -> Noted:
    """Count all rows; `told` gets what is counted meanwhile, each place once. Cancel it at any time."""
    return await apart.run(source, count_rows, (known,), Noted, limits=_WATCHED, told=told, tells=Noted)


class _Lines:
    """The lines of a file for `csv`, with the byte at which the next one begins."""

    def __init__(self, file: BinaryIO, start: int, encoding: Encoding) -> None:
        self._file, self._encoding = file, encoding
        self.at = start
        file.seek(start)

    def __iter__(self) -> Iterator[str]:
        encoding = self._encoding
        while data := self._file.readline(_LINE):
            if encoding.unit == 2 and len(data) % 2:  # readline stops within the newline's two bytes
                data += self._file.read(1)
            start, self.at = self.at, self.at + len(data)
            if start == 0 and encoding.mark:
                data = data.removeprefix(encoding.mark)
            yield encoding.decode(data).replace("\0", "␀")


def _read(lines: _Lines, delimiter: str) -> Iterator[list[str]]:
    found = csv.reader(lines, delimiter=delimiter)
    while True:
        try:
            row = next(found)
        except StopIteration:
            return
        except csv.Error:  # a cell beyond the reader's own limit: a quote that never closes
            yield ["…"]
            return
        if row:
            yield row


def look(file: BinaryIO, _tell: Callable[[object], None]) -> Shape:
    """In the child: what `shape` returns."""
    head = file.read(SAMPLE)
    encoding = guess(head)
    text = encoding.decode(head[: len(head) - len(head) % encoding.unit])
    delimiter = _delimiter(text)
    lines = _Lines(file, 0, encoding)
    titles: list[str] = []
    body: list[list[str]] = []
    behind_titles = 0
    for row in _read(lines, delimiter):
        if not behind_titles:
            titles, behind_titles = row, lines.at
            continue
        body.append(row)
        if len(body) == _TYPE_ROWS or lines.at > SAMPLE:
            break
    width = max((len(row) for row in [titles, *body]), default=0)
    columns = []
    for place in range(min(width, COLUMNS)):
        title = _cell(titles[place]) if place < len(titles) else ""
        cells = [_cell(row[place]) if place < len(row) else "" for row in body]
        longest = max((len(cell) for cell in [title, *cells]), default=0)
        columns.append(Column(title=title, kind=_kind(cells), width=longest))
    return Shape(
        columns=tuple(columns),
        delimiter=delimiter,
        codec=encoding.codec,
        body=behind_titles,
        wider=width > COLUMNS,
    )


def some(
    file: BinaryIO, _tell: Callable[[object], None], known: Shape, place: int, skip: int, count: int
) -> Rows:
    """In the child: what `rows` returns."""
    found = []
    width = len(known.columns)
    for row in _read(_Lines(file, place, BY_CODEC[known.codec]), known.delimiter):
        if skip:
            skip -= 1
            continue
        cells = [_cell(cell) for cell in row[:width]]
        found.append(tuple(cells + [""] * (width - len(cells))))
        if len(found) == count:
            break
    return tuple(found)


def count_rows(file: BinaryIO, tell: Callable[[object], None], known: Shape) -> Noted:
    """In the child: what `note` returns."""
    lines = _Lines(file, known.body, BY_CODEC[known.codec])
    places, number, start, told_at = [], 0, known.body, known.body
    for _row in _read(lines, known.delimiter):
        if number % STRIDE == 0:
            places.append(start)
        number += 1
        start = lines.at
        if start - told_at > 1 << 20 and number % STRIDE == 0:
            tell(Noted(rows=number, read=start, places=tuple(places)))
            places, told_at = [], start
    return Noted(rows=number, read=lines.at, places=tuple(places))


def _cell(text: str) -> str:
    return visible_line(text.strip()[:CELL])


def _delimiter(text: str) -> str:
    """The one that cuts the first rows into the same number of columns, the more the better."""
    sample = text.splitlines(keepends=True)[:_SNIFF_ROWS]
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in _parse(sample, delimiter) if row]
        if not widths or max(widths) == 1:
            continue
        usual = max(set(widths), key=lambda width: (widths.count(width), width))
        score = widths.count(usual) / len(widths) * (1 + min(usual, 50) / 1000) if usual > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _parse(sample: list[str], delimiter: str) -> Iterator[list[str]]:
    found = csv.reader((line.replace("\0", "␀") for line in sample), delimiter=delimiter)
    while True:
        try:
            yield next(found)
        except (StopIteration, csv.Error):
            return


def _kind(cells: list[str]) -> ColumnKind:
    present = [cell for cell in cells if cell.lower() not in _MISSING]
    if not present:
        return "text"
    if all(_INTEGER.fullmatch(cell) for cell in present):
        return "integer"
    if all(_DECIMAL.fullmatch(cell) or _COMMA_DECIMAL.fullmatch(cell) for cell in present):
        return "number"
    if all(_DATE.fullmatch(cell) for cell in present):
        return "date"
    return "text"
