"""The dependencies table: which job waits for which."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labbox.model import JobState

if TYPE_CHECKING:
    from sqlite3 import Connection


def after(connection: Connection, job: int) -> dict[int, JobState]:
    """The jobs that a job was submitted after, with their states now."""
    rows = connection.execute(
        "SELECT other, state FROM dependencies JOIN jobs ON jobs.id = other WHERE job = ?", (job,)
    )
    return {row["other"]: JobState(row["state"]) for row in rows}


def all_after(connection: Connection) -> dict[int, dict[int, JobState]]:
    """The same for every job that waits."""
    rows = connection.execute(
        "SELECT job, other, o.state AS state FROM jobs AS w JOIN dependencies ON job = w.id"
        " JOIN jobs AS o ON o.id = other WHERE w.state IN ('held', 'queued')"
    )
    found: dict[int, dict[int, JobState]] = {}
    for row in rows:
        found.setdefault(row["job"], {})[row["other"]] = JobState(row["state"])
    return found


def waiting_dependants(connection: Connection, job: int) -> list[int]:
    """The jobs that wait for this one, oldest first; an array is none, its elements wait themselves."""
    rows = connection.execute(
        "SELECT job FROM dependencies JOIN jobs ON jobs.id = job"
        " WHERE other = ? AND state IN ('held', 'queued') AND kind != 'array' ORDER BY job",
        (job,),
    )
    return [row["job"] for row in rows]


def before(connection: Connection, job: int) -> tuple[int, ...]:
    """The jobs that wait, or waited, for this one, oldest first."""
    rows = connection.execute("SELECT job FROM dependencies WHERE other = ? ORDER BY job", (job,))
    return tuple(row["job"] for row in rows)


def after_of(connection: Connection, jobs: Sequence[int]) -> dict[int, tuple[int, ...]]:
    """The jobs that each of these was submitted after."""
    marks = ",".join("?" * len(jobs))
    query = f"SELECT job, other FROM dependencies WHERE job IN ({marks}) ORDER BY other"  # noqa: S608 - marks only
    found: dict[int, tuple[int, ...]] = {}
    for row in connection.execute(query, tuple(jobs)):
        found[row["job"]] = (*found.get(row["job"], ()), row["other"])
    return found
