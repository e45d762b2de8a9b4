"""Copying and moving sources to a target, each by the quickest way that its places have."""

from __future__ import annotations

import asyncio
import os
from contextlib import ExitStack
from dataclasses import replace

from labbox.errors import LabboxError
from labbox.files.transfer.asked import (
    Spot,
    ensure_folder,
    goes_to,
    open_folder,
    open_parent,
    sources_of,
    spot,
    target_of,
)
from labbox.files.transfer.attributes import Keeper
from labbox.files.transfer.content import Ways
from labbox.files.transfer.counting import Count
from labbox.files.transfer.hardlinks import Links
from labbox.files.transfer.localfiles import Bench
from labbox.files.transfer.localtree import LocalTree
from labbox.files.transfer.running import Run
from labbox.files.transfer.undonotes import UndoNotes
from labbox.locations import Location, name_of
from labbox.model import Conflict, TransferVerb


async def copy(one: Run) -> None:
    """Copy or move all sources."""
    sources, target = sources_of(one.spec), target_of(one.spec)
    pairs = [(source, *goes_to(one.spec, source, target)) for source in sources]
    folder = await spot(one.places, pairs[0][1])
    if not folder.place.traits.writable:
        raise LabboxError(
            "invalid",
            f"cannot put anything into {folder.location.shown()}: it can only be read",
            "choose another",
        )
    await ensure_folder(folder)
    taken: set[str] = set()
    local: list[tuple[Spot, str]] = []
    for source, _above, name in pairs:
        if not one.selection.wants(name_of(source), name_of(source), folder=True):
            continue
        if name in taken and one.selection.conflict(name_of(source)) is not Conflict.RENAME:
            one.reporter.fail(name_of(source), _twice(source))
            continue
        taken.add(name)
        try:
            found = await spot(one.places, source)
        except LabboxError as error:
            one.reporter.fail(name_of(source), error)
            continue
        if found.local and folder.local:
            local.append((found, name))
        else:
            from labbox.files.transfer.reaching import bring

            moving = one.spec.verb is TransferVerb.MOVE
            await bring(one, found, folder, name, name_of(source), moving=moving)
    if local:
        await _locally(one, local, folder)


async def bring_one(
    one: Run, source: Spot, folder: Spot, wanted: str, path: str, policy: Conflict, *, moving: bool = False
) -> None:
    """Bring one thing to `wanted` in a folder, whatever the verb; failures are rows for `path`."""
    one = replace(one, selection=one.selection.always(policy))
    if source.local and folder.local:
        folds = await _folds(folder)
        await one.control.in_thread(
            lambda: _bring(one, [(source, wanted, path)], folder, moving=moving, folds=folds)
        )
        return
    from labbox.files.transfer.reaching import bring

    await bring(one, source, folder, wanted, path, moving=moving)


async def _locally(one: Run, pairs: list[tuple[Spot, str]], folder: Spot) -> None:
    count = Count(one.selection)
    counting = asyncio.ensure_future(asyncio.to_thread(_count, one, count, pairs))
    called = [(source, name, name_of(source.location)) for source, name in pairs]
    moving, folds = one.spec.verb is TransferVerb.MOVE, await _folds(folder)
    try:
        await one.control.in_thread(lambda: _bring(one, called, folder, moving=moving, folds=folds))
    finally:
        count.stop.set()
        await asyncio.wait({counting})
        counting.result()


async def _folds(folder: Spot) -> bool:
    """Whether the target takes a and A for one name."""
    return not (await folder.place.traits_at(folder.path)).case_sensitive


def _count(one: Run, count: Count, pairs: list[tuple[Spot, str]]) -> None:
    for source, _name in pairs:
        try:
            parent, name = open_parent(source)
        except LabboxError:
            continue
        try:
            count.below(parent, name, name_of(source.location))
        finally:
            os.close(parent)
    if not count.stop.is_set():
        one.reporter.total, one.reporter.files_total = count.size, count.files


def _bring(
    one: Run, sources: list[tuple[Spot, str, str]], folder: Spot, *, moving: bool, folds: bool
) -> None:
    """In a thread: bring each source over; with each its name at the target and what reports call it."""
    reporter = one.reporter
    bench = Bench(
        reporter=reporter,
        journal=one.journal,
        breathe=one.breathe,
        verify=one.spec.verify,
        keeper=Keeper(reporter),
        ways=Ways(),
        links=Links(reporter),
    )
    notes = UndoNotes(one.journal, reporter)
    tree = LocalTree(bench, one.selection, notes, moving=moving, folds=folds)
    with ExitStack() as stack:
        target = open_folder(folder)
        stack.callback(os.close, target)
        for source, wanted, called in sources:
            try:
                parent, name = open_parent(source)
                try:
                    notes.between(source.location.parent, folder.location)
                    tree.take(parent, name, target, wanted, called)
                finally:
                    os.close(parent)
            except (OSError, LabboxError) as error:
                reporter.fail(called, error, "move" if moving else "copy")


def _twice(source: Location) -> LabboxError:
    return LabboxError(
        "conflict",
        f"cannot copy {source.shown()}: another source has the same name",
        "copy it on its own, to another folder or name",
    )
