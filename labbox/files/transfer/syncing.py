"""Making a folder like another: what is new or differs is copied, with `mirror` what is too much goes."""

from __future__ import annotations

from contextlib import suppress

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.files.transfer.asked import Spot, ensure_folder, sources_of, spot, target_of
from labbox.files.transfer.comparing import Difference, Mark, differences
from labbox.files.transfer.copying import bring_one
from labbox.files.transfer.deciding import into_itself
from labbox.files.transfer.running import Run
from labbox.files.transfer.trashing import trash_one
from labbox.locations import name_of
from labbox.model import Conflict, TransferSpec


async def sync(one: Run) -> None:
    """Do what the comparison says, as it says it; what differs is replaced unless decided otherwise."""
    sources = sources_of(one.spec)
    if len(sources) != 1:
        raise LabboxError("invalid", "cannot make a folder like several others", "name one source")
    source, target = await spot(one.places, sources[0]), await spot(one.places, target_of(one.spec))
    if source.location.holds(target.location) or target.location.holds(source.location):
        raise into_itself(source.location.name)
    top = await source.place.entry(source.path, follow=True)
    if top.kind is EntryKind.FOLDER:
        one.reporter.folders += await ensure_folder(target)
    called = name_of(source.location)
    async for found in differences(source, target, one.spec, one.selection, one.tick, one.reporter.fail):
        await one.tick()
        if left_alone(one.spec, found):
            continue
        one.reporter.line(found.line)
        try:
            await _settle(one, found, source, target, called)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(found.path, error, "synchronise")


async def _settle(one: Run, found: Difference, source: Spot, target: Spot, called: str) -> None:
    below = found.path[len(called) + 1 :]
    mine, its = source.down(below), target.down(below)
    if found.mark is not Mark.DIFFERENT and one.selection.conflict(found.path) is Conflict.SKIP:
        one.reporter.skipped += 1
        return
    if found.mark is Mark.GONE:
        await trash_one(one, its)
        return
    if found.mark is Mark.DIFFERENT:
        policy = one.selection.conflict(found.path)
        assert found.entry is not None  # noqa: S101 - for the types
        assert found.there is not None  # noqa: S101
        if policy is Conflict.SKIP or (policy is Conflict.NEWER and found.entry.mtime <= found.there.mtime):
            one.reporter.skipped += 1
            return
        if policy is Conflict.RENAME:
            await bring_one(one, mine, _above(target, below), its.location.name, found.path, Conflict.RENAME)
            return
        if found.entry.kind is not found.there.kind or found.there.kind is EntryKind.OTHER:
            if not one.spec.mirror:
                raise LabboxError(
                    "conflict",
                    "cannot replace it: the target has something of another kind there",
                    "mirror it",
                )
            with suppress(FileNotFoundError):
                await trash_one(one, its)
    above = _above(target, below)
    await ensure_folder(above)
    await bring_one(one, mine, above, its.location.name, found.path, Conflict.OVERWRITE)


def left_alone(spec: TransferSpec, found: Difference) -> bool:
    """Whether nothing happens there: what only the target has stays, unless it is to be a mirror."""
    return found.mark is Mark.GONE and not spec.mirror


def _above(top: Spot, below: str) -> Spot:
    if below:
        return top.down(below.rpartition("/")[0])
    path = top.path.rstrip("/").rpartition("/")[0] or "/"
    return Spot(top.location.parent, top.place, path)
