"""What a screen shows of a file: rows of a text or of bytes in hex, from any place of it, a page at a time.

Places are bytes, so a jump into the middle of gigabytes reads some kilobytes around it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import OrderedDict
from typing import Final, NamedTuple

from rich.cells import chop_cells

from labbox.files.viewing.encodings import Encoding
from labbox.files.viewing.source import Source
from labbox.files.viewing.stretches import Stretch, Stretches
from labbox.logtext import PROGRESS, Drawn, drawn
from labbox.text import visible

HEX_ROW: Final = 16
_LAID: Final = 500  # stretches whose rows are kept


class Row(NamedTuple):
    """One row on the screen: `text` is safe; `first` is its first character's place in the shown line."""

    start: int  # byte where the line, or the row in hex, begins
    text: str
    first: int = 0
    begins: bool = True
    spans: tuple[tuple[int, int, str], ...] = ()  # the whole line's own colours, by name


def shown(text: str) -> str:
    """Outside text as it stands on the screen; what stands before a character never changes its prefix."""
    return visible(text).expandtabs(8)


class Pager(ABC):
    """A page of a file; the screen says how large it is."""

    def __init__(self, source: Source) -> None:
        """At the beginning."""
        self.source = source
        self.width, self.height = 80, 24

    @abstractmethod
    async def page(self) -> list[Row]:
        """The rows from the top on."""

    @abstractmethod
    async def by(self, rows: int) -> None:
        """Move the top by rows; the last page stays full."""

    @abstractmethod
    async def to(self, offset: int, above: int = 0) -> None:
        """Show this byte, with rows above it."""

    @abstractmethod
    async def to_end(self) -> None:
        """Show the last page."""

    @property
    @abstractmethod
    def offset(self) -> int:
        """The byte at the top."""


