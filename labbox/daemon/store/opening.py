"""Opening the file: its mode, its health, its schema; and what SQLite's errors mean for people."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path
from types import ModuleType
from typing import Final

from labbox.daemon.store import migrations
from labbox.errors import LabboxError

_BUSY_MS: Final = 5000  # nobody else should hold the file; a backup tool may, shortly
_FULL: Final = sqlite3.SQLITE_FULL
_DAMAGED: Final = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB})
_OUTSIDE: Final = frozenset(
    {sqlite3.SQLITE_IOERR, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY}
    | {sqlite3.SQLITE_NOMEM, sqlite3.SQLITE_PERM, sqlite3.SQLITE_LOCKED}
)


def open_writer(path: Path, steps: Sequence[ModuleType]) -> sqlite3.Connection:
    """The writing connection of a file that is sound and has this version's schema."""
    connection: sqlite3.Connection | None = None
    try:
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))  # SQLite would take the umask's
        connection = _connect(f"file:{_quote(path)}?mode=rw")
        _refuse_newer(connection, path, steps)
        _refuse_damaged(connection, path)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        _migrate(connection, path, steps)
        connection.execute("PRAGMA foreign_keys = ON")
    except OSError as error:
        raise LabboxError(
            "unavailable", f"cannot open the store {path}: {error.strerror}", "see to the state folder's disk"
        ) from error
    except sqlite3.DatabaseError as error:
        if connection is not None:
            connection.close()
        raise translate(error, "open", path) from error
    except LabboxError:
        if connection is not None:
            connection.close()
        raise
    return connection


def open_reader(path: Path) -> sqlite3.Connection:
    """A connection that cannot write."""
    connection = _connect(f"file:{_quote(path)}?mode=ro")
    connection.execute("PRAGMA query_only = ON")
    return connection


def translate(error: sqlite3.DatabaseError, doing: str, path: Path, *, lost: bool = False) -> Exception:
    """What an SQLite error means: a LabboxError for what lies outside, else itself, a fault of ours.

    `lost`: the whole transaction went with it, so even an error without a code is one of the disk.
    """
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF  # the low byte is the primary code
    if code == _FULL:
        return LabboxError(
            "unavailable",
            f"cannot {doing} the store {path}: the disk is full",
            "free space on the box's disk",
        )
    if code in _DAMAGED:
        return damaged(path, str(error), doing)
    if code in _OUTSIDE or lost:
        return LabboxError(
            "unavailable", f"cannot {doing} the store {path}: {error}", "see to the state folder's disk"
        )
    return error


def is_full(error: sqlite3.DatabaseError) -> bool:
    """Whether it is for want of room on the disk."""
    return getattr(error, "sqlite_errorcode", 0) & 0xFF == _FULL


def damaged(path: Path, what: str, doing: str = "open") -> LabboxError:
    """The file is not what labbox wrote."""
    return LabboxError(
        "unavailable",
        f"cannot {doing} the store {path}: the file is damaged ({what})",
        f"it was left as it is; put back a good copy of {path.name} (and {path.name}-wal, if there is one),"
        f" or save what is left with: sqlite3 {path.name} .recover",
    )


def _connect(uri: str) -> sqlite3.Connection:
    # Autocommit: transactions are begun by hand. Each connection is used by one thread at a time.
    connection = sqlite3.connect(
        uri, uri=True, isolation_level=None, check_same_thread=False, timeout=_BUSY_MS / 1000
    )
    connection.row_factory = sqlite3.Row
    return connection


def _quote(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _refuse_newer(connection: sqlite3.Connection, path: Path, steps: Sequence[ModuleType]) -> None:
    newer = migrations.unknown(connection, steps)
    if newer:
        raise LabboxError(
            "conflict",
            f"cannot open the store {path}: made by a newer labbox (it has {newer[-1]})",
            "install that version or a later one; the file was left as it is",
        )


def _refuse_damaged(connection: sqlite3.Connection, path: Path) -> None:
    found = connection.execute("PRAGMA quick_check(1)").fetchone()[0]
    if found != "ok":
        raise damaged(path, found.replace("\n", " "))


def _migrate(connection: sqlite3.Connection, path: Path, steps: Sequence[ModuleType]) -> None:
    pending = migrations.pending(connection, steps)
    if not pending:
        return
    if len(pending) < len(steps):  # there is something to lose
        _keep_copy(connection, path.with_name(f"{path.name}.before-{pending[0]}"))
    migrations.apply(connection, steps)


def _keep_copy(connection: sqlite3.Connection, copy: Path) -> None:
    """The file as the older version left it, for whoever has to go back to that version."""
    copy.unlink(missing_ok=True)
    os.close(os.open(copy, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    with closing(sqlite3.connect(copy)) as target:
        connection.backup(target)
