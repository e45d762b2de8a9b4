"""What is packed: a file or a folder with all below it, here or in any place, in one fixed order."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Callable, Coroutine, Iterator
from typing import Any, Final, NamedTuple, Protocol, TypeVar

from labbox.errors import LabboxError
from labbox.files.archives.chain import Chain, Parts
from labbox.files.archives.source import on_loop
from labbox.files.listing import shown
from labbox.files.places.base import Entry, EntryKind, Handle, Place
from labbox.files.places.errors import explained, not_plain
from labbox.files.places.localfile import entry_of

_T = TypeVar("_T")
_OPEN: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


class Reading(Protocol):
    """An open file that is packed."""

    entry: Entry

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes."""
        ...

    def data_from(self, offset: int) -> tuple[int, int] | None:
        """The next stretch that is no hole."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Tree(Protocol):
    """One source; `parts` are below it, none: itself."""

    def look(self, parts: Parts) -> Entry:
        """One entry, a link as itself."""
        ...

    def names(self, parts: Parts) -> list[str]:
        """The names in a folder, in the order of their bytes."""
        ...

    def open(self, parts: Parts) -> Reading:
        """Open a plain file."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Found(NamedTuple):
    """One entry of a tree, or why it cannot be looked at."""

    parts: Parts
    entry: Entry | None
    error: LabboxError | None = None


def walk(tree: Tree, wants: Callable[[Parts, bool], bool], depth: int) -> Iterator[Found]:
    """The source and all that is wanted below it, a folder before what is in it."""
    left: list[Parts] = [()]
    while left:
        parts = left.pop()
        try:
            entry = tree.look(parts)
            folder = entry.kind is EntryKind.FOLDER
            if not wants(parts, folder):
                continue
            names = tree.names(parts) if folder and len(parts) < depth else []
        except LabboxError as error:
            yield Found(parts, None, error)
            continue
        yield Found(parts, entry)
        if folder and len(parts) >= depth:
            yield Found(parts, None, _too_deep(parts))
        left += [(*parts, name) for name in reversed(names)]


class LocalTree:
    """A source on this machine: `name` in an open folder."""

    def __init__(self, folder: int, name: str) -> None:
        """`folder` stays the caller's."""
        self._chain = Chain(folder)
        self._name = name

    def look(self, parts: Parts) -> Entry:
        """One entry."""
        above, name = self._spot(parts)
        with explained("pack", self._path(parts)):
            found = os.stat(name, dir_fd=above, follow_symlinks=False)
            target = os.readlink(name, dir_fd=above) if stat.S_ISLNK(found.st_mode) else None
        return entry_of(name, found, target)

    def names(self, parts: Parts) -> list[str]:
        """The names in a folder."""
        folder = self._chain.at((self._name, *parts))
        with explained("pack", self._path(parts)):
            return sorted(os.listdir(folder), key=os.fsencode)  # noqa: PTH208 - it is a descriptor

    def open(self, parts: Parts) -> Reading:
        """Open a plain file."""
        above, name = self._spot(parts)
        with explained("pack", self._path(parts)):
            opened = os.open(name, _OPEN, dir_fd=above)
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode):
                os.close(opened)
                raise not_plain("pack", self._path(parts), "no plain file")
        return _LocalReading(opened, entry_of(name, found), self._path(parts))

    def close(self) -> None:
        """Let go of it."""
        self._chain.close()

    def _spot(self, parts: Parts) -> tuple[int, str]:
        whole = (self._name, *parts)
        return self._chain.at(whole[:-1]), whole[-1]

    def _path(self, parts: Parts) -> str:
        return "/".join((self._name, *parts))


class _LocalReading:
    """A file of this machine that is packed."""

    def __init__(self, descriptor: int, entry: Entry, path: str) -> None:
        self.entry = entry
        self._descriptor, self._path = descriptor, path

    def read_at(self, offset: int, size: int) -> bytes:
        with explained("read", self._path):
            return os.pread(self._descriptor, size, offset)

    def data_from(self, offset: int) -> tuple[int, int] | None:
        size = self.entry.size
        if offset >= size:
            return None
        try:
            start = os.lseek(self._descriptor, offset, os.SEEK_DATA)
            return (
                (start, min(os.lseek(self._descriptor, start, os.SEEK_HOLE), size)) if start < size else None
            )
        except OSError:  # ENXIO: nothing but a hole from here on
            return None

    def close(self) -> None:
        os.close(self._descriptor)


class PlaceTree:
    """A source in any place, by calls on the loop."""

    def __init__(
        self, place: Place, path: str, loop: asyncio.AbstractEventLoop, gone: Callable[[], bool]
    ) -> None:
        """`gone`: whether nobody waits any more."""
        self._place, self._path, self._loop, self._gone = place, path.rstrip("/"), loop, gone

    def look(self, parts: Parts) -> Entry:
        """One entry."""
        path = self._at(parts)
        entry = self.call(self._place.entry(path))
        if entry.kind is EntryKind.LINK and entry.target is None:
            entry = entry._replace(target=self.call(self._place.read_link(path)))
        return entry

    def names(self, parts: Parts) -> list[str]:
        """The names in a folder."""
        return sorted(self.call(self._names(self._at(parts))), key=os.fsencode)

    def open(self, parts: Parts) -> Reading:
        """Open a plain file."""
        handle = self.call(self._place.open(self._at(parts)))
        return _PlaceReading(self, handle, self.call(handle.entry()))

    def close(self) -> None:
        """Nothing is its own."""

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Have the loop do it."""
        return on_loop(self._loop, coroutine, self._gone, self._path)

    async def _names(self, path: str) -> list[str]:
        return [entry.name async for batch in self._place.list(path, full=False) for entry in batch]

    def _at(self, parts: Parts) -> str:
        return "/".join((self._path, *parts)) or "/"


class _PlaceReading:
    """A file of any place that is packed."""

    def __init__(self, tree: PlaceTree, handle: Handle, entry: Entry) -> None:
        self.entry = entry
        self._tree, self._handle = tree, handle

    def read_at(self, offset: int, size: int) -> bytes:
        return self._tree.call(self._handle.read(offset, size))

    def data_from(self, offset: int) -> tuple[int, int] | None:
        return self._tree.call(self._handle.data_from(offset))

    def close(self) -> None:
        self._tree.call(self._handle.close())


def _too_deep(parts: Parts) -> LabboxError:
    return LabboxError(
        "limit",
        f"cannot pack what is in {shown('/'.join(parts))}: it lies in too many folders inside each other",
        "pack that folder by itself",
    )
