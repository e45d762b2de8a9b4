"""The end of an attempt: stored first, then the results put away, the books kept, the container let go of."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs import results
from labbox.daemon.jobs.clock import since
from labbox.daemon.jobs.dispatch import Begun
from labbox.daemon.jobs.handed import decode_handed, decode_spec
from labbox.daemon.jobs.machine import Step, move
from labbox.daemon.jobs.outcome import Outcome
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.records import job_json
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import attempts, jobs, usage
from labbox.errors import LabboxError
from labbox.model import JobState, Reason, ReasonCode

if TYPE_CHECKING:
    from sqlite3 import Connection

_log = logging.getLogger(__name__)

_ENGINE: Final = 120.0  # seconds that one answer of the engine may take
_WORKER: Final = 600.0  # seconds for measuring an output


async def note_ended(parts: Parts, row: jobs.JobRow, attempt: attempts.AttemptRow, outcome: Outcome) -> Begun:
    """Store how the attempt ended before anything is put away; the job and the attempt as they are then."""
    job, number, clock = row.id, attempt.number, parts.clock
    now = clock.now()
    seconds = since(clock, attempt.boot, attempt.begun_boot, attempt.begun_at)

    def note(connection: Connection) -> tuple[list[jobs.JobRow], attempts.AttemptRow]:
        step = Step(to=JobState.COLLECTING, at=now, reason=outcome.reason, exit_code=outcome.exit_code)
        rows = move(connection, job, step, attempt=number)
        attempts.end(
            connection,
            job,
            number,
            at=now,
            seconds=seconds,
            state=outcome.state,
            reason=outcome.reason,
            exit_code=outcome.exit_code,
            cpu_seconds=outcome.cpu_seconds,
            peak_memory=outcome.peak_memory,
        )
        return rows, attempts.get(connection, job, number)

    rows, ended = await parts.persist(note)
    await parts.apply(rows)
    return rows[0], ended


def stored_outcome(attempt: attempts.AttemptRow) -> Outcome:
    """What `note_ended` stored before the daemon was killed."""
    reason = attempt.reason
    lost = attempt.state is JobState.LOST
    return Outcome(
        state=attempt.state or JobState.LOST,
        reason=reason,
        exit_code=attempt.exit_code,
        cpu_seconds=attempt.cpu_seconds,
        peak_memory=attempt.peak_memory,
        ours=lost,
    )


async def measure(parts: Parts, row: jobs.JobRow, account: Account, folder: Path) -> int | None:
    """The bytes of an output and of what came back beside it; None where they cannot be counted."""
    try:
        output = results.open_output(folder)
    except OSError:
        return None
    try:
        async with asyncio.timeout(_WORKER):
            return await parts.folders.output_bytes(account, output)
    except (LabboxError, TimeoutError) as error:
        _log.warning("job %d: the size of its output is not known: %s", row.id, error)
        return None
    finally:
        os.close(output)


async def finish(
    parts: Parts,
    ended: Begun,
    outcome: Outcome,
    account: Account | None,
    folder: Path,
    size: int | None,
    lost: int,
) -> tuple[list[jobs.JobRow], usage.UsageRow]:
    """Write job.json, then store the final state with accounting and the next attempt, if any."""
    row, attempt = ended
    clock = parts.clock
    now = clock.now()
    wait = outcomes.back_off(outcome, attempt=attempt.number, retries=row.retries, lost=lost)
    if account is None or row.stop is not None:
        wait = None
    spec, handed = await parts.store.read(lambda c: jobs.submission(c, row.submission))
    if account is not None:
        content = job_json(row, attempt, outcome, decode_spec(spec), decode_handed(handed), size, now)
        await parts.in_thread(results.write_whole, folder / "job.json", content, 0o640, account.gid)
    steps = [Step(to=outcome.state, at=now, reason=outcome.reason, exit_code=outcome.exit_code)]
    if wait is not None:
        why = outcome.reason.text if outcome.reason is not None else "it failed"
        text = why if outcome.again is not None else f"attempt {attempt.number} failed: {why}"
        reason = Reason(code=ReasonCode.RETRY, text=text)
        steps.append(Step(to=JobState.QUEUED, at=now, reason=reason))

    def store(connection: Connection) -> tuple[list[jobs.JobRow], usage.UsageRow]:
        if wait is not None:
            left = row.retries if outcome.ours else row.retries - 1
            due = now + round(wait * 1e6) if wait > 0 else None
            jobs.set_back_off(connection, row.id, not_before=due, retries=left)
        if size is not None:
            jobs.set_output_bytes(connection, row.id, size)
        rows = move(connection, row.id, *steps, attempt=attempt.number)
        used = parts.account_for(connection, row, attempt, size or 0, last=wait is None, now=now)
        return rows, used

    return await parts.persist(store)


async def clean_up(parts: Parts, row: jobs.JobRow, attempt: attempts.AttemptRow) -> None:
    """The results are safe: let go of container and spool; what stays is swept at the next start."""
    try:
        async with asyncio.timeout(_ENGINE):
            await parts.engine.remove(attempt.container)
    except (LabboxError, TimeoutError) as error:
        _log.info("job %d: its container stays for now: %s", row.id, error)
    await parts.in_thread(results.remove_spool, parts.state, row.id, attempt.number)
