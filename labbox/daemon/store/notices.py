"""The notices table: what people should hear of at their next look."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store import events
from labbox.daemon.store.times import moment, now, stamp
from labbox.protocol import Notice

KEPT: Final = 200  # per person; the oldest go first


def add(connection: sqlite3.Connection, owner: str, text: str, job: int | None = None) -> None:
    """Leave a notice for a user and tell of it; for a name that is no user's any more, nothing is left."""
    at = stamp(now())
    added = connection.execute(
        "INSERT INTO notices (owner, at, text, job) SELECT name, ?, ?, ? FROM users WHERE name = ?",
        (at, text, job, owner),
    ).rowcount
    if not added:
        return
    events.append(connection, at=at, kind="notice", owner=owner, text=text)
    connection.execute(
        "DELETE FROM notices WHERE owner = :owner AND id <= "
        "(SELECT id FROM notices WHERE owner = :owner ORDER BY id DESC LIMIT 1 OFFSET :kept)",
        {"owner": owner, "kept": KEPT},
    )


def of(connection: sqlite3.Connection, owner: str, *, seen: bool) -> tuple[Notice, ...]:
    """What the user has not seen, and with `seen` all that is kept; newest first."""
    rows = connection.execute(
        "SELECT id, at, text, job, seen FROM notices WHERE owner = ? AND (? OR NOT seen) ORDER BY id DESC",
        (owner, seen),
    )
    return tuple(
        Notice(id=row["id"], at=moment(row["at"]), text=row["text"], job=row["job"], seen=bool(row["seen"]))
        for row in rows
    )


def mark_seen(connection: sqlite3.Connection, owner: str, up_to: int) -> None:
    """The user has seen every notice up to this id; other screens of theirs hear of that."""
    marked = connection.execute(
        "UPDATE notices SET seen = 1 WHERE owner = ? AND id <= ? AND NOT seen", (owner, up_to)
    ).rowcount
    if marked:
        events.append(connection, at=stamp(now()), kind="notice", owner=owner)
