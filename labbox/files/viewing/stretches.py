"""Lines of a file from any byte on, found by looking at the bytes around it alone.

A line that goes on and on (ten megabytes without a newline) is taken in stretches: a multiple of `BREAK` is a
break where the whole block before it has no newline. So no stretch is longer than two blocks, and where it
begins and ends is the same from wherever one comes.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from labbox.files.viewing.encodings import Encoding
from labbox.files.viewing.source import Source

BREAK: Final = 16 << 10


class Stretch(NamedTuple):
    """A line or a part of a very long one, without its newline."""

    start: int
    end: int  # of the text
    next: int  # where the following stretch begins
    begins: bool  # a line begins here
    text: str


class Stretches:
    """The stretches of a source in an encoding."""

    def __init__(self, source: Source, encoding: Encoding) -> None:
        """Nothing is read yet."""
        self.source = source
        self.encoding = encoding

    async def at(self, offset: int) -> Stretch:
        """The stretch that holds this byte; the last one for what lies behind the end."""
        offset = max(0, min(offset, self.source.size - 1))
        return await self.from_start(await self._start(offset))

    async def from_start(self, start: int) -> Stretch:
        """The stretch that begins here."""
        encoding = self.encoding
        first = start // BREAK * BREAK
        before = await self.source.read(first, start - first)
        data = await self.source.read(start, first + BREAK - start)
        length = self._find(data)
        if length < 0 and self._find(before) >= 0 and start + len(data) < self.source.size:
            data += await self.source.read(first + BREAK, BREAK)
            length = self._find(data)
        if length >= 0:
            after = start + length + len(encoding.newline)
        else:
            length = len(data)
            if start + length < self.source.size:
                length = encoding.cut(data + await self.source.read(start + length, 4), length)
                data += await self.source.read(start + len(data), 4)
            after = start + length
        text = encoding.decode(data[:length])
        if start == 0 and encoding.mark and data.startswith(encoding.mark):
            text = text[1:]
        return Stretch(start, start + length, after, await self._begins(start), text.removesuffix("\r"))

    async def before(self, start: int) -> Stretch | None:
        """The stretch that ends where this one begins."""
        return None if start <= 0 else await self.from_start(await self._start(start - 1))

    async def _begins(self, start: int) -> bool:
        """Whether a line begins here, not the next part of a long one."""
        newline = self.encoding.newline
        return start == 0 or await self.source.read(start - len(newline), len(newline)) == newline

    async def _start(self, offset: int) -> int:
        """Where the stretch begins that holds this byte."""
        offset -= offset % self.encoding.unit
        first = offset // BREAK * BREAK
        found = self._find_last(await self.source.read(first, offset - first))
        if found >= 0:
            return first + found
        if first == 0:
            return 0
        block = await self.source.read(first - BREAK, BREAK)
        found = self._find_last(block)
        if found >= 0:
            return first - BREAK + found
        start = first + self.encoding.cut(await self.source.read(first, 4), 0)
        return start if start <= offset else await self._start(first - 1)

    def _find(self, data: bytes) -> int:
        """Where the first newline begins; -1 without one."""
        newline, unit = self.encoding.newline, self.encoding.unit
        at = data.find(newline)
        while at >= 0 and at % unit:
            at = data.find(newline, at + 1)
        return at

    def _find_last(self, data: bytes) -> int:
        """Where the last newline ends; -1 without one."""
        newline, unit = self.encoding.newline, self.encoding.unit
        at = data.rfind(newline)
        while at > 0 and at % unit:
            at = data.rfind(newline, 0, at + len(newline) - 1)
        return at + len(newline) if at >= 0 and at % unit == 0 else -1
