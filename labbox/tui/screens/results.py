"""The files that a job wrote, and a look at each."""

from __future__ import annotations

import os
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from textual.widget import Widget

from labbox import locations
from labbox.errors import LabboxError
from labbox.protocol import Job
from labbox.text import format_bytes, visible_line
from labbox.tui.format import local_time, name_of
from labbox.tui.screens.base import Pane
from labbox.tui.screens.folder import folder_of, home
from labbox.tui.screens.viewer import ViewerScreen
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
        self._root = folder_of(job)
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
            folder = locations.parse(locations.path_text(str(self._folder)))
            files = [folder.joined(each.name) for each in self._entries if not each.folder]
            self.app.push_screen(ViewerScreen(folder.joined(entry.name), siblings=files))

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
