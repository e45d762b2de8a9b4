"""The schema's history: one module per step, named `mNNNN_what`, applied in order, never edited afterwards.

A step is a module with `migrate(connection)`, listed in `STEPS`. Each runs in a transaction of its own
together with the record that it ran (`sqlite_utils.migrations`), so a crash leaves it done or not begun. That
library is imported only where a step is to run: what has run is read from its table without it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from types import ModuleType
from typing import TYPE_CHECKING, Final

from labbox.daemon.store.migrations import (
    m0001_people,
    m0002_jobs,
    m0003_lists,
    m0004_groups,
    m0005_projects,
    m0006_hosts,
    m0007_names,
    m0008_former,
    m0009_events,
    m0010_runs_apart,
    m0011_accounts,
)

if TYPE_CHECKING:
    from sqlite_utils import Database
    from sqlite_utils.migrations import Migrations

STEPS: Final[tuple[ModuleType, ...]] = (
    m0001_people,
    m0002_jobs,
    m0003_lists,
    m0004_groups,
    m0005_projects,
    m0006_hosts,
    m0007_names,
    m0008_former,
    m0009_events,
    m0010_runs_apart,
    m0011_accounts,
)
_SET: Final = "labbox"
_RECORDED: Final = "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = '_sqlite_migrations'"
_APPLIED: Final = "SELECT name FROM _sqlite_migrations WHERE migration_set = ? ORDER BY rowid"


def unknown(connection: sqlite3.Connection, steps: Sequence[ModuleType] = STEPS) -> tuple[str, ...]:
    """The steps that this file has been through and this version does not know: a newer labbox made them."""
    known = {_name(step) for step in steps}
    return tuple(name for name in _applied(connection) if name not in known)


def pending(connection: sqlite3.Connection, steps: Sequence[ModuleType] = STEPS) -> tuple[str, ...]:
    """The steps that this file still has to go through."""
    applied = set(_applied(connection))
    return tuple(name for name in map(_name, steps) if name not in applied)


def apply(connection: sqlite3.Connection, steps: Sequence[ModuleType] = STEPS) -> None:
    """Take the file through every pending step."""
    from sqlite_utils import Database

    _migrations(steps).apply(Database(connection, execute_plugins=False))


def _applied(connection: sqlite3.Connection) -> tuple[str, ...]:
    """The names of the steps that this file has been through, in that order."""
    if connection.execute(_RECORDED).fetchone() is None:
        return ()
    return tuple(row[0] for row in connection.execute(_APPLIED, (_SET,)))


def _migrations(steps: Sequence[ModuleType]) -> Migrations:
    from sqlite_utils.migrations import Migrations

    migrations = Migrations(_SET)
    for step in steps:

        def run(database: Database, step: ModuleType = step) -> None:
            step.migrate(database.conn)

        migrations(name=_name(step))(run)
    return migrations


def _name(step: ModuleType) -> str:
    return step.__name__.rpartition(".")[2]
