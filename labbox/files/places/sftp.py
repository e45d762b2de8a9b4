"""Another host as a place, by SFTP: what its OpenSSH offers beyond the standard is used where it is there.

What somebody may do is decided over there. The protocol follows links where a file is opened, so a path is
looked at before; whoever can swap files in a folder that its user writes to can lead them astray within what
that user may do anyhow.
"""

from __future__ import annotations

import asyncio
import stat
from collections import deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from typing import Any, Final, Self

from labbox.errors import LabboxError
from labbox.files.places.base import Attributes, Entry, EntryKind, ManyMade, ManyRead, Place, Space, Traits
from labbox.files.places.credentials import Credential
from labbox.files.places.errors import meaning, not_a_link, not_plain
from labbox.files.places.sftpentry import entry_of, seconds
from labbox.files.places.sftperrors import Explainer, space
from labbox.files.places.sftpfile import SftpFile
from labbox.files.places.sftplogin import Line
from labbox.files.places.sftpwire import (
    CLOSE,
    FAILURE,
    FSETSTAT,
    FSTAT,
    LSTAT,
    MKDIR,
    NO_SUCH_FILE,
    OP_UNSUPPORTED,
    OPEN,
    OPENDIR,
    READ,
    READDIR,
    READLINK,
    REALPATH,
    REMOVE,
    RENAME,
    RMDIR,
    SETSTAT,
    STAT,
    SYMLINK,
    WRITE,
    Name,
    Refusal,
    Wire,
    agreed,
    check_done,
    data_of,
    handle_of,
    names_of,
    packed,
    stat_of,
    text,
)
from labbox.text import visible_line

_PARALLEL: Final = 64  # small files under way at once; more gained nothing when measured
_LEAST: Final = 32 << 10  # bytes of one read or write that every server takes
_DEEPEST: Final = 160  # folders inside each other: a walk into them ends on any server
_LONGEST_WAY: Final = 4095  # bytes of a path
_LONGEST_NAME: Final = 1020  # bytes: 255 characters of any kind
_MOST_LISTED: Final = 5_000_000  # things in one folder: a listing ends on any server
_MOST: Final = 255 << 10  # bytes; what OpenSSH takes
_BLOCK: Final = 4 << 20
_LEAST_AHEAD: Final = 2  # pieces of a folder that are asked for at once: what a small one has, and its end
_AHEAD: Final = 8  # of a large one
_SOME_NAMES: Final = 50  # in one piece: there will be more
_READ, _WRITE, _CREATE, _EXCLUSIVE = 0x01, 0x02, 0x08, 0x20
_TRIES: Final = 3  # of opening what others make and remove meanwhile
_SECOND: Final = 1_000_000_000
Batch = list[Entry]
Requests = list[tuple[int, bytes]]


