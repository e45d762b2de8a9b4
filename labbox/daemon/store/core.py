"""The store: one SQLite file, one writer thread that groups commits, two reader threads.

What `write` has returned is on disk (WAL with `synchronous=FULL`). Whoever opens the store holds the box's
lock already: that there is one daemon only is not this module's care.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import ModuleType
from typing import Final, TypeVar, cast

from labbox.daemon.store.migrations import STEPS
from labbox.daemon.store.opening import is_full, open_reader, open_writer, translate

T = TypeVar("T")

_READERS: Final = 2
_GROUP: Final = 256  # changes that share one commit at most
_CLOSE_SECONDS: Final = 30.0


def _no_more_room() -> bool:
    return False


class Store:
    """The box's database; made by `open`, used from the event loop."""

    def __init__(
        self,
        path: Path,
        writer: sqlite3.Connection,
        readers: Sequence[sqlite3.Connection],
        when_full: Callable[[], bool] = _no_more_room,
    ) -> None:
        """Take over connections that are open; `open` is the way in."""
        self.path = path
        self._writer = _Writer(writer, path, when_full)
        self._readers: queue.SimpleQueue[sqlite3.Connection] = queue.SimpleQueue()
        for reader in readers:
            self._readers.put(reader)
        self._pool = ThreadPoolExecutor(len(readers), thread_name_prefix="store-read")
        self._closed = False

    @classmethod
    async def open(
        cls,
        path: Path,
        steps: Sequence[ModuleType] = STEPS,
        *,
        when_full: Callable[[], bool] = _no_more_room,
    ) -> Store:
        """Open the file, make it where it is missing, take its schema to this version's.

        `when_full` is called in the writer's thread where the disk is full, and says whether it made room:
        what did not fit is tried once more then.

        LabboxError "conflict" where a newer labbox made the file, "unavailable" where it is damaged or cannot
        be read; the file is then left as it is.
        """
        with ThreadPoolExecutor(1, thread_name_prefix="store-open") as pool:
            loop = asyncio.get_running_loop()
            writer, readers = await loop.run_in_executor(pool, _connect, path, steps)
        return cls(path, writer, readers, when_full)

    async def read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        """What `query` returns; all its statements see one state. Writing in it fails."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._read, query)

    async def write(self, change: Callable[[sqlite3.Connection], T]) -> T:
        """Make a change and wait until it is on disk; what it raises undoes it alone and is raised here.

        `change` runs in the writer thread inside a transaction that others share: it may not commit, and it
        should do nothing but SQL. Changes take effect in the order in which they were asked for. LabboxError
        "unavailable" where the disk is full or fails; nothing of the change is kept then.
        """
        return await asyncio.wrap_future(self._writer.submit(change))

    async def close(self) -> None:
        """Finish the changes that are queued, then close the file."""
        if self._closed:
            return
        self._closed = True
        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(1, thread_name_prefix="store-close") as pool:
            await loop.run_in_executor(pool, self._close)

    def _read(self, query: Callable[[sqlite3.Connection], T]) -> T:
        connection = self._readers.get_nowait()  # as many connections as threads
        try:
            connection.execute("BEGIN")
            try:
                return query(connection)
            finally:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
        except sqlite3.DatabaseError as error:
            raise translate(error, "read from", self.path) from error
        finally:
            self._readers.put(connection)

    def _close(self) -> None:
        self._pool.shutdown()
        while not self._readers.empty():
            self._readers.get_nowait().close()
        self._writer.stop()


class _Change:
    """One queued change and where its outcome goes."""

    def __init__(self, apply: Callable[[sqlite3.Connection], object]) -> None:
        self.apply = apply
        self.future: Future[object] = Future()
        self.result: object = None


class _Writer:
    """The thread that owns the writing connection."""

    def __init__(self, connection: sqlite3.Connection, path: Path, when_full: Callable[[], bool]) -> None:
        self._connection = connection
        self._path = path
        self._when_full = when_full
        self._queue: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._lock = threading.Lock()  # no change may enter the queue behind the end mark
        self._stopped = False
        self._thread = threading.Thread(target=self._run, name="store-write", daemon=True)
        self._thread.start()

    def submit(self, apply: Callable[[sqlite3.Connection], T]) -> Future[T]:
        change = _Change(apply)
        with self._lock:
            if self._stopped:
                raise RuntimeError("the store is closed")
            self._queue.put(change)
        return cast("Future[T]", change.future)

    def stop(self) -> None:
        with self._lock:
            if not self._stopped:
                self._stopped = True
                self._queue.put(None)
        self._thread.join(_CLOSE_SECONDS)

    def _run(self) -> None:
        running = True
        while running:
            group: list[_Change] = []
            item = self._queue.get()
            while item is not None:
                if item.future.set_running_or_notify_cancel():
                    group.append(item)
                if len(group) == _GROUP:
                    break
                try:
                    item = self._queue.get_nowait()
                except queue.Empty:
                    break
            running = item is not None
            if group and not self._commit(group, last=False):
                self._commit(group, last=True)
        self._connection.close()

    def _commit(self, group: Sequence[_Change], *, last: bool) -> bool:
        """Make the changes and commit once; those that failed are answered, the rest when it is on disk.

        False where the disk was full and has room now: to be done again, unless this is the `last` time.
        """
        done: list[_Change] = []
        try:
            self._connection.execute("BEGIN IMMEDIATE")
            for change in group:
                if not change.future.done() and self._attempt(change):
                    done.append(change)
                if (
                    not self._connection.in_transaction
                ):  # SQLite gave up the whole transaction: full disk, I/O
                    raise sqlite3.OperationalError("the transaction was rolled back")
            self._connection.execute("COMMIT")
        except sqlite3.DatabaseError as error:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            if not last and is_full(error) and self._when_full():
                return False
            for change in group:
                if not change.future.done():
                    change.future.set_exception(translate(error, "write to", self._path, lost=True))
            return True
        for change in done:
            change.future.set_result(change.result)
        return True

    def _attempt(self, change: _Change) -> bool:
        """Make one change inside a savepoint; False where it failed, which undoes it alone."""
        connection = self._connection
        connection.execute("SAVEPOINT change")
        try:
            change.result = change.apply(connection)
        except Exception as error:  # whatever it is, it belongs to the one who asked
            if connection.in_transaction:
                connection.execute("ROLLBACK TO change")
                connection.execute("RELEASE change")
            if isinstance(error, sqlite3.DatabaseError):
                if is_full(error):
                    raise  # nothing else of the group fits either
                error = translate(error, "write to", self._path)
            change.future.set_exception(error)
            return False
        connection.execute("RELEASE change")
        return True


def _connect(
    path: Path, steps: Sequence[ModuleType]
) -> tuple[sqlite3.Connection, tuple[sqlite3.Connection, ...]]:
    writer = open_writer(path, steps)
    try:
        return writer, tuple(open_reader(path) for _ in range(_READERS))
    except sqlite3.DatabaseError as error:
        writer.close()
        raise translate(error, "open", path) from error
