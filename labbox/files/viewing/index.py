"""Which line is at which byte: a count for every block, made beside all else."""

from __future__ import annotations

import asyncio
from array import array
from bisect import bisect_right
from collections.abc import Callable
from typing import Final

from labbox.files.viewing.encodings import Encoding
from labbox.files.viewing.source import Source

STEP: Final = 1 << 20  # bytes between two counts: 8 KiB of index for a gigabyte


class LineIndex:
    """Counts newlines block by block; what is counted already can be asked for at once."""

    def __init__(self, source: Source, encoding: Encoding) -> None:
        """Nothing is counted."""
        self._source = source
        self._newline = encoding.newline
        self._unit = encoding.unit
        self._before = array("Q", [0])  # newlines before each block
        self._counted = 0  # bytes

    @property
    def counted(self) -> int:
        """Bytes that are counted, from the beginning."""
        return self._counted

    @property
    def lines(self) -> int:
        """Newlines in what is counted."""
        return self._before[-1]

    async def build(self, told: Callable[[], None] | None = None) -> None:
        """Count to the end of the file; goes on where it was stopped, and after the file has grown."""
        while self._counted < self._source.size:
            at = len(self._before) - 1 if self._counted % STEP == 0 else len(self._before) - 2
            start = at * STEP
            data = await self._source.unkept(start, STEP)
            if not data:
                return
            count = self._before[at] + self._count(data)
            if len(self._before) > at + 1:
                self._before[at + 1] = count
            else:
                self._before.append(count)
            self._counted = start + len(data)
            if told is not None:
                told()
            await asyncio.sleep(0)
            if len(data) < STEP and self._counted < self._source.size:
                return  # the file shrank meanwhile

    def _count(self, data: bytes) -> int:
        if self._unit == 1:
            return data.count(self._newline)
        at, found = data.find(self._newline), 0
        while at >= 0:
            found += at % self._unit == 0
            at = data.find(self._newline, at + 1)
        return found

    async def line_at(self, offset: int) -> int | None:
        """The line, from 0, that holds a byte; None while it is not counted so far."""
        if offset >= self._counted and self._counted < self._source.size:
            return None
        block = min(offset // STEP, len(self._before) - 1)
        data = await self._source.read(block * STEP, offset - block * STEP)
        return self._before[block] + self._count(data)

    async def offset_of(self, line: int) -> int | None:
        """The first byte of a line, from 0, or of the last one where there are fewer; None: not yet known."""
        if line <= 0:
            return 0
        if line > self.lines:
            if self._counted < self._source.size:
                return None
            line = self.lines
            if line == 0:
                return 0
        block = bisect_right(self._before, line - 1) - 1
        left = line - self._before[block]
        data = await self._source.read(block * STEP, STEP)
        at = -1
        while left:
            at = data.find(self._newline, at + 1)
            if at < 0:
                return None
            left -= at % self._unit == 0
        return block * STEP + at + len(self._newline)
