"""The locations of a spec, opened: where each source is, and what it becomes at the target."""

from __future__ import annotations

import os
from typing import NamedTuple

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind, Place
from labbox.files.places.errors import meaning
from labbox.files.places.opening import Places
from labbox.files.transfer.system import open_beneath
from labbox.locations import Kind, Location, archive_ending, name_of, packed_ending, parse
from labbox.model import TransferSpec


class Spot(NamedTuple):
    """A location with the place that holds it and its path there."""

    location: Location
    place: Place
    path: str

    @property
    def local(self) -> bool:
        """Whether system calls of this very process reach it."""
        return self.place.traits.local and self.location.inner is None

    def below(self, name: str) -> Spot:
        """What is called so in it."""
        top = self.path.rstrip("/")
        return Spot(self.location.joined(name), self.place, f"{top}/{name}" if self.path else name)

    def down(self, path: str) -> Spot:
        """What is at that path in it: names with a slash between, or nothing for itself."""
        found = self
        for name in path.split("/") if path else ():
            found = found.below(name)
        return found


async def spot(places: Places, location: Location) -> Spot:
    """Open the place of a location."""
    place, path = await places.get(location)
    return Spot(location, place, path)


def sources_of(spec: TransferSpec) -> list[Location]:
    """The sources; LabboxError where there is none."""
    if not spec.sources:
        raise LabboxError("invalid", "cannot do that with nothing", "name at least one file")
    return [parse(text) for text in spec.sources]


def target_of(spec: TransferSpec) -> Location:
    """The target; LabboxError where none is named."""
    if spec.target is None:
        raise LabboxError("invalid", f"cannot {spec.verb}: no target is named", "name a folder")
    return parse(spec.target)


def goes_to(spec: TransferSpec, source: Location, target: Location) -> tuple[Location, str]:
    """The folder into which a source goes, and its name there."""
    if not spec.exact:
        return target, name_of(source)
    if len(spec.sources) != 1:
        raise LabboxError("invalid", "cannot give several sources one name", "name one source, or a folder")
    if not target.name:
        raise LabboxError("invalid", "cannot replace that folder itself", "name something in it")
    return target.parent, target.name


def unpacked_name(archive: Location) -> str:
    """The folder that an archive is unpacked into, unless another is named."""
    ending = archive_ending(archive.name) or packed_ending(archive.name)
    return archive.name[: -len(ending)] if ending else name_of(archive)


async def without_double(found: Spot, name: str) -> Spot:
    """A folder that is to be called `name`; or, if all it holds is a folder of that very name, that one."""
    seen: list[Entry] = []
    async for batch in found.place.list(found.path):
        seen += batch
        if len(seen) > 1:
            return found
    alone = len(seen) == 1 and seen[0].kind is EntryKind.FOLDER and seen[0].name == name
    return found.below(name) if alone else found


def open_parent(found: Spot) -> tuple[int, str]:
    """The local folder that an entry stands in (good for names in it alone), and the entry's name there."""
    path = found.place.system_path(found.path)
    if path is None or path == "/":
        raise LabboxError(
            "invalid", f"cannot take {found.location.shown()} as a whole", "name something in it"
        )
    above, _, name = path.rstrip("/").rpartition("/")
    return _opened(found, above or "/"), name


def open_folder(found: Spot) -> int:
    """A local folder (good for names in it alone); LabboxError in words."""
    path = found.place.system_path(found.path)
    if path is None:
        raise LabboxError("invalid", f"cannot open {found.location.shown()} here", "")
    return _opened(found, path)


def _opened(found: Spot, path: str) -> int:
    """Links on the way are followed on the box as a whole; elsewhere only those that stay in the place."""
    flags = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC
    top = found.place.system_path("/") or "/"
    try:
        if found.location.kind is Kind.BOX:
            return os.open(path, flags)
        below = os.path.relpath(path, top)
        if below.startswith(".."):  # the root itself is meant, which stands where the box put it
            return os.open(path, flags)
        root = os.open(top, flags)
        try:
            return open_beneath(root, below, links=True)
        finally:
            os.close(root)
    except OSError as error:
        raise meaning(error.errno, "open", str(found.location)) from error


async def ensure_folder(found: Spot) -> bool:
    """Make a folder that is missing, and those above it; whether it was missing."""
    missing: list[Spot] = []
    present = found
    while True:
        try:
            entry = await present.place.entry(present.path or "/", follow=True)
        except LabboxError as error:
            above = present.location.parent
            if error.code != "not_found" or above == present.location:
                raise
            missing.append(present)
            cut = present.path.rstrip("/").rpartition("/")[0]
            present = Spot(above, present.place, cut or ("/" if present.path.startswith("/") else ""))
            continue
        if entry.kind is not EntryKind.FOLDER:
            raise LabboxError(
                "conflict",
                f"cannot put anything into {present.location.shown()}: it is no folder",
                "name a folder",
            )
        break
    for one in reversed(missing):
        try:
            await one.place.make_folder(one.path)
        except LabboxError as error:
            if error.code != "conflict":  # somebody else made it meanwhile
                raise
    return bool(missing)
