"""Projects and their members; jobs that wait for their folder to arrive."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
-- A project is a gid: allotted as those of users are, and never given twice either.
CREATE TABLE projects (
    name       TEXT PRIMARY KEY,
    gid        INTEGER NOT NULL UNIQUE REFERENCES uids (uid),
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE project_members (
    project TEXT NOT NULL REFERENCES projects (name) ON DELETE CASCADE,
    member  TEXT NOT NULL REFERENCES users (name) ON DELETE CASCADE,
    PRIMARY KEY (project, member)
) STRICT, WITHOUT ROWID;
CREATE INDEX project_members_member ON project_members (member);

-- The folder of such a job is fetched by another one first, and handed in when it is there.
ALTER TABLE jobs ADD COLUMN arrives INTEGER NOT NULL DEFAULT 0 CHECK (arrives IN (0, 1));
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Make the tables and the column."""
    run_script(connection, _SCHEMA)
