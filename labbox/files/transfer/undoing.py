"""Taking back a finished transfer, the last thing first, as far as nothing was changed since.

What was copied goes into the trash, so that nothing is lost where its original is gone by now; what was
moved, renamed or put into the trash goes back. What was changed since is named and left.
"""

from __future__ import annotations

import asyncio
import os
from typing import Final

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer.asked import Spot, ensure_folder, open_parent, spot
from labbox.files.transfer.copying import bring_one
from labbox.files.transfer.journal import Undoable, undo_lines
from labbox.files.transfer.paired import Walk
from labbox.files.transfer.running import Run
from labbox.files.transfer.system import lstat
from labbox.files.transfer.trash import described, forget
from labbox.files.transfer.trashing import count, entry_or_none, trash_one, version
from labbox.locations import parse
from labbox.model import Conflict
from labbox.text import visible_line

_LATER: Final = 2_000_000_000  # nanoseconds that a thing may have taken to get its name


async def undo(one: Run) -> None:
    """Take back what the transfer in `one.undo_of` did."""
    if one.undo_of is None:
        raise LabboxError("not_found", "cannot undo that transfer: nothing is known of it any more", "")
    one.reporter.unit = "files"
    void: dict[str, int] = {}
    for line in undo_lines(one.undo_of):
        await one.tick()
        if line.what == "void":
            void[line.path] = void.get(line.path, 0) + 1
            continue
        if void.get(line.path, 0) > 0:
            void[line.path] -= 1
            continue
        try:
            await _take_back(one, line)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(line.path, error, "undo")


async def _take_back(one: Run, line: Undoable) -> None:
    if line.what == "replaced":
        raise LabboxError(
            "conflict",
            f"cannot undo “{visible_line(line.path)}”: it took the place of another file, which is gone",
            "look whether a backup has it",
        )
    found = await spot(one.places, parse(line.path))
    entry = await entry_or_none(found)
    if line.what == "made":
        if entry is None:
            return  # it is gone already
        _check_same(line, entry, found)
        await _remove_copy(one, line, found, entry)
        return
    was = await spot(one.places, parse(line.was))
    if entry is None:
        if one.journal.resumed and await entry_or_none(was) is not None:
            return  # an earlier run brought it back
        raise LabboxError(
            "not_found", f"cannot undo “{visible_line(line.path)}”: it is not there any more", ""
        )
    _check_same(line, entry, found)
    await _put_back(one, found, was, entry)


async def _put_back(one: Run, found: Spot, was: Spot, entry: Entry) -> None:
    if was.location.parent.name == "files" and was.location.parent.parent.name.startswith(
        (".Trash", "Trash")
    ):
        await trash_one(one, found)  # it had been restored from there
        return
    above = await spot(one.places, was.location.parent)
    await ensure_folder(above)
    in_trash = await described(found, one.places) is not None
    if found.place is was.place:
        if await entry_or_none(was) is not None and entry.kind is not EntryKind.FOLDER:
            raise LabboxError(
                "conflict", f"cannot bring {was.location.shown()} back: something is there now", "rename that"
            )
        try:
            one.journal.note_undo(Undoable("moved", str(was.location), str(found.location), **version(entry)))
            await found.place.rename(found.path, was.path)
        except LabboxError as error:
            one.journal.note_undo(Undoable("void", str(was.location)))
            if error.code not in ("conflict", "invalid"):
                raise
        else:
            one.reporter.undoable = True
            if in_trash:
                await forget(found)
            count(one, entry)
            return
    await bring_one(one, found, above, was.location.name, was.location.name, Conflict.FAIL, moving=True)


def _check_same(line: Undoable, entry: Entry, found: Spot) -> None:
    """LabboxError where it is not what was put there."""
    same = entry.kind.value == line.kind
    if found.local and line.inode and entry.identity is not None:
        same = same and entry.identity[1] == line.inode
    if entry.kind is EntryKind.FILE:
        same = same and (entry.size, entry.mtime) == (line.size, line.mtime)
    if not same:
        raise _changed(line.path)


async def _remove_copy(one: Run, line: Undoable, found: Spot, entry: Entry) -> None:
    """Put a copy into the trash; of a folder in which something was changed, all that was not."""
    if entry.kind is not EntryKind.FOLDER or not await _changed_below(one, line, found):
        await trash_one(one, found)
        return

    def enters(_path: str, child: Entry | None, _other: Entry | None) -> bool:
        return child is not None

    walk = Walk(one.tick, one.reporter.fail)
    async for path, here, _there, child, _two in walk.pairs(found, None, line.path, enters):
        if child is None or child.kind is EntryKind.FOLDER:
            continue
        if await _is_later(line, here, child):
            one.reporter.fail(path, _changed(path))
        else:
            await trash_one(one, here)


async def _changed_below(one: Run, line: Undoable, found: Spot) -> bool:
    def enters(_path: str, child: Entry | None, _other: Entry | None) -> bool:
        return child is not None

    walk = Walk(one.tick, one.reporter.fail)
    async for _path, here, _there, child, _two in walk.pairs(found, None, line.path, enters):
        if child is not None and child.kind is not EntryKind.FOLDER and await _is_later(line, here, child):
            return True
    return False


async def _is_later(line: Undoable, here: Spot, entry: Entry) -> bool:
    """Whether a file was changed after the copy had got its name.

    Here the kernel says so by a time that nobody can set; elsewhere the time of the file is all there is.
    """
    if entry.mtime > line.at + _LATER:
        return True
    if not here.local:
        return False
    stamp = await stamped(here)
    return stamp is not None and stamp > line.at + _LATER


async def stamped(found: Spot) -> int | None:
    """When the kernel last changed anything about a file of this machine; None where it is gone."""

    def look() -> int | None:
        parent, name = open_parent(found)
        try:
            there = lstat(parent, name)
        finally:
            os.close(parent)
        return None if there is None else there.st_ctime_ns

    return await asyncio.to_thread(look)


def _changed(path: str) -> LabboxError:
    return LabboxError(
        "conflict",
        f"cannot undo “{visible_line(path)}”: it was changed since",
        "delete it yourself if it may go",
    )
