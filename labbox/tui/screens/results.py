"""The files that a job wrote, and a look at each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.protocol import Job
from labbox.text import format_bytes, visible_line
from labbox.tui import preview
from labbox.tui.format import local_time, name_of
from labbox.tui.screens.base import Pane
from labbox.tui.screens.folder import home
from labbox.tui.widgets.lines import Lines
from labbox.tui.widgets.picture import HalfBlocks
from labbox.tui.widgets.table import Cell, Column, RowsTable

MOST: Final = 10_000  # entries shown of one folder


class Entry(NamedTuple):
    """A file or a folder."""

    name: str
    folder: bool
    size: int
    changed: float


def entries_of(folder: Path) -> list[Entry]:
    """What is in a folder, folders first, then by name."""
    found: list[Entry] = []
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                about = entry.stat(follow_symlinks=False)
                found.append(
                    Entry(entry.name, entry.is_dir(follow_symlinks=False), about.st_size, about.st_mtime)
                )
                if len(found) >= MOST:
                    break
    except FileNotFoundError:
        return []
    except OSError as error:
        reason = error.strerror or str(error)
        raise LabboxError(
            "unavailable",
            f"cannot open {visible_line(folder.name)}: {reason}",
            "Results belong to the job's owner; others cannot read them.",
        ) from error
    return sorted(found, key=lambda each: (not each.folder, each.name.casefold()))


class ResultsScreen(Pane):
    """The results folder of a job, from `output/` on."""

    KEYS = "files"
    AUTO_FOCUS = "RowsTable"

    def __init__(self, job: Job) -> None:
        """The results of this job."""
        super().__init__()
        self.job = job
        self._root = home() / job.results
        self._folder = self._root / "output"
        self._entries: list[Entry] = []

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("name", "name", 20, grow=1),
                Column("size", "size", 10, right=True),
                Column("changed", "changed", 16),
            ]
        )
        table.empty = "Reading…"
        yield table

    def heading(self) -> str:
        """Where one is."""
        below = self._folder.relative_to(self._root).as_posix()
        return f"Results of job {self.job.id} · {name_of(self.job)} · {visible_line(below)}/"

    def begin(self) -> None:
        """List the output; a job of somebody else has no results here."""
        if self.job.owner != self.lab.me and self.lab.me:
            self.query_one(RowsTable).empty = "These results belong to " + visible_line(self.job.owner) + "."
            self.query_one(RowsTable).set_rows([])
            return
        self.attempt(self._list(), group="list")

    async def _list(self, stand_on: str = "") -> None:
        self._entries = await self.ask(lambda: entries_of(self._folder))
        table = self.query_one(RowsTable)
        table.empty = "Nothing here. A run writes its results to /output."
        rows: list[list[Cell]] = []
        for entry in self._entries:
            name = visible_line(entry.name) + ("/" if entry.folder else "")
            rows.append(
                [
                    [(name, "bold" if entry.folder else "text")],
                    [("" if entry.folder else format_bytes(entry.size), "dim")],
                    [(local_time(datetime.fromtimestamp(entry.changed, UTC)), "dim")],
                ]
            )
        table.cursor = 0
        table.set_rows(rows)
        names = [entry.name for entry in self._entries]
        if stand_on in names:
            table.go(names.index(stand_on))
        self.retitle()

    @property
    def _here(self) -> Entry | None:
        return self._entries[self.query_one(RowsTable).cursor] if self._entries else None

    def on_table_chosen(self) -> None:
        """Enter opens."""
        self.action_open()

    def action_open(self) -> None:
        """Open a folder, look at a file."""
        entry = self._here
        if entry is None:
            return
        path = self._folder / entry.name
        if entry.folder:
            self._folder = path
            self.attempt(self._list(), group="list", exclusive=True)
        else:
            self.attempt(self._look(path))

    async def _look(self, path: Path) -> None:
        kind = await self.ask(lambda: preview.kind_of(path))
        if kind == "image":
            self.app.push_screen(PictureScreen(path))
        elif kind == "table":
            rows, more = await self.ask(lambda: preview.table_rows(path))
            self.app.push_screen(CsvScreen(path, rows, more))
        else:
            read = preview.text_lines if kind == "text" else preview.hex_lines
            self.app.push_screen(TextScreen(path, await self.ask(lambda: read(path))))

    def action_up(self) -> None:
        """One folder up, not above the job's results."""
        if self._folder != self._root:
            name = self._folder.name
            self._folder = self._folder.parent
            self.attempt(self._list(name), group="list", exclusive=True)

    def action_copy_path(self) -> None:
        """Put the path on the clipboard."""
        entry = self._here
        path = self._folder / entry.name if entry else self._folder
        shown = visible_line(str(path))
        self.app.copy_to_clipboard(shown)
        self.lab.say(f"Copied: {shown}")

    def action_fetch_hint(self) -> None:
        """Say how to fetch."""
        below = self._folder.relative_to(home()).as_posix()
        self.lab.say(
            f"From your computer:\nscp -r BOX:{below} .\nor: ssh BOX job fetch {self.job.id}", "Fetch"
        )

    def action_graphics(self) -> None:
        """Half blocks, or the terminal's own graphics."""
        graphics = self.lab.graphics
        graphics.wanted = not graphics.wanted
        self.lab.say(
            "Pictures by the terminal's graphics, if it has them."
            if graphics.wanted
            else "Pictures in half blocks."
        )


