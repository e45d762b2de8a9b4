"""Copying and moving trees between any two places: an archive, another host, this machine.

The rules are those of `localtree`: what is new is built under a temporary name and renamed when it is whole,
a folder with all that is below it; what goes into folders that are there is renamed file by file. Many small
files are under way at once, as many as the slower place is worth; folders are gone into side by side as long
as there is room for more.
"""

from __future__ import annotations

import asyncio
import stat
import time
from collections.abc import Coroutine, Iterator
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, Final, Self

import msgspec

from labbox.errors import LabboxError
from labbox.files.archives.folders import with_mask
from labbox.files.places.base import Attributes, Entry, EntryKind
from labbox.files.transfer.asked import Spot, open_folder, open_parent
from labbox.files.transfer.bundles import Bundles, Small
from labbox.files.transfer.deciding import (
    Deed,
    Side,
    decide,
    names_beside,
    onto_itself,
    special,
    taken,
)
from labbox.files.transfer.erasing import erase_entry
from labbox.files.transfer.frames import part_name
from labbox.files.transfer.gathering import Group, suppress_missing
from labbox.files.transfer.journal import Undoable
from labbox.files.transfer.placefiles import PlaceFiles
from labbox.files.transfer.running import Run
from labbox.files.transfer.smallfiles import LocalEnd
from labbox.files.transfer.spill import Names
from labbox.files.transfer.walking import holds_itself
from labbox.files.transfer.walls import Walls
from labbox.model import Conflict

_SIDE_BY_SIDE: Final = 32  # folders
_FRESH_STACK: Final = 40  # folders deep, after which a task of its own begins: Python's stack has an end
_TRIES: Final = 3


