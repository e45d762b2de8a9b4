"""Accounts have a full name, can be suspended, and can expire."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
ALTER TABLE users ADD COLUMN full_name TEXT NOT NULL DEFAULT '';
ALTER TABLE users ADD COLUMN suspended_at INTEGER;  -- NULL: not suspended
ALTER TABLE users ADD COLUMN expires_at INTEGER;    -- NULL: never
-- What has been done about `expires_at`: 0 nothing, 1 the notice beforehand, 2 the end.
ALTER TABLE users ADD COLUMN expiry_told INTEGER NOT NULL DEFAULT 0 CHECK (expiry_told IN (0, 1, 2));
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Add four columns."""
    run_script(connection, _SCHEMA)
