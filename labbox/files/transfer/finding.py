"""Finding files by name, by what they hold, or by both; what is found comes at once, a line each."""

from __future__ import annotations

import re
from typing import Final

from labbox.errors import LabboxError
from labbox.files.ignoring import expression
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer.asked import Spot, name_of, sources_of, spot
from labbox.files.transfer.paired import Walk
from labbox.files.transfer.placefiles import blocks
from labbox.files.transfer.running import Run

_LARGEST: Final = 4096  # bytes of a text that is searched for


async def find(one: Run) -> None:
    """Go through all sources; a line with the location of each thing that fits."""
    pattern = _pattern(one.spec.name)
    text = (one.spec.text or "").encode("utf-8", "surrogateescape")
    if pattern is None and not text:
        raise LabboxError("invalid", "cannot search for nothing", "give a name or a text")
    if len(text) > _LARGEST:
        raise LabboxError("invalid", f"cannot search for more than {_LARGEST} bytes", "give a part of it")
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
            await _below(one, found, called, pattern, text)
        elif await _fits(one, found, entry._replace(name=called), called, pattern, text):
            one.reporter.line(str(found.location))


async def _below(one: Run, found: Spot, called: str, pattern: re.Pattern[str] | None, text: bytes) -> None:
    wants = one.selection.wants

    def enters(path: str, entry: Entry | None, _other: Entry | None) -> bool:
        return entry is not None and wants(path, entry.name, folder=True)

    walk = Walk(one.tick, one.reporter.fail)
    async for path, here, _there, entry, _two in walk.pairs(found, None, called, enters):
        if entry is None or not wants(path, entry.name, folder=entry.kind is EntryKind.FOLDER):
            continue
        one.reporter.current = path
        if await _fits(one, here, entry, path, pattern, text):
            one.reporter.line(str(here.location))
        await one.tick()


async def _fits(
    one: Run, found: Spot, entry: Entry, path: str, pattern: re.Pattern[str] | None, text: bytes
) -> bool:
    one.reporter.files += entry.kind is not EntryKind.FOLDER
    if pattern is not None and not pattern.fullmatch(entry.name):
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


async def _holds(one: Run, found: Spot, text: bytes) -> bool:
    async with await found.place.open(found.path) as opened:
        size = (await opened.entry()).size
        before = b""
        async for block in blocks(opened, 0, size):
            if text in before + block:
                return True
            before = (before + block)[-(len(text) - 1) :] if len(text) > 1 else b""
            one.reporter.moved += len(block)
            await one.tick()
    return False


def _pattern(name: str | None) -> re.Pattern[str] | None:
    """A pattern as in a shell; without a wildcard, any name that holds it; case counts where written."""
    if not name:
        return None
    flags = re.IGNORECASE if name == name.lower() else 0
    wanted = expression(name) if re.search(r"[*?\[]", name) else f"(?s:.*{re.escape(name)}.*)"
    return re.compile(wanted, flags)
