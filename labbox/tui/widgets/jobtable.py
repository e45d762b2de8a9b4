"""The table of jobs."""

# ruff: noqa: A002 - Textual calls it id

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from rich.cells import cell_len
from textual.message import Message

from labbox.model import ACTIVE, JobKind
from labbox.protocol import Job, Live
from labbox.text import visible_line
from labbox.tui.format import elapsed, exit_cell, live_cell, name_of, short_time, state_cell, why_cell
from labbox.tui.joblist import PAGE, JobList
from labbox.tui.widgets.table import MEASURED, Cell, Column, Table

COLUMNS: Final = [
    Column("id", "id", 6, right=True),
    Column("name", "name", 12, grow=1.0, most=36, least=8),
    Column("owner", "user", 7, grow=0.15, most=12, need=64),
    Column("group", "group", 10, grow=0.1, most=16, need=130),
    Column("when", "when", 6, need=76),
    Column("state", "state", 12),
    Column("elapsed", "time", 6, right=True),
    Column("live", "cpus memory", 18, need=124),
    Column("exit", "exit", 4, right=True),
    Column("why", "why · progress", 16, grow=2.0, least=8),
]


_CELLS: Final[dict[str, Callable[[Job, int], Cell]]] = {
    "id": lambda job, _: [(str(job.id), "dim")],
    "name": lambda job, _: [(name_of(job), "text")],
    "owner": lambda job, _: [(visible_line(job.owner), "text")],
    "group": lambda job, _: [(visible_line(job.group or ""), "dim")],
    "when": lambda job, _: [(short_time(job.ended_at or job.started_at or job.submitted_at), "dim")],
    "state": lambda job, _: state_cell(job.state, job.kind),
    "elapsed": lambda job, _: [(elapsed(job), "text" if job.state in ACTIVE else "dim")],
    "exit": lambda job, _: exit_cell(job),
    "why": why_cell,
}


class JobTable(Table):
    """Rows of a `JobList`, with marks. Asks for pages that it would show and does not have."""

    class Wanted(Message):
        """Rows from `first` on are on screen and not at hand."""

        def __init__(self, first: int) -> None:
            """`first` counts from 0."""
            super().__init__()
            self.first = first

    def __init__(self, jobs: JobList, *, id: str | None = None) -> None:
        """A table over this list; whoever changes the list calls `rows_changed` or `refresh_row`."""
        super().__init__(COLUMNS, id=id)
        self.jobs = jobs
        self.marks: set[int] = set()
        self.lives: dict[int, Live] = {}  # what running jobs take now
        self._asked = -1

    def row_count(self) -> int:
        """How many rows there are."""
        return len(self.jobs)

    def is_marked(self, row: int) -> bool:
        """Whether the row's job is marked."""
        return bool(self.marks) and self.jobs.id_at(row) in self.marks

    def head_sign(self, column: Column) -> str:
        """The arrow behind the sorted column."""
        if column.key != self.jobs.column:
            return ""
        return "↓" if self.jobs.descending else "↑"

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """The job's cells."""
        job = self.jobs.get(row)
        if job is None:
            first = row // PAGE * PAGE
            if first != self._asked:
                self._asked = first
                self.post_message(self.Wanted(row))
            return None
        return [
            live_cell(self.lives.get(job.id), room) if column.key == "live" else _CELLS[column.key](job, room)
            for column, room in widths
        ]

    @property
    def shows_live(self) -> bool:
        """Whether there is room for what jobs take, and one on screen that runs."""
        return any(column.key == "live" for column, _ in self._widths) and any(
            (job := self.jobs.get(row)) is not None and job.state in ACTIVE and job.kind is JobKind.CONTAINER
            for row in range(self.first_shown, min(self.row_count(), self.first_shown + self.page))
        )

    def texts(self) -> dict[str, int]:
        """By the jobs on screen and around, as far as they are at hand."""
        names = owners = 0
        first = max(0, self.first_shown - MEASURED // 2)
        for row in range(first, min(self.row_count(), first + MEASURED)):
            job = self.jobs.get(row)
            if job is not None:
                names = max(names, cell_len(name_of(job)))
                owners = max(owners, cell_len(job.owner))
        return {"name": names, "owner": owners}

    def arrived(self) -> None:
        """Pages came: whatever is missing may be asked for again."""
        self._asked = -1

    def tick(self) -> None:
        """Draw again the rows on screen whose time runs."""
        for row in range(self.first_shown, min(self.row_count(), self.first_shown + self.page)):
            job = self.jobs.get(row)
            if job is not None and job.state in ACTIVE:
                self.refresh_row(row)
