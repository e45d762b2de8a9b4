"""The events table: what changed, in the order in which it became durable; followed by its cursor."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from labbox.model import Value

if TYPE_CHECKING:
    from sqlite3 import Connection

KEPT: Final = 100_000  # events; whoever was away for longer starts over from a list
_PRUNE_EVERY: Final = 1_000  # events
PRIVATE: Final = ("notice", "host")  # kinds that only their owner hears of


class EventRow(Value):
    """One stored event; `at` is a stamp."""

    cursor: int
    at: int
    kind: str
    owner: str
    job: int | None
    text: str


def append(
    connection: Connection, *, at: int, kind: str, owner: str, job: int | None = None, text: str = ""
) -> int:
    """Add an event and return its cursor; drops what is older than the newest KEPT."""
    cursor = connection.execute(
        "INSERT INTO events (at, kind, owner, job, text) VALUES (?, ?, ?, ?, ?)", (at, kind, owner, job, text)
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
        "SELECT cursor, at, kind, owner, job, text FROM events"
        " WHERE cursor > ? AND (? IS NULL OR owner = ?) AND (owner = ? OR kind NOT IN (?, ?))"
        " ORDER BY cursor LIMIT ?",
        (cursor, owner, owner, reader, *PRIVATE, limit),
    )
    return [EventRow(cursor=c, at=at, kind=k, owner=o, job=j, text=t) for c, at, k, o, j, t in rows]


def last(connection: Connection) -> int:
    """The newest cursor; 0 before the first event."""
    (value,) = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'events'").fetchone() or (0,)
    return int(value)
