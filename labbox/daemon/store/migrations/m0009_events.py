"""What a job was when something happened to it: an event tells that, and not what became of it since."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

# NULL in events of before: those can tell no more than how the job stands now.
_SCHEMA: Final = """
ALTER TABLE events ADD COLUMN state TEXT;
ALTER TABLE events ADD COLUMN attempt INTEGER;
ALTER TABLE events ADD COLUMN reason_code TEXT;
ALTER TABLE events ADD COLUMN reason_text TEXT;
ALTER TABLE events ADD COLUMN exit_code INTEGER;
ALTER TABLE events ADD COLUMN started_at INTEGER;
ALTER TABLE events ADD COLUMN ended_at INTEGER;
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Make the columns."""
    run_script(connection, _SCHEMA)
