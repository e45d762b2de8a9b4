"""The tables of users, the ids they were allotted, their keys and invitations."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection
from datetime import datetime
from typing import Final

import msgspec

from labbox.daemon.store.times import moment, moment_or_none, now, stamp
from labbox.model import Limits, Value
from labbox.protocol import Key, User

_SELECT: Final = """
    SELECT users.*, (SELECT count(*) FROM keys WHERE owner = users.name) AS key_count,
    (SELECT storage FROM usage WHERE owner = users.name) AS stored,
    (SELECT expires_at FROM invitations WHERE owner = users.name AND expires_at > ?) AS invited_until
    FROM users
"""
_ONE: Final = f"{_SELECT} WHERE name = ?"
_ALL: Final = f"{_SELECT} ORDER BY name"


class Credentials(Value):
    """What a login by password is held against; `invitation` only while it is good."""

    password: str | None  # a PHC string
    invitation: str | None  # the hash of a code
    leaving: bool

    def __repr__(self) -> str:
        """Without the hashes."""
        return "Credentials(…)"


def allot(connection: sqlite3.Connection, name: str, first: int, taken: Collection[range]) -> int:
    """A uid that was never given, from `first` on and outside the ranges that belong to others."""
    row = connection.execute("SELECT max(uid) FROM uids").fetchone()
    uid = first if row[0] is None else max(first, row[0] + 1)
    while others := [ids for ids in taken if uid in ids]:
        uid = max(ids.stop for ids in others)
    connection.execute(
        "INSERT INTO uids (uid, name, allotted_at) VALUES (?, ?, ?)", (uid, name, stamp(now()))
    )
    return uid


def allotted(connection: sqlite3.Connection) -> dict[int, str]:
    """Every uid ever given, with the name it was given to."""
    return {row["uid"]: row["name"] for row in connection.execute("SELECT uid, name FROM uids ORDER BY uid")}


def insert(
    connection: sqlite3.Connection,
    name: str,
    uid: int,
    *,
    admin: bool,
    password: str | None,
    limits: Limits,
    full_name: str = "",
    expires_at: datetime | None = None,
) -> None:
    """A new user, whose gid is their uid."""
    connection.execute(
        "INSERT INTO users"
        " (name, uid, gid, admin, password, running_jobs, cpus, memory, gpus, storage, created_at,"
        " full_name, expires_at) VALUES (:name, :uid, :uid, :admin, :password, :running_jobs, :cpus, :memory,"
        " :gpus, :storage, :at, :full_name, :expires_at)",
        {
            "name": name,
            "uid": uid,
            "admin": admin,
            "password": password,
            "at": stamp(now()),
            "full_name": full_name,
            "expires_at": None if expires_at is None else stamp(expires_at),
            **msgspec.structs.asdict(limits),
        },
    )


def find(connection: sqlite3.Connection, name: str) -> User | None:
    """One user."""
    row = connection.execute(_ONE, (stamp(now()), name)).fetchone()
    return None if row is None else _user(row)


def everyone(connection: sqlite3.Connection) -> tuple[User, ...]:
    """All users, by name."""
    return tuple(_user(row) for row in connection.execute(_ALL, (stamp(now()),)))


def leaving(connection: sqlite3.Connection) -> frozenset[str]:
    """Those whose removal has begun and not ended."""
    return frozenset(row["name"] for row in connection.execute("SELECT name FROM users WHERE leaving"))


def mark_leaving(connection: sqlite3.Connection, name: str) -> None:
    """From here on the user logs in no more."""
    connection.execute("UPDATE users SET leaving = 1 WHERE name = ?", (name,))


def delete(connection: sqlite3.Connection, name: str) -> None:
    """The user goes, with keys, tokens, invitation and notices; the uid stays taken."""
    connection.execute("DELETE FROM users WHERE name = ?", (name,))


def count_admins(connection: sqlite3.Connection) -> int:
    """How many administer the box, and will: none that is leaving, suspended, or has an end."""
    counted = (
        "SELECT count(*) FROM users"
        " WHERE admin AND NOT leaving AND suspended_at IS NULL AND expires_at IS NULL"
    )
    return int(connection.execute(counted).fetchone()[0])


def suspend(connection: sqlite3.Connection, name: str) -> None:
    """From here on the user comes in no more, until `unsuspend`."""
    connection.execute("UPDATE users SET suspended_at = ? WHERE name = ?", (stamp(now()), name))


def unsuspend(connection: sqlite3.Connection, name: str) -> None:
    """The user may come in again."""
    connection.execute("UPDATE users SET suspended_at = NULL WHERE name = ?", (name,))


def set_full_name(connection: sqlite3.Connection, name: str, full_name: str) -> None:
    """What the person is called."""
    connection.execute("UPDATE users SET full_name = ? WHERE name = ?", (full_name, name))


def set_expiry(connection: sqlite3.Connection, name: str, expires_at: datetime | None) -> None:
    """When the account ends; what was told of an earlier end is forgotten."""
    connection.execute(
        "UPDATE users SET expires_at = ?, expiry_told = 0 WHERE name = ?",
        (None if expires_at is None else stamp(expires_at), name),
    )


def expiring(connection: sqlite3.Connection) -> list[tuple[str, datetime, int]]:
    """Those whose end has not been seen to: name, end, and what has been done about it."""
    rows = connection.execute(
        "SELECT name, expires_at, expiry_told FROM users WHERE expires_at NOT NULL AND expiry_told < 2"
    )
    return [(row["name"], moment(row["expires_at"]), row["expiry_told"]) for row in rows]


def told_expiry(connection: sqlite3.Connection, name: str, told: int) -> None:
    """Note what has been done about a user's end."""
    connection.execute("UPDATE users SET expiry_told = ? WHERE name = ?", (told, name))


