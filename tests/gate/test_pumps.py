"""What a client sends reaches the process whole, whenever its end comes."""

from __future__ import annotations

import asyncio
import os

from labbox.daemon.gate.pumps import Inflow


async def test_data_and_end_that_come_on_resume_are_all_written() -> None:
    reading, writing = os.pipe()
    first, last = b"a" * 200_000, b"b" * 200_000
    waiting = [last]

    def resume() -> None:
        if waiting:
            inflow.write(memoryview(waiting.pop()))  # more than the pipe holds, and then the end, at once
            inflow.end()

    inflow = Inflow(writing, lambda: None, resume)
    inflow.write(memoryview(first))
    got = await asyncio.to_thread(_read_all, reading)
    assert got == first + last
    assert inflow.closed


async def test_the_end_waits_for_what_is_kept() -> None:
    reading, writing = os.pipe()
    inflow = Inflow(writing, lambda: None, lambda: None)
    inflow.write(memoryview(b"c" * 300_000))
    inflow.end()
    assert not inflow.closed
    assert len(await asyncio.to_thread(_read_all, reading)) == 300_000


def _read_all(descriptor: int) -> bytes:
    with open(descriptor, "rb") as file:
        return file.read()
