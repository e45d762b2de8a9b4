"""The attempts table: each try at running a job, from the intent to make its container to how it ended."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labbox.daemon.store.jobs import reason_columns, reason_of
from labbox.errors import LabboxError
from labbox.model import JobState, Reason, Value

if TYPE_CHECKING:
    from sqlite3 import Connection, Row


class AttemptRow(Value):
    """One row of attempts."""

    job: int
    number: int
    container: str
    begun_at: int
    begun_boot: float
    running_at: int | None
    running_boot: float | None
    paused: float
    paused_boot: float | None
    boot: str
    rate: float
    environment: str | None
    image: str | None
    ended_at: int | None
    seconds: float | None
    exit_code: int | None
    state: JobState | None
    reason: Reason | None
    cpu_seconds: float | None
    peak_memory: int | None


def add(
    connection: Connection,
    *,
    job: int,
    number: int,
    container: str,
    at: int,
    boot_seconds: float,
    boot: str,
    rate: float,
) -> None:
    """Store the intent to make this attempt's container."""
    connection.execute(
        "INSERT INTO attempts (job, number, container, begun_at, begun_boot, boot, rate)"
        " VALUES (?, ?, ?, ?, ?, ?, ?)",
        (job, number, container, at, boot_seconds, boot, rate),
    )


def set_software(
    connection: Connection, job: int, number: int, *, environment: str | None, image: str
) -> None:
    """Note what the attempt runs in."""
    connection.execute(
        "UPDATE attempts SET environment = ?, image = ? WHERE job = ? AND number = ?",
        (environment, image, job, number),
    )


def set_running(connection: Connection, job: int, number: int, *, at: int, boot_seconds: float) -> None:
    """Note when the attempt's command started."""
    connection.execute(
        "UPDATE attempts SET running_at = ?, running_boot = ? WHERE job = ? AND number = ?",
        (at, boot_seconds, job, number),
    )


def set_paused(connection: Connection, job: int, number: int, *, seconds: float, since: float | None) -> None:
    """Note how long the attempt was paused so far and, on this boot's clock, since when it is now."""
    connection.execute(
        "UPDATE attempts SET paused = ?, paused_boot = ? WHERE job = ? AND number = ?",
        (seconds, since, job, number),
    )


def end(
    connection: Connection,
    job: int,
    number: int,
    *,
    at: int,
    seconds: float,
    state: JobState,
    reason: Reason | None,
    exit_code: int | None,
    cpu_seconds: float | None,
    peak_memory: int | None,
) -> None:
    """Write how an attempt ended."""
    connection.execute(
        "UPDATE attempts SET ended_at = max(?, begun_at), seconds = ?, state = ?, reason_code = ?,"
        " reason_text = ?, exit_code = ?, cpu_seconds = ?, peak_memory = ? WHERE job = ? AND number = ?",
        (
            *(at, seconds, state, *reason_columns(reason)),
            *(exit_code, cpu_seconds, peak_memory, job, number),
        ),
    )


def environments_in_use(connection: Connection) -> frozenset[str]:
    """The names of the environments and the ids of the images that attempts under way run in."""
    rows = connection.execute(
        "SELECT DISTINCT environment, image FROM jobs JOIN attempts ON job = id AND number = attempt"
        " WHERE jobs.state IN ('preparing', 'running', 'paused', 'collecting')"
    )
    return frozenset(name for row in rows for name in row if name is not None)


def of_job(connection: Connection, job: int) -> list[AttemptRow]:
    """A job's attempts, in order."""
    rows = connection.execute("SELECT * FROM attempts WHERE job = ? ORDER BY number", (job,))
    return [_attempt(row) for row in rows]


def get(connection: Connection, job: int, number: int) -> AttemptRow:
    """One attempt; LabboxError "not_found" where there is none."""
    row = connection.execute("SELECT * FROM attempts WHERE job = ? AND number = ?", (job, number)).fetchone()
    if row is None:
        raise LabboxError("not_found", f"cannot find attempt {number} of job {job}")
    return _attempt(row)


def _attempt(row: Row) -> AttemptRow:
    return AttemptRow(
        job=row["job"],
        number=row["number"],
        container=row["container"],
        begun_at=row["begun_at"],
        begun_boot=row["begun_boot"],
        running_at=row["running_at"],
        running_boot=row["running_boot"],
        paused=row["paused"],
        paused_boot=row["paused_boot"],
        boot=row["boot"],
        rate=row["rate"],
        environment=row["environment"],
        image=row["image"],
        ended_at=row["ended_at"],
        seconds=row["seconds"],
        exit_code=row["exit_code"],
        state=None if row["state"] is None else JobState(row["state"]),
        reason=reason_of(row),
        cpu_seconds=row["cpu_seconds"],
        peak_memory=row["peak_memory"],
    )
