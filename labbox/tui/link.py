"""The bridge to the client, which waits, for screens that must not: threads for calls, one for events."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import TYPE_CHECKING, Any, Final, TypeVar

from labbox.errors import LabboxError
from labbox.protocol import Event

if TYPE_CHECKING:
    from labbox.client import Client

T = TypeVar("T")

CALL_THREADS: Final = 3
FIRST_WAIT: Final = 0.5  # seconds before the first attempt to connect again
LONGEST_WAIT: Final = 15.0
GATHER: Final = 0.05  # seconds in which events are gathered before the screen hears of them
MOST_GATHERED: Final = 5000  # events; above it the list is read anew, which is cheaper

_Task = tuple[Callable[[], Any], asyncio.AbstractEventLoop, "asyncio.Future[Any]"]


class Calls:
    """A few threads that make the client's calls. They never keep the process from ending."""

    def __init__(self) -> None:
        """No thread is started before the first call."""
        self._tasks: SimpleQueue[_Task | None] = SimpleQueue()
        self._threads: list[threading.Thread] = []
        self._busy = 0

    async def ask(self, call: Callable[[], T]) -> T:
        """The call's result; its LabboxError comes through, and what the system says becomes one."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[T] = loop.create_future()
        self._busy += 1
        if self._busy > len(self._threads) and len(self._threads) < CALL_THREADS:
            thread = threading.Thread(target=self._work, name=f"call-{len(self._threads)}", daemon=True)
            self._threads.append(thread)
            thread.start()
        self._tasks.put((call, loop, future))
        try:
            return await future
        finally:
            self._busy -= 1

    def close(self) -> None:
        """Let every thread end after its present call."""
        for _ in self._threads:
            self._tasks.put(None)

    def _work(self) -> None:
        while (task := self._tasks.get()) is not None:
            call, loop, future = task
            try:
                result, error = call(), None
            except LabboxError as caught:
                result, error = None, caught
            except (OSError, ValueError, EOFError) as caught:
                result, error = None, LabboxError("unavailable", f"cannot do that: {caught}")
                error.__cause__ = caught
            except Exception as caught:  # noqa: BLE001 - a bug must reach the interface's boundary, not end the thread
                result, error = None, caught  # type: ignore[assignment]
            try:
                loop.call_soon_threadsafe(_settle, future, result, error)
            except RuntimeError:  # the loop has closed: nobody waits any more
                return


def _settle(future: asyncio.Future[Any], result: object, error: BaseException | None) -> None:
    if future.done():
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(result)


class Feed:
    """Follows the box's events in a thread of its own; goes on from its cursor after a loss."""

    def __init__(
        self,
        client: Client,
        arrived: Callable[[list[Event]], None],
        lost: Callable[[str], None],
        found: Callable[[bool], None],
    ) -> None:
        """`arrived`, `lost` and `found` run on the event loop; found(True) means: read everything again."""
        self._client = client
        self._arrived = arrived
        self._lost = lost
        self._found = found
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()  # Textual keeps the app in it; a thread's own is empty
        self._stop = threading.Event()
        self._waiting: deque[Event] = deque()
        self._scheduled = False
        self._lock = threading.Lock()
        self.cursor: int | None = None  # None: from now on

    def start(self, cursor: int) -> None:
        """Follow from this cursor on."""
        self.cursor = cursor
        threading.Thread(target=self._run, name="events", daemon=True).start()

    def stop(self) -> None:
        """End at the next event; the thread holds nothing that must be closed."""
        self._stop.set()

    def _run(self) -> None:
        wait = FIRST_WAIT
        away = anew = False
        while not self._stop.is_set():
            try:
                for event in self._client.events(after=self.cursor, follow=True, patience=0):
                    if self._stop.is_set():
                        return
                    if away or anew:
                        self._tell(self._found, anew)
                        away = anew = False
                    wait = FIRST_WAIT
                    self._take(event)
                problem = "the box closed the connection"
            except LabboxError as error:
                problem = error.message
                if error.code not in ("unavailable", "internal"):
                    self.cursor, anew = None, True
            except (OSError, EOFError) as error:
                problem = f"cannot reach the box: {error}"
            away = True
            self._tell(self._lost, problem)
            if self._stop.wait(wait):
                return
            wait = min(wait * 2, LONGEST_WAIT)
            if self._answers():
                away = False
                self._tell(self._found, False)

    def _answers(self) -> bool:
        """Whether the box is back, without waiting for an event to show it."""
        try:
            self._client.status()
        except (LabboxError, OSError, EOFError):
            return False
        return True

    def _take(self, event: Event) -> None:
        self.cursor = max(self.cursor or 0, event.cursor)
        if event.kind == "alive":
            return
        with self._lock:
            self._waiting.append(event)
            if self._scheduled:
                return
            self._scheduled = True
        self._tell(self._gather)

    def _gather(self) -> None:
        self._loop.call_later(GATHER, self._hand_over)

    def _hand_over(self) -> None:
        with self._lock:
            events = list(self._waiting)
            self._waiting.clear()
            self._scheduled = False
        if self._stop.is_set():
            return
        if len(events) > MOST_GATHERED:
            self._found(True)
        else:
            self._arrived(events)

    def _tell(self, callback: Callable[..., None], *arguments: object) -> None:
        try:
            self._loop.call_soon_threadsafe(callback, *arguments, context=self._context)
        except RuntimeError:  # the loop has closed
            self._stop.set()
