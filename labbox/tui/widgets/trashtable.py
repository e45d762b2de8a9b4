"""What was deleted, a row for each: drawn from the list itself, so that many take no more than the list."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from labbox.files.ordering import natural
from labbox.locations import Kind, Location, parse
from labbox.text import counted, visible_line
from labbox.tui import clock
from labbox.tui.widgets.filepane import short_size, short_time
from labbox.tui.widgets.table import Cell, Column, Table

if TYPE_CHECKING:
    from labbox.files.transfer.trash import Trashed

COLUMNS: Final = [
    Column("place", "Place", 12, need=100),
    Column("name", "Name", 14, grow=2),
    Column("from", "Was in", 14, grow=3),
    Column("deleted", "Deleted", 12),
    Column("goes", "Kept for", 9, right=True),
    Column("size", "Size", 6, right=True),
]


class Gone(NamedTuple):
    """Something in the trash, with its location read."""

    item: Trashed
    origin: Location
    expires: datetime | None  # None: another host keeps it as long as it likes

    @property
    def key(self) -> str:
        """What tells it from all others."""
        return self.item.location

    @property
    def place(self) -> str:
        """Where its trash is, for people."""
        match self.origin.kind:
            case Kind.BOX:
                return "home" if parse(self.item.location).path.startswith("~") else "disk"
            case Kind.SHARED:
                return "shared"
        return self.origin.host

    def row(self) -> str:
        """What a filter looks at."""
        return f"{self.origin.name} {self.origin.parent}".casefold()


def gone(item: Trashed, days: float) -> Gone:
    """An item as it is shown; `days`: how long a trash keeps things."""
    origin = parse(item.origin)
    return Gone(item, origin, None if origin.kind is Kind.SFTP else item.deleted + timedelta(days=days))


SORTS: Final[dict[str, Callable[[Gone], str | float]]] = {
    "deleted": lambda one: -one.item.deleted.timestamp(),
    "name": lambda one: natural(one.origin.name),
    "from": lambda one: natural(str(one.origin.parent)),
    "size": lambda one: -one.item.size,
}


def kept_for(expires: datetime | None) -> str:
    """How long it still can be restored."""
    if expires is None:
        return "–"
    left = (expires - clock.now()).total_seconds()
    if left <= 0:
        return "due"
    if left < 86_400:
        return f"{ceil(left / 3600)} h"
    return counted(ceil(left / 86_400), "day")


class TrashTable(Table):
    """The rows, their order, the marks."""

    def __init__(self) -> None:
        """Nothing read yet."""
        super().__init__(list(COLUMNS))
        self.items: list[Gone] = []
        self.shown: list[Gone] = []
        self.marks: set[str] = set()
        self.sort, self.turned, self.filter = "deleted", False, ""

    def show(self, items: list[Gone]) -> None:
        """Show these; marks and the cursor's item stay where they are still there."""
        self.items = items
        self.marks &= {one.key for one in items}
        self.order()

    def order(self) -> None:
        """Sort and filter anew; the cursor stays on its item."""
        here = self.gone.key if self.gone else None
        wanted = self.filter.casefold().split()
        shown = [one for one in self.items if all(word in one.row() for word in wanted)]
        shown.sort(key=SORTS["name"])  # what was deleted together stands in the order of its names
        self.shown = sorted(shown, key=SORTS[self.sort], reverse=self.turned)
        self.rows_changed()
        for row, one in enumerate(self.shown):
            if one.key == here:
                self.go(row)
                return

    def row_count(self) -> int:
        """What the filter leaves."""
        return len(self.shown)

    @property
    def gone(self) -> Gone | None:
        """The one under the cursor."""
        return self.shown[self.cursor] if self.cursor < len(self.shown) else None

    def meant(self) -> list[Gone]:
        """The marked ones, else the one under the cursor."""
        if self.marks:
            return [one for one in self.items if one.key in self.marks]
        return [self.gone] if self.gone else []

    def is_marked(self, row: int) -> bool:
        """Whether it is marked."""
        return self.shown[row].key in self.marks

    def toggle(self, row: int) -> None:
        """Mark or unmark a row."""
        if row < len(self.shown):
            self.marks ^= {self.shown[row].key}
            self.refresh_row(row)

    def head_sign(self, column: Column) -> str:
        """The arrow at the sorted column."""
        return (" ↑" if self.turned else " ↓") if column.key == self.sort else ""

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """The cells of an item."""
        one = self.shown[row]
        now = clock.now().timestamp()
        sign, ink = ("/", "folder") if one.item.folder else (" ", "text")
        cells: dict[str, Cell] = {
            "place": [(visible_line(one.place), "dim")],
            "name": [(sign + visible_line(one.origin.name), ink)],
            "from": [(visible_line(str(one.origin.parent)), "dim")],
            "deleted": [(short_time(int(one.item.deleted.timestamp() * 1e9), now), "dim")],
            "goes": [(kept_for(one.expires), "dim")],
            "size": [("–" if one.item.folder else short_size(one.item.size), "dim")],
        }
        return [cells[column.key] for column, _ in widths]
