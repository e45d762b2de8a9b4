"""The rows of the job table: which jobs, in what order. Far rows are held as numbers alone.

Two ways of knowing rows. *Plain* (no text filter, newest first): ids in an array, jobs in a few pages, read
again when the cursor comes back. *Gathered* (a text filter or another order): the pages are gone through
once, and the best `KEPT` jobs are held.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, Final

from labbox.model import FILES, RUNS, JobKind
from labbox.protocol import Job
from labbox.tui.format import in_view

PAGE: Final = 200  # jobs in one answer while a person looks
BULK: Final = 1000  # jobs in one answer while pages are gone through
KEPT: Final = 5000  # jobs held at once
SORTS: Final = ("id", "name", "owner", "when", "state", "elapsed", "exit", "why")

_NEVER: Final = datetime.min.replace(tzinfo=UTC)


def sort_key(column: str) -> Callable[[Job], Any]:
    """What a column sorts by."""
    keys: dict[str, Callable[[Job], Any]] = {
        "id": lambda job: job.id,
        "name": lambda job: (job.name.casefold(), job.id),
        "owner": lambda job: (job.owner, job.id),
        "group": lambda job: (job.group or "", job.id),
        "when": lambda job: (job.ended_at or job.started_at or job.submitted_at, job.id),
        "state": lambda job: (job.state.value, job.id),
        "elapsed": lambda job: (_seconds(job), job.id),
        "exit": lambda job: (-1 if job.exit_code is None else job.exit_code, job.id),
        "why": lambda job: (job.reason.text if job.reason else "", job.id),
    }
    return keys[column]


def _seconds(job: Job) -> float:
    if job.started_at is None:
        return -1.0
    return ((job.ended_at or datetime.now(UTC)) - job.started_at).total_seconds()


def matches(job: Job, words: str) -> bool:
    """Whether every word stands somewhere in the job's id, name, user, group, place, state or reason."""
    reason = job.reason.text if job.reason else ""
    group = f"group:{job.group}" if job.group else ""
    text = f"{job.id} {job.name} {job.owner} {group} {job.where} {job.state.value} {reason}".casefold()
    return all(word in text for word in words.casefold().split())


