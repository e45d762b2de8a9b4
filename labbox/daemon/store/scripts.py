"""SQL of several statements inside a transaction, where `sqlite3`'s `executescript` would commit first."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator


def run_script(connection: sqlite3.Connection, script: str) -> None:
    """Execute the statements one by one; comments and blank lines may stand between them."""
    for statement in statements(script):
        connection.execute(statement)


def statements(script: str) -> Iterator[str]:
    """The statements of a script, each ending with a line (triggers stay whole)."""
    gathered = ""
    for line in script.splitlines(keepends=True):
        gathered += line
        if sqlite3.complete_statement(gathered):
            yield gathered
            gathered = ""
    if gathered.strip():
        yield gathered