def admins(connection: sqlite3.Connection) -> tuple[str, ...]:
    """Those who administer the box."""
    return tuple(
        row["name"] for row in connection.execute("SELECT name FROM users WHERE admin AND NOT leaving")
    )


def set_admin(connection: sqlite3.Connection, name: str, admin: bool) -> None:
    """Whether the user administers the box."""
    connection.execute("UPDATE users SET admin = ? WHERE name = ?", (admin, name))


def set_limits(connection: sqlite3.Connection, name: str, limits: Limits) -> None:
    """Replace all limits."""
    connection.execute(
        "UPDATE users SET running_jobs = :running_jobs, cpus = :cpus, memory = :memory, gpus = :gpus,"
        " storage = :storage WHERE name = :name",
        {"name": name, **msgspec.structs.asdict(limits)},
    )


def set_password(connection: sqlite3.Connection, name: str, password: str) -> None:
    """Keep a new password's hash."""
    connection.execute("UPDATE users SET password = ? WHERE name = ?", (password, name))


def credentials(connection: sqlite3.Connection, name: str) -> Credentials | None:
    """What a password given for this name is held against."""
    row = connection.execute(
        "SELECT password, leaving, invitations.hash AS invitation FROM users LEFT JOIN invitations"
        " ON owner = name AND invitations.expires_at > ? WHERE name = ?",
        (stamp(now()), name),
    ).fetchone()
    if row is None:
        return None
    return Credentials(password=row["password"], invitation=row["invitation"], leaving=bool(row["leaving"]))


def touch_login(connection: sqlite3.Connection, name: str, fingerprint: str | None) -> None:
    """The user logged in now, with this key if it was a key."""
    at = stamp(now())
    connection.execute("UPDATE users SET last_login = ? WHERE name = ?", (at, name))
    if fingerprint is not None:
        connection.execute(
            "UPDATE keys SET last_used = ? WHERE owner = ? AND fingerprint = ?", (at, name, fingerprint)
        )


def add_key(connection: sqlite3.Connection, name: str, line: str, key: Key) -> bool:
    """Deposit a key; False where it is there already."""
    cursor = connection.execute(
        "INSERT INTO keys (owner, fingerprint, line, kind, comment, added_at) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT DO NOTHING",
        (name, key.fingerprint, line, key.kind, key.comment, stamp(key.added_at)),
    )
    return cursor.rowcount == 1


def keys(connection: sqlite3.Connection, name: str) -> tuple[Key, ...]:
    """A user's keys, oldest first."""
    rows = connection.execute("SELECT * FROM keys WHERE owner = ? ORDER BY added_at, fingerprint", (name,))
    return tuple(
        Key(
            fingerprint=row["fingerprint"],
            kind=row["kind"],
            comment=row["comment"],
            added_at=moment(row["added_at"]),
            last_used=moment_or_none(row["last_used"]),
        )
        for row in rows
    )


def has_key(connection: sqlite3.Connection, name: str, line: str) -> bool:
    """Whether the user may log in with this key (kind and base64)."""
    row = connection.execute(
        "SELECT 1 FROM keys JOIN users ON owner = name WHERE owner = ? AND line = ? AND NOT leaving",
        (name, line),
    ).fetchone()
    return row is not None


def remove_key(connection: sqlite3.Connection, name: str, fingerprint: str) -> bool:
    """Take a key back; False where there is none of that fingerprint."""
    cursor = connection.execute("DELETE FROM keys WHERE owner = ? AND fingerprint = ?", (name, fingerprint))
    return cursor.rowcount == 1


def invite(connection: sqlite3.Connection, name: str, code_hash: str, expires_at: datetime) -> None:
    """Keep the hash of a one-time code; an earlier one of the user's ends."""
    connection.execute(
        "INSERT OR REPLACE INTO invitations (owner, hash, expires_at) VALUES (?, ?, ?)",
        (name, code_hash, stamp(expires_at)),
    )


def open_invitation(connection: sqlite3.Connection, name: str, code_hash: str) -> None:
    """The code was given at a login."""
    connection.execute("UPDATE invitations SET opened = 1 WHERE owner = ? AND hash = ?", (name, code_hash))


def invitation_opened(connection: sqlite3.Connection, name: str) -> bool:
    """Whether the user has come with a code that is still good."""
    row = connection.execute(
        "SELECT 1 FROM invitations WHERE owner = ? AND opened AND expires_at > ?", (name, stamp(now()))
    ).fetchone()
    return row is not None


def consume_invitation(connection: sqlite3.Connection, name: str) -> bool:
    """The code has served, or is withdrawn; False where there was none that is still good."""
    row = connection.execute(
        "DELETE FROM invitations WHERE owner = ? RETURNING expires_at", (name,)
    ).fetchone()
    return row is not None and row["expires_at"] > stamp(now())


def _user(row: sqlite3.Row) -> User:
    return User(
        name=row["name"],
        uid=row["uid"],
        gid=row["gid"],
        admin=bool(row["admin"]),
        limits=Limits(**{name: row[name] for name in Limits.__struct_fields__}),
        created_at=moment(row["created_at"]),
        last_login=moment_or_none(row["last_login"]),
        has_password=row["password"] is not None,
        keys=row["key_count"],
        storage=row["stored"],
        full_name=row["full_name"],
        suspended_at=moment_or_none(row["suspended_at"]),
        expires_at=moment_or_none(row["expires_at"]),
        invited_until=moment_or_none(row["invited_until"]),
    )
