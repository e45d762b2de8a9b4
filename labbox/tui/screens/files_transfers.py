"""One's transfers: how far each is, and pause, resume, cancel, retry."""

from __future__ import annotations

from collections.abc import Iterator

from textual import on
from textual.widget import Widget

from labbox.groups import TRANSFERS
from labbox.model import JobKind
from labbox.protocol import Event, Job
from labbox.text import visible_line
from labbox.tui.format import local_time, state_cell, why_cell
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.table import Cell, Column, Table

MOST = 200  # transfers that are shown


class TransferTable(Table):
    """Its rows, each as wide as there is room for."""

    def __init__(self) -> None:
        """Nothing is known yet."""
        super().__init__(
            [
                Column("id", "id", 6, right=True),
                Column("name", "what", 20, grow=1, most=50),
                Column("state", "state", 12),
                Column("at", "submitted", 16, need=90),
                Column("why", "progress", 24, grow=2),
            ]
        )
        self.jobs: list[Job] = []

    def row_count(self) -> int:
        """How many there are."""
        return len(self.jobs)

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """The transfer's cells."""
        job = self.jobs[row]
        timed = any(column.key == "at" for column, _ in widths)
        return [
            [(str(job.id), "dim")],
            [(visible_line(job.name), "text")],
            state_cell(job.state, job.kind),
            *([[(local_time(job.submitted_at), "dim")]] if timed else []),
            why_cell(job, widths[-1][1]),
        ]


class TransfersScreen(JobPane):
    """A table of transfers, newest first; the keys of jobs hold here."""

    KEYS = "transfers"
    HEADING = "My transfers"
    AUTO_FOCUS = "TransferTable"

    def __init__(self) -> None:
        """Nothing is known yet."""
        super().__init__()
        self._jobs: list[Job] = []

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = TransferTable()
        table.empty = "Reading…"
        yield table

    def begin(self) -> None:
        """Ask for them."""
        self.read_again()

    def read_again(self) -> None:
        """Ask anew."""
        self.attempt(self._read(), group="list", exclusive=True)

    def action_reread(self) -> None:
        """Ask anew."""
        self.read_again()

    async def _read(self) -> None:
        owner = self.lab.me or None
        page = await self.ask(lambda: self.lab.client.list_jobs(owner=owner, group=TRANSFERS, limit=MOST))
        self._jobs = list(page.jobs)
        self._show()

    def _show(self) -> None:
        table = self.query_one(TransferTable)
        table.empty = "No transfers yet. F5 in the file manager copies."
        table.jobs = self._jobs
        table.rows_changed()

    def events_arrived(self, events: list[Event]) -> None:
        """Some of them changed, or others came."""
        changed = False
        for event in events:
            job = event.job
            if job is None or job.kind is not JobKind.TRANSFER or job.owner != self.lab.me:
                continue
            changed = True
            known = [place for place, each in enumerate(self._jobs) if each.id == job.id]
            if known:
                self._jobs[known[0]] = job
            else:
                self._jobs.insert(0, job)
        if changed:
            self._show()

    def job_here(self) -> Job | None:
        """The transfer under the cursor."""
        return self._jobs[self.query_one(TransferTable).cursor] if self._jobs else None

    @on(TransferTable.Chosen)
    def chosen(self) -> None:
        """Enter opens the details."""
        self.action_info()
