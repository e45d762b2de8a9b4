"""A table that draws only the rows on screen, whatever their number."""

# ruff: noqa: A002 - Textual calls it id

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.cells import cell_len, set_cell_size
from textual import events
from textual.binding import Binding
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.strip import Strip

from labbox.tui.widgets.paint import Painted, fit

Cell = list[tuple[str, str]]
MEASURED = 200  # rows by whose texts columns are laid out


class Column(NamedTuple):
    """A column: `width` cells at least, and a part of the spare room by `grow`; `need` hides it on less.

    A column that grows takes what its texts fill, up to `most`, before any takes more; where even the least
    widths of all are too many cells, such a column goes down to `least`.
    """

    key: str
    title: str
    width: int
    grow: float = 0.0
    right: bool = False
    need: int = 0  # cells the whole table must have for this column to be shown
    most: int = 0  # cells that it grows to at most; 0: no end
    least: int = 0  # cells that it keeps on the narrowest terminal; 0: `width`


class Table(ScrollView, Painted, can_focus=True):
    """Rows with a cursor under a line of headings. A child class says what is in them.

    Moving the cursor redraws two lines; scrolling redraws what is on screen, and nothing else is kept.
    """

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(-1)", show=False),
        Binding("end", "edge(1)", show=False),
        Binding("enter", "choose", show=False),
    ]
    EMPTY = ""

    class Chosen(Message):
        """Enter, or a second click, on a row."""

        def __init__(self, row: int) -> None:
            """`row` counts from 0."""
            super().__init__()
            self.row = row

    class Moved(Message):
        """The cursor stands on another row."""

    class HeadClicked(Message):
        """A heading was clicked."""

        def __init__(self, key: str) -> None:
            """`key` is the column's."""
            super().__init__()
            self.key = key

    def __init__(self, columns: list[Column], *, id: str | None = None, heads: bool = True) -> None:
        """A table without rows yet; `heads=False` leaves the headings out."""
        super().__init__(id=id)
        self.columns = columns
        self.cursor = 0
        self.empty = self.EMPTY
        self.lit = False  # draw the cursor as if the keys came here
        self._head = 1 if heads else 0
        self._widths: list[tuple[Column, int]] = []
        self._count = 0
        self._laid = -1  # the width for which the columns were laid out
        self._filled: dict[str, int] = {}  # what their texts filled then

    # What a child class provides.

    def row_count(self) -> int:
        """How many rows there are."""
        raise NotImplementedError

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """The row's cells, one for each shown column; None while the row is not known yet."""
        raise NotImplementedError

    def is_marked(self, row: int) -> bool:
        """Whether the row is marked."""
        return False

    def head_sign(self, column: Column) -> str:
        """What stands behind a heading: the arrow of the sorted column."""
        return ""

    # Size and place.

    def rows_changed(self) -> None:
        """Rows came or went: keep the cursor inside and draw what is on screen."""
        count = self.row_count()
        self._count = count
        self.fill()
        self.cursor = max(0, min(self.cursor, count - 1))
        self.virtual_size = Size(self.size.width, count + self._head)
        self.refresh()

    def texts(self) -> dict[str, int]:
        """Cells that the longest text of a growing column fills, as far as is known, by the column's key."""
        return {}

    def _lay_out(self) -> None:
        width = self.size.width
        shown = [column for column in self.columns if column.need <= width]
        self._filled = self.texts()
        self._widths = list(zip(shown, _shared(shown, width - len(shown) - 1, self._filled), strict=True))
        self._laid = width

    def fill(self) -> None:
        """Other rows are known: columns whose texts have become longer are laid out anew."""
        filled = self.texts()
        if any(length > self._filled.get(key, 0) for key, length in filled.items()):
            self._lay_out()

    def on_resize(self) -> None:
        """Give the columns their widths anew."""
        self._lay_out()
        self.rows_changed()
        self._show_cursor()

    @property
    def page(self) -> int:
        """Rows that fit on screen."""
        return max(1, self.scrollable_content_region.height - self._head)

    @property
    def first_shown(self) -> int:
        """The topmost row on screen."""
        return self.scroll_offset.y

    def refresh_row(self, row: int) -> None:
        """Draw one row again, if it is on screen."""
        y = row - self.first_shown + self._head
        if self._head <= y < self.size.height:
            self.refresh(Region(0, y, self.size.width, 1))

    def go(self, row: int) -> None:
        """Put the cursor on a row and bring it on screen."""
        if self._stand(row):
            self.post_message(self.Moved())

    def _stand(self, row: int) -> bool:
        row = max(0, min(row, self._count - 1))
        if row == self.cursor:
            return False
        old, self.cursor = self.cursor, row
        self.refresh_row(old)
        self.refresh_row(row)
        self._show_cursor()
        return True

    def _show_cursor(self) -> None:
        top = self.first_shown
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True)
        elif self.cursor >= top + self.page:
            self.scroll_to(y=self.cursor - self.page + 1, animate=False, force=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Draw the scroll bar anew only where its thumb looks otherwise: among many rows it seldom does."""
        bar = self.vertical_scrollbar if self.show_vertical_scrollbar else None
        if bar is not None and _thumb(bar, bar.position) == _thumb(bar, new_value):
            bar.set_reactive(ScrollBar.position, int(new_value * 8) / 8)
        super().watch_scroll_y(old_value, new_value)

    # Keys and mouse.

    def action_move(self, by: int) -> None:
        """One row down or up."""
        self.go(self.cursor + by)

    def action_page(self, by: int) -> None:
        """One screen down or up."""
        self.go(self.cursor + by * max(1, self.page - 1))

    def action_edge(self, to: int) -> None:
        """To the first or the last row."""
        self.go(0 if to < 0 else self._count - 1)

    def action_choose(self) -> None:
        """Choose the row under the cursor."""
        if self._count:
            self.post_message(self.Chosen(self.cursor))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, on the cursor's row it chooses; a click on a heading sorts."""
        if self._head and event.y == 0:
            at = 1
            for column, width in self._widths:
                at += width + 1
                if event.x < at:
                    self.post_message(self.HeadClicked(column.key))
                    return
            return
        row = self.first_shown + event.y - self._head
        if row < self._count:
            again = row == self.cursor
            self.go(row)
            if again or event.chain > 1:
                self.post_message(self.Chosen(row))

    # Drawing.

    def render_line(self, y: int) -> Strip:
        """Headings first, then the rows from the scroll offset on."""
        return self.drawn((y,), self.size.width)[0]

    def drawn(self, numbers: Iterable[int], width: int) -> list[Strip]:
        """The same, so wide; what all lines have in common is asked for once."""
        if self.size.width != self._laid:
            self._lay_out()
        top = self.first_shown
        return [self._line(y, width, top) for y in numbers]

    def _line(self, y: int, width: int, top: int) -> Strip:
        if self._head and y == 0:
            parts: Cell = [(" ", "head")]
            for column, room in self._widths:
                parts.append((fit(column.title + self.head_sign(column), room, column.right) + " ", "head"))
            return self.strip(parts, width)
        row = top + y - self._head
        if row >= self._count:
            if self._count == 0 and y == self._head + 1:
                return self.strip([("  " + self.empty, "dim")], width)
            return self.blank(width)
        marked = self.is_marked(row)
        here = row == self.cursor
        over = ("cursor" if self.has_focus or self.lit else "cursor-off") if here else None
        return self.row_line(row, width, marked, over)

    def row_line(self, row: int, width: int, marked: bool, over: str | None) -> Strip:
        """A row; `over` is the ink of the cursor, where it stands there."""
        found = self.cells(row, self._widths)
        if found is None:
            return self.strip([("  …", "faint")], width, over)
        parts = [("▌" if marked else " ", "mark")]
        for (column, room), cell in zip(self._widths, found, strict=True):
            if marked:
                cell = [(text, "mark") for text, _ in cell]
            parts += _fitted(cell, room, column.right)
            parts.append((" ", "text"))
        return self.strip(parts, width, over)

    def on_focus(self) -> None:
        """Show where the keys go now."""
        self.refresh_row(self.cursor)

    def on_blur(self) -> None:
        """Show that the keys go elsewhere."""
        self.refresh_row(self.cursor)


def _shared(columns: list[Column], room: int, filled: dict[str, int]) -> list[int]:
    """The columns' widths, which are `room` together where that can be."""
    widths = [column.width for column in columns]
    for place in sorted(range(len(columns)), key=lambda at: -columns[at].grow):
        over = sum(widths) - room
        if over > 0 and columns[place].least:
            widths[place] = max(columns[place].least, widths[place] - over)
    known = [filled.get(column.key, 0) for column in columns]
    unknown = [width if column.key in filled else room for column, width in zip(columns, known, strict=True)]
    for limits in (known, unknown, [room] * len(columns)):  # what they fill; who may fill more; the rest
        growing = [place for place, column in enumerate(columns) if column.grow]
        while growing and (spare := room - sum(widths)) > 0:
            total = sum(columns[place].grow for place in growing)
            before = sum(widths)
            for place in tuple(growing):
                column = columns[place]
                end = min(limits[place], column.most or room)
                part = max(1, int(spare * column.grow / total))
                wanted = min(end, widths[place] + part, widths[place] + room - sum(widths))
                widths[place] = max(widths[place], wanted)
                if widths[place] >= end:
                    growing.remove(place)
            if sum(widths) == before:
                break
    return widths


def _thumb(bar: ScrollBar, position: float) -> int:
    """Where the thumb begins, in eighths of a cell, as Textual reckons it."""
    size, whole, window = bar.size.height, bar.window_virtual_size, bar.window_size
    if not (size and whole > window > 0):
        return 0
    return int((size - max(1, window * size / whole)) * position / (whole - window) * 8)


def _fitted(cell: Cell, width: int, right: bool) -> Cell:
    if len(cell) == 1:
        text, ink = cell[0]
        return [(fit(text, width, right), ink)]
    parts: Cell = []
    room = width
    for text, ink in cell:
        length = len(text) if text.isascii() else cell_len(text)
        if length > room:
            text, length = set_cell_size(text, room), room
        parts.append((text, ink))
        room -= length
    if room > 0:
        parts.append((" " * room, "text"))
    return parts


class RowsTable(Table):
    """A table over rows that are all at hand."""

    def __init__(self, columns: list[Column], *, id: str | None = None, heads: bool = True) -> None:
        """An empty table."""
        super().__init__(columns, id=id, heads=heads)
        self._rows: list[list[Cell]] = []
        self._places: dict[str, int] = {}
        self._names: Sequence[object] = ()

    def set_rows(self, rows: list[list[Cell]], names: Sequence[object] = ()) -> None:
        """Show these rows; each holds a cell for every column.

        `names`: what each row is about, so that the cursor stays with its own when others come and go above.
        """
        here = self._names[self.cursor] if self.cursor < len(self._names) else None
        self._rows, self._names = rows, names
        self._places = {column.key: place for place, column in enumerate(self.columns)}
        self.rows_changed()
        if here is not None and here in names:
            self.go(names.index(here))

    def texts(self) -> dict[str, int]:
        """As far as the first rows tell."""
        found: dict[str, int] = {}
        for place, column in enumerate(self.columns):
            if column.grow:
                cells = (row[place] for row in self._rows[:MEASURED])
                found[column.key] = max(
                    (sum(cell_len(text) for text, _ in cell) for cell in cells), default=0
                )
        return found

    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """The cells of the shown columns."""
        cells = self._rows[row]
        return [cells[self._places[column.key]] for column, _ in widths]
