"""How many builds of anybody's code run for one person at once, so that what she asks for holds up nobody else.

A build script may sleep for as long as a build may take, and goes on when its job is cancelled. Whoever has as
many under way as one may have waits for an end of her own ones, and for nobody else's.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

PER_PERSON: Final = 2


class Places:
    """Places by person; those of nobody who makes anything are forgotten."""

    def __init__(self) -> None:
        """All are free."""
        self._gates: dict[str, tuple[asyncio.Semaphore, set[object]]] = {}

    @asynccontextmanager
    async def of(self, person: str) -> AsyncIterator[None]:
        """Hold one of somebody's places, when one is free."""
        gate, present = self._gates.setdefault(person, (asyncio.Semaphore(PER_PERSON), set()))
        me = object()
        present.add(me)
        try:
            async with gate:
                yield
        finally:
            present.discard(me)
            if not present:
                self._gates.pop(person, None)
