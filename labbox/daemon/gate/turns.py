"""The event loop in turns: connections that have more to do than fits are served one by one, by source.

Each turn is a callback of its own, so that between two of them whatever else has happened (a key pressed, a
request to the API) is served. One source with a hundred connections has as many turns as one with a single
connection.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable


class Turns:
    """Callbacks that wait, by the source of their connection."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        """Start with none."""
        self._loop = loop
        self._waiting: OrderedDict[str, deque[Callable[[], None]]] = OrderedDict()
        self._running = False

    def take(self, source: str, work: Callable[[], None]) -> None:
        """Have `work` called when it is the source's turn."""
        self._waiting.setdefault(source, deque()).append(work)
        if not self._running:
            self._running = True
            self._loop.call_soon(self._next)

    def _next(self) -> None:
        if not self._waiting:
            self._running = False
            return
        source, works = self._waiting.popitem(last=False)
        work = works.popleft()
        if works:
            self._waiting[source] = works  # at the end of the round
        self._loop.call_soon(self._next)
        work()
