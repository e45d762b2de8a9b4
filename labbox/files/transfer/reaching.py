"""One source brought from place to place, waiting for a host that has gone away as long as is asked for."""

from __future__ import annotations

import asyncio
from typing import Final

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.files.transfer.asked import Spot, spot
from labbox.files.transfer.deciding import into_itself
from labbox.files.transfer.placetree import PlaceTree
from labbox.files.transfer.running import Run
from labbox.locations import Kind

_LONGEST_WAIT: Final = 30.0  # seconds between two attempts to reach a host


async def bring(one: Run, source: Spot, target: Spot, wanted: str, called: str, *, moving: bool) -> None:
    """Bring a source to `wanted` in the folder `target`; failures are rows, a host that is gone is raised.

    `called`: how reports call it.
    """
    if source.place is target.place:
        try:
            inside = await _is_inside(source, target)
        except LabboxError as error:
            one.reporter.fail(called, error)
            return
        if inside:
            one.reporter.fail(called, into_itself(called))
            return
    waited = 0.0
    while True:
        tree = await PlaceTree.between(one, source, target, moving=moving)
        try:
            await _bring(tree, source, target, wanted, called)
        except LabboxError as error:
            if error.code != "unavailable":
                await tree.remove_unfinished()
                one.reporter.fail(called, error)
                return
            pause = min(_LONGEST_WAIT, max(1.0, waited))
            if waited + pause > one.spec.wait:
                raise
            waited += pause
            source, target = await _opened_anew(one, source, target, pause)
        except BaseException:
            await tree.remove_unfinished()
            raise
        else:
            return
        finally:
            await tree.close()


async def _is_inside(source: Spot, target: Spot) -> bool:
    """Whether the target's folder is the source, or lies below it, whatever links lead there."""
    entry = await source.place.entry(source.path)
    if entry.kind is not EntryKind.FOLDER:
        return False
    here, there = await source.place.real_path(source.path), await source.place.real_path(target.path)
    return there == here or there.startswith(here.rstrip("/") + "/")


async def _bring(tree: PlaceTree, source: Spot, target: Spot, wanted: str, path: str) -> None:
    entry = await source.place.entry(source.path)
    if not source.location.name and entry.kind is EntryKind.LINK:
        entry = await source.place.entry(source.path, follow=True)
    if not await tree.renamed_whole(entry, source, target.below(wanted), path):
        await tree.one(entry, source, target, wanted, path, fresh=False)


async def _opened_anew(one: Run, source: Spot, target: Spot, pause: float) -> tuple[Spot, Spot]:
    """A host went away: wait, and reach it again. What is finished there is found again by size and time."""
    one.journal.resumed = True
    one.reporter.current = "waiting for the other host"
    await one.control.breathe(one.reporter.progress())
    await asyncio.sleep(pause)
    for found in (source, target):
        if found.location.kind is Kind.SFTP:
            await one.places.drop(found.location)
    try:
        return await spot(one.places, source.location), await spot(one.places, target.location)
    except LabboxError as error:
        if error.code != "unavailable":
            raise
        return source, target  # its next use says again that it is gone
