"""The usage table: what each user took, all in all and as the fair share counts it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from labbox.model import Value

if TYPE_CHECKING:
    from sqlite3 import Connection


class UsageRow(Value):
    """One user's row; `recent` in CPU-seconds as it stood at the stamp `recent_at`."""

    owner: str
    jobs: int = 0
    cpu_seconds: float = 0.0
    memory_byte_seconds: float = 0.0
    recent: float = 0.0
    recent_at: int = 0
    storage: int = 0


def all_rows(connection: Connection) -> dict[str, UsageRow]:
    """Every user who ever ran anything, by name."""
    rows = connection.execute("SELECT * FROM usage ORDER BY owner")
    return {row["owner"]: UsageRow(**dict(row)) for row in rows}


def put(connection: Connection, row: UsageRow) -> None:
    """Write a user's row."""
    connection.execute(
        "INSERT INTO usage (owner, jobs, cpu_seconds, memory_byte_seconds, recent, recent_at, storage)"
        " VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (owner) DO UPDATE SET jobs = excluded.jobs,"
        " cpu_seconds = excluded.cpu_seconds, memory_byte_seconds = excluded.memory_byte_seconds,"
        " recent = excluded.recent, recent_at = excluded.recent_at, storage = excluded.storage",
        (
            *(row.owner, row.jobs, row.cpu_seconds, row.memory_byte_seconds),
            *(row.recent, row.recent_at, row.storage),
        ),
    )


def get(connection: Connection, owner: str) -> UsageRow:
    """A user's row; zeros for somebody who never ran anything."""
    row = connection.execute("SELECT * FROM usage WHERE owner = ?", (owner,)).fetchone()
    return UsageRow(owner=owner) if row is None else UsageRow(**dict(row))


def set_storage(connection: Connection, owner: str, size: int) -> None:
    """Write what was measured."""
    connection.execute(
        "INSERT INTO usage (owner, jobs, cpu_seconds, memory_byte_seconds, recent, recent_at, storage)"
        " VALUES (?, 0, 0, 0, 0, 0, ?) ON CONFLICT (owner) DO UPDATE SET storage = excluded.storage",
        (owner, size),
    )


def add_storage(connection: Connection, owner: str, size: int) -> None:
    """Count what came to it since it was measured."""
    connection.execute("UPDATE usage SET storage = storage + ? WHERE owner = ?", (size, owner))
