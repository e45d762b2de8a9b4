"""The trash: what was deleted stands there for a while, with where it was and when it went.

Laid out as the FreeDesktop specification 1.0 has it, so that other programs find it too:
below ``~/.local/share/Trash``, and for other disks and shared folders in ``.Trash-UID`` at their top;
``files`` holds what was deleted, ``info`` a small file for each with its origin. On other hosts it is the
home's.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterable
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import quote_from_bytes, unquote_to_bytes

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.files.places.errors import NoRoomError
from labbox.files.places.opening import Places
from labbox.files.transfer.asked import Spot, ensure_folder, spot
from labbox.files.transfer.deciding import names_beside
from labbox.locations import Kind, Location, parse
from labbox.model import Value

HOME_TRASH: Final = "~/.local/share/Trash"
KEEP_DAYS: Final = 30
_INFO: Final = ".trashinfo"
_INFO_BYTES: Final = 16384
_NAME_ROOM: Final = 255 - len(_INFO)


class Trashed(Value):
    """Something in the trash; `location` and `origin` are texts of locations."""

    location: str
    name: str
    origin: str
    deleted: datetime
    folder: bool
    size: int  # bytes of a file; of a folder 0
    mtime: int = 0


async def trash_of(found: Spot, places: Places) -> Spot:
    """The trash that a thing goes to, made where it is missing; LabboxError where there can be none."""
    location = found.location
    if location.inner is not None:
        raise LabboxError("invalid", "cannot put something of an archive into the trash", "unpack it first")
    home = location.kind in (Kind.BOX, Kind.SFTP)
    folder = (
        parse(HOME_TRASH)
        if home
        else _volume_trash(Location(kind=location.kind, host=location.host, path="/"))
    )
    if location.kind is Kind.SFTP:
        folder = Location(kind=Kind.SFTP, host=location.host, path=HOME_TRASH)
    made = await _made(await spot(places, folder))
    if not found.local or location.kind is not Kind.BOX:
        return made
    if await _disk(found) == await _disk(made):
        return made
    return await _made(await spot(places, _volume_trash(await _top_of_disk(found))))


async def put(found: Spot, trash: Spot, when: datetime) -> tuple[Spot, Spot]:
    """Move something into a trash; where it stands there, and its note. `OtherDiskError` where it cannot."""
    files, info = trash.below("files"), trash.below("info")
    origin = found.location
    for name in _names(origin.name):
        note = info.below(name + _INFO)
        try:
            made = await note.place.open(note.path, write=True, create=True, exclusive=True)
        except LabboxError as error:
            if error.code == "conflict":
                continue
            raise
        text = _note(origin, trash.location, when)
        try:
            async with made:
                try:
                    await made.write(0, text)
                    await made.flush()
                except NoRoomError:  # an empty note says when at least, and that it is nobody's leftover
                    await made.truncate(0)
            target = files.below(name)
            await found.place.rename(found.path, target.path)
        except LabboxError as error:
            with suppress(LabboxError):
                await note.place.remove(note.path)
            if error.code == "conflict" and await _exists(files.below(name)) and await _exists(found):
                continue
            raise
        return target, note
    raise AssertionError("unreachable")


async def trashed(places: Places, tops: Iterable[Location] = ()) -> AsyncIterator[Trashed]:
    """What is in the person's trash: of the home, and of these places ("shared:/", "project:atlas/")."""
    for top in (parse("~"), *tops):
        async for one in trashed_at(places, top):
            yield one


async def trashed_at(places: Places, top: Location) -> AsyncIterator[Trashed]:
    """What is in the trash of one place alone; nothing where there is none that is the person's own."""
    if top.kind in (Kind.BOX, Kind.SFTP) and (top.kind is Kind.SFTP or top.path == "~"):
        folder = Location(kind=top.kind, host=top.host, path=HOME_TRASH)
    else:
        folder = _volume_trash(top)
    try:
        found = await spot(places, folder)
        await _checked(found)
    except LabboxError as error:
        if error.code in ("not_found", "forbidden"):
            return
        raise
    async for one in _in(found):
        yield one


