"""A file that is edited: read whole, saved in one step, never over what somebody else wrote meanwhile.

A save writes a new file in the same folder, waits until it is on disk, gives it the mode, the owner and the
attributes of the old one, and puts it in its place. Where that would lose something (the file has several
names, or belongs to somebody else) the new text is kept beside it while the file itself is written.
"""

from __future__ import annotations

import secrets
from typing import Final, NamedTuple

from labbox.errors import LabboxError
from labbox.files.places.base import Attributes, Entry, EntryKind, Handle, Place
from labbox.files.places.opening import Places
from labbox.files.plaintext import SNIFFED, PlainText, decode, encode, is_binary
from labbox.locations import NAME_BYTES, Location
from labbox.text import format_bytes, visible_line

MAX_BYTES: Final = 8 << 20  # a key press in so long a text takes the time that a person does not notice
NEW_MODE: Final = 0o644
_TRIES: Final = 3  # to read a file that is written to meanwhile
_FIRST: Final = "save it elsewhere, or ask whoever owns it"


class ChangedBeneathError(LabboxError):
    """The file is not as it was when it was read."""


class FolderClosedError(LabboxError):
    """No file can be made in the folder; the file itself may still be writable."""


class Stamp(NamedTuple):
    """By what a change is noticed."""

    identity: tuple[int, int] | None
    size: int
    mtime: int


