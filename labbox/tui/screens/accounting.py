"""Finished jobs and what each took."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.model import FINAL
from labbox.protocol import Event, Job, JobDetail
from labbox.text import format_bytes
from labbox.tui.format import cpu_hours, elapsed, exit_cell, local_time, name_of, state_cell
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.table import Cell, Column, RowsTable

MOST: Final = 200  # jobs, the newest
STEP: Final = 20  # accounts asked for at a time, so that the first are there at once


class AccountingScreen(JobPane):
    """The newest finished jobs of the caller, with CPU hours and peak memory."""

    KEYS = "array"
    HEADING = "Finished jobs: what they took"
    AUTO_FOCUS = "RowsTable"

    def __init__(self) -> None:
        """Nothing read yet."""
        super().__init__()
        self._jobs: list[Job] = []
        self._details: dict[int, JobDetail] = {}

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("id", "id", 6, right=True),
                Column("name", "name", 12, grow=1, most=40),
                Column("state", "state", 12),
                Column("exit", "exit", 4, right=True),
                Column("ended", "ended", 16),
                Column("time", "time", 6, right=True),
                Column("cpu", "CPU time", 9, right=True),
                Column("memory", "memory", 9, right=True),
            ]
        )
        table.empty = "Reading…"
        yield table

    def begin(self) -> None:
        """Read the list, then the accounts."""
        self.attempt(self._load(), group="load")

    def read_again(self) -> None:
        """Read all again."""
        self._details.clear()
        self.attempt(self._load(), group="load", exclusive=True)

    def events_arrived(self, events: list[Event]) -> None:
        """A job of one's own ended, or is tried again: its account is read, and no other."""
        mine = {
            event.job.id
            for event in events
            if event.kind == "job"
            and event.job is not None
            and event.job.array is None
            and event.job.owner == self.lab.me
            and (event.job.state in FINAL or event.job.id in self._details)
        }
        if mine:
            for number in mine:
                self._details.pop(number, None)
            self.attempt(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        client = self.lab.client
        page = await self.ask(lambda: client.list_jobs(owner=self.lab.me, state="final", limit=MOST, array=0))
        self._jobs = list(page.jobs)
        self.query_one(RowsTable).empty = "None of your jobs has ended yet."
        self._show()
        for start in range(0, len(self._jobs), STEP):
            some = [job.id for job in self._jobs[start : start + STEP] if job.id not in self._details]
            if not some:
                continue

            def details(some: list[int] = some) -> list[JobDetail]:
                found = []
                for number in some:
                    try:
                        found.append(client.show_job(number))
                    except LabboxError:
                        continue  # removed meanwhile: its line stays without an account
                return found

            for detail in await self.ask(details):
                self._details[detail.job.id] = detail
            self._show()

    def _show(self) -> None:
        rows: list[list[Cell]] = []
        for job in self._jobs:
            detail = self._details.get(job.id)
            cpu = memory = ""
            if detail is not None:
                cpu = cpu_hours(sum(attempt.cpu_seconds or 0 for attempt in detail.attempts))
                peak = max((attempt.peak_memory or 0 for attempt in detail.attempts), default=0)
                memory = format_bytes(peak) if peak else "–"
            rows.append(
                [
                    [(str(job.id), "dim")],
                    [(name_of(job), "text")],
                    state_cell(job.state, job.kind),
                    exit_cell(job),
                    [(local_time(job.ended_at), "dim")],
                    [(elapsed(job), "text")],
                    [(cpu, "text")],
                    [(memory, "text")],
                ]
            )
        self.query_one(RowsTable).set_rows(rows, [job.id for job in self._jobs])

    def on_table_chosen(self) -> None:
        """Enter opens the history."""
        self.action_history()

    def job_here(self) -> Job | None:
        """The job under the cursor."""
        table = self.query_one(RowsTable)
        return self._jobs[table.cursor] if self._jobs else None
