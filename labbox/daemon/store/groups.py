"""The job_groups table: each user's groups of jobs, and how many of a group's jobs may run at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError
from labbox.groups import TRANSFERS, default_parallel
from labbox.model import ACTIVE, WAITING, JobState
from labbox.protocol import Group

if TYPE_CHECKING:
    from sqlite3 import Connection

MOST: Final = 1_000  # groups of one user: a slip in a script must not fill the store
_OPEN: Final = (*WAITING, *ACTIVE)


def limits(connection: Connection) -> dict[tuple[str, str], int | None]:
    """What was said of groups, by owner and name: those with a limit, and those that would have one else."""
    rows = connection.execute(
        "SELECT owner, name, parallel FROM job_groups WHERE parallel IS NOT NULL OR name = ?", (TRANSFERS,)
    )
    return {(row["owner"], row["name"]): row["parallel"] for row in rows}


def ensure(connection: Connection, owner: str, name: str) -> None:
    """Make a group that is not there yet, without a limit; LabboxError "limit" where there are too many."""
    known = "SELECT 1 FROM job_groups WHERE owner = ? AND name = ?"
    if connection.execute(known, (owner, name)).fetchone() is not None:
        return
    (count,) = connection.execute("SELECT count(*) FROM job_groups WHERE owner = ?", (owner,)).fetchone()
    if count >= MOST:
        raise LabboxError(
            "limit",
            f"cannot make the group {name}: {owner} has {count} groups already",
            "`labbox job group remove NAME` removes one",
        )
    connection.execute("INSERT INTO job_groups (owner, name) VALUES (?, ?)", (owner, name))


def put(connection: Connection, owner: str, name: str, parallel: int | None) -> None:
    """Give a group a limit, or None; it is made where it is not there yet."""
    ensure(connection, owner, name)
    connection.execute(
        "UPDATE job_groups SET parallel = ? WHERE owner = ? AND name = ?", (parallel, owner, name)
    )


def remove(connection: Connection, owner: str, name: str) -> bool:
    """Forget a group and its limit; jobs keep its name. False where there is none."""
    gone = connection.execute("DELETE FROM job_groups WHERE owner = ? AND name = ?", (owner, name))
    return gone.rowcount > 0


def remove_all(connection: Connection, owner: str) -> list[str]:
    """Forget all groups of somebody; returns their names."""
    rows = connection.execute("DELETE FROM job_groups WHERE owner = ? RETURNING name", (owner,))
    return [row["name"] for row in rows.fetchall()]


def listed(connection: Connection, owner: str | None = None, name: str | None = None) -> list[Group]:
    """Groups with how many of their jobs wait and run: those that were made, those that open jobs name."""
    who, whose = ("", ()) if owner is None else (" AND owner = ?", (owner,))
    what, which = ("", ()) if name is None else (" AND name = ?", (name,))
    found: dict[tuple[str, str], Group] = {}
    query = f"SELECT owner, name, parallel FROM job_groups WHERE 1{who}{what}"  # noqa: S608 - constants only
    for row in connection.execute(query, (*whose, *which)):
        key = (row["owner"], row["name"])
        found[key] = Group(owner=row["owner"], name=row["name"], parallel=row["parallel"])
    query = (
        f"SELECT owner, job_group AS name, state, count(*) AS n FROM jobs"  # noqa: S608 - constants only
        f" WHERE state IN ({','.join('?' * len(_OPEN))}) AND job_group IS NOT NULL AND kind != 'array'"
        f"{who}{what.replace('name', 'job_group')} GROUP BY owner, job_group, state"
    )
    counts: dict[tuple[str, str], list[int]] = {}
    for row in connection.execute(query, (*_OPEN, *whose, *which)):
        waiting_active = counts.setdefault((row["owner"], row["name"]), [0, 0])
        waiting_active[JobState(row["state"]) in ACTIVE] += int(row["n"])
    for key, (waiting, active) in counts.items():
        parallel = found[key].parallel if key in found else default_parallel(key[1])
        found[key] = Group(owner=key[0], name=key[1], parallel=parallel, waiting=waiting, active=active)
    return [group for _, group in sorted(found.items())]
