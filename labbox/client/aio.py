"""The same client for asyncio: every call of `labbox.client.Client`, awaited.

    from labbox.client import aio

    async with aio.connect("ssh://ada@box:2222") as box:
        job = await box.submit_job(path="study")
        async for record in box.job_log(job.id, follow=True):
            print(record.text, end="")
        job = await box.wait_job(job.id, timeout=3600)

A program writes its calls from those of `Client`: each runs in a thread with a connection of its own, with
the words, answers and errors of `Client`. What gives an iterator there is an async iterator here.

On cancellation the call's connection is closed, and its thread ends at once instead of waiting for an answer.
What the box was asked by then it may still do: a cancelled `submit_job` may have handed in its job.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Any, Final, Self

from labbox.client import Client, route_to
from labbox.client.awaited import AwaitedCalls
from labbox.client.transport import Route, Transport

CALLS_AT_ONCE: Final = 8  # further ones wait for a free connection; streams have theirs besides
_END: Final = object()


def connect(where: str | None = None, act_as: str | None = None) -> AsyncClient:
    """A client for the box at `where`, as for `labbox.client.connect`; nothing is sent before the first call.

    Example:
        async with aio.connect() as box:
            print((await box.status()).ready)
    """
    return AsyncClient(route_to(where), act_as)


class AsyncClient(AwaitedCalls):
    """A box, as its callers see it; made by `connect`. For one event loop."""

    def __init__(self, route: Route, act_as: str | None = None) -> None:
        """Keep the way; nothing is opened yet."""
        self._route, self._act_as = route, act_as
        self._idle: list[_Worker] = []
        self._busy: set[_Worker] = set()
        self._places = asyncio.Semaphore(CALLS_AT_ONCE)

    @property
    def where(self) -> str:
        """What this client talks to, for people."""
        return self._route.where

    async def close(self) -> None:
        """Close all connections, for good; whoever still waits for an answer gets an error."""
        for worker in (*self._idle, *self._busy):
            worker.end()
        self._idle.clear()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def _call(self, name: str, /, *words: Any, **named: Any) -> Any:
        async with self._places:
            worker = self._take()
            try:
                answer = await worker.run(getattr(worker.client, name), *words, **named)
            except asyncio.CancelledError:
                self._busy.discard(worker)
                worker.end()
                raise
            except BaseException:
                self._give_back(worker)
                raise
            self._give_back(worker)
            return answer

    async def _stream(self, name: str, /, *words: Any, **named: Any) -> AsyncIterator[Any]:
        worker = self._take()
        try:
            items = getattr(worker.client, name)(*words, **named)
            while (item := await worker.run(next, items, _END)) is not _END:
                yield item
        finally:
            self._busy.discard(worker)
            worker.end()  # its connection may stand in the middle of an answer

    def _take(self) -> _Worker:
        worker = self._idle.pop() if self._idle else _Worker(Client(Transport(self._route, self._act_as)))
        self._busy.add(worker)
        return worker

    def _give_back(self, worker: _Worker) -> None:
        self._busy.discard(worker)
        if not worker.ended:
            self._idle.append(worker)


class _Worker:
    """A thread with a client of its own, and so with one connection."""

    def __init__(self, client: Client) -> None:
        self.client = client
        self.ended = False
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="labbox call")

    async def run(self, function: Callable[..., Any], *words: Any, **named: Any) -> Any:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._thread, functools.partial(function, *words, **named))

    def end(self) -> None:
        """Close the connection, which wakes the thread, and let the thread go."""
        self.ended = True
        self.client.close()
        self._thread.shutdown(wait=False)


for _name, _call in vars(AwaitedCalls).items():
    if not _name.startswith("_"):
        _call.__doc__ = getattr(Client, _name).__doc__