async def other_disk(places: Places, folder: Location) -> Location | None:
    """The top of the disk of a folder of the box, where the home is on another: it has a trash of its own."""
    if folder.kind is not Kind.BOX or folder.inner is not None:
        return None
    here, home = await spot(places, folder.joined("-")), await spot(places, parse("~/-"))
    return None if await _disk(here) == await _disk(home) else await _top_of_disk(here)


async def _in(trash: Spot) -> AsyncIterator[Trashed]:
    try:
        async for batch in trash.below("info").place.list(trash.below("info").path, full=False):
            for entry in batch:
                if entry.name.endswith(_INFO) and entry.kind is EntryKind.FILE:
                    one = await _read(trash, entry.name.removesuffix(_INFO))
                    if one is not None:
                        yield one
    except LabboxError as error:
        if error.code != "not_found":
            raise


async def _read(trash: Spot, name: str) -> Trashed | None:
    """What one note says; None for one that is damaged or stands alone."""
    note, found = trash.below("info").below(name + _INFO), trash.below("files").below(name)
    try:
        async with await note.place.open(note.path) as opened:
            text = await opened.read(0, _INFO_BYTES)
        noted = await note.place.entry(note.path)
        entry = await found.place.entry(found.path)
    except LabboxError:
        return None
    if not text:
        text = _no_note(trash.location, name, noted.mtime)
    lines = dict(line.split(b"=", 1) for line in text.splitlines() if b"=" in line)
    if b"Path" not in lines or b"DeletionDate" not in lines:
        return None
    path = os.fsdecode(unquote_to_bytes(lines[b"Path"]))
    try:
        deleted = datetime.strptime(lines[b"DeletionDate"].decode("ascii"), "%Y-%m-%dT%H:%M:%S").astimezone(
            UTC
        )
        origin = _origin(trash.location, path)
    except (ValueError, LabboxError):
        return None
    return Trashed(
        location=str(found.location),
        name=found.location.name,
        origin=str(origin),
        deleted=deleted,
        folder=entry.kind is EntryKind.FOLDER,
        size=entry.size,
        mtime=entry.mtime,
    )


async def described(found: Spot, places: Places) -> Trashed | None:
    """What the note of something in a trash says; None where it is in none."""
    trash = found.location.parent.parent
    if found.location.parent.name != "files":
        return None
    return await _read(await spot(places, trash), found.location.name)


async def forget(found: Spot) -> None:
    """Remove the note of something that has left the trash."""
    trash = Spot(found.location.parent.parent, found.place, found.path.rpartition("/")[0].rpartition("/")[0])
    note = trash.below("info").below(found.location.name + _INFO)
    with suppress(LabboxError):
        await note.place.remove(note.path)


async def expired(
    places: Places, days: float = KEEP_DAYS, tops: Iterable[Location] = (), now: datetime | None = None
) -> AsyncIterator[Trashed]:
    """What has been in the trash for longer than that."""
    limit = (now or datetime.now(UTC)) - timedelta(days=days)
    async for one in trashed(places, tops):
        if one.deleted < limit:
            yield one


async def expire(
    places: Places, days: float = KEEP_DAYS, tops: Iterable[Location] = (), now: datetime | None = None
) -> int:
    """Erase what has been in the trash for longer than so many days; how many things that were."""
    from labbox.files.transfer.erasing import erase_for_good

    gone = 0
    for one in [found async for found in expired(places, days, tops, now)]:
        found = await spot(places, parse(one.location))
        if await erase_for_good(found):
            await forget(found)
            gone += 1
    return gone


async def expire_old(places: Places, top: Location, days: float = KEEP_DAYS) -> int:
    """The same for the trash of one place, read only where the age of a note says that one may be due."""
    home = top.kind is Kind.BOX and top.path == "~"
    trash = await spot(places, parse(HOME_TRASH) if home else _volume_trash(top))
    limit = (datetime.now(UTC) - timedelta(days=days)).timestamp() * 1e9
    async for batch in trash.place.list(trash.below("info").path):
        if any(entry.mtime < limit for entry in batch):
            return await expire(places, days, () if home else (top,))
    return 0


