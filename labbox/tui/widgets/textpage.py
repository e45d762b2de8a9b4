"""A text or bytes in hex, paged: moves, searches, follows and colours one open file."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from textual import on
from textual.message import Message

from labbox.errors import LabboxError
from labbox.files.viewing import highlighting, searching
from labbox.files.viewing.encodings import Encoding
from labbox.files.viewing.index import LineIndex
from labbox.files.viewing.searching import Match, Query
from labbox.files.viewing.source import Change, Source
from labbox.files.viewing.stretches import Stretch
from labbox.tui.paging import HexPager, LogPager, Pager, Row, TextPager, hex_marks, shown
from labbox.tui.widgets.paint import Mark, log_marks
from labbox.tui.widgets.textview import TextView
from labbox.tui.widgets.working import begin

if TYPE_CHECKING:
    from pygments.lexer import Lexer

_AHEAD: Final = 40  # lines before and behind the page that are coloured with it
_COLOURED: Final = 3000  # lines whose colours are kept
_LONG: Final = 2000  # characters of a line beyond which it has no colours


class TextPage(TextView):
    """Shows a source; everything that reads runs in turn, and never holds up the keys."""

    class Told(Message):
        """Something that the status line tells has changed."""

    class Failed(Message):
        """Something could not be done."""

        def __init__(self, error: LabboxError) -> None:
            """What."""
            super().__init__()
            self.error = error

    def __init__(
        self, source: Source, encoding: Encoding, *, hexadecimal: bool, name: str, as_log: bool = False
    ) -> None:
        """`name` decides the colours; `as_log`: the text's own, redrawn by its carriage returns."""
        super().__init__()
        self.source = source
        self.encoding = encoding
        self.hexadecimal = hexadecimal
        self.wrap = True
        self.numbers = False
        self.following = False
        self.at_end = False
        self.query_now: Query | None = None
        self.match: Match | None = None
        self.searched: int | None = None  # bytes, while a search goes on
        self.note = ""
        self.index = LineIndex(source, encoding)
        self._file_name = name
        self._pager: Pager = (
            HexPager(source) if hexadecimal else (LogPager if as_log else TextPager)(source, encoding)
        )
        self._turn = asyncio.Lock()
        self._counted = asyncio.Event()
        self._lexer: Lexer | None = None
        self._lexer_known = hexadecimal or as_log
        self._colours: OrderedDict[int, highlighting.Spans] = OrderedDict()

    # In turn.

    def start(
        self, work: Callable[[], Coroutine[Any, Any, None]], group: str = "page", exclusive: bool = False
    ) -> None:
        """Do something that reads; a failure is told. It is called when its turn comes, or never."""
        begin(self, partial(self._guarded, work), group=group, exclusive=exclusive)

    async def _guarded(self, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            await work()
        except LabboxError as error:
            self.post_message(self.Failed(error))

    def on_text_view_resized(self) -> None:
        """Make another page."""
        self.start(self.draw)

    @on(TextView.Wanted)
    def wanted(self, message: TextView.Wanted) -> None:
        """A key or the wheel."""
        message.stop()
        if (message.what == "rows" and message.by < 0) or message.what == "edge":
            self.following = message.what == "edge" and message.by > 0 and self.following
        self.start(partial(self._move, message.what, message.by))

    async def _move(self, what: str, by: int) -> None:
        async with self._turn:
            pager = self._pager
            if what == "rows":
                await pager.by(by)
            elif what == "edge":
                await (pager.to_end() if by > 0 else pager.to(0))
            elif isinstance(pager, TextPager) and not self.wrap:
                pager.shift = max(0, pager.shift + by * 20)
        await self.draw()

    @property
    def top(self) -> int:
        """The byte at the top of the page."""
        return self._pager.offset

    @property
    def shift(self) -> int:
        """Characters that cut lines begin with behind the left edge."""
        return self._pager.shift if isinstance(self._pager, TextPager) and not self.wrap else 0

    # The page.

    async def draw(self) -> None:
        """Show what is there now, then its colours."""
        async with self._turn:
            if not self.size.width or not self.is_attached:
                return
            self.margin = (
                max(6, len(str(self.index.lines + 1)) + 1) if self.numbers and not self.hexadecimal else 0
            )
            pager = self._pager
            pager.width, pager.height = max(2, self.size.width - self.margin), max(1, self.size.height)
            if isinstance(pager, TextPager):
                pager.wrap = self.wrap
            rows = await pager.page()
            self.at_end = await self._is_end(rows)
            numbers = await self._numbers_of(rows)
            marks = [await self._marks_of(row) for row in rows]
            self.set_page(rows, marks, numbers)
        self.post_message(self.Told())
        if not self.hexadecimal and any(row.start not in self._colours for row in rows):
            self.start(partial(self._colour, rows), group="colour", exclusive=True)

    async def _is_end(self, rows: list[Row]) -> bool:
        if not rows:
            return True
        if not isinstance(self._pager, TextPager):
            return rows[-1].start + 16 >= self.source.size
        last = await self._pager.stretches.from_start(rows[-1].start)
        if self._pager.hides:  # what follows may be hidden to the end
            return not await self._pager.has_more(last)
        return last.next >= self.source.size and self._pager.rows_of(last)[-1] == rows[-1]

    async def _numbers_of(self, rows: list[Row]) -> list[str]:
        if not self.margin or not rows:
            return []
        line = await self.index.line_at(rows[0].start)
        if line is None:
            return ["…"]
        numbers = []
        for place, row in enumerate(rows):
            line += row.begins and place > 0
            numbers.append(str(line + 1) if row.begins else "")
        return numbers

    async def _marks_of(self, row: Row) -> list[Mark]:
        if self.hexadecimal:
            if self.match is None:
                return []
            digits = max(8, len(f"{self.source.size:x}"))
            return [
                (low, high, "found-now")
                for low, high in hex_marks(row, self.match.start, self.match.end, digits)
            ]
        marks = [
            (low - row.first, high - row.first, ink)
            for low, high, ink in self._colours.get(row.start, ())
            if high > row.first and low < row.first + len(row.text)
        ]
        if row.spans:
            marks = log_marks(row.spans, row.first, len(row.text))
        found = await self._match_in(row)
        return [*marks, found] if found else marks

    async def _match_in(self, row: Row) -> Mark | None:
        pager = self._pager
        if self.match is None or not isinstance(pager, TextPager):
            return None
        if not row.start <= self.match.end or self.match.start > row.start + (64 << 10):
            return None
        stretch = await pager.stretches.from_start(row.start)
        if self.match.start >= stretch.next or self.match.end <= stretch.start:
            return None
        low = pager.place_in(stretch, self.match.start) - row.first
        high = max(low + 1, pager.place_in(stretch, self.match.end) - row.first)
        return (low, high, "found-now") if high > 0 and low < len(row.text) else None

    # Colours.

    async def _colour(self, rows: list[Row]) -> None:
        pager = self._pager
        if not rows or not isinstance(pager, TextPager):
            return
        if not self._lexer_known:
            first = await pager.stretches.from_start(0)
            self._lexer = await asyncio.to_thread(highlighting.lexer_for, self._file_name, first.text[:200])
            self._lexer_known = True
        if self._lexer is None:
            return
        chunk = await self._around(pager, rows[0].start, len(rows))
        lines = [shown(stretch.text) for stretch in chunk]
        if sum(map(len, lines)) > highlighting.MOST:
            lines = [line if len(line) <= _LONG else "" for line in lines]
        spans = await highlighting.colours(self.source, self._lexer, lines)
        for stretch, found in zip(chunk, spans, strict=True):
            self._colours[stretch.start] = found
        while len(self._colours) > _COLOURED:
            self._colours.popitem(last=False)
        async with self._turn:
            page = await pager.page()
            self.set_page(page, [await self._marks_of(row) for row in page], await self._numbers_of(page))

    async def _around(self, pager: TextPager, top: int, count: int) -> list[Stretch]:
        """The lines of the page and some before it, for texts and comments that began there."""
        stretch = await pager.stretches.from_start(top)
        before: list[Stretch] = []
        while len(before) < _AHEAD:
            above = await pager.stretches.before(before[-1].start if before else top)
            if above is None:
                break
            before.append(above)
        found = [*reversed(before), stretch]
        while len(found) < len(before) + count + _AHEAD and found[-1].next < self.source.size:
            found.append(await pager.stretches.from_start(found[-1].next))
        return found

    # Ways to show it.

    async def show_wrapped(self, wrap: bool) -> None:
        """Wrap long lines, or cut them."""
        self.wrap = wrap
        if isinstance(self._pager, TextPager):
            self._pager.shift = 0
            self._pager.reset()
        await self.draw()

    @property
    def shows_progress(self) -> bool | None:
        """Whether a log's lines of progress are shown; None where it is no log."""
        return not self._pager.hides if isinstance(self._pager, LogPager) else None

    async def show_progress(self, on: bool) -> None:
        """Show the lines that drive the bar, or leave them out."""
        if isinstance(self._pager, LogPager):
            self._pager.hides = not on
            self._pager.reset()
            await self.draw()

    async def show_numbers(self, on: bool) -> None:
        """Line numbers in the margin."""
        self.numbers = on
        if on:
            self.count_lines()
        await self.draw()

    def count_lines(self) -> None:
        """Count the lines of the file, beside all else."""
        self.start(self._count, group="index", exclusive=True)

    async def _count(self) -> None:
        known = await self.index.line_at(self.top) if self.numbers else 0
        await self.index.build(self._counted.set)
        self._counted.set()
        if known is None or len(str(self.index.lines + 1)) + 1 > self.margin:
            await self.draw()

    # Going somewhere.

    async def go(self, offset: int) -> None:
        """Show a byte."""
        async with self._turn:
            await self._pager.to(offset)
        self.following = False
        await self.draw()

    async def go_line(self, line: int) -> None:
        """Show a line, counted from 1; waits until the lines before it are counted."""
        self.count_lines()
        while (offset := await self.index.offset_of(line - 1)) is None:
            self.note = f"counting lines: {self.index.lines + 1:,}"
            self.post_message(self.Told())
            self._counted.clear()
            await self._counted.wait()
        self.note = ""
        await self.go(offset)

    # Searching.

    async def search(self, query: Query, backward: bool = False) -> bool:
        """The next match from the last one, or from the top; False where there is none."""
        self.query_now = query
        if self.match is not None:
            start = self.match.start if backward else self.match.start + 1
        else:
            start = self.top
        self.searched, self.note = 0, "searching"
        self.post_message(self.Told())
        try:
            found = await searching.find(
                self.source, query, start, backward=backward, progress=self._progress
            )
        finally:
            self.searched, self.note = None, ""
        if found is None:
            self.note = "not found " + ("above" if backward else "below")
            self.post_message(self.Told())
            return False
        self.match = found
        self.following = False
        async with self._turn:
            await self._pager.to(found.start, above=self.size.height // 3)
        await self.draw()
        return True

    def _progress(self, done: int) -> None:
        self.searched = done
        self.note = f"searching: {done * 100 // max(1, self.source.size)} %"
        self.post_message(self.Told())

    # Following.

    async def look(self) -> Change:
        """See whether the file changed, and show it."""
        async with self._turn:
            change = await self.source.look()
            if change in (Change.REWRITTEN, Change.REPLACED):
                self.match = None
                self._colours.clear()
                self.index = LineIndex(self.source, self.encoding)
                if isinstance(self._pager, TextPager):
                    self._pager.reset()
                    self._pager.stretches.source = self.source
            if change is not Change.NONE and self.following:
                await self._pager.to_end()
        self.note = {
            Change.REWRITTEN: "the file was written anew",
            Change.REPLACED: "another file has taken its name",
            Change.GONE: "the file was removed",
        }.get(change, self.note)
        if change in (Change.GREW, Change.REWRITTEN, Change.REPLACED):
            if change is Change.GREW:
                self._colours.clear()
            if self.numbers:
                self.count_lines()
            await self.draw()
        return change

    async def follow(self, on: bool) -> None:
        """Stay at the end as the file grows."""
        self.following = on
        self.note = ""
        if on:
            await self.look()
            async with self._turn:
                await self._pager.to_end()
        await self.draw()
