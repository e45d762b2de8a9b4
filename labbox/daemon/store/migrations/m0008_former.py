"""Jobs, use and events of people who were removed stand under a label with their uid, not under the name.

A job is an earlier person's where it was submitted before the present one of that name was added, or where
there is none. Which one's, the time tells at which each uid was allotted.
"""

from __future__ import annotations

import sqlite3
from typing import Final

# :owner, :at → the uid that this name had then; without one, the first that it ever had
_UID: Final = """
    coalesce((SELECT uid FROM uids WHERE name = {owner} AND allotted_at <= {at}
              ORDER BY allotted_at DESC LIMIT 1),
             (SELECT min(uid) FROM uids WHERE name = {owner}), 0)
"""
_FORMER: Final = (
    "NOT EXISTS (SELECT 1 FROM users JOIN uids USING (uid)"
    " WHERE users.name = {owner} AND uids.allotted_at <= {at})"
)


def migrate(connection: sqlite3.Connection) -> None:
    """Relabel what a name that came back would reach."""
    for table, at in (("jobs", "submitted_at"), ("events", "at")):
        owner, moment = f"{table}.owner", f"{table}.{at}"
        connection.execute(
            f"UPDATE {table} SET owner = owner || '~' || {_UID.format(owner=owner, at=moment)}"  # noqa: S608 - constants only
            f" WHERE {_FORMER.format(owner=owner, at=moment)}"
        )
    connection.execute(
        "UPDATE events SET owner = jobs.owner FROM jobs"
        " WHERE jobs.id = events.job AND jobs.owner != events.owner"
    )
    # Of a name that several had, what was counted cannot be told apart: it was the earlier one's.
    connection.execute(
        "UPDATE usage SET owner = owner || '~' || coalesce("
        "(SELECT max(uid) FROM uids WHERE name = usage.owner AND uid NOT IN (SELECT uid FROM users)), 0)"
        " WHERE owner NOT IN (SELECT name FROM users)"
        " OR (SELECT count(*) FROM uids WHERE name = usage.owner) > 1"
    )
    connection.execute("DELETE FROM job_groups WHERE owner NOT IN (SELECT name FROM users)")
