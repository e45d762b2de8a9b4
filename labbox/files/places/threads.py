"""Threads for calls that block: what a place does on disks, beside the event loop.

Not asyncio's own executor: that one is shared with all else, and ends only when its last call has returned. A
file server that is gone keeps a call for ever; these threads end with their process all the same.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from queue import SimpleQueue
from typing import Any, Final, TypeVar

from labbox.errors import LabboxError

_T = TypeVar("_T")
_SETTLE_SECONDS: Final = 5.0  # that a cancelled caller waits for a change that is under way


class _Call:
    """One call, and where its end is told."""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        undo: Callable[[Any], object] | None,
    ) -> None:
        self.loop, self.function, self.arguments, self.undo = loop, function, arguments, undo
        self.future: asyncio.Future[Any] = loop.create_future()

    def run(self) -> None:
        """In a thread: do it, unless nobody wants it any more."""
        if self.future.cancelled():
            return
        result, failure = None, None
        try:
            result = self.function(*self.arguments)
        except BaseException as error:  # noqa: BLE001 - it is raised where the call was made
            failure = error
        try:
            self.loop.call_soon_threadsafe(self._tell, result, failure)
        except RuntimeError:  # the loop is closed
            self._unwanted(result, failure)

    def _tell(self, result: object, failure: BaseException | None) -> None:
        if self.future.cancelled():
            self._unwanted(result, failure)
        elif failure is not None:
            self.future.set_exception(failure)
        else:
            self.future.set_result(result)

    def _unwanted(self, result: object, failure: BaseException | None) -> None:
        if failure is None and self.undo is not None:
            with suppress(OSError):
                self.undo(result)


def _let_go(done: asyncio.Future[_T], undo: Callable[[_T], object] | None) -> None:
    if not done.cancelled() and done.exception() is None and undo is not None:
        with suppress(OSError):
            undo(done.result())


class Threads:
    """Up to `count` threads, started when they are needed."""

    def __init__(self, count: int) -> None:
        """Start none yet."""
        self._count: Final = count
        self._calls: SimpleQueue[_Call | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting = 0  # calls that are queued or run
        self._started = 0
        self._closed = False

    async def read(
        self, function: Callable[..., _T], *arguments: object, undo: Callable[[_T], object] | None = None
    ) -> _T:
        """Call in a thread; a cancelled caller goes on at once, and `undo` gets the result if one comes."""
        call = self._begin(function, arguments, undo)
        try:
            result: _T = await call.future
        except asyncio.CancelledError:  # it may have come just before: then nobody else lets go of it
            call.future.add_done_callback(lambda done: _let_go(done, undo))
            raise
        return result

    async def change(
        self, function: Callable[..., _T], *arguments: object, undo: Callable[[_T], object] | None = None
    ) -> _T:
        """Call in a thread what changes something: a cancelled caller goes on when it is done.

        So nothing changes behind the back of one who cleans up. A disk that does not answer is left alone
        after some seconds. `undo` gets a result that nobody waits for any more.
        """
        call = self._begin(function, arguments, None)
        try:
            result: _T = await asyncio.shield(call.future)
        except asyncio.CancelledError:
            call.future.add_done_callback(lambda done: _let_go(done, undo))
            await asyncio.wait({call.future}, timeout=_SETTLE_SECONDS)
            raise
        return result

    def _begin(
        self,
        function: Callable[..., Any],
        arguments: tuple[Any, ...],
        undo: Callable[[Any], object] | None,
    ) -> _Call:
        call = _Call(asyncio.get_running_loop(), function, arguments, undo)
        with self._lock:
            if self._closed:
                raise LabboxError("unavailable", "cannot go on: the place is closed", "open it again")
            self._waiting += 1
            grow = self._waiting > self._started and self._started < self._count
            self._started += grow
            self._calls.put(call)
        if grow:
            threading.Thread(target=self._work, name="files", daemon=True).start()
        return call

    def _work(self) -> None:
        while (call := self._calls.get()) is not None:
            call.run()
            del call  # not until the next one comes: it holds what was asked for
            with self._lock:
                self._waiting -= 1

    @property
    def closed(self) -> bool:
        """Whether they take no more calls."""
        return self._closed

    def close(self) -> None:
        """Let the threads end once they have done what is queued."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
            for _ in range(self._started):
                self._calls.put(None)
