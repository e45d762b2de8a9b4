"""The verbs of the trash: put things in, and bring them back to where they were."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer.asked import Spot, ensure_folder, sources_of, spot
from labbox.files.transfer.deciding import Deed, Side, decide, names_beside
from labbox.files.transfer.journal import Undoable
from labbox.files.transfer.running import Run
from labbox.files.transfer.trash import Trashed, described, expire_old, forget, put, trash_of, trashed
from labbox.locations import Kind, Location, name_of, parse


async def trash(one: Run) -> None:
    """Put all sources into the trash; those that are gone already are named."""
    one.reporter.unit = "files"
    one.reporter.files_total = len(one.spec.sources)
    for source in sources_of(one.spec):
        await one.tick()
        try:
            await trash_one(one, await spot(one.places, source))
        except LabboxError as error:
            if error.code == "unavailable" or (error.code == "not_found" and one.journal.resumed):
                if error.code == "unavailable":
                    raise
                continue  # an earlier run put it there
            one.reporter.fail(name_of(source), error, "delete")
    await _expire(one)


async def _expire(one: Run) -> None:
    """What has been in these trashes for too long goes now: nobody else looks after them."""
    tops = {
        Location(kind=source.kind, host=source.host, path="~" if source.kind is Kind.BOX else "/")
        for source in sources_of(one.spec)
        if source.kind is not Kind.SFTP
    }
    for top in tops:
        with suppress(LabboxError):
            await expire_old(one.places, top)


async def trash_one(one: Run, found: Spot) -> None:
    """Put one thing into the trash, and write down how to bring it back."""
    if found.location.is_root or found.path == "~" or not found.location.name:
        raise LabboxError("invalid", f"cannot delete {found.location.shown()} itself", "name what is in it")
    entry = await found.place.entry(found.path)
    bin_ = await trash_of(found, one.places)
    if found.location.holds(bin_.location):
        raise LabboxError("invalid", "cannot put the trash into the trash", "delete it for good")
    target, _note = await put(found, bin_, datetime.now(UTC))
    now = await target.place.entry(target.path)
    one.journal.note_undo(Undoable("moved", str(target.location), str(found.location), **version(now)))
    one.reporter.undoable = True
    count(one, entry)


async def restore(one: Run) -> None:
    """Bring things back: named by where they stand in the trash, or by where they were."""
    one.reporter.unit = "files"
    origins: dict[str, Trashed] | None = None
    for source in sources_of(one.spec):
        await one.tick()
        try:
            found = await spot(one.places, source)
            was = await described(found, one.places)
            if was is None:
                if origins is None:
                    origins = await _by_origin(one, sources_of(one.spec))
                was = origins.get(str(await _whole(one, source)))
                if was is None:
                    raise LabboxError(
                        "not_found",
                        f"cannot find {source.shown()} in the trash",
                        "labbox file trash list shows what is there",
                    )
                found = await spot(one.places, parse(was.location))
            await _restore(one, found, was)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(name_of(source), error, "restore")


async def _restore(one: Run, found: Spot, was: Trashed) -> None:
    origin = parse(was.origin)
    if one.spec.target is not None:
        origin = parse(one.spec.target).joined(origin.name)
    target = await spot(one.places, origin)
    above = await spot(one.places, origin.parent)
    await ensure_folder(above)
    entry = await found.place.entry(found.path)
    there = await entry_or_none(target)
    if there is not None:
        path = origin.name
        policy = one.selection.conflict(path)
        deed = decide(policy, _side(entry), _side(there), path)
        if deed is Deed.SKIP:
            one.reporter.skip(path, policy)
            return
        if deed is Deed.RENAME:
            for name in names_beside(origin.name, folder=entry.kind is EntryKind.FOLDER):
                target = above.below(name)
                if await entry_or_none(target) is None:
                    break
        elif deed is Deed.REPLACE:
            await trash_one(one, target)
        else:
            raise LabboxError("conflict", f"cannot restore {origin.shown()}: something is there", "rename it")
    one.journal.note_undo(Undoable("moved", str(target.location), str(found.location), **version(entry)))
    await found.place.rename(found.path, target.path)
    await forget(found)
    one.reporter.undoable = True
    count(one, entry)


async def _by_origin(one: Run, sources: list[Location]) -> dict[str, Trashed]:
    """The trash by where things were; of one place the last one that was deleted there."""
    tops = {str(top): top for source in sources if (top := _top(source)).path != "~"}
    latest: dict[str, Trashed] = {}
    async for item in trashed(one.places, tops.values()):
        origin = str(await _whole(one, parse(item.origin)))
        if origin not in latest or latest[origin].deleted <= item.deleted:
            latest[origin] = item
    return latest


async def _whole(one: Run, location: Location) -> Location:
    """The location with the home written out, so that two texts of one place are the same."""
    if not location.path.startswith("~"):
        return location
    found = await spot(one.places, Location(kind=location.kind, host=location.host, path="~"))
    home = found.place.system_path("~") or await found.place.real_path("~")
    return Location(kind=location.kind, host=location.host, path=home + location.path[1:])


def _top(location: Location) -> Location:
    path = "~" if location.path.startswith("~") else "/"
    return Location(kind=location.kind, host=location.host, path=path)


async def entry_or_none(found: Spot) -> Entry | None:
    """What is there, or None."""
    try:
        return await found.place.entry(found.path)
    except LabboxError as error:
        if error.code != "not_found":
            raise
        return None


def version(entry: Entry) -> dict[str, Any]:
    """What tells later whether it was changed."""
    inode = entry.identity[1] if entry.identity is not None else 0
    size = entry.size if entry.kind is EntryKind.FILE else 0
    return {"kind": entry.kind.value, "size": size, "mtime": entry.mtime, "inode": inode}


def count(one: Run, entry: Entry) -> None:
    """One more is done."""
    if entry.kind is EntryKind.FOLDER:
        one.reporter.folders += 1
    elif entry.kind is EntryKind.LINK:
        one.reporter.links += 1
    else:
        one.reporter.files += 1
        one.reporter.size += entry.size


def _side(entry: Entry) -> Side:
    return Side(entry.kind, entry.size, entry.mtime)
