"""Lists of jobs: pages by any filter, and counts.

Each state is a walk of an index in the order of the page, cut off at its end; what a page needs for its
filters stands in the index itself, so that one which finds nothing among 100,000 jobs takes milliseconds.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from labbox.daemon.store.jobs import JobRow, get_many
from labbox.model import JobState

if TYPE_CHECKING:
    from sqlite3 import Connection


def page(
    connection: Connection,
    *,
    owner: str | None,
    states: Sequence[JobState],
    name: str | None,
    array: int | None,
    group: str | None = None,
    limit: int,
    before: int | None,
    oldest_first: bool = False,
) -> list[JobRow]:
    """A page of jobs by id; no states: all; `array` 0: no elements; `name`: a part of it, in any case."""
    where, values = ["state = ?"], list[object]()
    if owner is not None:
        where.append("owner = ?")
        values.append(owner)
    if array == 0:
        where.append("array_id IS NULL")
    elif array is not None:
        where.append("array_id = ?")
        values.append(array)
    if group is not None:
        where.append("job_group = ?")
        values.append(group)
    if name is not None:
        where.append("instr(folded, ?) > 0")
        values.append(name.casefold())
    if before is not None:
        where.append("id > ?" if oldest_first else "id < ?")
        values.append(before)
    order = "ASC" if oldest_first else "DESC"
    query = (
        f"SELECT id FROM jobs INDEXED BY {_index(owner, name, array, group)} WHERE {' AND '.join(where)}"  # noqa: S608 - the parts are the constants above
        f" ORDER BY id {order} LIMIT ?"
    )
    ids: list[int] = []
    for state in states or JobState:
        ids += [row["id"] for row in connection.execute(query, (state, *values, limit))]
    ids = sorted(ids, reverse=not oldest_first)[:limit]
    found = get_many(connection, ids)
    return [found[job] for job in ids]


def _index(owner: str | None, name: str | None, array: int | None, group: str | None) -> str:
    """The index in which, state by state, jobs stand by id; the widest holds all that is asked for."""
    if array:
        return "jobs_array"
    if group is not None:
        return "jobs_group"
    return "jobs_owner" if owner is not None and name is None and array is None else "jobs_list"


def count_by_state(connection: Connection, owner: str | None = None) -> dict[JobState, int]:
    """How many jobs are in each state; arrays by their elements, not their parents."""
    if owner is None:
        rows = connection.execute(
            "SELECT state, count(*) AS n FROM jobs INDEXED BY jobs_state GROUP BY state"
        )
        parents = connection.execute(
            "SELECT state, count(*) AS n FROM jobs WHERE id IN (SELECT array_id FROM elements) GROUP BY state"
        )
    else:
        rows = connection.execute(
            "SELECT state, count(*) AS n FROM jobs WHERE owner = ? GROUP BY state", (owner,)
        )
        parents = connection.execute(
            "SELECT state, count(*) AS n FROM jobs WHERE id IN (SELECT array_id FROM elements) AND owner = ?"
            " GROUP BY state",
            (owner,),
        )
    counts = {JobState(row["state"]): int(row["n"]) for row in rows}
    for row in parents:
        counts[JobState(row["state"])] -= int(row["n"])
    return {state: count for state, count in counts.items() if count}
