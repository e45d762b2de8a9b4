"""Answers that go on: lines of JSON with a sign of life, and an end for readers who do not read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import msgspec
from aiohttp import web

from labbox.errors import LabboxError
from labbox.wire import encode

HEARTBEAT: Final = 15.0  # seconds of silence before a sign of life
STALL: Final = 60.0  # seconds that a reader may leave its full buffer unread; it comes back by its cursor
_AHEAD: Final = 64  # messages read ahead of a slow reader
_BATCH: Final = 128 << 10  # bytes written at once


async def stream_lines(
    request: web.Request,
    messages: AsyncIterator[msgspec.Struct],
    alive: Callable[[], msgspec.Struct],
) -> web.StreamResponse:
    """Send each message as a line; `alive` makes what is sent when nothing happened for `HEARTBEAT` seconds.

    A refusal that comes before the first message becomes an ordinary error; later the connection is cut, and
    the client asks again from its cursor.
    """
    queue: asyncio.Queue[msgspec.Struct | None] = asyncio.Queue(_AHEAD)

    async def read() -> None:
        async for message in messages:
            await queue.put(message)
        await queue.put(None)

    response = web.StreamResponse(
        headers={"Content-Type": "application/x-ndjson", "Cache-Control": "no-store"}
    )
    try:
        async with asyncio.TaskGroup() as tasks:
            reader = tasks.create_task(read(), name="stream")
            await _send(request, response, queue, alive)
            reader.cancel()
    except ExceptionGroup as group:
        refusals, faults = group.split(LabboxError)
        if refusals is not None and not response.prepared:
            raise _first(refusals) from None
        if request.transport is not None:
            request.transport.abort()
        _, faults = faults.split((ConnectionError, TimeoutError)) if faults is not None else (None, None)
        if faults is not None:
            raise faults from None
    finally:
        close = getattr(messages, "aclose", None)
        if close is not None:
            await close()
    return response


def _first(group: ExceptionGroup[LabboxError]) -> LabboxError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error


async def _send(
    request: web.Request,
    response: web.StreamResponse,
    queue: asyncio.Queue[msgspec.Struct | None],
    alive: Callable[[], msgspec.Struct],
) -> None:
    """Write what the queue gives, several messages at once where they came together, until its None."""
    ended = False
    while not ended:
        batch = bytearray()
        try:
            async with asyncio.timeout(HEARTBEAT if response.prepared else 1.0):
                message = await queue.get()
        except TimeoutError:
            batch += encode(alive()) + b"\n"
        else:
            while True:
                if message is None:
                    ended = True
                    break
                batch += encode(message) + b"\n"
                if queue.empty() or len(batch) > _BATCH:
                    break
                message = queue.get_nowait()
        if not response.prepared:
            await response.prepare(request)
        async with asyncio.timeout(STALL):
            if batch:
                await response.write(bytes(batch))
    await response.write_eof()
