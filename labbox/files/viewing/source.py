"""Blocks of an open file, read when they are wanted and kept for a while."""

from __future__ import annotations

from collections import OrderedDict
from enum import Enum
from types import TracebackType
from typing import Final, Self

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind, Handle, Place

BLOCK: Final = 64 << 10
KEPT: Final = 256  # blocks: 16 MiB


class Change(Enum):
    """What happened to a file since it was last looked at."""

    NONE = "none"
    GREW = "grew"
    REWRITTEN = "rewritten"  # it is shorter, or was written over: what was known of it no longer holds
    REPLACED = "replaced"  # another file has its name now
    GONE = "gone"


class Source:
    """A file of a place. `size` is how long it was when it was last looked at.

    One that grew while nobody looked is read as it was; `look` says so.
    """

    def __init__(self, place: Place, path: str, handle: Handle, entry: Entry) -> None:
        """Use `Source.open`."""
        self._place, self._path = place, path
        self._handle = handle
        self.entry = entry
        self.size = entry.size
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    @classmethod
    async def open(cls, place: Place, path: str) -> Source:
        """Open the file, or what a link leads to; LabboxError where that is none."""
        if (await place.entry(path)).kind is EntryKind.LINK:
            path = await place.real_path(path)
        handle = await place.open(path)
        try:
            return cls(place, path, handle, await handle.entry())
        except BaseException:
            await handle.close()
            raise

    @property
    def name(self) -> str:
        """The file's own name, as outside text."""
        return self._path.rpartition("/")[2]

    async def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`, fewer only where the file ends."""
        end = min(offset + size, self.size)
        if offset >= end or offset < 0:
            return b""
        first, last = offset // BLOCK, (end - 1) // BLOCK
        if first == last:
            return (await self._block(first))[offset - first * BLOCK : end - first * BLOCK]
        if last - first > KEPT // 4:  # a search or a copy: it would only drive out what is looked at
            return await self._handle.read(offset, end - offset)
        parts = [await self._block(number) for number in range(first, last + 1)]
        return b"".join(parts)[offset - first * BLOCK : end - first * BLOCK]

    async def _block(self, number: int) -> bytes:
        found = self._blocks.get(number)
        if found is None:
            found = await self._handle.read(number * BLOCK, BLOCK)
            self._blocks[number] = found
            while len(self._blocks) > KEPT:
                self._blocks.popitem(last=False)
        else:
            self._blocks.move_to_end(number)
        return found

    async def unkept(self, offset: int, size: int) -> bytes:
        """As `read`, past what is kept: for reading a file through once."""
        return await self._handle.read(offset, min(size, max(0, self.size - offset)))

    async def look(self) -> Change:
        """See what became of the file; a replaced one is opened anew under its name."""
        before = self.entry
        now = await self._handle.entry()
        try:
            named = await self._place.entry(self._path)
        except LabboxError as error:
            if error.code != "not_found":
                raise
            return Change.GONE
        if named.kind is EntryKind.FILE and named.identity is not None and named.identity != now.identity:
            handle = await self._place.open(self._path)
            old, self._handle = self._handle, handle
            await old.close()
            self._know(await handle.entry())
            return Change.REPLACED
        if named.identity is None:  # a place that cannot tell two files apart: by its size and time
            now = now._replace(size=max(now.size, named.size) if named.size >= before.size else named.size)
        if now.size > before.size:
            self._blocks.pop(before.size // BLOCK, None)
            self.entry, self.size = now, now.size
            return Change.GREW
        if now.size < before.size or now.mtime != before.mtime:
            self._know(now)
            return Change.REWRITTEN
        return Change.NONE

    def _know(self, entry: Entry) -> None:
        self._blocks.clear()
        self.entry, self.size = entry, entry.size

    async def close(self) -> None:
        """Let go of the file."""
        self._blocks.clear()
        await self._handle.close()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()