class CsvScreen(Pane):
    """A table from a file; ← → show further columns."""

    AUTO_FOCUS = "RowsTable"

    def __init__(self, path: Path, rows: list[list[str]], more: bool) -> None:
        """The first row holds the headings; `more`: the file goes on behind the last one."""
        super().__init__()
        self._more = more
        self._path = path
        self._rows = rows
        self._first = 0

    def heading(self) -> str:
        """Which file, how large."""
        count = max(0, len(self._rows) - 1)
        more = "first " if self._more else ""
        columns = len(self._rows[0]) if self._rows else 0
        return f"{visible_line(self._path.name)} · {more}{count} rows, {columns} columns"

    def body(self) -> Iterator[Widget]:
        """One table with columns as wide as what is in them."""
        heads = self._rows[0] if self._rows else []
        columns = []
        numbers = []
        for place, head in enumerate(heads):
            cells = [row[place] for row in self._rows[1:200] if place < len(row)]
            widest = max((len(cell) for cell in [head, *cells]), default=1)
            number = bool(cells) and all(_is_number(cell) for cell in cells)
            numbers.append(number)
            columns.append(Column(str(place), head, max(3, min(widest, 30)), right=number))
        self._columns = columns
        table = RowsTable(columns)
        table.empty = "The table has no rows."
        yield table

    def begin(self) -> None:
        """Fill it."""
        width = len(self._columns)
        table = self.query_one(RowsTable)
        table.set_rows(
            [[[(cell, "text")] for cell in (row + [""] * width)[:width]] for row in self._rows[1:]]
        )

    def key_left(self) -> None:
        """The columns before."""
        self._turn(-1)

    def key_right(self) -> None:
        """Further columns."""
        self._turn(1)

    def _turn(self, by: int) -> None:
        self._first = max(0, min(self._first + by, len(self._columns) - 1))
        table = self.query_one(RowsTable)
        table.columns = self._columns[self._first :]
        table.on_resize()


def _is_number(cell: str) -> bool:
    try:
        float(cell or "0")
    except ValueError:
        return False
    return True


class TextScreen(Pane):
    """A text, or bytes in hex."""

    AUTO_FOCUS = "Lines"

    def __init__(self, path: Path, lines: list[str]) -> None:
        """Harmless lines."""
        super().__init__()
        self._path = path
        self._lines = lines

    def heading(self) -> str:
        """Which file."""
        return visible_line(self._path.name)

    def body(self) -> Iterator[Widget]:
        """One page."""
        yield Lines()

    def begin(self) -> None:
        """Fill it."""
        self.query_one(Lines).set_lines([[(" " + line, "text")] for line in self._lines])


class PictureScreen(Pane):
    """A picture: by the terminal's graphics where it has them and they are wanted, else in half blocks."""

    AUTO_FOCUS = "#picture"

    def __init__(self, path: Path) -> None:
        """The picture in this file."""
        super().__init__()
        self._path = path
        self._pixels = ""

    def heading(self) -> str:
        """Which file, how large."""
        return visible_line(self._path.name) + self._pixels

    def body(self) -> Iterator[Widget]:
        """The picture."""
        own = self.lab.graphics.widget(self.lab, self._path)
        if own is not None:
            own.id = "picture"
            yield own
        else:
            yield HalfBlocks()

    def on_resize(self) -> None:
        """Fit it into the screen anew."""
        if self.query(HalfBlocks):
            self.attempt(self._paint(), group="paint", exclusive=True)

    async def _paint(self) -> None:
        place = self.query_one(HalfBlocks)
        width, height = max(1, self.size.width), max(1, self.size.height - 2)
        size, rows = await self.ask(lambda: preview.picture_rows(self._path, width, height))
        self._pixels = f" · {size[0]} × {size[1]} pixels"
        place.set_rows(rows)
        self.retitle()