class TextPager(Pager):
    """Rows of a text, wrapped or cut."""

    def __init__(self, source: Source, encoding: Encoding) -> None:
        """At the beginning."""
        super().__init__(source)
        self.stretches = Stretches(source, encoding)
        self.wrap = True
        self.shift = 0  # characters that a cut line begins with behind the edge
        self._top = 0  # where the stretch at the top begins
        self._row = 0  # rows of it above the edge
        self._laid: OrderedDict[tuple[int, int, int], list[Row]] = OrderedDict()

    @property
    def offset(self) -> int:
        """The byte at the top, to a row's worth."""
        return self._top

    def reset(self) -> None:
        """The file was rewritten, or is read in another encoding."""
        self._laid.clear()
        self._top, self._row = min(self._top, max(0, self.source.size - 1)), 0

    hides = False  # whether some lines take no row

    def line(self, text: str) -> Drawn:
        """A line as it stands on the screen."""
        return Drawn(shown(text), ())

    def leaves_out(self, stretch: Stretch) -> bool:
        """Whether a line takes no row."""
        return False

    async def has_more(self, stretch: Stretch) -> bool:
        """Whether any row comes after this stretch."""
        while stretch.next < self.source.size:
            stretch = await self.stretches.from_start(stretch.next)
            if not self.leaves_out(stretch):
                return True
        return False

    def rows_of(self, stretch: Stretch) -> list[Row]:
        """The rows that a stretch takes."""
        if self.leaves_out(stretch):
            return []
        text, spans = self.line(stretch.text)
        if not self.wrap:
            cut = text[self.shift : self.shift + self.width]
            return [Row(stretch.start, cut, self.shift, stretch.begins, spans)]
        key = (stretch.start, stretch.end, self.width)
        rows = self._laid.get(key)
        if rows is None:
            rows, at = [], 0
            width = max(1, self.width)
            if text.isascii():
                pieces = [text[place : place + width] for place in range(0, len(text), width)]
            else:
                pieces = chop_cells(text, max(2, width))
            for piece in pieces or [""]:
                rows.append(Row(stretch.start, piece, at, stretch.begins and at == 0, spans))
                at += len(piece)
            self._laid[key] = rows
            while len(self._laid) > _LAID:
                self._laid.popitem(last=False)
        return rows

    async def page(self) -> list[Row]:
        """The rows from the top on."""
        if not self.source.size:
            return []
        stretch = await self.stretches.at(self._top)
        self._top = stretch.start
        rows = self.rows_of(stretch)[self._row :]
        while len(rows) < self.height and stretch.next < self.source.size:
            stretch = await self.stretches.from_start(stretch.next)
            rows = rows + self.rows_of(stretch)
        return rows[: self.height]

    async def by(self, rows: int) -> None:
        """Move the top by rows."""
        if not self.source.size:
            return
        if rows < 0:
            await self._up(-rows)
        else:
            await self._down(rows)

    async def _up(self, rows: int) -> None:
        while rows:
            step = min(rows, self._row)
            self._row -= step
            rows -= step
            if not rows:
                return
            before = await self.stretches.before(self._top)
            if before is None:
                return
            self._top, self._row = before.start, len(self.rows_of(before))

    async def _down(self, rows: int) -> None:
        stretch = await self.stretches.at(self._top)
        while True:
            have = len(self.rows_of(stretch))
            if self._row + rows < have:
                self._top, self._row = stretch.start, self._row + rows
                break
            if stretch.next >= self.source.size:
                self._top, self._row = stretch.start, max(0, have - 1)
                break
            rows -= have - self._row
            stretch, self._row = await self.stretches.from_start(stretch.next), 0
        if len(await self.page()) < self.height:
            await self.to_end()

    async def to(self, offset: int, above: int = 0) -> None:
        """Show this byte."""
        if not self.source.size:
            return
        stretch = await self.stretches.at(offset)
        place = self.place_in(stretch, offset)
        rows = self.rows_of(stretch)
        self._top = stretch.start
        self._row = (
            max((n for n, row in enumerate(rows) if row.first <= place), default=0) if self.wrap else 0
        )
        if not self.wrap and not self.shift <= place < self.shift + self.width:
            self.shift = max(0, place - self.width // 2)
        await self._up(above)
        if len(await self.page()) < self.height:
            await self.to_end()

    def place_in(self, stretch: Stretch, offset: int) -> int:
        """Which character of the shown line a byte of the stretch belongs to."""
        if offset <= stretch.start:
            return 0
        encoding = self.stretches.encoding
        raw = encoding.encode(stretch.text)
        mark = len(encoding.mark) if stretch.start == 0 and stretch.end - stretch.start > len(raw) else 0
        return len(self.line(encoding.decode(raw[: max(0, offset - stretch.start - mark)])).text)

    async def to_end(self) -> None:
        """Show the last page."""
        if not self.source.size:
            return
        last = await self.stretches.at(self.source.size - 1)
        self._top, self._row = last.start, len(self.rows_of(last))
        await self._up(self.height)


class LogPager(TextPager):
    """Rows of a program's output: redrawn, in its colours, without the lines that drive the bar."""

    hides = True

    def line(self, text: str) -> Drawn:
        """As a terminal leaves it."""
        return drawn(text)

    def leaves_out(self, stretch: Stretch) -> bool:
        """Lines of progress, unless they are asked for."""
        return self.hides and stretch.begins and stretch.text.startswith(PROGRESS)


class HexPager(Pager):
    """Bytes, sixteen in a row."""

    def __init__(self, source: Source) -> None:
        """At the beginning."""
        super().__init__(source)
        self._top = 0

    @property
    def offset(self) -> int:
        """The byte at the top."""
        return self._top

    async def page(self) -> list[Row]:
        """The rows from the top on."""
        data = await self.source.read(self._top, self.height * HEX_ROW)
        digits = max(8, len(f"{self.source.size:x}"))
        return [
            Row(self._top + at, _hex_row(self._top + at, data[at : at + HEX_ROW], digits))
            for at in range(0, len(data), HEX_ROW)
        ]

    async def by(self, rows: int) -> None:
        """Move the top by rows."""
        self._go(self._top + rows * HEX_ROW)

    async def to(self, offset: int, above: int = 0) -> None:
        """Show this byte."""
        self._go(offset - above * HEX_ROW)

    async def to_end(self) -> None:
        """Show the last page."""
        self._go(self.source.size)

    def _go(self, offset: int) -> None:
        rows = -(-self.source.size // HEX_ROW)
        last = max(0, rows - self.height) * HEX_ROW
        self._top = max(0, min(offset - offset % HEX_ROW, last))


def _hex_row(offset: int, data: bytes, digits: int) -> str:
    letters = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in data)
    left, right = data[:8].hex(" "), data[8:].hex(" ")
    return f"{offset:0{digits}x}  {left:<23}  {right:<23}  {letters}"


def hex_marks(row: Row, start: int, end: int, digits: int) -> list[tuple[int, int]]:
    """Where the bytes from `start` to `end` stand in a row of hex: in digits and in letters."""
    low, high = max(start, row.start) - row.start, min(end, row.start + HEX_ROW) - row.start
    if low >= high:
        return []
    found = []
    for at in range(low, high):
        begin = digits + 2 + at * 3 + (at >= 8)
        found.append((begin, begin + 2))
    letters = digits + 2 + 23 + 2 + 23 + 2
    return [*found, (letters + low, letters + high)]
