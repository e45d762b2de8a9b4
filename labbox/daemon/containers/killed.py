"""Waiting for the end of a program that was killed while it had more to say."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Final

_SECONDS: Final = 5.0  # where a child of its, in a session of its own, holds its pipes


async def gone(process: asyncio.subprocess.Process) -> None:
    """Wait for it, and read away what it still said: asyncio waits for the ends of its pipes too."""
    with suppress(TimeoutError):
        async with asyncio.timeout(_SECONDS):
            await process.communicate()
