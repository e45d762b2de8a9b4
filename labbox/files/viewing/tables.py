"""CSV and TSV files of any length: rows are found again by their number. Runs in a confined child.

A quoted cell may hold newlines, so rows are counted by reading the file once, beside all else; every
`STRIDE` rows the place is noted.
"""

from __future__ import annotations

import codecs
import csv
import re
import unicodedata
from collections.abc import Callable, Iterable, Iterator
from itertools import islice
from typing import BinaryIO, Final, Literal

from labbox.files.viewing import apart, charsets
from labbox.files.viewing.encodings import BY_CODEC, LATIN1, Encoding, guess
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
_REMARKS: Final = ("#", "%", "//", "**")  # the stars are EyeLink's
_SPACE: Final = " "  # any number of them, where nothing else parts the columns
# What parts the header of a file from the titles: LabVIEW's measurement files, sample sheets.
_END_OF_HEADER: Final = re.compile(r"\s*(?:\*{3}End_of_Header\*{3}|\[Data\])[\s,;]*", re.IGNORECASE)
_NAMED: Final = re.compile(r"\ufeff?\"?sep=(\\t|.)\"?[;,\t ]*", re.IGNORECASE)
_MOST_ABOVE: Final = 300  # lines that may stand above a table
_WATCHED: Final = apart.Limits(seconds=None, cpu_seconds=None)

ColumnKind = Literal["integer", "number", "date", "text"]


class Column(Value):
    """A column of a table: numbers stand to the right. `width`: terminal cells of its longest one seen."""

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
    newline: str = "\n"  # "\r" in files as old Macs and some instruments write them
    above: tuple[str, ...] = ()  # lines above the titles: remarks, names with their values


class Noted(Value):
    """Rows counted so far and where they begin: `places` of each `STRIDE`th row, `read` bytes in all."""

    rows: int
    read: int
    places: tuple[int, ...]


Rows = tuple[tuple[str, ...], ...]


async def shape(source: Source, codec: str | None = None) -> Shape:
    """Titles, columns, delimiter and encoding; `codec`: the encoding that somebody chose."""
    if codec is not None:
        codecs.lookup(codec)
        return await apart.run(source, look, (codec,), Shape)
    plain = guess(await source.read(0, SAMPLE)) is not LATIN1
    return await apart.run(source, look, (None,), Shape, imports=None if plain else charsets.imports)


async def rows(source: Source, known: Shape, place: int, skip: int, count: int) -> Rows:
    """`count` rows behind the first `skip` ones from the byte `place` on, safe to show."""
    codecs.lookup(known.codec)  # the child can load nothing
    return await apart.run(source, some, (known, place, skip, count), Rows)


async def note(source: Source, known: Shape, told: Callable[[Noted], None]) -> Noted:
    """Count all rows; `told` gets what is counted meanwhile, each place once. Cancel it at any time."""
    codecs.lookup(known.codec)
    return await apart.run(source, count_rows, (known,), Noted, limits=_WATCHED, told=told, tells=Noted)


class _Lines:
    """The lines of a file for `csv`, with the byte at which the next one begins."""

    def __init__(self, file: BinaryIO, start: int, encoding: Encoding, newline: str = "\n") -> None:
        self._file, self._encoding = file, encoding
        self._next = file.readline if newline == "\n" else _Returns(file, encoding).line
        self.at = start
        file.seek(start)

    def __iter__(self) -> Iterator[str]:
        encoding = self._encoding
        while data := self._next(_LINE):
            if over := -len(data) % encoding.unit:  # readline stops within the newline's bytes
                data += self._file.read(over)
            start, self.at = self.at, self.at + len(data)
            if start == 0 and encoding.mark:
                data = data.removeprefix(encoding.mark)
            yield encoding.decode(data).replace("\0", "␀")


