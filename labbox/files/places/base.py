"""What every place that holds files can do, whatever it is; errors are `LabboxError`, named for people.

An operation that fails raises LabboxError: "not_found" (nothing there), "forbidden" (not allowed), "conflict"
(something is there already, a folder is not empty, a folder where a file is meant), "limit" (no space, quota,
name too long), "unavailable" (the host or the disk does not answer), "invalid" (the place cannot do this).
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from enum import StrEnum
from types import TracebackType
from typing import NamedTuple, Self

from labbox.model import Value


class EntryKind(StrEnum):
    """What an entry of a folder is."""

    FILE = "file"
    FOLDER = "folder"
    LINK = "link"
    OTHER = "other"  # a device, a pipe, a socket: shown, never read or copied


class Entry(NamedTuple):
    """One file, folder or link; of a link, the link itself.

    Times are nanoseconds of the epoch. `name` keeps undecodable bytes as `os.fsdecode` does. None: the place
    does not say.
    """

    name: str
    kind: EntryKind
    size: int = 0  # bytes; of a folder: 0
    mtime: int = 0
    mode: int | None = None  # permission bits alone: 0o644
    uid: int | None = None
    gid: int | None = None
    links: int = 1  # names of this file
    identity: tuple[int, int] | None = None  # device and inode: two entries with the same one are one file
    blocks: int | None = None  # bytes that it takes on disk; fewer than `size`: it has holes
    target: str | None = None  # where a link leads, where that is known without asking
    folder: bool = False  # a folder, or a link that leads to one: Enter goes into it


class Attributes(Value):
    """What to set on an entry; None leaves it as it is."""

    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    mtime: int | None = None  # nanoseconds of the epoch
    xattrs: Mapping[str, bytes] | None = None


class Traits(NamedTuple):
    """What a place can keep; a transfer keeps what both sides can and says what it could not."""

    writable: bool = True
    modes: bool = True
    owners: bool = False  # the caller may give files to others
    symlinks: bool = True
    hard_links: bool = True
    xattrs: bool = False
    sparse: bool = False  # `Handle.holes` tells of holes
    case_sensitive: bool = True
    mtime_step: int = 1  # nanoseconds between two times that it can tell apart
    name_bytes: int = 255  # longest name
    local: bool = False  # its paths are the caller's own: `Place.system_path` gives them
    parallel: int = 1  # operations that are worth having under way at once
    block: int = 1 << 20  # bytes that are best read or written at once


class Space(NamedTuple):
    """Bytes; None where the place does not say."""

    total: int | None
    free: int | None


class Handle(ABC):
    """An open file."""

    @abstractmethod
    async def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""

    @abstractmethod
    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of it at `offset`; may return before it is there: `flush` waits and says what failed."""

    @abstractmethod
    async def flush(self, *, durable: bool = False) -> None:
        """Wait until everything is written; `durable`: and on disk, where the place can say so."""

    async def settle(self, most: int) -> None:
        """Wait until all but `most` bytes of what was written are there; here they are at once."""
        return

    def there(self, end: int) -> int:
        """Of what was written in order up to `end`: up to where it is there for certain."""
        return end

    @abstractmethod
    async def truncate(self, size: int) -> None:
        """Make the file so long; a longer one gets a hole where the place keeps holes."""

    @abstractmethod
    async def entry(self) -> Entry:
        """How the open file is now."""

    async def data_from(self, offset: int) -> tuple[int, int] | None:
        """The next stretch (start, end) that is no hole; None where nothing but holes follows."""
        size = (await self.entry()).size
        return (offset, size) if offset < size else None

    @abstractmethod
    async def close(self) -> None:
        """Let go of it; writes that are under way are waited for."""

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()


ManyRead = list[tuple[bytes, Entry] | None]
ManyMade = list[bool]


class Place(ABC):
    """Something that holds files. Calls may be made at once, from one event loop."""

    traits: Traits

    @abstractmethod
    def list(self, path: str, *, full: bool = True) -> AsyncIterator[list[Entry]]:
        """The entries of a folder in batches, in no order, the first one soon; without ``.`` and ``..``.

        `full` False: only names and kinds are asked for, where that is cheaper.
        """

    @abstractmethod
    async def entry(self, path: str, *, follow: bool = False) -> Entry:
        """One entry; `follow`: of a link, what it leads to."""

    @abstractmethod
    async def open(
        self, path: str, *, write: bool = False, create: bool = False, exclusive: bool = False
    ) -> Handle:
        """Open a plain file, never through a link at its last part and never anything that would block.

        `create`: make it, for the caller alone (0600), where it is missing; `exclusive`: and only then.
        """

    async def read_whole(self, path: str, size: int) -> tuple[bytes, Entry]:
        """A small plain file that is said to have `size` bytes: up to one more, and how it is thereafter."""
        async with await self.open(path) as opened:
            data = await opened.read(0, size + 1) if size else b""
            return data, await opened.entry()

    @property
    def bundles(self) -> bool:
        """Whether many small files can be read and made together, with the next two."""
        return False

    async def read_many(self, files: Sequence[tuple[str, int]]) -> ManyRead:
        """As `read_whole`; None for what has to be read alone."""
        return [None for _ in files]

    async def write_many(self, files: Sequence[tuple[str, bytes, Attributes]]) -> ManyMade:
        """As `write_new`; False for what has to be made alone, of which nothing is there."""
        return [False for _ in files]

    async def write_new(self, path: str, data: bytes, attributes: Attributes) -> None:
        """Make a small file with all that belongs to it; something may be left where this raises an error."""
        async with await self.open(path, write=True, create=True, exclusive=True) as made:
            if data:
                await made.write(0, data)
                await made.flush()
        await self.change(path, attributes)

    @abstractmethod
    async def make_folder(self, path: str, mode: int | None = None) -> None:
        """Make one folder."""

    @abstractmethod
    async def rename(self, source: str, target: str, *, replace: bool = False) -> None:
        """Move within the place; `replace`: a file that is there is replaced in one step.

        LabboxError "invalid" where the place cannot do that: to another disk, for one, it takes a copy.
        """

    @abstractmethod
    async def remove(self, path: str) -> None:
        """Remove a file, a link or an empty folder."""

    @abstractmethod
    async def link(self, path: str, target: str, *, hard: bool = False) -> None:
        """Make a link at `path`: a symbolic one that says `target`, or another name of the file `target`."""

    @abstractmethod
    async def read_link(self, path: str) -> str:
        """What a symbolic link says."""

    @abstractmethod
    async def change(self, path: str, attributes: Attributes) -> None:
        """Set attributes of an entry, of a link those of the link; what the place cannot set is left."""

    async def share(self, path: str) -> None:
        """Let the people of a shared folder read and change what was just made in it; elsewhere nothing."""
        return

    async def xattrs(self, path: str) -> Mapping[str, bytes]:
        """Extended attributes that a copy should keep (``user.*`` and access lists)."""
        return {}

    async def traits_at(self, path: str) -> Traits:
        """What is kept at a folder of the place; it may span several disks."""
        return self.traits

    @abstractmethod
    async def real_path(self, path: str) -> str:
        """The path without links, `~` and so on."""

    async def space(self, path: str) -> Space:
        """How much room there is."""
        return Space(None, None)

    def system_path(self, path: str) -> str | None:
        """The path for system calls of this very process, where the place is its own disk."""
        return None

    @property
    def lost(self) -> bool:
        """Whether it has ended by itself, and only opening it anew helps."""
        return False

    @abstractmethod
    async def close(self) -> None:
        """Let go of connections and descriptors."""

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close it."""
        await self.close()
