"""Finding files by name, by what they hold, or by both; what is found comes at once, a line each."""

from __future__ import annotations

from collections.abc import Callable

from labbox.errors import LabboxError
from labbox.files.masks import matcher
from labbox.files.needles import Needle
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer.asked import Spot, sources_of, spot
from labbox.files.transfer.paired import Walk
from labbox.files.transfer.placefiles import blocks
from labbox.files.transfer.running import Run
from labbox.locations import name_of

Fits = Callable[[str], bool]


async def find(one: Run) -> None:
    """Go through all sources; a line with the location of each thing that fits."""
    text = Needle(one.spec.text or "", case=one.spec.match_case)
    if not one.spec.name and not text:
        raise LabboxError("invalid", "cannot search for nothing", "give a name or a text")
    named = matcher(one.spec.name or "*", case=one.spec.match_case)
    one.reporter.unit = "files"
    for source in sources_of(one.spec):
        called = name_of(source)
        try:
            found = await spot(one.places, source)
            entry = await found.place.entry(found.path, follow=True)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(called, error, "search")
            continue
        if entry.kind is EntryKind.FOLDER:
            await _below(one, found, called, named, text)
        elif await _fits(one, found, entry._replace(name=called), called, named, text):
            one.reporter.line(str(found.location))


async def _below(one: Run, found: Spot, called: str, named: Fits, text: Needle) -> None:
    wants = one.selection.wants

    def enters(path: str, entry: Entry | None, _other: Entry | None) -> bool:
        return entry is not None and wants(path, entry.name, folder=True)

    walk = Walk(one.tick, one.reporter.fail)
    async for path, here, _there, entry, _two in walk.pairs(found, None, called, enters):
        if entry is None or not wants(path, entry.name, folder=entry.kind is EntryKind.FOLDER):
            continue
        one.reporter.current = path
        if await _fits(one, here, entry, path, named, text):
            one.reporter.line(str(here.location))
        await one.tick()


async def _fits(one: Run, found: Spot, entry: Entry, path: str, named: Fits, text: Needle) -> bool:
    one.reporter.files += entry.kind is not EntryKind.FOLDER
    if not named(entry.name):
        return False
    if not text:
        return True
    if entry.kind is not EntryKind.FILE:
        return False
    try:
        return await _holds(one, found, text)
    except LabboxError as error:
        if error.code == "unavailable":
            raise
        one.reporter.fail(path, error, "search")
        return False


async def _holds(one: Run, found: Spot, text: Needle) -> bool:
    async with await found.place.open(found.path) as opened:
        size = (await opened.entry()).size
        before = b""
        async for block in blocks(opened, 0, size):
            if text.inside(before + block):
                return True
            before = (before + block)[-text.over :] if text.over else b""
            one.reporter.moved += len(block)
            await one.tick()
    return False
