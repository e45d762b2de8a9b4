"""The schema's history: one module per step, named `mNNNN_what`, applied in order, never edited afterwards.

A step is a module with `migrate(connection)`, listed in `STEPS`. Each runs in a transaction of its own
together with the record that it ran (`sqlite_utils.migrations`), so a crash leaves it done or not begun.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from types import ModuleType
from typing import Final

from sqlite_utils import Database
from sqlite_utils.migrations import Migrations

from labbox.daemon.store.migrations import m0001_people, m0002_jobs, m0003_lists

STEPS: Final[tuple[ModuleType, ...]] = (m0001_people, m0002_jobs, m0003_lists)
_SET: Final = "labbox"


def unknown(connection: sqlite3.Connection, steps: Sequence[ModuleType] = STEPS) -> tuple[str, ...]:
    """The steps that this file has been through and this version does not know: a newer labbox made them."""
    known = {_name(step) for step in steps}
    applied = _migrations(steps).applied(Database(connection, execute_plugins=False))
    return tuple(step.name for step in applied if step.name not in known)


def pending(connection: sqlite3.Connection, steps: Sequence[ModuleType] = STEPS) -> tuple[str, ...]:
    """The steps that this file still has to go through."""
    database = Database(connection, execute_plugins=False)
    return tuple(step.name for step in _migrations(steps).pending(database))


def apply(connection: sqlite3.Connection, steps: Sequence[ModuleType] = STEPS) -> None:
    """Take the file through every pending step."""
    _migrations(steps).apply(Database(connection, execute_plugins=False))


def _migrations(steps: Sequence[ModuleType]) -> Migrations:
    migrations = Migrations(_SET)
    for step in steps:

        def run(database: Database, step: ModuleType = step) -> None:
            step.migrate(database.conn)

        migrations(name=_name(step))(run)
    return migrations


def _name(step: ModuleType) -> str:
    return step.__name__.rpartition(".")[2]
