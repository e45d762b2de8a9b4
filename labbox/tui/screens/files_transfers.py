"""One's transfers: how far each is, and pause, resume, cancel, retry."""

from __future__ import annotations

from collections.abc import Iterator

from textual import on
from textual.widget import Widget

from labbox.model import JobKind
from labbox.protocol import Event, Job
from labbox.text import visible_line
from labbox.tui.format import local_time, state_cell, why_cell
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.table import Cell, Column, RowsTable

MOST = 200  # jobs that are looked through


class TransfersScreen(JobPane):
    """A table of transfers, newest first; the keys of jobs hold here."""

    KEYS = "transfers"
    HEADING = "My transfers"
    AUTO_FOCUS = "RowsTable"

    def __init__(self) -> None:
        """Nothing is known yet."""
        super().__init__()
        self._jobs: list[Job] = []

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("id", "id", 6, right=True),
                Column("name", "what", 20, grow=1, most=50),
                Column("state", "state", 12),
                Column("at", "submitted", 16, need=90),
                Column("why", "progress", 24, grow=2),
            ]
        )
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
        page = await self.ask(lambda: self.lab.client.list_jobs(owner=owner, limit=MOST))
        self._jobs = [job for job in page.jobs if job.kind is JobKind.TRANSFER]
        self._show()

    def _show(self) -> None:
        table = self.query_one(RowsTable)
        table.empty = "No transfers yet. F5 in the file manager copies."
        rows: list[list[Cell]] = [
            [
                [(str(job.id), "dim")],
                [(visible_line(job.name), "text")],
                state_cell(job.state),
                [(local_time(job.submitted_at), "dim")],
                why_cell(job, 40),
            ]
            for job in self._jobs
        ]
        table.set_rows(rows)

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
        return self._jobs[self.query_one(RowsTable).cursor] if self._jobs else None

    @on(RowsTable.Chosen)
    def chosen(self) -> None:
        """Enter opens the details."""
        self.action_info()