class _Returns:
    """Reads lines that end in a carriage return alone."""

    def __init__(self, file: BinaryIO, encoding: Encoding) -> None:
        self._file, self._unit = file, encoding.unit
        self._end = "\r".encode(encoding.codec)
        self._held = b""

    def line(self, most: int) -> bytes:
        """The next line with its end, or `most` bytes of it."""
        start = 0
        while True:
            at = self._held.find(self._end, start)
            if at >= 0 and at % self._unit:  # two halves of two characters
                start = at + 1
                continue
            if at >= 0 or len(self._held) >= most:
                cut = min(most, at + len(self._end)) if at >= 0 else most
                line, self._held = self._held[:cut], self._held[cut:]
                return line
            start = max(0, len(self._held) - 1)
            more = self._file.read(1 << 16)
            if not more:
                line, self._held = self._held, b""
                return line
            self._held += more


def _read(lines: _Lines, delimiter: str) -> Iterator[list[str]]:
    found = csv.reader(_stripped(lines, delimiter), delimiter=delimiter, skipinitialspace=delimiter == _SPACE)
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


def look(file: BinaryIO, _tell: Callable[[object], None], codec: str | None) -> Shape:
    """In the child: what `shape` returns."""
    head = file.read(SAMPLE)
    encoding = charsets.detect(head) if codec is None else BY_CODEC[codec]
    text = encoding.decode(head[: len(head) - len(head) % encoding.unit]).removeprefix("\ufeff")
    newline = "\r" if "\r" in text and "\n" not in text else "\n"
    delimiter, above = _beginning(text.replace("\r\n", "\n").replace("\r", "\n"))
    start = _behind(file, encoding, newline, len(above))
    lines = _Lines(file, start, encoding, newline)
    titles: list[str] = []
    body: list[list[str]] = []
    behind_titles = 0
    for row in _read(lines, delimiter):
        if not behind_titles and row[0].lstrip().startswith("#"):  # titles that are a remark for others
            row = [row[0].lstrip().lstrip("#").strip(), *row[1:]]
        if not behind_titles:
            titles, behind_titles = row, lines.at
            continue
        body.append(row)
        if len(body) == _TYPE_ROWS or lines.at > start + SAMPLE:
            break
    width = max((len(row) for row in [titles, *body]), default=0)
    columns = []
    for place in range(min(width, COLUMNS)):
        title = _cell(titles[place]) if place < len(titles) else ""
        cells = [_cell(row[place]) if place < len(row) else "" for row in body]
        longest = max((cells_of(cell) for cell in [title, *cells]), default=0)
        columns.append(Column(title=title, kind=_kind(cells), width=longest))
    return Shape(
        columns=tuple(columns),
        delimiter=delimiter,
        codec=encoding.codec,
        body=behind_titles,
        wider=width > COLUMNS,
        newline=newline,
        above=tuple(visible_line(line[:CELL]) for line in above[:_SNIFF_ROWS]),
    )