class SftpPlace(Place):
    """The files of one host as one of its users sees them."""

    def __init__(self, line: Line) -> None:
        """`connect` makes one that works."""
        self._line = line
        self._wire: Wire = line.wire
        self._explainer = Explainer(line.wire, f"sftp://{line.label}/")
        self._home = b"/"
        self._pieces = _LEAST, _LEAST
        self._links_turned = False  # OpenSSH, and all who follow it, take the two paths of a link so
        self._in_order = False  # requests about one file are done in the order in which they were sent
        self.traits = Traits()

    @classmethod
    async def connect(cls, credential: Credential) -> Self:
        """Log in and look around; LabboxError in words (see `hosts` and `sftplogin`) where that cannot be."""
        line = Line(credential)
        await line.open()
        place = cls(line)
        try:
            await place._look_around(credential)
        except BaseException as error:
            await line.close()
            if isinstance(error, Refusal):
                raise LabboxError(
                    "unavailable",
                    f"cannot open {place._explainer.shown('~')}: it does not say where its home is",
                ) from error
            raise
        return place

    async def _look_around(self, credential: Credential) -> None:
        self._home = await self._wire.path(REALPATH, b".")
        handles = 100
        if self._wire.has("limits@openssh.com"):
            limits = await self._wire.reply("limits@openssh.com")
            _packet, read, write, most = (limits.long() for _ in range(4))
            self._pieces = min(read or _MOST, _MOST), min(write or _MOST, _MOST)
            handles = most or handles
        swapped = self._home.swapcase()
        folded = swapped != self._home and await self._explainer.look(swapped) is not None
        asyncssh = "AsyncSSH" in self._line.version
        self._links_turned = not asyncssh  # the one that keeps to the draft
        self._in_order = not asyncssh  # the one that does not
        self.traits = Traits(
            owners=credential.user == "root",
            hard_links=self._wire.has("hardlink@openssh.com"),
            case_sensitive=not folded,
            mtime_step=_SECOND,
            parallel=max(1, min(_PARALLEL, handles // 2)),
            block=_BLOCK,
        )

    # Looking.

    async def list(self, path: str, *, full: bool = True) -> AsyncIterator[list[Entry]]:
        """The entries of a folder in batches; the server tells all of each in any case."""
        way = self._way(path)
        try:
            handle = await self._wire.handle(OPENDIR, text(way))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "open", path, way) from refusal
        asked: deque[asyncio.Future[Any]] = deque()
        ahead, listed = _LEAST_AHEAD, 0
        try:
            while True:
                while len(asked) < ahead:
                    asked.append(self._wire.ask(READDIR, text(handle)))
                names = names_of(await asked.popleft())
                if not names:
                    return
                if len(names) >= _SOME_NAMES:
                    ahead = _AHEAD
                listed += len(names)
                if listed > _MOST_LISTED or any(len(one.name) > _LONGEST_NAME for one in names):
                    shown = visible_line(self._explainer.shown(path))
                    raise LabboxError(
                        "limit",
                        f"cannot list “{shown}”: it holds more than {_MOST_LISTED:,} things,"
                        f" or names of more than {_LONGEST_NAME} bytes",
                        "leave that folder out (--exclude)",
                    )
                if batch := await self._entries(way, [one for one in names if one.name not in (b".", b"..")]):
                    yield batch
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "read", path, way) from refusal
        finally:
            for future in asked:
                future.cancel()
            self._wire.forget(handle)

    async def _entries(self, way: bytes, names: Sequence[Name]) -> Batch:
        """What links lead to is asked for side by side."""
        links = [one.name for one in names if stat.S_ISLNK(one.stat.mode or 0)]
        led = await asyncio.gather(*(self._led(way.rstrip(b"/") + b"/" + name) for name in links))
        leads = dict(zip(links, led, strict=True))
        made = []
        for one in names:
            target, folder = leads.get(one.name, (None, False))
            made.append(entry_of(_text(one.name), one.stat, target, folder, one.line))
        return made

    async def _led(self, way: bytes) -> tuple[str | None, bool]:
        """What a link says, and whether a folder is there."""
        says, there = self._wire.ask(READLINK, text(way)), self._wire.stat(STAT, way)
        try:
            names = names_of(await says)
            target = _text(names[0].name) if names else None
        except Refusal:
            target = None
        try:
            return target, stat.S_ISDIR((await there).mode or 0)
        except Refusal:  # it leads nowhere, or round in a circle
            return target, False

    async def entry(self, path: str, *, follow: bool = False) -> Entry:
        """One entry."""
        way = self._way(path)
        name = path.rpartition("/")[2] if path not in ("/", "~") else ""
        try:
            found = await self._wire.stat(STAT if follow else LSTAT, way)
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "look at", path, way) from refusal
        target, folder = await self._led(way) if stat.S_ISLNK(found.mode or 0) else (None, False)
        return entry_of(name, found, target, folder)

    async def read_link(self, path: str) -> str:
        """What a symbolic link says."""
        way = self._way(path)
        try:
            return _text(await self._wire.path(READLINK, way))
        except Refusal as refusal:
            found = await self._explainer.look(way)
            if found is not None and not stat.S_ISLNK(found.mode or 0):
                raise not_a_link(self._explainer.shown(path)) from refusal
            raise await self._explainer.told(refusal, "look at", path, way) from refusal

    async def real_path(self, path: str) -> str:
        """The path without links and without ``~``."""
        way = self._way(path)
        try:
            return _text(await self._wire.path(REALPATH, way))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "look at", path, way) from refusal

    async def space(self, path: str) -> Space:
        """How much room there is for this user."""
        way = self._way(path)
        try:
            room = await space(self._wire, way)
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "look at", path, way) from refusal
        return Space(*room) if room is not None and room[0] else Space(None, None)

    # Files.

    @property
    def bundles(self) -> bool:
        """Whether many small files can be read and made together."""
        return self._in_order

    async def open(
        self, path: str, *, write: bool = False, create: bool = False, exclusive: bool = False
    ) -> SftpFile:
        """Open a plain file."""
        create = create or exclusive
        doing = "make" if create else "write" if write else "open"
        way = self._way(path)
        for last in range(_TRIES):
            found = None if exclusive else await self._plain(path, way, doing, create)
            flags = _READ | (_WRITE if write or create else 0)
            if found is None:
                flags |= _CREATE | _EXCLUSIVE  # what others put there meanwhile is not opened unseen
            try:
                handle = await self._opened(way, flags)
            except Refusal as refusal:
                error = await self._explainer.told(refusal, doing, path, way)
                if exclusive or found is not None or error.code != "conflict" or last == _TRIES - 1:
                    raise error from refusal
                continue
            return SftpFile(self._wire, self._explainer, handle, path, way, self._pieces)
        raise meaning(None, doing, self._explainer.shown(path))  # not reached: the last try raises

    async def read_whole(self, path: str, size: int) -> tuple[bytes, Entry]:
        """A small plain file in two turns; whoever saw just now that it is one need not look again."""
        if not self._in_order or size >= self._pieces[0]:
            return await super().read_whole(path, size)
        way = self._way(path)
        try:
            handle = text(await self._wire.handle(OPEN, text(way), _READ.to_bytes(4, "big"), packed()))
            asked = [self._wire.ask(READ, handle, bytes(8), (size + 1).to_bytes(4, "big"))] if size else []
            asked += self._wire.ask(FSTAT, handle), self._wire.ask(CLOSE, handle)
            *read, found, _closed = await asyncio.gather(*asked)
            data = b"".join(data_of(read[0], size + 1) or ()) if read else b""
            return data, entry_of(path.rpartition("/")[2], stat_of(found))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "read", path, way) from refusal

    async def write_new(self, path: str, data: bytes, attributes: Attributes) -> None:
        """A small file in two turns; its time is set even so only after its bytes are there."""
        if not self._in_order or len(data) > self._pieces[1]:
            return await super().write_new(path, data, attributes)
        way = self._way(path)
        flags = (_WRITE | _CREATE | _EXCLUSIVE).to_bytes(4, "big")
        try:
            handle = text(await self._wire.handle(OPEN, text(way), flags, packed(mode=0o600)))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "make", path, way) from refusal
        asked = []
        if data:
            asked.append(self._wire.ask(WRITE, handle, bytes(8), text(data)))
        asked += [self._wire.ask(FSETSTAT, handle, packed(**words)) for words in self._wanted(attributes)]
        asked.append(self._wire.ask(CLOSE, handle))
        answers = await asyncio.gather(*asked)
        try:
            for answer in answers:
                check_done(answer)
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "write", path, way) from refusal

    async def read_many(self, files: Sequence[tuple[str, int]]) -> ManyRead:
        """Small plain files with their sizes, in two turns for all; None for what has to be read alone."""
        flags = _READ.to_bytes(4, "big") + packed()
        opened = await self._wire.ask_all([(OPEN, text(self._way(path)) + flags) for path, _ in files])
        asked: Requests = []
        for answer, (_path, size) in zip(opened, files, strict=True):
            try:
                handle = text(handle_of(answer))
            except Refusal:
                continue
            asked += (
                (READ, handle + bytes(8) + (size + 1).to_bytes(4, "big")),
                (FSTAT, handle),
                (CLOSE, handle),
            )
        answers = iter(await self._wire.ask_all(asked))
        made: ManyRead = []
        for answer, (path, size) in zip(opened, files, strict=True):
            try:
                handle_of(answer)
                read, found, _closed = next(answers), next(answers), next(answers)
                entry = entry_of(path.rpartition("/")[2], stat_of(found))
                made.append((b"".join(data_of(read, size + 1) or ()), entry))
            except Refusal:
                made.append(None)
        return made

    async def write_many(self, files: Sequence[tuple[str, bytes, Attributes]]) -> ManyMade:
        """Make small files in two turns for all; False for what has to be made alone, of which nothing is."""
        flags = (_WRITE | _CREATE | _EXCLUSIVE).to_bytes(4, "big") + packed(mode=0o600)
        opened = await self._wire.ask_all([(OPEN, text(self._way(path)) + flags) for path, *_ in files])
        asked: Requests = []
        counts = []  # of requests for each
        for answer, (_path, data, attributes) in zip(opened, files, strict=True):
            before = len(asked)
            try:
                handle = text(handle_of(answer))
            except Refusal:
                counts.append(0)
                continue
            if data:
                asked.append((WRITE, handle + bytes(8) + text(data)))
            asked += [(FSETSTAT, handle + packed(**words)) for words in self._wanted(attributes)]
            asked.append((CLOSE, handle))
            counts.append(len(asked) - before)
        answers = iter(await self._wire.ask_all(asked))
        made = []
        for count, (path, *_) in zip(counts, files, strict=True):
            said = [agreed(next(answers)) for _ in range(count)]
            good = all(said)
            if count and not good:
                with suppress(LabboxError):
                    await self.remove(path)
            made.append(count > 0 and good)
        return made

    def _wanted(self, attributes: Attributes) -> Iterator[dict[str, Any]]:
        """What is to be set on a file of ours, by requests: giving it away takes bits of its mode away."""
        words: dict[str, Any] = {}
        if attributes.uid is not None and attributes.gid is not None:
            words["owner"] = attributes.uid, attributes.gid
        if words and attributes.mode is not None and attributes.mode & 0o6000:
            yield words
            words = {}
        if attributes.mode is not None:
            words["mode"] = attributes.mode
        if attributes.mtime is not None:
            words["mtime"] = seconds(attributes.mtime)
        if words:
            yield words

    async def _plain(self, path: str, way: bytes, doing: str, create: bool) -> Entry | None:
        """What is there, if it is a plain file; None where nothing is and something is to be made."""
        try:
            found = entry_of("", await self._wire.stat(LSTAT, way))
        except Refusal as refusal:
            if create and refusal.code == NO_SUCH_FILE:
                return None
            raise await self._explainer.told(refusal, doing, path, way) from refusal
        if found.kind is not EntryKind.FILE:
            what = {EntryKind.FOLDER: "a folder", EntryKind.LINK: "a link"}.get(found.kind, "no plain file")
            raise not_plain(doing, self._explainer.shown(path), what)
        return found

    async def _opened(self, way: bytes, flags: int) -> bytes:
        attributes = packed(mode=0o600) if flags & _CREATE else packed()
        try:
            return await self._wire.handle(OPEN, text(way), flags.to_bytes(4, "big"), attributes)
        except Refusal as refusal:
            if refusal.code != 3 or not flags & _WRITE:
                raise
        only = flags & ~_READ  # a file that may be written and not read
        return await self._wire.handle(OPEN, text(way), only.to_bytes(4, "big"), attributes)

    # Changing.

    async def make_folder(self, path: str, mode: int | None = None) -> None:
        """Make one folder; the group bit that its parent hands on stays."""
        way = self._way(path)
        try:
            await self._wire.done(MKDIR, text(way), packed(mode=mode))
            if mode is None or mode & ~0o700 == 0:  # nobody's umask takes that away
                return
            found = await self._wire.stat(LSTAT, way)
            await self._wire.done(SETSTAT, text(way), packed(mode=mode | ((found.mode or 0) & stat.S_ISGID)))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "make", path, way) from refusal

    async def rename(self, source: str, target: str, *, replace: bool = False) -> None:
        """Move within the host."""
        way, other = self._way(source), self._way(target)
        try:
            if replace:
                await self._replace(source, target, way, other)
                return
            if await self._explainer.look(other) is not None:  # servers differ in what they replace
                raise Refusal(FAILURE)
            await self._wire.done(RENAME, text(way), text(other))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "move", source, way, target, other) from refusal

    async def _replace(self, source: str, target: str, way: bytes, other: bytes) -> None:
        if not self._wire.has("posix-rename@openssh.com"):
            raise LabboxError(
                "invalid",
                f"cannot replace “{self._explainer.shown(target)}” in one step: its host cannot do that",
                "remove it first",
            )
        renamed = self._wire.ask(200, text(b"posix-rename@openssh.com"), text(way), text(other))
        left = self._wire.ask(LSTAT, text(way))
        await self._through(renamed)
        kind, _payload = await left
        if kind == 105 and way != other and await self._two_names(way, other):
            await self._wire.done(REMOVE, text(way))  # two names of one file: POSIX leaves both

    async def _through(self, asked: asyncio.Future[Any]) -> None:
        kind, payload = await asked
        code = int.from_bytes(payload[:4], "big") if kind == 101 else FAILURE
        if code:
            raise Refusal(code)

    async def _two_names(self, way: bytes, other: bytes) -> bool:
        """Whether both stand in their folders, letter by letter: not one name in two spellings."""
        one, name = way.rpartition(b"/")[::2]
        two, second = other.rpartition(b"/")[::2]
        if name == second:
            return False
        return await self._stands(one, name) and await self._stands(two, second)

    async def _stands(self, folder: bytes, name: bytes) -> bool:
        handle = await self._wire.handle(OPENDIR, text(folder or b"/"))
        try:
            while names := names_of(await self._wire.ask(READDIR, text(handle))):
                if any(one.name == name for one in names):
                    return True
        finally:
            self._wire.forget(handle)
        return False

    async def remove(self, path: str) -> None:
        """Remove a file, a link or an empty folder."""
        way = self._way(path)
        try:
            try:
                await self._wire.done(REMOVE, text(way))
            except Refusal as refusal:
                if refusal.code == NO_SUCH_FILE:
                    raise
                found = await self._explainer.look(way)
                if found is None or not stat.S_ISDIR(found.mode or 0):
                    raise
                await self._wire.done(RMDIR, text(way))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "remove", path, way) from refusal

    async def link(self, path: str, target: str, *, hard: bool = False) -> None:
        """Make a link."""
        way = self._way(path)
        try:
            if hard:
                if not self._wire.has("hardlink@openssh.com"):
                    raise Refusal(OP_UNSUPPORTED)
                await self._wire.extended("hardlink@openssh.com", text(self._way(target)), text(way))
                return
            says = _octets(target)
            both = (says, way) if self._links_turned else (way, says)
            await self._wire.done(SYMLINK, *map(text, both))
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "make", path, way) from refusal

    async def change(self, path: str, attributes: Attributes) -> None:
        """Set attributes of an entry, of a link those of the link."""
        way = self._way(path)
        mtime = None if attributes.mtime is None else seconds(attributes.mtime)
        try:
            if attributes.uid is not None or attributes.gid is not None:  # first: it takes mode bits away
                await self._set(way, owner=await self._owner(way, attributes))
            if attributes.mode is not None or mtime is not None:
                await self._set(way, mode=attributes.mode, mtime=mtime)
        except Refusal as refusal:
            raise await self._explainer.told(refusal, "change", path, way) from refusal

    async def _owner(self, way: bytes, attributes: Attributes) -> tuple[int, int]:
        """Both ids: the protocol knows them only together."""
        uid, gid = attributes.uid, attributes.gid
        if uid is None or gid is None:
            found = await self._wire.stat(LSTAT, way)
            uid, gid = found.uid if uid is None else uid, found.gid if gid is None else gid
        return uid or 0, gid or 0

    async def _set(
        self,
        way: bytes,
        *,
        owner: tuple[int, int] | None = None,
        mode: int | None = None,
        mtime: int | None = None,
    ) -> None:
        known = self._wire.has("lsetstat@openssh.com")
        if known:
            try:
                await self._wire.extended(
                    "lsetstat@openssh.com", text(way), packed(owner=owner, mode=mode, mtime=mtime)
                )
                return
            except Refusal as refusal:
                if refusal.code not in (FAILURE, OP_UNSUPPORTED):
                    raise
        found = await self._wire.stat(LSTAT, way)
        if not stat.S_ISLNK(found.mode or 0):
            await self._wire.done(SETSTAT, text(way), packed(owner=owner, mode=mode, mtime=mtime))
        elif known and (owner is not None or mtime is not None):  # links have no modes of their own
            await self._wire.extended("lsetstat@openssh.com", text(way), packed(owner=owner, mtime=mtime))

    # The place.

    @property
    def lost(self) -> bool:
        """Whether the connection broke, as it does when a machine falls asleep."""
        return self._wire.ended

    async def close(self) -> None:
        """Hang up."""
        await self._line.close()

    def _way(self, path: str) -> bytes:
        """The path as it goes over the wire; LabboxError "invalid" for what climbs or cannot be sent."""
        if "\0" in path or "/../" in f"{path}/" or not path.startswith(("/", "~")):
            shown = visible_line(self._explainer.shown(path))
            raise LabboxError("invalid", f"cannot use the path “{shown}”", "give the whole path")
        octets = _octets(path)
        if len(octets) > _LONGEST_WAY or path.count("/") > _DEEPEST:
            shown = visible_line(self._explainer.shown(path[:200]))
            raise LabboxError(
                "limit",
                f"cannot go into “{shown}…”: more than {_DEEPEST} folders stand inside each other there",
                "leave that folder out (--exclude); a server that does not end is not to be trusted",
            )
        if path == "~" or path.startswith("~/"):
            return self._home.rstrip(b"/") + octets[1:] or b"/"
        return octets


def _octets(path: str) -> bytes:
    return path.encode("utf-8", "surrogateescape")


def _text(name: bytes) -> str:
    return name.decode("utf-8", "surrogateescape")