class EditedFile:
    """One file on any place."""

    def __init__(self, place: Place, path: str, location: Location, before: Entry | None) -> None:
        """`path` leads through no link at its last part; `before` None: it is still to be made."""
        self._place: Final = place
        self._path: Final = path
        self.location: Final = location
        self._before = before

    @classmethod
    async def at(cls, places: Places, location: Location) -> EditedFile:
        """What is at a location, or may come there; of a link the file that it leads to."""
        place, path = await places.get(location)
        try:
            entry = await place.entry(path)
            if entry.kind is EntryKind.LINK:
                path = await place.real_path(path)
                entry = await place.entry(path)
        except LabboxError as error:
            if error.code != "not_found":
                raise
            return cls(place, path, location, None)
        if entry.kind is not EntryKind.FILE:
            what = "a folder" if entry.kind is EntryKind.FOLDER else "no plain file"
            raise LabboxError(
                "conflict", f"cannot edit {location.shown()}: it is {what}", "choose a text file"
            )
        return cls(place, path, location, entry)

    @property
    def exists(self) -> bool:
        """Whether the file was there when it was last looked at."""
        return self._before is not None

    @property
    def writable(self) -> bool:
        """Whether the place takes changes at all; an archive does not."""
        return self._place.traits.writable

    @property
    def system_path(self) -> str | None:
        """The path for programs of this very machine, where there is one."""
        return self._place.system_path(self._path)

    async def read(self) -> PlainText:
        """The text; LabboxError in words for what is too long, no text, or in motion."""
        if self._before is None:
            return PlainText()
        shown = self.location.shown()
        for _ in range(_TRIES):
            async with await self._place.open(self._path) as handle:
                before = await handle.entry()
                if before.size > MAX_BYTES:
                    raise LabboxError(
                        "limit",
                        f"cannot edit {shown}: it has {format_bytes(before.size)},"
                        f" more than the {format_bytes(MAX_BYTES)} that the editor takes",
                        "F3 views files of any size",
                    )
                if is_binary(await handle.read(0, SNIFFED)):
                    raise LabboxError(
                        "invalid",
                        f"cannot edit {shown}: it is no text (it has zero bytes)",
                        "F3 shows it, in hexadecimal too",
                    )
                data = await _whole(handle, before.size)
                after = await handle.entry()
            if _stamp(before) == _stamp(after) and len(data) == after.size:
                self._before = await self._place.entry(self._path)
                return decode(data)
        raise LabboxError(
            "conflict", f"cannot edit {shown}: it is being written at this moment", "F3 views it as it grows"
        )

    async def changed(self) -> bool:
        """Whether somebody else has changed, made or removed it since."""
        return _stamp(await self._now()) != _stamp(self._before)

    async def save(self, plain: PlainText, *, over: bool = False, in_place: bool = False) -> None:
        """Make the text the file's.

        ChangedBeneathError where somebody else changed it, unless `over`; FolderClosedError where nothing can
        be made beside it, unless `in_place`.
        """
        data = encode(plain)
        if not self.writable:
            raise LabboxError(
                "invalid",
                f"cannot save {self.location.shown()}: nothing can be written there",
                "save it elsewhere",
            )
        now = await self._now()
        self._check(now, over)
        if in_place and now is not None:
            await self._write_into(data, now)
        else:
            await self._replace(data, now, over)
        self._before = await self._place.entry(self._path)

    async def _now(self) -> Entry | None:
        try:
            return await self._place.entry(self._path)
        except LabboxError as error:
            if error.code == "not_found":
                return None
            raise

    def _check(self, now: Entry | None, over: bool) -> None:
        if over or _stamp(now) == _stamp(self._before):
            return
        happened = "removed" if now is None else "changed" if self._before is not None else "made"
        raise ChangedBeneathError(
            "conflict",
            f"cannot save {self.location.shown()} just so: somebody else has {happened} it meanwhile",
            "write over it, read it again, or save yours elsewhere",
        )

    async def _replace(self, data: bytes, now: Entry | None, over: bool) -> None:
        beside = self._beside()
        try:
            handle = await self._place.open(beside, write=True, create=True, exclusive=True)
        except LabboxError as error:
            if error.code in ("forbidden", "invalid") and now is not None:
                raise FolderClosedError(
                    error.code,
                    f"cannot make a file beside {self.location.shown()}: its folder does not let you",
                    "it can be written into the file itself; a cut in the middle would then damage it",
                ) from error
            raise
        kept = False
        try:
            await self._write_beside(handle, data)
            alike = await self._give_attributes(beside, now)
            latest = await self._now()  # writing may have taken long
            self._check(latest, over)
            if alike and (latest is None or latest.kind is EntryKind.FILE):
                await self._place.rename(beside, self._path, replace=True)
                return
            kept = True
            try:
                await self._write_into(data, latest)
            except LabboxError as error:
                raise LabboxError(
                    error.code,
                    error.message,
                    f"your text is whole in {visible_line(beside)}; {error.hint or _FIRST}",
                ) from error
            kept = False
        except BaseException:
            if not kept:
                await self._forget(beside)
            raise
        await self._forget(beside)

    async def _write_beside(self, handle: Handle, data: bytes) -> None:
        try:
            async with handle:
                await _write(handle, data)
        except LabboxError as error:
            reason = error.message.rpartition("”: ")[2]
            raise LabboxError(
                error.code, f"cannot save {self.location.shown()}: {reason}; it is as it was", error.hint
            ) from error

    async def _give_attributes(self, beside: str, now: Entry | None) -> bool:
        """Make the new file like the old one; False where it cannot be, or where names would part."""
        if now is None:
            await self._place.change(beside, Attributes(mode=NEW_MODE))
            await self._place.share(beside)
            return True
        if now.links > 1:
            return False
        xattrs = await self._place.xattrs(self._path)
        await self._place.change(
            beside, Attributes(mode=now.mode, uid=now.uid, gid=now.gid, xattrs=xattrs or None)
        )
        made = await self._place.entry(beside)
        same = (made.mode, made.uid, made.gid) == (now.mode, now.uid, now.gid)
        return same and dict(await self._place.xattrs(beside)) == dict(xattrs)

    async def _write_into(self, data: bytes, now: Entry | None) -> None:
        """Write the file itself: what it grows by first: a full disk is met before anything is lost."""
        old = now.size if now is not None else 0
        async with await self._place.open(self._path, write=True) as handle:
            try:
                await _write(handle, data[old:], at=old)
            except LabboxError:
                await handle.truncate(old)
                self._before = await handle.entry()  # the text is the old one, but its time is new
                raise
            await _write(handle, data[:old])
            await handle.truncate(len(data))
            await handle.flush(durable=True)

    async def _forget(self, beside: str) -> None:
        try:
            await self._place.remove(beside)
        except LabboxError as error:
            if error.code not in ("not_found", "forbidden", "unavailable"):
                raise

    def _beside(self) -> str:
        folder, slash, name = self._path.rpartition("/")
        ending = f".{secrets.token_hex(4)}.labbox"
        short = name.encode("utf-8", "surrogateescape")[: NAME_BYTES - len(ending) - 1].decode(
            "utf-8", "ignore"
        )
        return f"{folder}{slash}.{short}{ending}"


def _stamp(entry: Entry | None) -> Stamp | None:
    return None if entry is None else Stamp(entry.identity, entry.size, entry.mtime)


async def _whole(handle: Handle, size: int) -> bytes:
    """All of a file, one byte more than it should have at most."""
    parts: list[bytes] = []
    at = 0
    while at <= size and (data := await handle.read(at, min(1 << 20, size + 1 - at))):
        parts.append(data)
        at += len(data)
    return b"".join(parts)


async def _write(handle: Handle, data: bytes, *, at: int = 0) -> None:
    view = memoryview(data)
    for start in range(0, len(data), 1 << 20):
        await handle.write(at + start, view[start : start + (1 << 20)])
    await handle.flush(durable=True)
