"""How many builds of anybody's code run for one person at once, so that they hold up nobody else's.

A build script may sleep for as long as a build may take, and goes on when its job is cancelled. Who has as
many under way as one may have waits for an end of their own. What several people ask for is built once, in
the place of whoever of them has one free.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from typing import Final

PER_PERSON: Final = 2


class Places:
    """Places by person."""

    def __init__(self) -> None:
        """All are free."""
        self._taken: Counter[str] = Counter()
        self._changed = asyncio.Event()

    def look_again(self) -> None:
        """Somebody more asks for what may be waiting for a place."""
        self._changed.set()
        self._changed = asyncio.Event()

    @asynccontextmanager
    async def of(self, askers: Callable[[], Collection[str]]) -> AsyncIterator[None]:
        """Hold a place of one of those who ask, when one of them has one free."""
        while (person := self._free(askers())) is None:
            await self._changed.wait()
        self._taken[person] += 1
        try:
            yield
        finally:
            self._taken[person] -= 1
            if not self._taken[person]:
                del self._taken[person]
            self.look_again()

    def _free(self, askers: Collection[str]) -> str | None:
        return next((one for one in askers if self._taken[one] < PER_PERSON), None)
