"""The events table: what changed, in the order in which it became durable; followed by its cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from labbox.model import JobState, Reason, ReasonCode, Value

if TYPE_CHECKING:
    from sqlite3 import Connection, Row

KEPT: Final = 100_000  # events; whoever was away for longer starts over from a list
_PRUNE_EVERY: Final = 1_000  # events
PRIVATE: Final = ("notice", "host")  # kinds that only their owner hears of


class Was(Value):
    """What a job was at the moment of an event; moments are stamps."""

    state: JobState
    attempt: int
    reason: Reason | None
    exit_code: int | None
    started_at: int | None
    ended_at: int | None


class EventRow(Value):
    """One stored event; `at` is a stamp."""

    cursor: int
    at: int
    kind: str
    owner: str
    job: int | None
    text: str
    was: Was | None = None


def append(
    connection: Connection, *, at: int, kind: str, owner: str, job: int | None = None, text: str = ""
) -> int:
    """Add an event, with what its job is now, and return its cursor; only the newest KEPT stay."""
    cursor = connection.execute(
        "INSERT INTO events (at, kind, owner, job, text,"
        " state, attempt, reason_code, reason_text, exit_code, started_at, ended_at)"
        " SELECT ?, ?, ?, ?, ?,"
        " state, attempt, reason_code, reason_text, exit_code, started_at, ended_at"
        " FROM (SELECT 1) LEFT JOIN jobs ON jobs.id = ?",
        (at, kind, owner, job, text, job),
    ).lastrowid
    if cursor is None:
        raise AssertionError("an insert gives a row id")
    if cursor % _PRUNE_EVERY == 0:
        connection.execute("DELETE FROM events WHERE cursor <= ?", (cursor - KEPT,))
    return cursor


def after(
    connection: Connection, cursor: int, *, limit: int, owner: str | None = None, reader: str = ""
) -> list[EventRow]:
    """Events younger than the cursor that `reader` may hear of, oldest first; of one owner where named."""
    rows = connection.execute(
        "SELECT * FROM events"
        " WHERE cursor > ? AND (? IS NULL OR owner = ?) AND (owner = ? OR kind NOT IN (?, ?))"
        " ORDER BY cursor LIMIT ?",
        (cursor, owner, owner, reader, *PRIVATE, limit),
    )
    return [_event(row) for row in rows]


def _event(row: Row) -> EventRow:
    was = None
    if row["state"] is not None:
        code = row["reason_code"]
        was = Was(
            state=JobState(row["state"]),
            attempt=row["attempt"],
            reason=None if code is None else Reason(code=ReasonCode(code), text=row["reason_text"]),
            exit_code=row["exit_code"],
            started_at=row["started_at"],
            ended_at=row["ended_at"],
        )
    return EventRow(
        cursor=row["cursor"],
        at=row["at"],
        kind=row["kind"],
        owner=row["owner"],
        job=row["job"],
        text=row["text"],
        was=was,
    )


def last(connection: Connection) -> int:
    """The newest cursor; 0 before the first event."""
    (value,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone() or (0,)
    return int(value)
