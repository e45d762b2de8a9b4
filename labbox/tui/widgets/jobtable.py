"""The table of jobs."""

# ruff: noqa: A002 - Textual calls it id

from __future__ import annotations

from typing import Final

from textual.message import Message

from labbox.model import ACTIVE
from labbox.text import visible_line
from labbox.tui.format import elapsed, exit_cell, name_of, state_cell, why_cell
from labbox.tui.joblist import PAGE, JobList
from labbox.tui.widgets.table import Cell, Column, Table

COLUMNS: Final = [
    Column("id", "id", 6, right=True),
    Column("name", "name", 12, grow=1.0, most=36),
    Column("owner", "user", 7, grow=0.15, most=12),
    Column("group", "group", 10, grow=0.1, most=16, need=130),
    Column("where", "where", 5, grow=0.1, most=8),
    Column("state", "state", 12),
    Column("elapsed", "time", 6, right=True),
    Column("exit", "exit", 4, right=True),
    Column("why", "why · progress", 16, grow=2.0),
]


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
        grouped = any(column.key == "group" for column, _ in widths)
        return [
            [(str(job.id), "dim")],
            [(name_of(job), "text")],
            [(visible_line(job.owner), "text")],
            *([[(visible_line(job.group or ""), "dim")]] if grouped else []),
            [(visible_line(job.where), "dim")],
            state_cell(job.state),
            [(elapsed(job), "text" if job.state in ACTIVE else "dim")],
            exit_cell(job),
            why_cell(job, widths[-1][1]),
        ]

    def arrived(self) -> None:
        """Pages came: whatever is missing may be asked for again."""
        self._asked = -1

    def tick(self) -> None:
        """Draw again the rows on screen whose time runs."""
        for row in range(self.first_shown, min(self.row_count(), self.first_shown + self.page)):
            job = self.jobs.get(row)
            if job is not None and job.state in ACTIVE:
                self.refresh_row(row)