class JobList:
    """Rows by place, kept right by events. Knows no client: pages are given to it."""

    def __init__(self) -> None:
        """An empty list of all jobs, newest first."""
        self.view = RUNS
        self.owner: str | None = None
        self.words = ""
        self.inverse = False
        self.column = "id"
        self.descending = True
        self.total = 0  # in the view, from the counts; what is loaded may be less
        self.complete = False  # every page was read
        self.scanned = 0
        self.dropped = 0  # gathered jobs beyond KEPT
        self._ids: array[int] = array("q")  # ascending
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._gathered: list[Job] = []
        self._heard: OrderedDict[int, tuple[int, Job]] = OrderedDict()  # by event: with the event's cursor
        self.next_before: int | None = None

    @property
    def plain(self) -> bool:
        """Whether rows are simply ids in descending order."""
        return not self.words and self.column == "id" and self.descending

    def clear(self) -> None:
        """Forget all rows; the question asked stays."""
        self._ids = array("q")
        self._jobs.clear()
        self._gathered = []
        self.next_before = None
        self.complete = False
        self.scanned = self.dropped = 0

    def belongs(self, job: Job) -> bool:
        """Whether the job is asked for."""
        if not self._in_question(job):
            return False
        return not self.words or matches(job, self.words) is not self.inverse

    def add_page(self, jobs: Iterable[Job], following: int | None, cursor: int = 0) -> None:
        """The next page, newest first; `following` is the `before` of the one after it.

        `cursor`: the events that the page knew of; what later ones have said of its jobs is newer than it.
        """
        jobs = list(jobs)
        self.scanned += len(jobs)
        self.next_before = following
        self.complete = following is None
        jobs = self._as_heard(jobs, cursor)
        if self.plain:
            fresh = array("q", sorted(job.id for job in jobs if self.row_of(job.id) is None))
            older = bisect_left(fresh, self._ids[0]) if self._ids else len(fresh)
            self._ids = fresh[:older] + self._ids
            for number in fresh[older:]:  # it came in between two pages
                self._ids.insert(bisect_left(self._ids, number), number)
            self._remember(jobs)
            return
        known = {job.id for job in self._gathered}
        self._gathered += [job for job in jobs if job.id not in known and self.belongs(job)]
        self._order()

    def _order(self) -> None:
        self._gathered.sort(key=sort_key(self.column), reverse=self.descending)
        if len(self._gathered) > KEPT:
            self.dropped += len(self._gathered) - KEPT
            del self._gathered[KEPT:]

    def remember(self, jobs: Iterable[Job], cursor: int = 0) -> None:
        """Jobs of a page that was read again; `cursor` as in `add_page`."""
        self._remember(self._as_heard(list(jobs), cursor))

    def _as_heard(self, jobs: list[Job], cursor: int) -> list[Job]:
        """An answer may have been on its way while events overtook it."""
        latest = [
            heard[1] if (heard := self._heard.get(job.id)) is not None and heard[0] > cursor else job
            for job in jobs
        ]
        return [
            job for job, known in zip(latest, jobs, strict=True) if job is known or self._in_question(job)
        ]

    def _in_question(self, job: Job) -> bool:
        if (job.kind is JobKind.TRANSFER) is not (self.view == FILES):
            return False
        return job.array is None and self.owner in (None, job.owner) and in_view(self.view, job.state)

    def _remember(self, jobs: Iterable[Job]) -> None:
        for job in jobs:
            self._jobs[job.id] = job
            self._jobs.move_to_end(job.id)
        while len(self._jobs) > KEPT:
            self._jobs.popitem(last=False)

    def __len__(self) -> int:
        """Rows: those known and, in the plain list, those that further pages will bring."""
        if not self.plain:
            return len(self._gathered)
        return len(self._ids) if self.complete else max(self.total, len(self._ids))

    @property
    def loaded(self) -> int:
        """Rows whose ids are known."""
        return len(self._ids) if self.plain else len(self._gathered)

    def get(self, row: int) -> Job | None:
        """The job in a row; None while it is not at hand."""
        if not self.plain:
            return self._gathered[row] if row < len(self._gathered) else None
        place = len(self._ids) - 1 - row
        return self._jobs.get(self._ids[place]) if place >= 0 else None

    def id_at(self, row: int) -> int | None:
        """The id in a row, even while its job is not at hand."""
        if not self.plain:
            return self._gathered[row].id if row < len(self._gathered) else None
        place = len(self._ids) - 1 - row
        return self._ids[place] if place >= 0 else None

    def row_of(self, job_id: int) -> int | None:
        """The row of a job; None where it has none."""
        if not self.plain:
            return next((row for row, job in enumerate(self._gathered) if job.id == job_id), None)
        place = bisect_left(self._ids, job_id)
        if place < len(self._ids) and self._ids[place] == job_id:
            return len(self._ids) - 1 - place
        return None

    def ids(self) -> Iterable[int]:
        """All known ids, in no promised order."""
        return list(self._ids) if self.plain else [job.id for job in self._gathered]

    def apply(self, job: Job, cursor: int = 0) -> tuple[bool, int | None]:
        """What an event with this cursor says: (rows came or went, the row to draw again)."""
        self._heard[job.id] = (cursor, job)
        self._heard.move_to_end(job.id)
        if len(self._heard) > KEPT:
            self._heard.popitem(last=False)
        row = self.row_of(job.id)
        belongs = self.belongs(job)
        if row is not None and belongs:
            if self.plain:
                self._jobs[job.id] = job
                return False, row
            self._gathered[row] = job
            before = row == 0 or self._ordered(self._gathered[row - 1], job)
            after = row + 1 >= len(self._gathered) or self._ordered(job, self._gathered[row + 1])
            if before and after:
                return False, row
            self._order()
            return True, None
        if row is not None:
            if self.plain:
                self._ids.pop(len(self._ids) - 1 - row)
                self._jobs.pop(job.id, None)
            else:
                del self._gathered[row]
            self.total = max(0, self.total - 1)
            return True, None
        if not belongs:
            return False, None
        if self.plain:
            place = bisect_left(self._ids, job.id)
            if place == 0 and not self.complete and self._ids:
                return False, None  # older than what is loaded: its page will bring it
            self._ids.insert(place, job.id)
            self._remember([job])
        else:
            self._gathered.append(job)
            self._order()
        self.total += 1
        return True, None

    def _ordered(self, first: Job, second: Job) -> bool:
        key = sort_key(self.column)
        low, high = (second, first) if self.descending else (first, second)
        ordered: bool = key(low) <= key(high)
        return ordered
