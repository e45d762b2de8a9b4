"""The hosts table: other machines that people reach, their secrets sealed."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, NamedTuple

from labbox.daemon.store.times import moment, now, stamp

if TYPE_CHECKING:
    from sqlite3 import Connection, Row


class HostRow(NamedTuple):
    """One machine of one user."""

    owner: str
    name: str
    kind: str  # key, password
    sealed: bytes
    public_key: str | None
    host_keys: tuple[str, ...]
    created_at: datetime

    def __repr__(self) -> str:
        """Without the secret, sealed as it is."""
        return f"HostRow({self.owner!r}, {self.name!r}, …)"


def put(
    connection: Connection, owner: str, name: str, kind: str, sealed: bytes, public_key: str | None
) -> HostRow:
    """Keep a secret; what is there of the same name is replaced, its pinned keys stay."""
    row = connection.execute(
        "INSERT INTO hosts (owner, name, kind, sealed, public_key, created_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (owner, name) DO UPDATE SET kind = excluded.kind, sealed = excluded.sealed,"
        " public_key = excluded.public_key, created_at = excluded.created_at RETURNING *",
        (owner, name, kind, sealed, public_key, stamp(now())),
    ).fetchone()
    return _host(row)


def pin(connection: Connection, owner: str, name: str, host_keys: tuple[str, ...]) -> HostRow | None:
    """Replace the pinned keys; None where there is no such host."""
    row = connection.execute(
        "UPDATE hosts SET host_keys = ? WHERE owner = ? AND name = ? RETURNING *",
        ("\n".join(host_keys), owner, name),
    ).fetchone()
    return None if row is None else _host(row)


def find(connection: Connection, owner: str, name: str) -> HostRow | None:
    """One host of a user."""
    row = connection.execute("SELECT * FROM hosts WHERE owner = ? AND name = ?", (owner, name)).fetchone()
    return None if row is None else _host(row)


def of_user(connection: Connection, owner: str) -> tuple[HostRow, ...]:
    """All hosts of a user, by name."""
    rows = connection.execute("SELECT * FROM hosts WHERE owner = ? ORDER BY name", (owner,))
    return tuple(map(_host, rows))


def any_kept(connection: Connection) -> bool:
    """Whether anybody's secret is kept."""
    return connection.execute("SELECT 1 FROM hosts LIMIT 1").fetchone() is not None


def remove(connection: Connection, owner: str, name: str) -> bool:
    """Forget a host with its secret; False where there is none."""
    gone = connection.execute("DELETE FROM hosts WHERE owner = ? AND name = ?", (owner, name))
    return gone.rowcount > 0


def _host(row: Row) -> HostRow:
    return HostRow(
        owner=row["owner"],
        name=row["name"],
        kind=row["kind"],
        sealed=row["sealed"],
        public_key=row["public_key"],
        host_keys=tuple(row["host_keys"].splitlines()),
        created_at=moment(row["created_at"]),
    )
