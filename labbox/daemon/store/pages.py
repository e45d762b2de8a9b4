"""Lists of jobs: pages by any filter, and counts.

Each state is a walk of an index in the order of the page, cut off at its end; what a page needs for its
filters stands in the index itself. A part of a name is looked up among the trigrams of all names first: the
few jobs that have it, or that none has, are found at once. What many are called fills a page soon in a walk.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from labbox.daemon.store.jobs import JobRow, get_many
from labbox.model import JobState

if TYPE_CHECKING:
    from sqlite3 import Connection

_TRIGRAM: Final = 3  # characters; a shorter part of a name stands in no index
_NAMES: Final = 300  # names with that part, and
_NAMED: Final = 3_000  # jobs so named, that are few: more of either are found sooner by a walk


def page(
    connection: Connection,
    *,
    owner: str | None,
    states: Sequence[JobState],
    name: str | None,
    array: int | None,
    group: str | None = None,
    files: bool | None = None,
    limit: int,
    before: int | None,
    oldest_first: bool = False,
    viewer: str | None = None,
) -> list[JobRow]:
    """A page of jobs by id; no states: all; `array` 0: no elements; `name`: a part of it, in any case.

    `files`: only operations on files, or none of them.
    `viewer`: who looks, if not everything may be told to them. By what a list does not show them of others'
    jobs, the names of transfers and groups, they are not found either.
    """
    where, values = list[str](), list[object]()
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
    if files is not None:
        where.append("kind = 'transfer'" if files else "kind != 'transfer'")
    if name is not None:
        where.append("instr(folded, ?) > 0")
        values.append(name.casefold())
        if viewer is not None and owner != viewer:
            where.append("(owner = ? OR kind != 'transfer')")
            values.append(viewer)
    if viewer is not None and group is not None:
        where.append("owner = ?")
        values.append(viewer)
    if before is not None:
        where.append("id > ?" if oldest_first else "id < ?")
        values.append(before)
    order = "ASC" if oldest_first else "DESC"
    few = None if name is None else _named(connection, name.casefold())
    if few is None:
        index = _index(owner, name, array, group, files)
        ids = _walk(connection, index, (where, values), states or tuple(JobState), order, limit)
    else:
        ids = _among(connection, few, (where, values), states, order, limit)
    ids = sorted(ids, reverse=not oldest_first)[:limit]
    found = get_many(connection, ids)
    return [found[job] for job in ids]


_Filter = tuple[list[str], list[object]]  # conditions, and the values for their marks


def _walk(
    connection: Connection, index: str, asked: _Filter, states: Sequence[JobState], order: str, limit: int
) -> list[int]:
    """The first jobs of each state that pass, along an index in the page's order."""
    where, values = asked
    query = (
        f"SELECT id FROM jobs INDEXED BY {index} WHERE {' AND '.join(['state = ?', *where])}"  # noqa: S608 - constants
        f" ORDER BY id {order} LIMIT ?"
    )
    return [row["id"] for state in states for row in connection.execute(query, (state, *values, limit))]


def _named(connection: Connection, part: str) -> list[int] | None:
    """The names that have this part, folded; None where they, or the jobs so named, are not few."""
    if len(part) < _TRIGRAM or "\0" in part:  # no index knows it: through the names, each once
        query, value = "SELECT id FROM names WHERE instr(folded, ?) > 0 LIMIT ?", part
    else:
        query = "SELECT rowid AS id FROM name_parts WHERE name_parts MATCH ? LIMIT ?"
        value = '"' + part.replace('"', '""') + '"'
    names = [row["id"] for row in connection.execute(query, (value, _NAMES))]
    if len(names) == _NAMES:
        return None
    query = (
        "SELECT count(*) FROM (SELECT 1 FROM jobs INDEXED BY jobs_named"  # noqa: S608 - marks only
        f" WHERE name_id IN ({_marks(names)}) LIMIT ?)"
    )
    found = connection.execute(query, (*names, _NAMED)).fetchone()[0]
    return None if found == _NAMED else names


def _among(
    connection: Connection,
    names: Sequence[int],
    asked: _Filter,
    states: Sequence[JobState],
    order: str,
    limit: int,
) -> list[int]:
    """Those of the few jobs with these names that pass."""
    where, values = asked
    conditions = [f"name_id IN ({_marks(names)})", *where]
    if states:
        conditions.append(f"state IN ({_marks(states)})")
    query = (
        f"SELECT id FROM jobs INDEXED BY jobs_named WHERE {' AND '.join(conditions)}"  # noqa: S608 - constants
        f" ORDER BY id {order} LIMIT ?"
    )
    return [row["id"] for row in connection.execute(query, (*names, *values, *states, limit))]


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _index(
    owner: str | None, name: str | None, array: int | None, group: str | None, files: bool | None
) -> str:
    """The index in which, state by state, jobs stand by id; the widest holds all that is asked for."""
    if array:
        return "jobs_array"
    if group is not None:
        return "jobs_group"
    if files:
        return "jobs_files"
    return "jobs_owner" if owner is not None and name is None and array is None else "jobs_list"


def count_by_state(
    connection: Connection,
    owner: str | None = None,
    *,
    array: int | None = None,
    files: bool | None = None,
) -> dict[JobState, int]:
    """How many jobs are in each state: of arrays the elements, with `array` 0 each array as one.

    `files` as in `page`.
    """
    if files:
        return _count_files(connection, owner)
    if owner is None:
        rows = connection.execute(
            "SELECT state, count(*) AS n FROM jobs INDEXED BY jobs_state GROUP BY state"
        )
    else:
        rows = connection.execute(
            "SELECT state, count(*) AS n FROM jobs WHERE owner = ? GROUP BY state", (owner,)
        )
    if array == 0:
        less = (
            "SELECT e.state AS state, sum(e.count) AS n FROM elements e"
            " JOIN jobs j ON j.id = e.array_id WHERE ? IS NULL OR j.owner = ? GROUP BY e.state"
        )
    else:
        less = (
            "SELECT state, count(*) AS n FROM jobs WHERE id IN (SELECT array_id FROM elements)"
            " AND (? IS NULL OR owner = ?) GROUP BY state"
        )
    counts = {JobState(row["state"]): int(row["n"]) for row in rows}
    for row in connection.execute(less, (owner, owner)):
        state = JobState(row["state"])
        counts[state] = counts.get(state, 0) - int(row["n"])
    for state, count in _count_files(connection, owner).items() if files is False else ():
        counts[state] = counts.get(state, 0) - count
    return {state: count for state, count in counts.items() if count}


def _count_files(connection: Connection, owner: str | None) -> dict[JobState, int]:
    rows = connection.execute(
        "SELECT state, count(*) AS n FROM jobs INDEXED BY jobs_files"
        " WHERE kind = 'transfer' AND (? IS NULL OR owner = ?) GROUP BY state",
        (owner, owner),
    )
    return {JobState(row["state"]): int(row["n"]) for row in rows}
