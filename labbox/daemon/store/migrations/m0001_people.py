"""Users, keys, invitations, tokens, the audit trail, notices, and the box's own values."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
CREATE TABLE meta (
    key   TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

-- Every uid that was ever allotted: none is given twice, or files of the one would be the other's.
CREATE TABLE uids (
    uid         INTEGER PRIMARY KEY,
    name        TEXT NOT NULL,
    allotted_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    name         TEXT PRIMARY KEY,
    uid          INTEGER NOT NULL UNIQUE REFERENCES uids (uid),
    gid          INTEGER NOT NULL,
    admin        INTEGER NOT NULL CHECK (admin IN (0, 1)),
    password     TEXT,              -- a PHC string; NULL: no login by password
    running_jobs INTEGER,           -- the limits; NULL: none
    cpus         REAL,
    memory       INTEGER,
    gpus         INTEGER,
    storage      INTEGER,
    created_at   INTEGER NOT NULL,
    last_login   INTEGER,
    leaving      INTEGER NOT NULL DEFAULT 0 CHECK (leaving IN (0, 1))  -- being removed: no login any more
) STRICT;

CREATE TABLE keys (
    owner       TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    fingerprint TEXT NOT NULL,
    line        TEXT NOT NULL,      -- kind and base64, without the comment
    kind        TEXT NOT NULL,
    comment     TEXT NOT NULL,
    added_at    INTEGER NOT NULL,
    last_used   INTEGER,
    PRIMARY KEY (owner, fingerprint)
) STRICT;

CREATE TABLE invitations (
    owner      TEXT PRIMARY KEY REFERENCES users (name) ON DELETE CASCADE,
    hash       TEXT NOT NULL,
    expires_at INTEGER NOT NULL,
    opened     INTEGER NOT NULL DEFAULT 0 CHECK (opened IN (0, 1))  -- the code was given at a login
) STRICT;

CREATE TABLE tokens (
    id         INTEGER PRIMARY KEY AUTOINCREMENT,
    owner      TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    label      TEXT NOT NULL,
    scope      TEXT NOT NULL,
    hash       TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_used  INTEGER,
    revoked    INTEGER NOT NULL DEFAULT 0 CHECK (revoked IN (0, 1))
) STRICT;
CREATE INDEX tokens_owner ON tokens (owner);

-- `link` is a keyed hash over this row and the link before it; see audit.py.
CREATE TABLE audit (
    id     INTEGER PRIMARY KEY,
    at     INTEGER NOT NULL,
    who    TEXT NOT NULL,
    action TEXT NOT NULL,
    target TEXT NOT NULL,
    origin TEXT NOT NULL,
    detail TEXT NOT NULL,
    link   TEXT NOT NULL
) STRICT;

CREATE TABLE notices (
    id    INTEGER PRIMARY KEY AUTOINCREMENT,
    owner TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    at    INTEGER NOT NULL,
    text  TEXT NOT NULL,
    job   INTEGER,
    seen  INTEGER NOT NULL DEFAULT 0 CHECK (seen IN (0, 1))
) STRICT;
CREATE INDEX notices_owner ON notices (owner, id);
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Make the tables."""
    run_script(connection, _SCHEMA)
