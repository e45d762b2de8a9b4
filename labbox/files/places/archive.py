"""An archive as a place that can be read: its list is a tree that is walked like any other.

The list is made by one thread while others look at it already. Nothing in an archive leads out of it: names
are made harmless, and links are followed inside it alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from typing import Final, NoReturn

from labbox.errors import LabboxError
from labbox.files.archives.index import Index, Node, node_of
from labbox.files.archives.limits import Limits
from labbox.files.archives.member import Content, Reader
from labbox.files.archives.reading import reader
from labbox.files.archives.source import Source, opened
from labbox.files.places.archivefile import KIND, ArchiveFile
from labbox.files.places.archivewalk import Walker, parts_of
from labbox.files.places.base import Attributes, Entry, EntryKind, Handle, Place, Traits
from labbox.files.places.errors import not_a_link, not_plain, read_only
from labbox.files.places.threads import Threads

_FIRST: Final = 256  # entries of the first batch
_MOST: Final = 4096  # of every other
_TELL_EVERY: Final = 2000  # entries between two looks of those that wait for the list


class ArchivePlace(Place):
    """What is in an archive, read from the place that the archive lies in."""

    def __init__(
        self,
        made: Reader,
        source: Source,
        handle: Handle,
        threads: Threads,
        index: Index,
        label: str,
        mtime: int,
    ) -> None:
        """See `open_on`."""
        self.traits = Traits(writable=False, modes=True, mtime_step=made.mtime_step, name_bytes=255)
        self.index: Final = index
        self._reader, self._source, self._handle, self._threads = made, source, handle, threads
        self._walker = Walker(index, label, id(self), mtime)
        self._closed = False
        self._loop = asyncio.get_running_loop()
        self._changed = asyncio.Event()
        self._listing: asyncio.Task[None] | None = None

    @classmethod
    async def open_on(cls, place: Place, path: str, *, limits: Limits | None = None) -> ArchivePlace:
        """Open the archive at `path` in `place`; LabboxError where it is none, or damaged from the start."""
        limits = limits or Limits()
        source, handle = await opened(place, path)
        threads = Threads(3)
        try:
            made = await threads.read(reader, source, path, limits)
            mtime = (await handle.entry()).mtime
            one = cls(made, source, handle, threads, Index(path, limits), path, mtime)
            one._listing = asyncio.create_task(threads.read(one._fill))
            try:
                await one._started()
            except BaseException:
                await one.close()
                raise
        except BaseException:
            source.close()
            threads.close()
            await handle.close()
            raise
        return one

    async def list(self, path: str, *, full: bool = True) -> AsyncIterator[list[Entry]]:
        """The entries of a folder in batches; those of a long archive as its list is made."""
        node, above = await self._walked("read", path, follow=True)
        children = node.children
        if children is None:
            raise LabboxError(
                "conflict",
                f"cannot read {self._walker.shown(path)}: it is {_what(node)}",
                "open it as what it is",
            )
        given, most = 0, _FIRST
        while True:
            done = self.index.done
            names = list(children)[given:] if len(children) > given else []
            given += len(names)
            for piece in _steps(len(names), most):
                yield [self._walker.entry(name, node_of(children[name]), above) for name in names[piece]]
                most = _MOST
            if not names:
                if done:
                    break
                await self._more()
        if self.index.problem is not None:
            raise self.index.problem

    async def entry(self, path: str, *, follow: bool = False) -> Entry:
        """One entry."""
        node, way = await self._walked("look at", path, follow=follow)
        return self._walker.entry("".join(parts_of(path)[-1:]), node, way[:-1])

    async def open(
        self, path: str, *, write: bool = False, create: bool = False, exclusive: bool = False
    ) -> ArchiveFile:
        """Open a file for reading."""
        if write or create or exclusive:
            self._refuse("write", path)
        node, way = await self._walked("open", path, follow=False)
        if node.kind is not EntryKind.FILE or node.member is None:
            raise not_plain("open", self._walker.full(path), _what(node))
        content = await self._threads.read(self._reader.opened, node.member, undo=Content.close)
        return ArchiveFile(content, self._walker.entry(way[-1], node, way[:-1]), self._threads)

    async def make_folder(self, path: str, mode: int | None = None) -> None:
        """Refused."""
        self._refuse("make", path)

    async def rename(self, source: str, target: str, *, replace: bool = False) -> None:
        """Refused."""
        self._refuse("move", source)

    async def remove(self, path: str) -> None:
        """Refused."""
        self._refuse("remove", path)

    async def link(self, path: str, target: str, *, hard: bool = False) -> None:
        """Refused."""
        self._refuse("make", path)

    async def change(self, path: str, attributes: Attributes) -> None:
        """Refused."""
        self._refuse("change", path)

    async def read_link(self, path: str) -> str:
        """What a symbolic link says."""
        node, _ = await self._walked("read", path, follow=False)
        if node.kind is not EntryKind.LINK or node.member is None:
            raise not_a_link(self._walker.full(path))
        if node.member.target is None:
            raise LabboxError(
                "invalid", f"cannot read {self._walker.shown(path)}: what it says is damaged", ""
            )
        return node.member.target

    async def real_path(self, path: str) -> str:
        """The path in the archive without links, from its top."""
        _, parts = await self._walked("look at", path, follow=True)
        return "/" + "/".join(parts)

    async def flags(self) -> dict[str, str]:
        """What is odd in it, a sentence for a path, once its list is whole; the first thousand."""
        while not self.index.done:
            await self._more()
        return dict(self.index.flags)

    async def close(self) -> None:
        """Let go of it; what is under way ends."""
        if self._closed:
            return
        self._closed = True
        self._source.close()
        if self._listing is not None:
            self._listing.cancel()
            await asyncio.wait({self._listing})
        await self._threads.change(self._reader.close)
        self._threads.close()
        await self._handle.close()

    def _fill(self) -> None:
        """In a thread: make the list."""
        for number, _ in enumerate(self.index.fill(self._reader)):
            if self._closed:
                return
            if not number % _TELL_EVERY:
                self._tell()
        self._tell()

    def _tell(self) -> None:
        try:
            self._loop.call_soon_threadsafe(self._wake)
        except RuntimeError:  # the loop has ended
            self._closed = True

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    async def _more(self) -> None:
        """Wait until there is more of the list, or all of it."""
        self._check_open("read", "")
        changed, listing = self._changed, self._listing
        assert listing is not None  # noqa: S101
        if self.index.done:
            return
        waiting = asyncio.ensure_future(changed.wait())
        try:
            await asyncio.wait({waiting, listing}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            waiting.cancel()
        if listing.done() and not listing.cancelled():
            listing.result()
        if listing.done() and not self.index.done:
            self._check_open("read", "")

    async def _started(self) -> None:
        while not self.index.done and not self.index.entries:
            await self._more()
        if self.index.problem is not None and not self.index.entries:
            raise self.index.problem

    async def _walked(self, doing: str, path: str, *, follow: bool) -> tuple[Node, tuple[str, ...]]:
        """The node at a path, and the path without links."""
        self._check_open(doing, path)
        wanted = self._walker.checked(doing, path)
        while True:
            done = self.index.done
            try:
                return self._walker.walk(doing, path, wanted, follow)
            except LabboxError:
                if done:
                    if self.index.problem is not None:
                        raise self.index.problem from None
                    raise
            await self._more()

    def _check_open(self, doing: str, path: str) -> None:
        if self._closed:
            raise LabboxError(
                "unavailable",
                f"cannot {doing} {self._walker.shown(path)}: the archive is closed",
                "open it again",
            )

    def _refuse(self, doing: str, path: str) -> NoReturn:
        self._check_open(doing, path)
        self._walker.checked(doing, path)
        raise read_only(doing, self._walker.full(path), KIND)


def _what(node: Node) -> str:
    return {EntryKind.FOLDER: "a folder", EntryKind.LINK: "a link"}.get(node.kind, "no plain file")


def _steps(count: int, first: int) -> Iterator[slice]:
    """Slices that cover `count`, the first one `first` long."""
    at, size = 0, first
    while at < count:
        yield slice(at, at + size)
        at, size = at + size, _MOST