def _volume_trash(top: Location) -> Location:
    return top.joined(f".Trash-{os.geteuid()}")


async def _made(trash: Spot) -> Spot:
    """A trash with its two folders, nobody else's."""
    try:
        await _checked(trash)
    except LabboxError as error:
        if error.code != "not_found":
            raise
        above = Spot(trash.location.parent, trash.place, trash.path.rpartition("/")[0] or "/")
        if trash.path.startswith("~"):
            await ensure_folder(above)
        try:
            await trash.place.make_folder(trash.path, 0o700)
        except LabboxError as refused:
            if refused.code == "conflict":
                await _checked(trash)
            else:
                raise LabboxError(
                    refused.code,
                    f"cannot put anything into the trash of {above.location.shown()}: {refused.message}",
                    "delete it for good instead",
                ) from refused
    for name in ("files", "info"):
        with suppress(LabboxError):
            await trash.place.make_folder(trash.below(name).path, 0o700)
        await _checked(trash.below(name))
    return trash


async def _checked(folder: Spot) -> None:
    """LabboxError "forbidden" where somebody else laid the trash out, or a link stands in its place."""
    entry = await folder.place.entry(folder.path)
    foreign = folder.place.traits.local and entry.uid not in (None, os.geteuid())
    if entry.kind is not EntryKind.FOLDER or foreign:
        raise LabboxError(
            "forbidden",
            f"cannot use the trash {folder.location.shown()}: it is not yours, or no folder",
            "delete it for good instead, or ask for that to be removed",
        )


async def _exists(found: Spot) -> bool:
    try:
        await found.place.entry(found.path)
    except LabboxError:
        return False
    return True


async def _disk(found: Spot) -> int:
    above = found.path.rstrip("/").rpartition("/")[0] or "/"
    entry = await found.place.entry(above, follow=True)
    return entry.identity[0] if entry.identity is not None else 0


async def _top_of_disk(found: Spot) -> Location:
    """The highest folder above it on the same disk."""
    path = (await found.place.real_path(found.location.parent.path)).rstrip("/") or "/"
    disk = (await found.place.entry(path)).identity
    while path != "/":
        above = path.rpartition("/")[0] or "/"
        other = (await found.place.entry(above)).identity
        if disk is None or other is None or other[0] != disk[0]:
            break
        path = above
    return Location(kind=Kind.BOX, path=path)


def _names(name: str) -> Iterable[str]:
    short = name.encode("utf-8", "surrogateescape")[: _NAME_ROOM - 12]
    if len(name.encode("utf-8", "surrogateescape")) > len(short):
        name = short.decode("utf-8", "surrogateescape")
    yield name
    yield from names_beside(name, folder=False)


def _note(origin: Location, trash: Location, when: datetime) -> bytes:
    path = origin.path
    if _is_volume(trash) and trash.kind is Kind.BOX:
        path = path.removeprefix(trash.parent.path.rstrip("/") + "/")
    elif _is_volume(trash):
        path = path.removeprefix("/")
    local = when.astimezone().strftime("%Y-%m-%dT%H:%M:%S")
    quoted = quote_from_bytes(os.fsencode(path), safe="/~")
    return f"[Trash Info]\nPath={quoted}\nDeletionDate={local}\n".encode("ascii")


def _no_note(trash: Location, name: str, when: int) -> bytes:
    """The note of something that was deleted on a full disk: it goes back to the top, under its name."""
    top = trash.parent if _is_volume(trash) else Location(kind=trash.kind, host=trash.host, path="~")
    return _note(top.joined(name), trash, datetime.fromtimestamp(when / 1e9, UTC))


def _origin(trash: Location, path: str) -> Location:
    if path.startswith(("/", "~")):
        return parse(str(Location(kind=trash.kind, host=trash.host, path=path)))
    above = trash.parent.path.rstrip("/")
    if ".." in path.split("/"):
        raise LabboxError("invalid", "cannot use a note that climbs out of its disk")
    return Location(kind=trash.kind, host=trash.host, path=f"{above}/{path}")


def _is_volume(trash: Location) -> bool:
    return trash.name.startswith(".Trash-")
