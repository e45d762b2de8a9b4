"""Files opened as the viewer opens them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path

import pytest_asyncio

from labbox.files.places.local import LocalPlace
from labbox.files.viewing.source import Source

Open = Callable[[Path], Awaitable[Source]]


@pytest_asyncio.fixture
async def opened(tmp_path: Path) -> AsyncIterator[Open]:
    """`await opened(path)`: a source that is closed at the end."""
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(LocalPlace(home=str(tmp_path)))

        async def opening(path: Path) -> Source:
            return await stack.enter_async_context(await Source.open(place, str(path)))

        yield opening
