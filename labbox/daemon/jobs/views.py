"""From rows to the messages of the API: with the reasons of waiting jobs and the progress of running ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labbox.daemon.jobs import reasons
from labbox.daemon.jobs.handed import Handed
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.store import dependencies, jobs
from labbox.daemon.store.attempts import AttemptRow
from labbox.daemon.store.jobs import JobRow
from labbox.daemon.store.times import moment, moment_or_none
from labbox.locations import OPERATIONS
from labbox.model import ACTIVE, FINAL, WAITING, JobKind, JobSpec, JobState, Progress, Reason, ReasonCode
from labbox.protocol import Attempt, Job, JobCounts, JobDetail

if TYPE_CHECKING:
    from sqlite3 import Connection


class Views:
    """Makes messages of rows."""

    def __init__(self, parts: Parts) -> None:
        """Read from these parts."""
        self._parts = parts

    async def jobs(self, rows: Sequence[JobRow]) -> dict[int, Job]:
        """Jobs as lists show them, by id."""
        if not rows:
            return {}
        ids = [row.id for row in rows]
        arrays = [row.id for row in rows if row.kind is JobKind.ARRAY]

        def read(
            connection: Connection,
        ) -> tuple[dict[int, tuple[int, ...]], dict[int, dict[JobState, int]]]:
            return dependencies.after_of(connection, ids), {
                array: jobs.element_counts(connection, array) for array in arrays
            }

        after, counts = await self._parts.store.read(read)
        return {row.id: self._job(row, after.get(row.id, ()), counts.get(row.id)) for row in rows}

    async def job(self, row: JobRow) -> Job:
        """One job as lists show it."""
        return (await self.jobs([row]))[row.id]

    def reason(self, row: JobRow) -> Reason | None:
        """Why a job is where it is, decisive part."""
        if row.state not in WAITING:
            return row.reason
        waiting = self._parts.dispatcher.queue.get(row.id)
        last = self._parts.dispatcher.last_pass()
        if waiting is None or last is None:
            if row.state is JobState.HELD:
                return Reason(code=ReasonCode.HELD, text="held until someone releases it")
            text = "its elements wait" if row.kind is JobKind.ARRAY else "about to start"
            return Reason(code=ReasonCode.SHARE, text=text)
        return reasons.decisive(last[0], self._parts.dispatcher.queue, last[1], waiting)

    def _job(self, row: JobRow, after: tuple[int, ...], counts: dict[JobState, int] | None) -> Job:
        progress = self._parts.feed.progress(row.id) if row.state in ACTIVE else None
        if counts:
            ended = sum(count for state, count in counts.items() if state in FINAL)
            progress = Progress(phase="elements", done=ended, total=sum(counts.values()), unit="elements")
        return Job(
            id=row.id,
            kind=row.kind,
            name=row.name,
            owner=row.owner,
            project=row.project,
            state=row.state,
            reason=self.reason(row),
            attempt=row.attempt,
            exit_code=row.exit_code,
            submitted_at=moment(row.submitted_at),
            started_at=moment_or_none(row.started_at),
            ended_at=moment_or_none(row.ended_at),
            progress=progress,
            results=row.results if row.results.startswith(f"{OPERATIONS}/") else f"jobs/{row.results}",
            resources=row.resources,
            priority=row.priority,
            where="box" if row.state in ACTIVE else "",
            array=row.array,
            index=row.index,
            after=after,
            group=row.group,
        )


def detail(
    job: Job,
    row: JobRow,
    spec: JobSpec,
    handed: Handed,
    attempts: Sequence[AttemptRow],
    counts: dict[JobState, int] | None,
    before: tuple[int, ...],
) -> JobDetail:
    """All that is known about one job."""
    last = attempts[-1] if attempts else None
    return JobDetail(
        job=job,
        spec=spec,
        command=handed.command,
        template=handed.template,
        environment=None if last is None else last.environment,
        image=None if last is None else last.image,
        network=handed.network,
        time_limit=row.time_limit,
        retries=row.retries,
        attempts=tuple(_attempt(one) for one in attempts),
        output_bytes=row.output_bytes,
        elements=None if counts is None else JobCounts(by_state=counts),
        code_hash=(handed.code or "").removeprefix("tree-"),
        input_hash=(handed.input or "").removeprefix("tree-"),
        before=before,
    )


def _attempt(row: AttemptRow) -> Attempt:
    return Attempt(
        number=row.number,
        started_at=moment(row.running_at if row.running_at is not None else row.begun_at),
        ended_at=moment_or_none(row.ended_at),
        exit_code=row.exit_code,
        state=row.state,
        reason=row.reason,
        cpu_seconds=row.cpu_seconds,
        peak_memory=row.peak_memory,
    )
