"""What a person named on the command line: wildcards as a shell reads them, on every place.

Over SSH no shell has looked at the words before. A name that is there is itself, whatever signs it holds.
Case counts as written, as in a shell: what is named may be deleted.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Final

from labbox.errors import LabboxError
from labbox.files.masks import composed, expression
from labbox.files.ordering import natural
from labbox.files.places.base import Entry
from labbox.files.places.opening import Places
from labbox.locations import Kind, Location

_SIGNS: Final = re.compile(r"[*?\[{]")
_GONE: Final = ("not_found", "conflict", "invalid")


def may_stand_for_others(location: Location, text: str) -> bool:
    """Whether it has to be looked at to know what is meant."""
    if _SIGNS.search(location.path + (location.inner or "")) or text.endswith("!"):
        return True
    return location.kind is not Kind.SFTP and not location.path.isascii()


async def named(places: Places, location: Location, text: str) -> list[Location]:
    """What `text`, read as `location`, names; LabboxError "not_found" where wildcards fit nothing."""
    if text.endswith("!") and location.inner == "":  # a name, or the archive of the name before it
        plain = location.parent.joined(f"{location.name}!")
        return [plain if await _is_there(places, plain) else location]
    if await _is_there(places, location):
        return [location]
    found = [_top(location)]
    for part in location.path.removeprefix("~").split("/"):
        found = [each async for each in _below(places, found, part)]
    if location.inner is not None:
        found = [each.entered() for each in found]
        for part in location.inner.split("/"):
            found = [each async for each in _below(places, found, part)]
    found = [each for each in found if await _is_there(places, each)]
    if found:
        return sorted(found, key=lambda each: (natural(each.name), str(each)))
    if not _SIGNS.search(text):
        return [location]  # whoever works on it says what is wrong
    raise LabboxError(
        "not_found",
        f"cannot find anything that fits {location.shown()}",
        "quote wildcards against your own shell: '*.csv'; a dot at the beginning has to be written",
    )


async def _below(places: Places, folders: list[Location], part: str) -> AsyncIterator[Location]:
    if not part:
        for folder in folders:
            yield folder
        return
    wild = _SIGNS.search(part) is not None
    for folder in folders:
        if not wild and (part.isascii() or await _is_there(places, folder.joined(part))):
            yield folder.joined(part)
            continue
        fits = re.compile(expression(part) if wild else re.escape(composed(part))).fullmatch
        for entry in await _entries(places, folder):
            if (entry.name[0] != "." or part[0] == ".") and fits(composed(entry.name)):
                yield folder.joined(entry.name)


async def _entries(places: Places, folder: Location) -> list[Entry]:
    found: list[Entry] = []
    try:
        place, path = await places.get(folder)
        async for batch in place.list(path, full=False):
            found += batch
    except LabboxError as error:
        if error.code not in _GONE:
            raise
    return found


async def _is_there(places: Places, location: Location) -> bool:
    try:
        place, path = await places.get(location)
        await place.entry(path)
    except LabboxError as error:
        if error.code not in _GONE:
            raise
        return False
    return True


def _top(location: Location) -> Location:
    home = location.path == "~" or location.path.startswith("~/")
    return Location(kind=location.kind, host=location.host, path="~" if home else "/")
