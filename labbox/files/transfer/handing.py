"""The end of a transfer into a shared folder: what came there becomes its people's."""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress

from labbox.errors import LabboxError
from labbox.files import sharing
from labbox.files.following import no_tick
from labbox.files.places.local import LocalPlace
from labbox.files.places.opening import Places
from labbox.locations import Kind, Location, name_of, parse
from labbox.model import TransferSpec, TransferVerb


async def open_target(spec: TransferSpec, places: Places, began: int) -> None:
    """Open what the transfer, begun at that time (ns of the epoch), has put to its target.

    LabboxError where the target cannot be reached.
    """
    if spec.target is None:
        return
    location = parse(spec.target)
    if location.kind is Kind.SFTP:
        return
    if location.inner is not None:
        location = Location(kind=location.kind, host=location.host, path=location.path)
    place, path = await places.get(location)
    if not isinstance(place, LocalPlace):
        return
    wanted = sharing.since(began)
    whole = spec.exact or spec.verb is TransferVerb.SYNC
    if path not in ("/", "~"):
        parent = await place.folder(path.rpartition("/")[0] or "/")
        await asyncio.to_thread(_named, parent, path.rpartition("/")[2], wanted, whole=whole)
    names = None if whole else frozenset(name_of(parse(one)) for one in spec.sources)
    with suppress(LabboxError):  # it may be no folder
        await asyncio.to_thread(_inside, await place.folder(path), names, wanted)


def _named(parent: int, name: str, wanted: sharing.Wanted, *, whole: bool) -> None:
    """The target itself; with `whole` also what is below it."""
    try:
        if not sharing.is_shared(parent):
            return
        if whole:
            sharing.open_all(parent, name, wanted, no_tick)
            return
        with suppress(FileNotFoundError):
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if wanted(found) or found.st_gid != os.fstat(parent).st_gid:
                sharing.open_to_group(parent, name)
    finally:
        os.close(parent)


def _inside(folder: int, names: frozenset[str] | None, wanted: sharing.Wanted) -> None:
    """What has come into the target; of what was there before only `names` are gone through."""
    try:
        if not sharing.is_shared(folder):
            return
        if names is None:
            sharing.open_below(folder, wanted, no_tick)
            return
        group = os.fstat(folder).st_gid
        for name in os.listdir(folder):
            with suppress(FileNotFoundError):
                found = os.stat(name, dir_fd=folder, follow_symlinks=False)
                if name in names or wanted(found) or found.st_gid != group:
                    sharing.open_all(folder, name, wanted, no_tick)
    finally:
        os.close(folder)
