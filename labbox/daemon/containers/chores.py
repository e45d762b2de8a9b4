"""Asking for a chore that wants more of root than the daemon has (`labbox.chores`)."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, closing
from typing import Protocol


class Chore(Protocol):
    """A chore under way."""

    async def wait(self) -> int:
        """Wait for its end: its exit code."""

    async def kill(self) -> None:
        """End it with everything it has started."""


# name, words, and the descriptors that become its 0, 1 and 2, which stay the caller's
Chores = Callable[[str, Sequence[str], tuple[int, int, int]], Awaitable[Chore]]


class _Program:
    """A chore as a child of this process."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def wait(self) -> int:
        return await self._process.wait()

    async def kill(self) -> None:
        if self._process.returncode is None:
            os.killpg(self._process.pid, 9)
            await self._process.wait()


async def by_ourselves(name: str, words: Sequence[str], descriptors: tuple[int, int, int]) -> Chore:
    """Do it with the rights that this process has: where no spawner is."""
    stdin, stdout, stderr = descriptors
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "labbox.chores", name, *words,
        stdin=stdin, stdout=stdout, stderr=stderr, start_new_session=True,
    )  # fmt: skip
    return _Program(process)


@asynccontextmanager
async def output(
    chores: Chores, name: str, words: Sequence[str]
) -> AsyncIterator[tuple[asyncio.StreamReader, Chore]]:
    """A chore's standard output while it is done; on leaving it is ended where it has not ended by itself."""
    read, write = os.pipe()
    with os.fdopen(read, "rb") as pipe:
        try:
            nothing = os.open(os.devnull, os.O_RDWR)
            try:
                chore = await chores(name, words, (nothing, write, nothing))
            finally:
                os.close(nothing)
        finally:
            os.close(write)
        try:
            reader = asyncio.StreamReader()
            loop = asyncio.get_running_loop()
            transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), pipe)
            with closing(transport):
                yield reader, chore
        finally:
            await chore.kill()
