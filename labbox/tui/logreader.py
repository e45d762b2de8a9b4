"""Reads a job's log in a thread, as fast as it comes or as fast as a screen can use it, whichever is less."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError
from labbox.protocol import LogRecord

if TYPE_CHECKING:
    from labbox.client import Client

TAIL: Final = 2000  # lines to begin with
GATHER: Final = 0.1  # seconds between two deliveries to the screen
FLOOD: Final = (
    1 << 20
)  # bytes waiting for the screen at which following is given up and the tail is read instead
FLOOD_TAIL: Final = 1000  # lines read after a flood
BREATH: Final = 0.5  # seconds between two looks at a flood


class LogReader:
    """One following of one log. `deliver` runs on the event loop with records and bytes skipped."""

    def __init__(
        self,
        client: Client,
        job: int,
        deliver: Callable[[list[LogRecord], int], None],
        failed: Callable[[LabboxError], None],
    ) -> None:
        """Nothing is read before `start`."""
        self._client = client
        self._job = job
        self._deliver = deliver
        self._failed = failed
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # Textual keeps the app in it; a thread's own is empty
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._waiting: list[LogRecord] = []
        self._bytes = 0
        self._skipped = 0
        self._scheduled = False

    def start(self, after: int = 0, tail: int | None = TAIL, follow: bool = True) -> None:
        """Read from the byte `after`, or only the last `tail` lines."""
        threading.Thread(target=self._run, args=(after, tail, follow), name="log", daemon=True).start()

    def stop(self) -> None:
        """End at the next record."""
        self._stop.set()

    def _run(self, after: int, tail: int | None, follow: bool) -> None:
        cursor = after
        while not self._stop.is_set():
            try:
                flooded = False
                jumped = tail is not None and cursor > 0
                records = self._client.job_log(
                    self._job, after=0 if jumped else cursor, follow=follow, tail=tail
                )
                for record in records:
                    if self._stop.is_set():
                        return
                    if jumped:
                        if record.cursor <= cursor:
                            continue
                        jumped = False
                        start = record.cursor - len(record.text.encode("utf-8", "surrogateescape"))
                        self._skip(max(0, start - cursor))
                    cursor = record.cursor
                    self._take(record)
                    if record.end:
                        return
                    if self._bytes > FLOOD:
                        flooded = True
                        break
                if not follow:
                    return
                if flooded:
                    while self._bytes and not self._stop.wait(BREATH):
                        pass
                    tail = FLOOD_TAIL
                else:
                    tail = None
                    if self._stop.wait(BREATH):
                        return
            except LabboxError as error:
                if error.code != "unavailable" or not follow:
                    self._tell_failure(error)
                    return
                tail = None
                if self._stop.wait(2.0):
                    return

    def _skip(self, count: int) -> None:
        with self._lock:
            self._skipped += count

    def _take(self, record: LogRecord) -> None:
        with self._lock:
            self._waiting.append(record)
            self._bytes += len(record.text)
            if self._scheduled:
                return
            self._scheduled = True
        self._call(self._gather)

    def _gather(self) -> None:
        self._loop.call_later(GATHER if self._bytes > 4096 else GATHER / 4, self._hand_over)

    def _hand_over(self) -> None:
        with self._lock:
            records, self._waiting = self._waiting, []
            skipped, self._skipped = self._skipped, 0
            self._bytes = 0
            self._scheduled = False
        if not self._stop.is_set():
            self._deliver(records, skipped)

    def _tell_failure(self, error: LabboxError) -> None:
        if not self._stop.is_set():
            self._call(self._failed, error)

    def _call(self, callback: Callable[..., object], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments, context=self._context)
        except RuntimeError:  # the loop has closed
            self._stop.set()
