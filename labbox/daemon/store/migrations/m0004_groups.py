"""Groups of jobs: their limits, and to which of its owner's groups a job belongs."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
-- No reference to the owner, as with jobs; a group that only jobs name has no limit and needs no row.
CREATE TABLE job_groups (
    owner    TEXT NOT NULL,
    name     TEXT NOT NULL,
    parallel INTEGER CHECK (parallel > 0),  -- jobs of it that may run at once; NULL: no limit
    PRIMARY KEY (owner, name)
) STRICT, WITHOUT ROWID;

ALTER TABLE jobs ADD COLUMN job_group TEXT;
CREATE INDEX jobs_group ON jobs (job_group, state, id, owner, array_id) WHERE job_group IS NOT NULL;
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Make the table, the column, and the index by which a group's jobs are listed."""
    run_script(connection, _SCHEMA)
