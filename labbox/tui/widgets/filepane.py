"""One pane of the file manager: a path, the files under it, and what is marked."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import lru_cache
from pathlib import PurePosixPath
from typing import Final

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.message import Message
from textual.strip import Strip

from labbox.files.directory import UNKNOWN, Kind, Listing, Row, Sort
from labbox.locations import archive_ending
from labbox.text import visible_line
from labbox.tui import clock
from labbox.tui.widgets.paint import Alike, Painted, fit
from labbox.tui.widgets.table import Cell, Column, Table

COLUMNS: Final = [
    Column("name", "Name", 12, grow=1),
    Column("size", "Size", 7, right=True),
    Column("time", "Modified", 12, need=38),
    Column("mode", "Mode", 10, need=72),
]
_SORT_OF: Final = {"name": Sort.NAME, "size": Sort.SIZE, "time": Sort.TIME}
_SIGNS: Final = {
    Kind.FOLDER: "/",
    Kind.FOLDER_LINK: "~",
    Kind.LINK: "@",
    Kind.BROKEN: "!",
    Kind.OTHER: "=",
}
_STEPS: Final = {"up": -1, "down": 1}
_PAGES: Final = {"pageup": -1, "pagedown": 1}
_EDGES: Final = {"home": 0, "end": -1}
_HALF_YEAR: Final = 182 * 86400.0


def short_size(count: int) -> str:
    """Bytes in at most six cells: ``999``, ``12.3K``, ``1.46G``."""
    if count < 1000:
        return str(count)
    value = float(count)
    for unit in "KMGTP":
        value /= 1024
        if value < 999.5 or unit == "P":
            digits = 2 if value < 9.995 else 1 if value < 99.95 else 0
            return f"{value:.{digits}f}{unit}"
    raise AssertionError("unreachable")


def short_time(nanoseconds: int, now: float) -> str:
    """When it changed: the hour for the last half year, the year before that; 0 is no date."""
    if nanoseconds in (UNKNOWN, 0):
        return ""
    seconds = nanoseconds / 1e9
    try:
        when = time.localtime(seconds)
    except (OverflowError, OSError, ValueError):
        return "?"
    recent = -86400 < now - seconds < _HALF_YEAR
    return time.strftime("%d %b %H:%M" if recent else "%d %b  %Y", when)


def mode_text(row: Row) -> str:
    """Permission bits as ``ls`` writes them."""
    return _mode_text(row.kind, row.mode)


@lru_cache(64)
def _mode_text(kind: Kind, mode: int) -> str:
    letters = {Kind.FOLDER: "d", Kind.FILE: "-", Kind.OTHER: "="}.get(kind, "l")
    for place, letter in enumerate("rwxrwxrwx"):
        letters += letter if mode & (0o400 >> place) else "-"
    for bit, at, sign in ((0o4000, 3, "s"), (0o2000, 6, "s"), (0o1000, 9, "t")):
        if mode & bit:
            letters = letters[:at] + (sign if letters[at] == "x" else sign.upper()) + letters[at + 1 :]
    return letters


def look_of(row: Row) -> tuple[str, str]:
    """The sign before a name and the ink of both: a kind is told by either."""
    sign = _SIGNS.get(row.kind, " ")
    if row.kind is Kind.FOLDER:
        return sign, "folder"
    if row.kind in (Kind.LINK, Kind.FOLDER_LINK):
        return sign, "note"
    if row.kind is Kind.BROKEN:
        return sign, "bad"
    if row.kind is Kind.OTHER:
        return sign, "violet"
    if row.name.startswith("."):
        return " ", "dim"
    if row.mode & 0o111:
        return "*", "good"
    return " ", "accent" if archive_ending(row.name) else "text"


class FileTable(Table, inherit_bindings=False):
    """The rows of a listing; the first one leads up, where there is an up."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(-1)", show=False),
        Binding("end", "edge(1)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Typed(Message):
        """A key of the quick search: a character, "" to take one away, "next", "previous" or "end"."""

        def __init__(self, table: FileTable, what: str) -> None:
            """`what` as said above."""
            super().__init__()
            self.table = table
            self.what = what

    class Unread(Message):
        """Rows are on screen of which only the names are known."""

        def __init__(self, table: FileTable, numbers: list[int]) -> None:
            """`numbers` are the listing's."""
            super().__init__()
            self.table = table
            self.numbers = numbers

    def __init__(self) -> None:
        """Empty."""
        super().__init__(list(COLUMNS))
        self.listing = Listing()
        self.up = 1  # rows before the first entry: the way up
        self.searching = False
        self._asked: set[int] = set()
        self._strips: dict[int, tuple[tuple[object, ...], Strip]] = {}  # of two pages at most
        self._now = clock.now().timestamp()

    # Rows and entries.

    def show(self, listing: Listing, *, up: bool, stand_on: str | None = None) -> None:
        """Show a listing; the cursor goes to the entry of this name, else stays where it is."""
        self.listing, self.up = listing, 1 if up else 0
        self._asked = set()
        self._now = clock.now().timestamp()
        self.rows_changed()
        if stand_on is not None:
            self.stand_on(stand_on)
        self._show_cursor()

    def stand_on(self, name: str) -> bool:
        """Put the cursor on an entry."""
        number = self.listing.find(name)
        place = self.listing.place_of(number) if number is not None else None
        if place is None:
            return False
        self.go(place + self.up)
        return True

    def row_count(self) -> int:
        """The entries, and the way up."""
        return len(self.listing.shown) + self.up

    def number_at(self, row: int) -> int | None:
        """The entry's number; None on the way up."""
        place = row - self.up
        return self.listing.shown[place] if 0 <= place < len(self.listing.shown) else None

    @property
    def number(self) -> int | None:
        """The entry under the cursor."""
        return self.number_at(self.cursor)

    @property
    def row(self) -> Row | None:
        """All about the entry under the cursor."""
        number = self.number
        return None if number is None else self.listing.row(number)

    def numbers_shown(self) -> list[int]:
        """The entries that are on screen."""
        first = self.first_shown
        rows = range(first, min(first + self.page, self._count))
        return [number for row in rows if (number := self.number_at(row)) is not None]

    def is_marked(self, row: int) -> bool:
        """Whether the entry is marked."""
        return bool(self.listing.marks) and self.number_at(row) in self.listing.marks

    def head_sign(self, column: Column) -> str:
        """The arrow at the sorted column."""
        how = self.listing.arrangement
        if _SORT_OF.get(column.key) is how.sort or (column.key, how.sort) == ("name", Sort.EXTENSION):
            return (" ↓" if how.reverse else " ↑") + (" ext" if how.sort is Sort.EXTENSION else "")
        return ""

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """The cells of an entry."""
        number = self.number_at(row)
        if number is None:
            return [[("/..", "folder") if column.key == "name" else ("", "dim")] for column, _ in widths]
        entry = self.listing.row(number)
        if entry.mtime == UNKNOWN and number not in self._asked:
            self._ask(number)
        sign, ink = look_of(entry)
        found: list[Cell] = []
        for column, _room in widths:
            match column.key:
                case "name":
                    found.append([(sign + visible_line(entry.name), ink)])
                case "size":
                    found.append([(self._size_text(number, entry), "dim" if ink != "dim" else ink)])
                case "time":
                    found.append([(short_time(entry.mtime, self._now), "dim")])
                case _:
                    found.append([("" if entry.mtime == UNKNOWN else mode_text(entry), "dim")])
        return found

    def row_line(self, row: int, width: int, marked: bool, over: str | None) -> Strip:
        """A row; after a step that scrolls all but one of them are as they were, one line further."""
        number = self.number_at(row)
        if number is None:
            return super().row_line(row, width, marked, over)
        entry = self.listing.row(number)
        sized = number in self.listing.sized
        look = (entry, sized, marked, over, width, self._laid, self._now, id(self._inks))
        known = self._strips.get(number)
        if known is not None and known[0] == look and entry.mtime != UNKNOWN:
            return known[1]
        if len(self._strips) > 2 * self.page:
            self._strips.clear()
        strip = super().row_line(row, width, marked, over)
        self._strips[number] = look, strip
        return strip

    def _size_text(self, number: int, entry: Row) -> str:
        if entry.kind is Kind.FOLDER and number not in self.listing.sized:
            return "–"
        return "" if entry.mtime == UNKNOWN else short_size(entry.size)

    def _ask(self, number: int) -> None:
        if not self._asked:
            self.call_after_refresh(self._tell_unread)
        self._asked.add(number)

    def _tell_unread(self) -> None:
        numbers = [number for number in self._asked if self.listing.mtimes[number] == UNKNOWN]
        self._asked = set()
        if numbers:
            self.post_message(self.Unread(self, numbers))

    def refresh_number(self, number: int) -> None:
        """Draw an entry again, if it is on screen."""
        first = self.first_shown
        for row in range(first, first + self.page):
            if self.number_at(row) == number:
                self.refresh_row(row)
                return

    # Keys and mouse.

    def take(self, key: str) -> bool:
        """Move the cursor at once, if that is what the key means and nobody else wants it.

        No message tells of it: whoever calls this goes on himself.
        """
        if self.searching:
            return False
        if key in _STEPS:
            self._stand(self.cursor + _STEPS[key])
        elif key in _PAGES:
            self._stand(self.cursor + _PAGES[key] * max(1, self.page - 1))
        elif key in _EDGES:
            self._stand(_EDGES[key] % max(1, self._count))
        else:
            return False
        return True

    def on_key(self, event: events.Key) -> None:
        """Letters search; while one searches, so does everything that can be typed."""
        what: str | None = None
        plain = event.is_printable and not event.key.startswith("alt+")  # which has its letter with it
        character = event.character if plain else None
        if self.searching:
            if character is not None:
                what = character
            elif event.key == "backspace":
                what = ""
            elif event.key in ("ctrl+s", "down", "up"):
                what = "previous" if event.key == "up" else "next"
            elif event.key == "escape":
                what = "end"
            else:
                self.post_message(self.Typed(self, "end"))
        elif character is not None and (character.isalnum() or character in "._~"):
            what = character
        if what is not None:
            event.stop()
            event.prevent_default()
            self.post_message(self.Typed(self, what))

    def on_click(self, event: events.Click) -> None:
        """A click moves the cursor, a double click chooses; a heading sorts; the right button marks."""
        event.prevent_default()
        self.focus()
        if self._head and event.y == 0:
            at = 1
            for column, width in self._widths:
                at += width + 1
                if event.x < at:
                    self.post_message(self.HeadClicked(column.key))
                    return
            return
        row = self.first_shown + event.y - self._head
        if row >= self._count:
            return
        self.go(row)
        if event.button == 3 or event.ctrl:
            self.toggle(row)
            self.post_message(self.Moved())
        elif event.chain > 1:
            self.post_message(self.Chosen(row))

    def toggle(self, row: int, on: bool | None = None) -> None:
        """Mark or unmark a row."""
        number = self.number_at(row)
        if number is None:
            return
        marks = self.listing.marks
        wanted = number not in marks if on is None else on
        (marks.add if wanted else marks.discard)(number)
        self.refresh_row(row)


class PathLine(Painted):
    """The line above the files: where one is; bright where the keys go."""

    class Clicked(Message):
        """The path was clicked."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__(classes="path")
        self._parts = ("", "", False)

    def say(self, path: str, note: str, lit: bool) -> None:
        """The path at the left, the filter or what else is special at the right."""
        if self._parts != (path, note, lit):
            self._parts = (path, note, lit)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line; of a long path its end."""
        path, note, lit = self._parts
        width = self.size.width
        note = f" {visible_line(note)} " if note else ""
        room = max(8, width - cell_len(note) - 2)
        path = visible_line(path)
        while cell_len(path) > room:
            path = "…" + path[max(2, cell_len(path) - room + 1) :]
        ink = "bar-key" if lit else "cursor-off"
        return self.strip([("▸" if lit else " ", ink), (f"{fit(path, room)} ", ink), (note, ink)], width)

    def on_click(self) -> None:
        """Somebody wants to go elsewhere."""
        self.post_message(self.Clicked())


class PaneTabs(Painted):
    """The tabs of a pane; hidden while there is one."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, tabs: PaneTabs, place: int) -> None:
            """`place` counts from 0."""
            super().__init__()
            self.tabs = tabs
            self.place = place

    def __init__(self) -> None:
        """No tabs."""
        super().__init__(classes="tabs")
        self._names: list[str] = []
        self._at = 0
        self.display = False

    def say(self, names: list[str], at: int) -> None:
        """These tabs, and which is in front."""
        if (names, at) != (self._names, self._at):
            self._names, self._at = names, at
            self.display = len(names) > 1
            self.refresh()

    def _labels(self) -> Iterator[tuple[int, str]]:
        room = max(6, min(24, self.size.width // max(1, len(self._names)) - 1))
        for place, name in enumerate(self._names):
            text = visible_line(name)
            yield place, f" {fit(text, min(room - 2, cell_len(text)))} "

    def render_line(self, y: int) -> Strip:
        """The one line."""
        parts: Cell = []
        for place, label in self._labels():
            parts += [(label, "cursor" if place == self._at else "dim"), (" ", "text")]
        return self.strip(parts, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        at = 0
        for place, label in self._labels():
            if at <= event.x < at + cell_len(label):
                self.post_message(self.Chosen(self, place))
                return
            at += cell_len(label) + 1


class PaneStatus(Painted):
    """The line below the files: what is marked or under the cursor, and the free space."""

    def __init__(self) -> None:
        """Nothing yet."""
        super().__init__(classes="status")
        self._parts: tuple[str, str, str] = ("", "", "dim")

    def say(self, left: str, right: str, ink: str = "dim") -> None:
        """Both texts may come from outside."""
        if self._parts != (left, right, ink):
            self._parts = (left, right, ink)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line."""
        left, right, ink = self._parts
        width = self.size.width
        right = fit(visible_line(right), min(cell_len(visible_line(right)), width // 2))
        room = max(0, width - cell_len(right) - 3)
        return self.strip([(" " + fit(visible_line(left), room) + " ", ink), (right + " ", "dim")], width)


class FilePane(Vertical, Alike):
    """Tabs, path, files, status."""

    def __init__(self, side: str) -> None:
        """`side` is "left" or "right"."""
        super().__init__(id=f"{side}-pane", classes="file-pane")
        self.tabs = PaneTabs()
        self.path = PathLine()
        self.table = FileTable()
        self.status = PaneStatus()

    def compose(self) -> ComposeResult:
        """From top to bottom."""
        yield self.tabs
        yield self.path
        yield self.table
        yield self.status


def tab_name(path: str) -> str:
    """What a tab is called: the last part of its path."""
    return PurePosixPath(path).name or path
