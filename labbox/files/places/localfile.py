"""An open file of the box's own disk, and what tells one entry from another."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, TypeVar

from labbox.files.places.base import Entry, EntryKind, Handle
from labbox.files.places.errors import explained
from labbox.files.places.threads import Threads

_T = TypeVar("_T")
_KINDS: Final = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFLNK: EntryKind.LINK}
_WHAT: Final = {
    stat.S_IFDIR: "a folder",
    stat.S_IFLNK: "a link",
    stat.S_IFIFO: "a pipe",
    stat.S_IFSOCK: "a socket",
}


def entry_of(
    name: str, found: os.stat_result, target: str | None = None, folder: bool | None = None
) -> Entry:
    """The entry called `name`, as the kernel tells of it; `folder`: where a link leads to one."""
    mode = found.st_mode
    kind = _KINDS.get(stat.S_IFMT(mode), EntryKind.OTHER)
    is_folder = kind is EntryKind.FOLDER
    return Entry(
        name,
        kind,
        0 if is_folder else found.st_size,
        found.st_mtime_ns,
        mode & 0o7777,
        found.st_uid,
        found.st_gid,
        found.st_nlink,
        (found.st_dev, found.st_ino),
        found.st_blocks * 512,
        target,
        is_folder if folder is None else folder,
    )


def what_it_is(mode: int) -> str:
    """What stands where no plain file does: "a folder"."""
    return _WHAT.get(stat.S_IFMT(mode), "a device")


class _Descriptor:
    """A descriptor that is closed by the last call that uses it: its number never becomes another file's."""

    def __init__(self, number: int) -> None:
        self._number = number
        self._users = 0
        self._closing = False
        self._lock = threading.Lock()

    @contextmanager
    def use(self) -> Iterator[int]:
        with self._lock:
            if self._closing:
                raise OSError(errno.EBADF, os.strerror(errno.EBADF))
            self._users += 1
        try:
            yield self._number
        finally:
            with self._lock:
                self._users -= 1
                last = self._closing and not self._users
            if last:
                os.close(self._number)

    def close(self) -> None:
        with self._lock:
            if self._closing:
                return
            self._closing = True
            if self._users:
                return
        os.close(self._number)


class LocalFile(Handle):
    """A plain file that is open; calls may be made at once."""

    def __init__(self, descriptor: int, path: str, threads: Threads) -> None:
        """`path` is what people see."""
        self._descriptor: Final = _Descriptor(descriptor)
        self._path: Final = path
        self._threads: Final = threads
        self._changing = 0  # changes that are under way
        self._still = asyncio.Event()  # set when there are none any more

    async def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`; fewer only at the end of the file."""
        return await self._threads.read(self._call, "read", _read, offset, size)

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of it at `offset`."""
        await self._change("write", _write, offset, data)

    async def flush(self, *, durable: bool = False) -> None:
        """What was written is with the kernel already; `durable`: wait until it is on disk."""
        if durable:
            await self._change("write", os.fsync)

    async def truncate(self, size: int) -> None:
        """Make the file so long, with a hole where it grows."""
        await self._change("resize", os.ftruncate, size)

    def duplicate(self) -> int:
        """Another descriptor of the same open file, for reading in threads; the caller closes it."""
        with explained("open", self._path), self._descriptor.use() as descriptor:
            return os.dup(descriptor)

    async def entry(self) -> Entry:
        """How the open file is now."""
        found = await self._threads.read(self._call, "look at", os.fstat)
        return entry_of(self._path.rpartition("/")[2], found)

    async def data_from(self, offset: int) -> tuple[int, int] | None:
        """The next stretch (start, end) that is no hole."""
        return await self._threads.read(self._call, "read", _data_from, offset)

    async def close(self) -> None:
        """Let go of it, after what is under way."""
        try:
            while self._changing:
                await self._still.wait()
        finally:
            if self._threads.closed:
                self._close()
            else:
                await self._threads.change(self._close)

    async def _change(self, doing: str, function: Callable[..., object], *arguments: object) -> None:
        self._changing += 1
        self._still.clear()
        try:
            await self._threads.change(self._call, doing, function, *arguments)
        finally:
            self._changing -= 1
            if not self._changing:
                self._still.set()

    def _close(self) -> None:
        with explained("write", self._path):  # file servers tell only now what they could not keep
            self._descriptor.close()

    def _call(self, doing: str, function: Callable[..., _T], *arguments: object) -> _T:
        with explained(doing, self._path), self._descriptor.use() as descriptor:
            return function(descriptor, *arguments)


def _read(descriptor: int, offset: int, size: int) -> bytes:
    data = os.pread(descriptor, size, offset)
    if len(data) == size or not data:
        return data
    parts = [data]
    got = len(data)
    while got < size and (data := os.pread(descriptor, size - got, offset + got)):
        parts.append(data)
        got += len(data)
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _write(descriptor: int, offset: int, data: bytes | memoryview) -> None:
    with memoryview(data) as view, view.cast("B") as left:
        done = 0
        while done < len(left):
            done += os.pwrite(descriptor, left[done:], offset + done)


def _data_from(descriptor: int, offset: int) -> tuple[int, int] | None:
    size = os.fstat(descriptor).st_size
    if offset >= size:
        return None
    try:
        start = os.lseek(descriptor, offset, os.SEEK_DATA)
        return start, min(os.lseek(descriptor, start, os.SEEK_HOLE), size)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole from here on, or it shrank
            return None
        if error.errno in (errno.EINVAL, errno.EOPNOTSUPP):  # a disk that does not tell
            return offset, size
        raise
