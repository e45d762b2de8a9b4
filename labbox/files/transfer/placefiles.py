"""Copying one plain file from place to place: blocks under way at once, going on behind half a copy."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Mapping
from contextlib import suppress
from typing import Final

from blake3 import blake3

from labbox.errors import LabboxError
from labbox.files.places.base import Attributes, Entry, EntryKind, Handle
from labbox.files.transfer.asked import Spot
from labbox.files.transfer.attributes import Keeper
from labbox.files.transfer.bundles import Small
from labbox.files.transfer.deciding import changing, damaged, no_beginning
from labbox.files.transfer.running import Run
from labbox.files.transfer.smallfiles import SMALL, LocalEnd
from labbox.files.transfer.walls import Walls

BLOCK: Final = 1 << 20  # bytes asked for at once, at most
LARGE: Final = 1 << 20  # bytes; half of such a file is worth keeping
# What a cut loses of a large file: bytes read ahead, on their way to the target, and there but not noted; of
# 256 MiB and more it is less than a hundredth.
_AHEAD: Final = 256  # so small a part of a file is read ahead of what is written
_LEAST_AHEAD: Final = 512 << 10
_MOST_AHEAD: Final = 8 << 20
_UNDER_WAY: Final = 256  # and so small a part is on its way to the target
_LEAST_UNDER_WAY: Final = 1 << 20
_NOTED: Final = 1024  # its progress is written down so often
_LEAST: Final = 256 << 10  # bytes between two such notes
_MOST: Final = 8 << 20
_TAIL: Final = 64 << 10  # bytes compared before going on behind them


class PlaceFiles:
    """Copies files for one transfer."""

    def __init__(self, run: Run, walls: Walls, here: LocalEnd | None, there: LocalEnd | None) -> None:
        """`walls`: what both sides can keep; `here`, `there`: the sides that are on this machine."""
        self._run, self._walls, self._here, self._there = run, walls, here, there
        self._keeper = Keeper(run.reporter)

    async def _quickly(self, entry: Entry, source: Spot, out: Spot) -> bool:
        """A small file with few steps; False where it takes more."""
        if entry.size > SMALL or self._run.spec.verify or self._walls.xattrs:
            return False
        if self._here is not None:
            data = await self._here.read(source, entry)
            if data is None:
                return False
            await out.place.write_new(out.path, data, await self.attributes(entry, source))
        elif self._there is not None:
            data, found = await source.place.read_whole(source.path, entry.size)
            if found.kind is not entry.kind or len(data) != entry.size or _version(found) != _version(entry):
                return False
            if not await self._there.write(out, data, await self.attributes(entry, source), self._keeper):
                return False
        else:
            return False
        self._run.reporter.moved += entry.size
        return True

    def quick(self, entry: Entry) -> bool:
        """Whether it may go in a bundle."""
        return (
            entry.kind is EntryKind.FILE
            and entry.size <= SMALL // 2
            and entry.links == 1
            and not self._run.spec.verify
            and not self._walls.xattrs
        )

    async def copy_many(self, files: list[Small]) -> list[bool]:
        """Quick files to names that are free; False for each that has to go on its own."""
        if not files:
            return []
        place = files[0].out.place
        read: list[bytes | None]
        if self._here is not None:
            read = await self._here.read_many([(file.source, file.entry) for file in files])
        else:
            read, place_of = [], files[0].source.place
            asked = [(file.source.path, file.entry.size) for file in files]
            for file, got in zip(files, await place_of.read_many(asked), strict=True):
                same = got is not None and _same(file.entry, *got)
                read.append(got[0] if got is not None and same else None)
        ready = [(file, data) for file, data in zip(files, read, strict=True) if data is not None]
        wanted = [(file, data, self._kept(file.entry, None)) for file, data in ready]
        if self._there is None:
            made = await place.write_many([(file.out.path, data, kept) for file, data, kept in wanted])
        else:
            local = [(file.out, data, kept) for file, data, kept in wanted]
            made = [done is True for done in await self._there.write_many(local, self._keeper)]
        outcome = iter(made)
        done = [data is not None and next(outcome) for data in read]
        self._run.reporter.moved += sum(
            file.entry.size for file, good in zip(files, done, strict=True) if good
        )
        await self._run.tick()
        return done

    async def _quickly_or_clean(self, entry: Entry, source: Spot, out: Spot) -> bool:
        try:
            return await self._quickly(entry, source, out)
        except LabboxError as error:
            if error.code not in ("unavailable", "conflict"):
                with suppress(LabboxError):
                    await out.place.remove(out.path)
            raise

    async def copy(self, entry: Entry, source: Spot, out: Spot, path: str, *, known: bool) -> None:
        """Make `out` a copy, with its attributes; it is complete only once its time is its source's.

        `known`: an earlier run may have left something there. It is gone where this raises an error that no
        later attempt would mend.
        """
        if entry.links > 1:
            self._walls.lost_links()
        reporter = self._run.reporter
        before = reporter.moved
        if not known and await self._quickly_or_clean(entry, source, out):
            await self._run.tick()
            return
        for second in (False, True):
            reporter.moved = before
            try:
                fault = await self._once(entry, source, out, path, known=known)
            except LabboxError as error:
                # What a lost host has half of is gone on with; what stood in the way is another's.
                if error.code not in ("unavailable", "conflict"):
                    reporter.moved = before
                    with suppress(LabboxError):
                        await out.place.remove(out.path)
                raise
            if fault is None:
                await out.place.change(out.path, await self.attributes(entry, source))
                return
            with suppress(LabboxError):
                await out.place.remove(out.path)
            if second:
                reporter.moved = before
                raise fault
            known = False
            entry = await source.place.entry(source.path)
            if entry.kind is not EntryKind.FILE:
                raise changing(path)

    async def append(self, entry: Entry, source: Spot, target: Spot, path: str) -> None:
        """Go on behind what stands at the target, where that is the source's beginning."""
        async with await source.place.open(source.path) as opened:
            async with await target.place.open(target.path, write=True) as made:
                start = (await made.entry()).size
                if start > entry.size or not await _same_tail(opened, made, start):
                    raise no_beginning(path)
                self._run.reporter.moved += start
                await self._stream(opened, made, entry, start, path)
                if _version(await opened.entry()) != _version(entry):
                    raise changing(path)
        await target.place.change(target.path, await self.attributes(entry, source))

    async def attributes(self, entry: Entry, source: Spot) -> Attributes:
        """What a copy is to have of its source."""
        xattrs = await source.place.xattrs(source.path) if self._walls.xattrs else None
        return self._kept(entry, xattrs)

    def _kept(self, entry: Entry, xattrs: Mapping[str, bytes] | None) -> Attributes:
        owners, mode = self._walls.owners, entry.mode if self._walls.modes else None
        if mode is not None and not owners and entry.kind is not EntryKind.FOLDER:
            mode &= 0o1777  # a program that ran as its owner would run as somebody else there
        return Attributes(
            mode=mode,
            uid=entry.uid if owners else None,
            gid=entry.gid if owners else None,
            mtime=entry.mtime,
            xattrs=xattrs or None,
        )

    async def _once(
        self, entry: Entry, source: Spot, out: Spot, path: str, *, known: bool
    ) -> LabboxError | None:
        """Copy once; None where it is right, else what is wrong with it."""
        large = entry.size >= LARGE
        async with await source.place.open(source.path) as opened:
            made = await self._target(out, known=known)
            try:
                start = 0
                if known:
                    start = await self._half(entry, opened, made, path)
                    await made.truncate(start)
                    self._run.reporter.moved += start
                if large:
                    self._run.reporter.current = path
                    self._run.journal.note_large(path, entry.size, entry.mtime, 0, start)
                digest, end = await self._stream(opened, made, entry, start, path)
                await made.flush()
            finally:
                await made.close()
            after = await opened.entry()
        if end != entry.size or _version(after) != _version(entry):
            return changing(path)
        if digest is not None and await self._sum(out) != digest:
            return damaged(path)
        if large:
            self._run.journal.note_large(path, entry.size, entry.mtime, 0, -1)
        return None

    async def _target(self, out: Spot, *, known: bool) -> Handle:
        if not known:
            return await out.place.open(out.path, write=True, create=True, exclusive=True)
        return await out.place.open(out.path, write=True, create=True)

    async def _half(self, entry: Entry, opened: Handle, made: Handle, path: str) -> int:
        """How much of what an earlier run left is certain to be the source's beginning."""
        noted = self._run.journal.large.get(path)
        if noted is None or (noted.size, noted.mtime) != (entry.size, entry.mtime):
            return 0
        start = min(noted.done, (await made.entry()).size)
        return start if start > 0 and await _same_tail(opened, made, start) else 0

    async def _stream(
        self, opened: Handle, made: Handle, entry: Entry, start: int, path: str
    ) -> tuple[bytes | None, int]:
        """Bring all bytes from `start` over; their sum where it is wanted, and where the source ended."""
        run, size = self._run, entry.size
        hasher = blake3() if run.spec.verify else None
        if hasher is not None and start:
            await add(hasher, opened, 0, start)
        noted = start
        every = min(_MOST, max(_LEAST, size // _NOTED))
        under_way = max(_LEAST_UNDER_WAY, size // _UNDER_WAY)
        place = start
        sparse = self._walls.sparse and entry.blocks is not None and entry.blocks * 512 < size
        while place < size:
            data, end = place, size
            if sparse:
                data, end = await opened.data_from(place) or (size, size)
                _add_hole(hasher, data - place)
                run.reporter.moved += data - place
                place = data
            async for block in blocks(opened, place, end):
                if hasher is not None:
                    hasher.update(block)
                await made.write(place, block)
                place += len(block)
                run.reporter.moved += len(block)
                await run.tick()
                if size >= LARGE:
                    await made.settle(under_way)
                    if (there := made.there(place)) - noted >= every:
                        run.journal.note_large(path, size, entry.mtime, 0, there)
                        noted = there
            if place < end:
                break  # it shrank
        if sparse and place == size:
            await made.truncate(size)
        return (hasher.digest() if hasher is not None else None), place

    async def _sum(self, out: Spot) -> bytes:
        hasher = blake3()
        async with await out.place.open(out.path) as made:
            await add(hasher, made, 0, (await made.entry()).size)
        return hasher.digest()


async def blocks(opened: Handle, start: int, end: int) -> AsyncIterator[bytes]:
    """The bytes of a stretch in order, several blocks of it being read at once; ends where the file does."""
    ahead = min(_MOST_AHEAD, max(_LEAST_AHEAD, (end - start) // _AHEAD))
    size = min(BLOCK, ahead // 4, max(1, end - start))
    most = ahead // size if end - start > size else 1
    waiting: deque[tuple[int, asyncio.Task[bytes]]] = deque()
    asked = start
    try:
        while True:
            while asked < end and len(waiting) < most:
                count = min(size, end - asked)
                waiting.append((count, asyncio.create_task(opened.read(asked, count))))
                asked += count
            if not waiting:
                return
            count, task = waiting[0]
            data = await task
            waiting.popleft()
            if data:
                yield data
            if len(data) < count:
                return
    finally:
        for _count, task in waiting:
            task.cancel()
        if waiting:
            await asyncio.wait([task for _count, task in waiting])


async def add(hasher: blake3, opened: Handle, start: int, end: int) -> None:
    """Add a stretch of an open file to a sum."""
    async for block in blocks(opened, start, end):
        hasher.update(block)


def _add_hole(hasher: blake3 | None, length: int) -> None:
    while hasher is not None and length > 0:
        count = min(length, BLOCK)
        hasher.update(bytes(count))
        length -= count


async def _same_tail(opened: Handle, made: Handle, end: int) -> bool:
    count = min(end, _TAIL)
    return await opened.read(end - count, count) == await made.read(end - count, count)


def _same(entry: Entry, data: bytes, found: Entry) -> bool:
    return found.kind is entry.kind and len(data) == entry.size and _version(found) == _version(entry)


def _version(entry: Entry) -> tuple[int, int]:
    return entry.size, entry.mtime
