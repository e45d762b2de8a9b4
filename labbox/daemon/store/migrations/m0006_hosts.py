"""Other machines that people reach from the box: how they log in there, and which key each showed."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
CREATE TABLE hosts (
    owner      TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    name       TEXT NOT NULL,  -- [user@]host[:port], as locations have it
    kind       TEXT NOT NULL CHECK (kind IN ('key', 'password')),
    sealed     BLOB NOT NULL,  -- the secret; people/sealing.py says how
    public_key TEXT,           -- of a key: the line that is put on the other machine
    host_keys  TEXT NOT NULL DEFAULT '',  -- the pinned ones, one a line
    created_at INTEGER NOT NULL,
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Make the table."""
    run_script(connection, _SCHEMA)
