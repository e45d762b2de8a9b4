"""What people leave behind in the tables: it belongs to their uid, so that nobody who gets the name gets it.

A name comes back, a uid never does. While somebody is here, their rows carry the name; when they go, and once
more when somebody of that name comes, what stands under it is written down under a label that no person can
have as a name. So every question that is asked by name finds the present person's things alone.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Final

from labbox.errors import LabboxError

_MARK: Final = "~"  # no name of a person holds one


def label(name: str, uid: int) -> str:
    """Whose a former person's things are, once the name is free: `bob~70003`."""
    return f"{name}{_MARK}{uid}"


def named(connection: sqlite3.Connection) -> dict[str, str]:
    """The labels of those who once were, by name: of each name that is nobody's now, the last one."""
    rows = connection.execute(
        "SELECT name, max(uid) AS uid FROM uids WHERE name NOT IN (SELECT name FROM users)"
        " AND uid NOT IN (SELECT gid FROM projects) GROUP BY name"
    )
    return {row["name"]: label(row["name"], row["uid"]) for row in rows}


def last_uid(connection: sqlite3.Connection, name: str, before: int) -> int:
    """The last uid that was given to this name before another one; 0 where there was none."""
    row = connection.execute(
        "SELECT max(uid) FROM uids WHERE name = ? AND uid < ?", (name, before)
    ).fetchone()
    return row[0] or 0


def refuse_gone(connection: sqlite3.Connection, name: str, uid: int) -> None:
    """LabboxError "conflict" where who asked has been removed meanwhile; another may have the name."""
    row = connection.execute("SELECT uid, leaving FROM users WHERE name = ?", (name,)).fetchone()
    # Without root all are the one person who started the box, whatever id is written down.
    if row is not None and (row["leaving"] or (os.geteuid() == 0 and row["uid"] != uid)):
        raise LabboxError("conflict", f"cannot do this for {name}: they were removed from the box")


def relabel(connection: sqlite3.Connection, name: str, to: str) -> None:
    """Write what stands under a name down under a label; limits of groups are forgotten."""
    connection.execute("UPDATE jobs SET owner = ? WHERE owner = ?", (to, name))
    connection.execute("UPDATE OR REPLACE usage SET owner = ? WHERE owner = ?", (to, name))
    connection.execute("UPDATE events SET owner = ? WHERE owner = ?", (to, name))
    connection.execute("DELETE FROM job_groups WHERE owner = ?", (name,))
