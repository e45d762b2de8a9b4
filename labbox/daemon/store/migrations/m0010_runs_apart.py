"""Runs and file operations are listed apart: the indexes of lists hold what kind a job is."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_SCHEMA: Final = """
DROP INDEX jobs_list;
CREATE INDEX jobs_list ON jobs (state, id, owner, array_id, kind, folded);
DROP INDEX jobs_owner;
CREATE INDEX jobs_owner ON jobs (owner, state, id, kind);
CREATE INDEX jobs_files ON jobs (state, id, owner) WHERE kind = 'transfer';
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Make two indexes anew, and one of the operations on files alone."""
    run_script(connection, _SCHEMA)