class PlaceTree:
    """One source on its way to one target."""

    def __init__(self, run: Run, walls: Walls, source: Spot, target: Spot, *, moving: bool) -> None:
        """`walls`: between the two."""
        self._run, self._moving, self._walls = run, moving, walls
        self._ends = _end(source, above=True), _end(target)
        self._files = PlaceFiles(run, walls, *self._ends)
        self._same = source.place is target.place
        self._tag, self._resumed = run.journal.tag, run.journal.resumed
        parallel = max(1, source.place.traits.parallel, target.place.traits.parallel)
        self._slots = asyncio.Semaphore(min(parallel, 128))
        here, there = self._ends
        far = source.place if here is None else target.place
        bundled = (here is None) is not (there is None) and far.bundles
        self._bundles = Bundles(self._files.copy_many, parallel) if bundled else None
        self._folder_slots = _SIDE_BY_SIDE if parallel > 1 else 0
        self._parts: dict[str, Spot] = {}
        # the folders in which a task is; tasks begun there inherit it, and those beside it do not see it
        self._inside: ContextVar[frozenset[tuple[int, int]]] = ContextVar("inside", default=frozenset())
        self._tops = source, target

    @classmethod
    async def between(cls, run: Run, source: Spot, target: Spot, *, moving: bool) -> Self:
        """For a source and the folder that it goes to."""
        here, there = source.place.traits, await target.place.traits_at(target.path)
        return cls(run, Walls(here, there, run.reporter), source, target, moving=moving)

    async def renamed_whole(self, entry: Entry, source: Spot, target: Spot, path: str) -> bool:
        """Move within one place by renaming; False where it takes a copy or a decision."""
        if not (self._moving and self._same and self._run.selection.whole(path)):
            return False
        if source.path == target.path:
            raise onto_itself(path)
        note = Undoable("moved", str(target.location), str(source.location), **_version(entry))
        self._run.journal.note_undo(note)
        try:
            await source.place.rename(source.path, target.path)
        except LabboxError as error:
            self._run.journal.note_undo(Undoable("void", str(target.location)))
            if error.code in ("conflict", "invalid"):
                return False
            raise
        self._run.reporter.undoable = True
        self._count(entry)
        return True

    async def one(
        self, entry: Entry, source: Spot, target: Spot, wanted: str, path: str, *, fresh: bool, depth: int = 0
    ) -> None:
        """Bring one entry over; LabboxError where that cannot be."""
        inside = self._inside.get()
        for _ in range(_TRIES):
            self._inside.set(inside)
            try:
                return await self._one(entry, source, target, wanted, path, fresh=fresh, depth=depth)
            except TakenError:  # somebody put something there between our look and our rename
                continue
        raise taken(path)

    async def _one(
        self, entry: Entry, source: Spot, target: Spot, wanted: str, path: str, *, fresh: bool, depth: int
    ) -> None:
        if entry.kind is EntryKind.OTHER:
            raise special(path)
        self._walls.check_name(wanted, path)
        there = None
        if not fresh or self._resumed:
            with suppress_missing():
                there = await target.place.entry(target.below(wanted).path)
        if there is None:
            return await self._place(entry, source, target, wanted, path, fresh=fresh, depth=depth)
        if self._same and entry.identity is not None and entry.identity == there.identity:
            if self._run.selection.conflict(path) is not Conflict.RENAME:
                raise onto_itself(path)
        elif entry.kind is EntryKind.FOLDER and there.kind is EntryKind.FOLDER:
            return await self._folder(
                entry, source, target.below(wanted), path, fresh=fresh, made=fresh, depth=depth
            )
        elif self._resumed and self._walls.is_copy(entry, there):
            self._count(entry)
            self._run.reporter.moved += entry.size
            return await self._gone(entry, source)
        elif fresh:
            if entry.kind is not there.kind:  # half a file is gone on with
                await erase_entry(target.below(wanted), self._run)
            return await self._place(entry, source, target, wanted, path, fresh=fresh, depth=depth)
        sides = Side(entry.kind, entry.size, entry.mtime), Side(there.kind, there.size, there.mtime)
        policy = self._run.selection.conflict(path)
        deed = decide(policy, *sides, path, self._walls.step)
        if deed is Deed.SKIP:
            self._run.reporter.skip(path, policy)
            self._run.reporter.moved += entry.size
        elif deed is Deed.RENAME:
            await self._under_other_name(entry, source, target, wanted, path, depth)
        elif deed is Deed.APPEND:
            self._run.journal.note_undo(Undoable("replaced", str(target.below(wanted).location)))
            await self._files.append(entry, source, target.below(wanted), path)
            self._count(entry)
            await self._gone(entry, source)
        else:
            await self._place(entry, source, target, wanted, path, fresh=False, depth=depth, replace=True)
        return None

    async def _under_other_name(
        self, entry: Entry, source: Spot, target: Spot, wanted: str, path: str, depth: int
    ) -> None:
        for other in names_beside(wanted, folder=entry.kind is EntryKind.FOLDER):
            try:
                there = await target.place.entry(target.below(other).path)
            except LabboxError as error:
                if error.code != "not_found":
                    raise
                return await self._place(entry, source, target, other, path, fresh=False, depth=depth)
            if self._resumed and entry.kind is not EntryKind.FOLDER and self._walls.is_copy(entry, there):
                self._count(entry)
                return await self._gone(entry, source)

    async def _place(
        self,
        entry: Entry,
        source: Spot,
        target: Spot,
        wanted: str,
        path: str,
        *,
        fresh: bool,
        depth: int,
        replace: bool = False,
    ) -> None:
        """To a name that is free, or whose file is to be replaced."""
        out = target.below(wanted if fresh else part_name(self._tag, wanted))
        final = target.below(wanted)
        if not fresh:
            self._parts[out.path] = out
        if entry.kind is EntryKind.FOLDER:
            await self._make(out)
            await self._folder(entry, source, out, path, fresh=True, made=True, depth=depth)
        elif entry.kind is EntryKind.LINK:
            await self._link(entry, source, out)
        else:
            async with self._slots:
                await self._files.copy(entry, source, out, path, known=self._resumed)
        if entry.kind is not EntryKind.FOLDER:
            self._count(entry)
        if fresh:
            return
        await self._put(entry, source, out, final, path, replace=replace)
        self._parts.pop(out.path, None)
        if entry.kind is EntryKind.FOLDER and self._moving:
            await self._remove_copied(source, final, path)
        else:
            await self._gone(entry, source)

    async def _put(
        self, entry: Entry, source: Spot, out: Spot, final: Spot, path: str, *, replace: bool
    ) -> None:
        place, journal = out.place, self._run.journal
        if replace:
            journal.note_undo(Undoable("replaced", str(final.location)))
            await place.rename(out.path, final.path, replace=True)
            return
        made = await place.entry(out.path)
        what, was = ("moved", str(source.location)) if self._moving else ("made", "")
        note = Undoable(what, str(final.location), was, at=time.time_ns(), **_version(made))
        journal.note_undo(note)
        try:
            await place.rename(out.path, final.path)
        except LabboxError as error:
            journal.note_undo(Undoable("void", str(final.location)))
            await erase_entry(out, self._run)
            self._parts.pop(out.path, None)
            if error.code == "conflict":
                raise TakenError("conflict", taken(path).message) from None
            raise
        self._run.reporter.undoable = True

    async def _make(self, out: Spot) -> None:
        try:
            await out.place.make_folder(out.path, 0o700)
        except LabboxError as error:
            if error.code != "conflict" or not self._resumed:
                raise

    async def _link(self, entry: Entry, source: Spot, out: Spot) -> None:
        if not self._walls.links:
            raise LabboxError("invalid", "cannot copy a link: the target keeps none", "copy what it leads to")
        says = await source.place.read_link(source.path)
        if self._resumed:
            with suppress_missing():
                await out.place.remove(out.path)
        await out.place.link(out.path, says)
        await out.place.change(out.path, Attributes(mtime=entry.mtime))

    async def _folder(
        self, entry: Entry, source: Spot, target: Spot, path: str, *, fresh: bool, made: bool, depth: int
    ) -> None:
        """All that is in a folder; then its attributes, where we made it."""
        if depth and depth % _FRESH_STACK == 0:
            return await asyncio.create_task(
                self._folder(entry, source, target, path, fresh=fresh, made=made, depth=depth + 1)
            )
        if entry.identity is not None:
            if entry.identity in self._inside.get():
                raise holds_itself()
            self._inside.set(self._inside.get() | {entry.identity})
        folders = Names()
        seen = self._walls.names()
        small: list[Small] = []
        bundles = self._bundles if fresh and not self._resumed else None
        async with Group() as group:
            async for batch in source.place.list(source.path):
                for child in batch:
                    await self._run.tick()
                    below = f"{path}/{child.name}"
                    folder = child.kind is EntryKind.FOLDER
                    if not self._run.selection.wants(below, child.name, folder=folder):
                        continue
                    if not seen.free(child.name):
                        self._run.reporter.fail(below, seen.clash(below))
                    elif folder:
                        folders.append(child.name)
                    elif bundles is not None and self._files.quick(child):
                        small.append(Small(child, source.below(child.name), target.below(child.name), below))
                        if len(small) == bundles.size:
                            await group.room(self._slots)
                            group.start(self._together(bundles, small, target, depth))
                            small = []
                    else:
                        await group.room(self._slots)
                        inside = source.below(child.name)
                        group.start(self._attempt(child, inside, target, below, fresh=fresh, depth=depth))
            if bundles is not None and small:
                group.start(self._together(bundles, small, target, depth))
        await self._folders(folders, source, target, path, fresh=fresh, depth=depth)
        if made:
            await self._keep(entry, source, target)
            self._run.reporter.folders += 1
        elif self._moving and not fresh:
            with suppress(LabboxError):
                await source.place.remove(source.path)  # stays where something in it stayed

    async def _together(self, bundles: Bundles, files: list[Small], target: Spot, depth: int) -> None:
        """Small files of a new folder in one go; each that does not go so on its own."""
        for file, done in zip(files, await self._bundled(bundles, files), strict=True):
            if done:
                self._count(file.entry)
            else:
                await self._attempt(file.entry, file.source, target, file.path, fresh=True, depth=depth)

    async def _bundled(self, bundles: Bundles, files: list[Small]) -> list[bool]:
        try:
            return await bundles.do(files)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            return [False] * len(files)

    async def _keep(self, entry: Entry, source: Spot, target: Spot) -> None:
        """The attributes of a folder that we made; the bit that hands its group on stays, for projects."""
        wanted = await self._files.attributes(entry, source)
        if entry.mode is None and target.place.traits.modes:
            wanted = msgspec.structs.replace(wanted, mode=with_mask(0o777))
        if wanted.mode is not None:
            there = await target.place.entry(target.path)
            wanted = msgspec.structs.replace(wanted, mode=wanted.mode | ((there.mode or 0) & stat.S_ISGID))
        await target.place.change(target.path, wanted)

    async def _folders(
        self, folders: Names, source: Spot, target: Spot, path: str, *, fresh: bool, depth: int
    ) -> None:
        async with Group() as group:
            for name in folders.drain():
                below = source.below(name)
                child = Entry(name, EntryKind.FOLDER)
                going = self._into(child, below, target, f"{path}/{name}", fresh=fresh, depth=depth + 1)
                if self._folder_slots > 0:
                    self._folder_slots -= 1
                    group.start(self._freeing(going))
                else:
                    inside = self._inside.get()
                    await going
                    self._inside.set(inside)

    async def _freeing(self, going: Coroutine[Any, Any, None]) -> None:
        try:
            await going
        finally:
            self._folder_slots += 1

    async def _into(
        self, child: Entry, source: Spot, target: Spot, path: str, *, fresh: bool, depth: int
    ) -> None:
        try:
            child = await source.place.entry(source.path)
        except LabboxError as error:
            self._run.reporter.fail(path, error)
            return
        await self._attempt(child, source, target, path, fresh=fresh, depth=depth)

    async def _attempt(
        self, entry: Entry, source: Spot, target: Spot, path: str, *, fresh: bool, depth: int
    ) -> None:
        """One entry; its failure is a row, and the others go on. A host that is gone ends it all."""
        try:
            for last in range(_TRIES):
                try:
                    await self.one(entry, source, target, entry.name, path, fresh=fresh, depth=depth)
                    return
                except LabboxError as error:
                    lost = error.code == "not_found" and last < _TRIES - 1
                    if not lost:
                        raise
                    entry = await source.place.entry(source.path)  # gone, or put aside and written anew
        except LabboxError as error:
            await self._failed(path, error)

    async def _failed(self, path: str, error: LabboxError) -> None:
        """A row; where it is not the file but its host that does not answer, it is raised."""
        if error.code == "unavailable":
            for top in self._tops:
                if not top.place.traits.local:
                    await _ask(top)
        self._run.reporter.fail(path, error)

    def _count(self, entry: Entry) -> None:
        reporter = self._run.reporter
        if entry.kind is EntryKind.FILE:
            reporter.files += 1
            reporter.size += entry.size
        elif entry.kind is EntryKind.LINK:
            reporter.links += 1
        else:
            reporter.folders += 1

    async def _gone(self, entry: Entry, source: Spot) -> None:
        """A moved file was copied: it leaves its old place if it is still what was copied."""
        if not self._moving:
            return
        now = await source.place.entry(source.path)
        if (now.kind, now.size, now.mtime) != (entry.kind, entry.size, entry.mtime):
            raise LabboxError(
                "conflict", "cannot remove the original: it was changed after it was copied", "compare them"
            )
        await source.place.remove(source.path)

    async def _remove_copied(self, source: Spot, target: Spot, path: str) -> None:
        """Remove the originals of a folder that was copied whole; what was not copied stays."""
        way = [(source, target, await self._remove_files(source, target))]
        while way:
            here, there, waiting = way[-1]
            name = next(waiting, None)
            if name is not None:
                one, other = here.below(name), there.below(name)
                with suppress_missing():
                    way.append((one, other, await self._remove_files(one, other)))
                continue
            way.pop()
            try:
                await here.place.remove(here.path)
            except LabboxError as error:
                if error.code not in ("conflict", "not_found"):
                    self._run.reporter.fail(path, error, "move")

    async def _remove_files(self, source: Spot, target: Spot) -> Iterator[str]:
        folders = Names()
        async for batch in source.place.list(source.path):
            for entry in batch:
                await self._run.tick()
                if entry.kind is EntryKind.FOLDER:
                    folders.append(entry.name)
                    continue
                with suppress_missing():
                    there = await target.place.entry(target.below(entry.name).path)
                    if await self._is_copy(entry, there, source.below(entry.name)):
                        await source.place.remove(source.below(entry.name).path)
        return folders.drain()

    async def _is_copy(self, entry: Entry, there: Entry, source: Spot) -> bool:
        if entry.kind is there.kind is EntryKind.LINK and entry.target is None:
            entry = entry._replace(target=await source.place.read_link(source.path))
        return self._walls.is_copy(entry, there)

    async def close(self) -> None:
        """Let go of folders, when nothing is under way in them any more."""
        await self._settle()
        for end in self._ends:
            if end is not None:
                end.close()

    async def _settle(self) -> None:
        if self._bundles is not None:
            await self._bundles.close()

    async def remove_unfinished(self) -> None:
        """Nobody wants it any more, or it cannot go on: what has no final name yet goes."""
        await self._settle()
        for part in list(self._parts.values()):
            with suppress(LabboxError):
                await erase_entry(part, self._run)


def _end(found: Spot, *, above: bool = False) -> LocalEnd | None:
    """The side of this machine, below a folder or the one that a source stands in; None for other places."""
    if not found.local:
        return None
    try:
        if above:
            return LocalEnd(open_parent(found)[0], found.path.rpartition("/")[0] or "/")
        return LocalEnd(open_folder(found), found.path)
    except LabboxError:
        return None  # the other way tells why


async def _ask(top: Spot) -> None:
    """Raise where a place does not answer any more."""
    with suppress_missing():
        await top.place.entry(top.path)


class TakenError(LabboxError):
    """The name was free a moment ago."""


def _version(entry: Entry) -> dict[str, Any]:
    inode = entry.identity[1] if entry.identity is not None else 0
    size = entry.size if entry.kind is EntryKind.FILE else 0
    return {"kind": entry.kind.value, "size": size, "mtime": entry.mtime, "inode": inode}
