"""The tokens table: passwords for scripts, kept as hashes."""

from __future__ import annotations

import sqlite3
from datetime import datetime

from labbox.daemon.store.times import moment, moment_or_none, now, stamp
from labbox.model import Scope
from labbox.protocol import Token


def insert(
    connection: sqlite3.Connection,
    owner: str,
    label: str,
    scope: Scope,
    token_hash: str,
    expires_at: datetime,
) -> Token:
    """A new token."""
    row = connection.execute(
        "INSERT INTO tokens (owner, label, scope, hash, created_at, expires_at) VALUES (?, ?, ?, ?, ?, ?)"
        " RETURNING *",
        (owner, label, scope, token_hash, stamp(now()), stamp(expires_at)),
    ).fetchone()
    return _token(row)


def of_user(connection: sqlite3.Connection, owner: str) -> tuple[Token, ...]:
    """A user's tokens, oldest first, the revoked and expired ones too."""
    rows = connection.execute("SELECT * FROM tokens WHERE owner = ? ORDER BY id", (owner,))
    return tuple(_token(row) for row in rows)


def use(connection: sqlite3.Connection, owner: str, token_hash: str) -> Scope | None:
    """The scope of the user's token with this hash, noting its use; None where it is not good any more."""
    at = stamp(now())
    row = connection.execute(
        "UPDATE tokens SET last_used = :at WHERE owner = :owner AND hash = :hash AND NOT revoked"
        " AND expires_at > :at RETURNING scope",
        {"at": at, "owner": owner, "hash": token_hash},
    ).fetchone()
    return None if row is None else Scope(row["scope"])


def revoke(connection: sqlite3.Connection, owner: str, id: int) -> Token | None:  # noqa: A002 - the API's word
    """End a token; None where the user has none of that id."""
    row = connection.execute(
        "UPDATE tokens SET revoked = 1 WHERE owner = ? AND id = ? RETURNING *", (owner, id)
    ).fetchone()
    return None if row is None else _token(row)


def drop_dead(connection: sqlite3.Connection, owner: str, before: datetime) -> None:
    """Forget the user's tokens that expired before a moment."""
    connection.execute("DELETE FROM tokens WHERE owner = ? AND expires_at < ?", (owner, stamp(before)))


def _token(row: sqlite3.Row) -> Token:
    return Token(
        id=row["id"],
        label=row["label"],
        scope=Scope(row["scope"]),
        created_at=moment(row["created_at"]),
        expires_at=moment(row["expires_at"]),
        last_used=moment_or_none(row["last_used"]),
        revoked=bool(row["revoked"]),
    )
