"""Choose a folder below the home."""

from __future__ import annotations

import os
from itertools import islice
from pathlib import Path
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Static

from labbox.locations import OPERATIONS, results_folder
from labbox.protocol import Job
from labbox.text import visible_line
from labbox.tui.widgets.dialog import Dialog
from labbox.tui.widgets.table import Cell, Column, RowsTable

MOST: Final = 2000  # folders shown of one folder
_SIGNS: Final = frozenset({"job.toml", "code", "run.sh", "Dockerfile", "Makefile", "makefile", "GNUmakefile"})
_ENDINGS: Final = (".py", ".m", ".R", ".jl", ".sh")
_NOT_CODE: Final = ("setup.py", "conftest.py", "__init__.py", "test_", ".")
_LOOKED_AT: Final = 1000  # entries of a folder


def folder_of(job: Job) -> Path:
    """What a job left: a run's folder stands below the home, an operation's on files apart."""
    if job.results.startswith(f"{OPERATIONS}/"):
        return results_folder(home().parent.parent, job.owner, job.results)
    return home() / job.results


def home() -> Path:
    """The home that paths of jobs are relative to."""
    return Path(os.environ.get("HOME", "/"))


def subfolders(folder: Path) -> list[tuple[str, bool]]:
    """The folders in a folder, by name, each with whether it looks like a project; no hidden ones."""
    found: list[tuple[str, bool]] = []
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(".") or len(found) >= MOST:
                continue
            if entry.is_dir(follow_symlinks=False):
                found.append((entry.name, is_project(Path(entry.path))))
    return sorted(found, key=lambda each: each[0].casefold())


def is_project(folder: Path) -> bool:
    """Whether something in the folder would run, guessed by its names; `job check` knows."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in islice(entries, _LOOKED_AT)]
    except OSError:
        return False
    if not _SIGNS.isdisjoint(names):
        return True
    scripts = [name for name in names if name.endswith(_ENDINGS) and not name.startswith(_NOT_CODE)]
    return len(scripts) == 1 or any(name.rpartition(".")[0].lower() in ("app", "main") for name in scripts)


class FolderDialog(Dialog[str]):
    """Folders to walk through; dismissed with a path relative to the home."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("backspace,left", "up", show=False),
        Binding("right", "into", show=False),
        Binding("up", "none", show=False),
        Binding("down", "none", show=False),
        Binding("f2,space", "take", show=False),
    ]

    def __init__(self, begin: str = "") -> None:
        """Begin at this path, where it is a folder, else at the home."""
        super().__init__("Choose a project folder")
        start = home() / begin
        inside = begin and start.is_dir() and start.resolve().is_relative_to(home().resolve())
        self._folder = start.parent if inside else home()
        self._names: list[str] = []

    def compose(self) -> ComposeResult:
        """Where one is, the folders, what the keys do."""
        table = RowsTable([Column("name", "", 20, grow=1), Column("note", "", 10)], heads=False, id="folders")
        yield self.framed(
            Static("", id="folder-path", markup=False),
            table,
            Static("Enter opens or takes · Space takes · ← up · Esc back", classes="hint", markup=False),
        )

    def on_mount(self) -> None:
        """List the first folder."""
        self._list()
        self.query_one(RowsTable).focus()

    def _list(self, stand_on: str = "") -> None:
        inside = self._folder != home()
        below = self._folder.relative_to(home()).as_posix() if inside else ""
        self.query_one("#folder-path", Static).update(visible_line(f"~/{below}"))
        table = self.query_one(RowsTable)
        try:
            folders = subfolders(self._folder)
        except OSError as error:
            table.empty = f"cannot open it: {error.strerror}"
            folders = []
        else:
            table.empty = "No folders here. scp or git push brings them."
        rows: list[list[Cell]] = []
        self._names = []
        if inside:
            self._names.append("..")
            rows.append([[("..", "dim")], [("", "dim")]])
        for name, project in folders:
            self._names.append(name)
            rows.append(
                [
                    [(visible_line(name) + "/", "bold" if project else "text")],
                    [("project" if project else "", "good")],
                ]
            )
        table.cursor = 0
        table.set_rows(rows)
        if stand_on in self._names:
            table.go(self._names.index(stand_on))

    @property
    def _under_cursor(self) -> str:
        table = self.query_one(RowsTable)
        return self._names[table.cursor] if self._names else ""

    @on(RowsTable.Chosen)
    def chosen(self) -> None:
        """A project is taken, any other folder opened."""
        name = self._under_cursor
        if name == "..":
            self.action_up()
        elif is_project(self._folder / name):
            self.action_take()
        else:
            self.action_into()

    def action_into(self) -> None:
        """Open the folder under the cursor."""
        name = self._under_cursor
        if name == "..":
            self.action_up()
        elif name:
            self._folder = self._folder / name
            self._list()

    def action_up(self) -> None:
        """One folder up, not above the home."""
        if self._folder != home():
            name = self._folder.name
            self._folder = self._folder.parent
            self._list(stand_on=name)

    def action_take(self) -> None:
        """Take the folder under the cursor."""
        name = self._under_cursor
        if name and name != "..":
            self.dismiss((self._folder / name).relative_to(home()).as_posix())
