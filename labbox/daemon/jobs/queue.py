"""What waits, kept so that a scheduling pass need not look at every waiting job.

Jobs that only lack their turn stand in groups: those of one owner that ask for the same. Where the first of a
group cannot start, none of it can, so a pass over 10,000 jobs looks at a few groups. Jobs that wait for
something else (a release, a time, another job) stand aside until that happens.
"""

from __future__ import annotations

import bisect
import heapq
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from labbox.model import Resources, Value


class Waiting(Value):
    """A job that waits; `not_before` in seconds since 1970 UTC, `time_limit` in seconds."""

    id: int
    owner: str
    need: Resources
    priority: int = 0
    time_limit: float | None = None
    held: bool = False
    not_before: float | None = None
    retry: bool = False  # `not_before` is the back-off of a new attempt
    after: frozenset[int] = frozenset()  # jobs that must succeed first and have not yet
    array: int | None = None
    parallel: int | None = None  # elements of its array that may run at once
    group: str | None = None  # of its owner's groups
    transfer: bool = False  # done beside the containers: takes none of their room and needs no engine
    arriving: bool = False  # its folder has not been handed in yet
    because: str = ""  # why another attempt is to come, where that says more than when it comes

    @property
    def key(self) -> tuple[int, int]:
        """Its place in its owner's own queue: higher priorities first, then as submitted."""
        return (-self.priority, self.id)

    @property
    def ready(self) -> bool:
        """Whether nothing but its turn, room and limits keeps it (its time may still be to come)."""
        return not (self.held or self.after or self.arriving)


class Shape(NamedTuple):
    """What a group's jobs have in common: all that decides whether one of them may start."""

    cpus: float
    memory: int
    gpus: int
    time_limit: float | None
    array: int | None  # only where the array limits how many run at once
    parallel: int | None
    group: str | None  # whether or not it has a limit: limits come and go
    transfer: bool


def shape_of(job: Waiting) -> Shape:
    """The group in which a job stands."""
    need = job.need
    limited = job.array if job.parallel is not None else None
    return Shape(
        need.cpus, need.memory, need.gpus, job.time_limit, limited, job.parallel, job.group, job.transfer
    )


Key = tuple[int, int]
Groups = dict[Shape, list[Key]]


class Queue:
    """All waiting jobs. The scheduler only reads it; its owner adds, removes and advances."""

    def __init__(self, jobs: Iterable[Waiting] = ()) -> None:
        """Start with these jobs."""
        self._jobs: dict[int, Waiting] = {}
        self._ready: dict[str, Groups] = {}
        self._delayed: list[tuple[float, int]] = []
        self._dependants: dict[int, set[int]] = {}
        self._due: set[int] = set()
        for job in jobs:
            self.add(job)

    def __len__(self) -> int:
        """How many jobs wait."""
        return len(self._jobs)

    def __iter__(self) -> Iterator[Waiting]:
        """The waiting jobs, in no order."""
        return iter(self._jobs.values())

    def get(self, job: int) -> Waiting | None:
        """The job of this id, if it waits."""
        return self._jobs.get(job)

    def groups(self) -> dict[str, Groups]:
        """By owner and shape, the sorted keys of those that lack only their turn; not to be changed."""
        return self._ready

    def is_ready(self, job: Waiting) -> bool:
        """Whether the job stands in a group: neither held, nor delayed, nor after another job."""
        return job.ready and (job.not_before is None or job.id in self._due)

    def add(self, job: Waiting) -> None:
        """Take a job in, or put a changed one in the old one's place."""
        self.remove(job.id)
        self._jobs[job.id] = job
        for other in job.after:
            self._dependants.setdefault(other, set()).add(job.id)
        if not job.ready:
            return
        if job.not_before is not None:
            heapq.heappush(self._delayed, (job.not_before, job.id))
        else:
            self._insert(job)

    def remove(self, job: int) -> Waiting | None:
        """Take a job out; None where it is not waiting."""
        old = self._jobs.pop(job, None)
        if old is None:
            return None
        for other in old.after:
            waiting = self._dependants.get(other, set())
            waiting.discard(job)
            if not waiting:
                self._dependants.pop(other, None)
        if old.ready and (old.not_before is None or job in self._due):
            self._take_out(old)
        self._due.discard(job)
        return old

    def dependants(self, job: int) -> tuple[Waiting, ...]:
        """The jobs that wait for this one to succeed, oldest first."""
        return tuple(self._jobs[other] for other in sorted(self._dependants.get(job, ())))

    def advance(self, now: float) -> None:
        """Let the jobs stand in line whose time has come."""
        while self._delayed and self._delayed[0][0] <= now:
            due, job_id = heapq.heappop(self._delayed)
            job = self._jobs.get(job_id)
            if job is not None and job.ready and job.not_before == due and job_id not in self._due:
                self._due.add(job_id)
                self._insert(job)

    def next_due(self) -> float | None:
        """When the next delayed job's time comes."""
        while self._delayed:
            due, job_id = self._delayed[0]
            job = self._jobs.get(job_id)
            if job is not None and job.ready and job.not_before == due and job_id not in self._due:
                return due
            heapq.heappop(self._delayed)
        return None

    def _insert(self, job: Waiting) -> None:
        bisect.insort(self._ready.setdefault(job.owner, {}).setdefault(shape_of(job), []), job.key)

    def _take_out(self, job: Waiting) -> None:
        groups = self._ready[job.owner]
        shape = shape_of(job)
        keys = groups[shape]
        del keys[bisect.bisect_left(keys, job.key)]
        if not keys:
            del groups[shape]
            if not groups:
                del self._ready[job.owner]
