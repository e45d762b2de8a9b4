"""What lists of jobs are filtered by stands in one index; names in a form that knows no case."""

from __future__ import annotations

import sqlite3
from typing import Final

from labbox.daemon.store.scripts import run_script

_COLUMN: Final = "ALTER TABLE jobs ADD COLUMN folded TEXT NOT NULL DEFAULT ''"  # the name, case folded
_INDEX: Final = """
CREATE INDEX jobs_list ON jobs (state, id, owner, array_id, folded);
DROP INDEX jobs_name;
"""


def migrate(connection: sqlite3.Connection) -> None:
    """Fold the names that are there, then make the index."""
    connection.execute(_COLUMN)
    names = [row[0] for row in connection.execute("SELECT DISTINCT name FROM jobs")]
    connection.executemany(
        "UPDATE jobs SET folded = ? WHERE name = ?", [(name.casefold(), name) for name in names]
    )
    run_script(connection, _INDEX)
