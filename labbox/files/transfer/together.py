"""Short blocking calls of many tasks, done together: a turn of a thread costs more than one of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Final, NamedTuple, TypeVar

_T = TypeVar("_T")
_THREADS: Final = 2
_MOST: Final = 16  # calls that one thread takes at once
_SETTLE_SECONDS: Final = 5.0  # that a cancelled caller waits for its call


class _Call(NamedTuple):
    future: asyncio.Future[Any]
    work: Callable[[], Any]


class Together:
    """Does what is asked for in the order in which it was asked for, as soon as a thread is free."""

    def __init__(self) -> None:
        """Nothing yet."""
        self._waiting: list[_Call] = []
        self._busy = 0  # threads

    async def do(self, function: Callable[..., _T], *arguments: Any) -> _T:
        """Call it in a thread. A cancelled caller goes on once it is done: it can clean up then."""
        future: asyncio.Future[_T] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Call(future, lambda: function(*arguments)))
        self._begin()
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            await asyncio.wait({future}, timeout=_SETTLE_SECONDS)
            if future.done():
                future.exception()
            raise

    def _begin(self) -> None:
        if not self._waiting or self._busy >= _THREADS:
            return
        calls, self._waiting = self._waiting[:_MOST], self._waiting[_MOST:]
        self._busy += 1
        running = asyncio.get_running_loop().run_in_executor(None, _done, [call.work for call in calls])
        running.add_done_callback(lambda results: self._ended(calls, results))

    def _ended(self, calls: list[_Call], results: asyncio.Future[list[tuple[Any, Exception | None]]]) -> None:
        self._busy -= 1
        self._begin()
        if results.cancelled():
            for call in calls:
                call.future.cancel()
            return
        for call, (result, error) in zip(calls, results.result(), strict=True):
            if error is None:
                call.future.set_result(result)
            else:
                call.future.set_exception(error)


def _done(works: list[Callable[[], Any]]) -> list[tuple[Any, Exception | None]]:
    results: list[tuple[Any, Exception | None]] = []
    for work in works:
        try:
            results.append((work(), None))
        except Exception as error:  # noqa: BLE001 - it is raised where the call was asked for
            results.append((None, error))
    return results