def cells_of(text: str) -> int:
    """How many cells of a terminal a text takes: characters of East Asia take two, accents none."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(one) else 2 if unicodedata.east_asian_width(one) in "WF" else 1
        for one in text
    )


def _behind(file: BinaryIO, encoding: Encoding, newline: str, count: int) -> int:
    """The byte behind so many lines."""
    lines = _Lines(file, 0, encoding, newline)
    for _line in islice(lines, count):
        pass
    return lines.at


def _beginning(text: str) -> tuple[str, list[str]]:
    """The delimiter, and the lines above the titles."""
    lines = text.split("\n")
    lines = lines[:-1] if len(lines) > 1 else lines  # the last one may be cut off
    named = _NAMED.fullmatch(lines[0]) if lines else None
    first = 1 if named else 0
    ends = [at for at, line in enumerate(lines[:_MOST_ABOVE], 1) if _END_OF_HEADER.fullmatch(line)]
    if not named and ends and ends[-1] < len(lines):
        first = ends[-1]
    plain = [line for line in lines[first:] if not line.lstrip().startswith(_REMARKS)]
    delimiter = named[1].replace("\\t", "\t") if named else _delimiter("\n".join(plain))
    return delimiter, lines[: first + _above(lines[first : first + _MOST_ABOVE], delimiter)]


def _above(lines: list[str], delimiter: str) -> int:
    """How many lines stand above the titles: remarks, names with their values, and blank ones."""
    widths = [_width(line, delimiter) for line in lines]
    real = [
        width
        for width, line in zip(widths, lines, strict=True)
        if width and not line.lstrip().startswith(_REMARKS)
    ]
    tail = real[len(real) // 2 :]
    usual = max(set(tail), key=lambda width: (tail.count(width), width), default=0)
    remarks = 0
    while remarks < len(lines) and (not widths[remarks] or lines[remarks].lstrip().startswith(_REMARKS)):
        remarks += 1
    if usual < 2:
        return 0 if remarks == len(lines) else _titles_among(lines, widths, remarks, usual, delimiter)
    first = next((at for at in range(remarks, len(lines)) if widths[at] >= usual), None)
    if first is None:
        return remarks
    if usual == 2:  # names with their values have two columns too: a blank line parts them from the table
        blank = max((at for at in range(first, len(lines)) if not widths[at]), default=None)
        if blank is not None and blank + 2 < len(lines) and _looks_like_titles(lines[blank + 1], delimiter):
            return blank + 1
    before = first - 1
    if (
        before >= remarks
        and widths[before] == usual - 1
        and usual > 2
        and not _looks_like_titles(lines[first], delimiter)
    ):
        return before  # titles as R writes them: none for the names of the rows
    return _titles_among(lines, widths, first, usual, delimiter)


def _titles_among(lines: list[str], widths: list[int], first: int, usual: int, delimiter: str) -> int:
    """The last remark may hold the titles of numbers below it."""
    if (
        first
        and lines[first - 1].lstrip().startswith("#")
        and widths[first - 1] == usual
        and usual > 1
        and not _looks_like_titles(lines[first], delimiter)
    ):
        return first - 1
    return first


def _looks_like_titles(line: str, delimiter: str) -> bool:
    cells = next(_parse([line], delimiter), [])
    return bool(cells) and not any(
        _DECIMAL.fullmatch(cell.strip()) or _COMMA_DECIMAL.fullmatch(cell.strip()) for cell in cells
    )


def _width(line: str, delimiter: str) -> int:
    return len(next(_parse([line], delimiter), [])) if line.strip(f" {delimiter}") else 0


def some(
    file: BinaryIO, _tell: Callable[[object], None], known: Shape, place: int, skip: int, count: int
) -> Rows:
    """In the child: what `rows` returns."""
    found = []
    width = len(known.columns)
    for row in _read(_Lines(file, place, BY_CODEC[known.codec], known.newline), known.delimiter):
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
    lines = _Lines(file, known.body, BY_CODEC[known.codec], known.newline)
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
    return _SPACE if not best_score and _is_spaced(sample) else best


def _parse(sample: list[str], delimiter: str) -> Iterator[list[str]]:
    plain = (line.replace("\0", "␀") for line in sample)
    found = csv.reader(_stripped(plain, delimiter), delimiter=delimiter, skipinitialspace=delimiter == _SPACE)
    while True:
        try:
            yield next(found)
        except (StopIteration, csv.Error):
            return


def _stripped(lines: Iterable[str], delimiter: str) -> Iterable[str]:
    """Lines for `csv`: spaces at an end part nothing."""
    return (line.rstrip() + "\n" for line in lines) if delimiter == _SPACE else lines


def _is_spaced(sample: list[str]) -> bool:
    """Whether spaces part columns: rows of the same width that hold numbers, not the words of a text."""
    titles, *rows = [row for row in _parse(sample, _SPACE) if row] or [[]]
    widths = {len(row) for row in rows}
    if len(widths) != 1 or max(widths) not in (len(titles), len(titles) + 1):
        return False
    if len(titles) < 2 and not sample[0].startswith('"'):  # R quotes what stands alone
        return False
    return all(2 * sum(_DECIMAL.fullmatch(cell) is not None for cell in row) >= len(row) for row in rows)


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
