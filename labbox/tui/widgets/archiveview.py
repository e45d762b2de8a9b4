"""What is in an archive, as rows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from labbox.files.places.base import EntryKind
from labbox.locations import Location
from labbox.text import format_bytes, visible_line
from labbox.tui.widgets.table import Cell

if TYPE_CHECKING:
    from labbox.files.places.opening import Places

MOST: Final = 5000


async def archive_rows(location: Location, places: Places) -> tuple[list[list[Cell]], str]:
    """Everything in the archive, each folder before what is in it, up to `MOST`; and that in words."""
    place, top = await places.get(location.entered())
    rows: list[list[Cell]] = []
    waiting = [(top, 0)]
    more = False
    while waiting and not more:
        path, depth = waiting.pop()
        if path != top:
            rows.append(
                [
                    [("  " * (depth - 1) + visible_line(path.rpartition("/")[2]) + "/", "folder")],
                    [("", "dim")],
                ]
            )
        entries = [entry async for batch in place.list(path) for entry in batch]
        folders = []
        for entry in sorted(entries, key=lambda entry: entry.name):
            below = f"{path}/{entry.name}" if path else entry.name
            if entry.kind is EntryKind.FOLDER:
                folders.append((below, depth + 1))
                continue
            target = f" → {visible_line(entry.target)}" if entry.target else ""
            name = "  " * depth + visible_line(entry.name) + target
            rows.append([[(name, "text")], [(format_bytes(entry.size), "dim")]])
        waiting += reversed(folders)
        more = len(rows) > MOST
    return rows[
        :MOST
    ], f"the first {MOST:,} entries" if more else f"{len(rows):,} {'entry' if len(rows) == 1 else 'entries'}"
