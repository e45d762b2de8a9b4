"""Writes the store that the newest migration leaves of the oldest kept one before it, for tests/store/old.

`python -P tests/store/keep_old.py`, once, when a migration is added; add rows of the new table by hand.
"""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from labbox.daemon.store import Store
from labbox.daemon.store.migrations import STEPS

OLD = Path(__file__).parent / "old"


def dump(connection: sqlite3.Connection) -> Iterator[str]:
    """SQL that makes the same file: tables, rows, then what is made of them; no shadows of virtual tables."""
    shadows = {
        row[0] for row in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'shadow'")
    }
    virtual = {
        row[0] for row in connection.execute("SELECT name FROM pragma_table_list WHERE type = 'virtual'")
    }
    schema = connection.execute("SELECT type, name, sql FROM sqlite_schema WHERE sql NOT NULL ORDER BY rowid")
    later = []
    yield "BEGIN TRANSACTION;"
    for kind, name, sql in schema.fetchall():
        if name in shadows or name == "sqlite_sequence":
            continue
        if kind != "table" or name in virtual:
            later.append(f"{sql};")
            if name in virtual:
                later.append(f"INSERT INTO {name} ({name}) VALUES ('rebuild');")
            continue
        yield f"{sql};"
        yield from _rows(connection, name)
    yield 'DELETE FROM "sqlite_sequence";'
    yield from _rows(connection, "sqlite_sequence")
    yield from later
    yield "COMMIT;"


def _rows(connection: sqlite3.Connection, table: str) -> Iterator[str]:
    columns = [row[1] for row in connection.execute(f'PRAGMA table_info("{table}")')]
    values = " || ',' || ".join(f'quote("{column}")' for column in columns)
    for (row,) in connection.execute(f'SELECT {values} FROM "{table}"'):
        yield f'INSERT INTO "{table}" VALUES({row});'


def main() -> None:
    """Write the file of the newest step."""
    name = STEPS[-1].__name__.rpartition(".m")[2]
    before = max(path for path in OLD.glob("*.sql") if path.stem[:4] < name[:4])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "labbox.db"
        with closing(sqlite3.connect(path)) as old:
            old.executescript(before.read_text())
        asyncio.run(_migrate(path))
        with closing(sqlite3.connect(path)) as migrated:
            lines = list(dump(migrated))
    target = OLD / f"{name.replace('_', '-')}.sql"
    target.write_text("\n".join([f"-- A store as the schema m{name} left it.", *lines, ""]))


async def _migrate(path: Path) -> None:
    await (await Store.open(path)).close()


if __name__ == "__main__":
    main()
