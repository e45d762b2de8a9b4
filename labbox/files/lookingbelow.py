"""Everything below a folder of any place, through the place alone: counted, or searched by name and content.

For other hosts and archives; folders of this machine are gone through by `finding` and `counting`.
Links are not followed. Several folders are read at once where the place gains by it.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import aclosing
from typing import Final, cast

from labbox.errors import LabboxError
from labbox.files.counting import Count
from labbox.files.finding import BATCH, MOST, TELL_EVERY, Looked
from labbox.files.masks import matcher
from labbox.files.needles import Needle
from labbox.files.places.base import Entry, EntryKind, Place

_AT_ONCE: Final = 8  # folders, and files of one folder, that are read at once
_SLICE: Final = 1 << 18  # bytes that are compared before others have their turn


class _Walk:
    """Goes through all folders below one; `take` gets what stands in each, in batches."""

    def __init__(self, place: Place, path: str, take: Callable[[str, Sequence[Entry]], Awaitable[None]]):
        self.place, self._path, self._take = place, path, take
        self.folders = self.unread = 0
        self.going = True
        self._waiting: asyncio.LifoQueue[str] = asyncio.LifoQueue()  # deep first: fewer wait at once

    def path_of(self, name: str) -> str:
        """The path in the place of what is called so below the top."""
        if not name:
            return self._path
        return f"{self._path.rstrip('/')}/{name}" if self._path else name

    def enter(self, name: str) -> None:
        """Go into this folder later; where too many wait already it counts as unread."""
        if self._waiting.qsize() < MOST:
            self._waiting.put_nowait(name)
        else:
            self.unread += 1

    async def run(self) -> None:
        """All of it; LabboxError where the place itself does not answer, or the top cannot be read."""
        self.enter("")
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._work()) for _ in range(min(_AT_ONCE, self._at_once))]
                await self._waiting.join()
                for task in tasks:
                    task.cancel()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None

    @property
    def _at_once(self) -> int:
        return max(1, self.place.traits.parallel)

    async def _work(self) -> None:
        while True:
            name = await self._waiting.get()
            try:
                if self.going:
                    self.folders += 1
                    listed = cast("AsyncGenerator[list[Entry]]", self.place.list(self.path_of(name)))
                    async with aclosing(listed) as batches:
                        async for batch in batches:
                            await self._take(name, batch)
                            if not self.going:
                                break
            except LabboxError as error:
                if error.code == "unavailable" or not name:
                    raise
                self.unread += 1
            finally:
                self._waiting.task_done()


async def count_below(place: Place, path: str, tell: Callable[[Count], None]) -> Count:
    """Files, folders and bytes below a folder; `tell` hears now and then how far it is."""
    files = size = 0
    told = time.monotonic()

    async def take(folder: str, batch: Sequence[Entry]) -> None:
        nonlocal files, size, told
        for entry in batch:
            if entry.kind is EntryKind.FOLDER:
                walk.enter(f"{folder}/{entry.name}" if folder else entry.name)
            else:
                files, size = files + 1, size + entry.size
        if time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            tell(Count(files, walk.folders, size, walk.unread))
            await asyncio.sleep(0)

    walk = _Walk(place, path, take)
    await walk.run()
    return Count(files, walk.folders, size, walk.unread)


class Search:
    """What below a folder fits a mask, and holds a text where one is given."""

    def __init__(
        self,
        place: Place,
        path: str,
        found: Callable[[list[Entry]], None],
        tell: Callable[[Looked], None],
        *,
        mask: str = "*",
        text: str = "",
        hidden: bool = False,
        case: bool = False,
        folders: bool = False,
    ) -> None:
        """`found` gets entries in batches, their names relative to the folder; see `finding.gather`."""
        self._walk = _Walk(place, path, self._take)
        self._found, self._tell = found, tell
        self._fits, self._text = matcher(mask or "*", case=case), Needle(text, case=case)
        self._hidden, self._folders = hidden, folders
        self._batch: list[Entry] = []
        self._count = self._entries = self._read = self._unread = 0
        self._told = self._handed = time.monotonic()

    async def run(self) -> bool:
        """Whether that was all; False: there are more than are gathered."""
        try:
            await self._walk.run()
        finally:
            self._hand_over()
        return self._walk.going

    @property
    def looked(self) -> Looked:
        """How far it is."""
        return Looked(self._walk.folders, self._entries, self._read, self._walk.unread + self._unread)

    async def _take(self, folder: str, batch: Sequence[Entry]) -> None:
        wanted: list[Entry] = []
        for entry in batch:
            if entry.name[0] == "." and not self._hidden:
                continue
            self._entries += 1
            name = f"{folder}/{entry.name}" if folder else entry.name
            if entry.kind is EntryKind.FOLDER:
                self._walk.enter(name)
                if not self._folders or self._text:
                    continue
            if self._fits(entry.name) and (not self._text or entry.kind is EntryKind.FILE):
                wanted.append(entry._replace(name=name))
        await self._report()
        if not self._text:
            self._add(wanted)
            return
        for start in range(0, len(wanted), _AT_ONCE):
            some = wanted[start : start + _AT_ONCE]
            self._add([one for one, holds in zip(some, await self._all_hold(some), strict=True) if holds])
            await self._report()
            if not self._walk.going:
                return

    async def _all_hold(self, entries: list[Entry]) -> list[bool]:
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(self._holds(entry)) for entry in entries]
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from None
        return [task.result() for task in tasks]

    async def _holds(self, entry: Entry) -> bool:
        from labbox.files.transfer.placefiles import blocks

        if entry.size < self._text.least:
            return False
        before = b""
        try:
            async with await self._walk.place.open(self._walk.path_of(entry.name)) as opened:
                stretches = cast("AsyncGenerator[bytes]", blocks(opened, 0, entry.size))
                async with aclosing(stretches) as pieces:
                    async for block in pieces:
                        for start in range(0, len(block), _SLICE):
                            piece = before + block[start : start + _SLICE]
                            if self._text.inside(piece):
                                return True
                            before = piece[-self._text.over :] if self._text.over else b""
                            await asyncio.sleep(0)
                        self._read += len(block)
                        await self._report()
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            self._unread += 1
        return False

    def _add(self, entries: list[Entry]) -> None:
        room = MOST - self._count
        if len(entries) >= room:
            entries, self._walk.going = entries[:room], False
        self._count += len(entries)
        self._batch += entries
        if len(self._batch) >= BATCH or (self._batch and time.monotonic() - self._handed > TELL_EVERY):
            self._hand_over()

    def _hand_over(self) -> None:
        if self._batch:
            self._found(self._batch)
            self._batch, self._handed = [], time.monotonic()

    async def _report(self) -> None:
        if time.monotonic() - self._told > TELL_EVERY:
            self._told = time.monotonic()
            self._hand_over()
            self._tell(self.looked)
            await asyncio.sleep(0)
