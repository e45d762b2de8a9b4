"""A table whose rows are read when they come on the screen."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

from rich.cells import cell_len
from textual.binding import Binding

from labbox.errors import LabboxError
from labbox.tui.widgets.table import Cell, Column, Table
from labbox.tui.widgets.working import begin

CHUNK: Final = 200  # rows that are read at once
_KEPT: Final = 60  # chunks
_WIDEST: Final = 30

Fetch = Callable[[int, int], Awaitable[list[list[str]]]]
"""`fetch(first, count)`: the cells of rows, safe to show; the first cell is the row's name."""


class GridView(Table):
    """Rows by their number; ← → show further columns."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("left", "turn(-1)", show=False),
        Binding("right", "turn(1)", show=False),
        Binding("space", "page(1)", show=False),
    ]

    def __init__(self, columns: list[tuple[str, int, bool]], fetch: Fetch, rows: int) -> None:
        """`columns`: title, width, and whether to stand to the right; `rows` may grow."""
        self._all = [
            Column(str(place), title, max(3, min(max(width, cell_len(title)), _WIDEST)), right=right)
            for place, (title, width, right) in enumerate(columns, 1)
        ]
        self._number = Column("0", "", max(3, len(str(rows))), right=True)
        super().__init__([self._number, *self._all])
        self._first = 0
        self._fetch = fetch
        self._rows = rows
        self._chunks: OrderedDict[int, list[list[str]]] = OrderedDict()
        self._asked: set[int] = set()
        self.trouble: Callable[[LabboxError], None] = lambda _error: None
        self.empty = "The table has no rows."

    def set_rows(self, rows: int) -> None:
        """There are so many rows."""
        if rows != self._rows:
            last = self._rows // CHUNK
            if len(self._chunks.get(last, ())) < CHUNK:
                self._chunks.pop(last, None)
            self._rows = rows
            width = max(3, len(str(rows)))
            if width != self._number.width:
                self._number = self._number._replace(width=width)
                self._lay()
            self.rows_changed()

    def _lay(self) -> None:
        self.columns = [self._number, *self._all[self._first :]]
        self._laid = -1
        self.refresh()

    def action_turn(self, by: int) -> None:
        """Further columns."""
        first = max(0, min(self._first + by, len(self._all) - 1))
        if first != self._first:
            self._first = first
            self._lay()

    @property
    def first_column(self) -> int:
        """The leftmost column on the screen, from 0."""
        return self._first

    def row_count(self) -> int:
        """How many rows there are."""
        return self._rows

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """The row's cells where they have been read."""
        chunk = self._chunks.get(row // CHUNK)
        if chunk is None:
            self._want(row // CHUNK)
            return None
        at = row % CHUNK
        if at >= len(chunk):
            return None
        cells = chunk[at]
        return [
            [
                (
                    cells[int(column.key)] if int(column.key) < len(cells) else "",
                    "dim" if column.key == "0" else "text",
                )
            ]
            for column, _ in widths
        ]

    def _widen(self, rows: list[list[str]]) -> None:
        """Columns grow with what comes into them; so none moves while one only scrolls back."""
        wider = False
        for place, column in enumerate(self._all):
            longest = max((cell_len(row[place + 1]) for row in rows if place + 1 < len(row)), default=0)
            if min(longest, _WIDEST) > column.width:
                self._all[place] = column._replace(width=min(longest, _WIDEST))
                wider = True
        longest = max((cell_len(row[0]) for row in rows), default=0)
        if longest > self._number.width:
            self._number = self._number._replace(width=longest)
            wider = True
        if wider:
            self._lay()

    def _want(self, number: int) -> None:
        if number in self._asked:
            return
        self._asked.add(number)
        # Not at once: from Python 3.12 on it would begin, and perhaps end, while a row is being drawn.
        self.call_later(begin, self, partial(self._read, number), group="chunks")

    async def _read(self, number: int) -> None:
        """Read a chunk, unless it is far away by the time its turn comes."""
        try:
            self._chunks[number] = await self._fetch(number * CHUNK, CHUNK)
        except LabboxError as error:
            self._chunks[number] = []
            self.trouble(error)
        finally:
            self._asked.discard(number)
        self._widen(self._chunks[number])
        while len(self._chunks) > _KEPT:
            self._chunks.popitem(last=False)
        self.refresh()
