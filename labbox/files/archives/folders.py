"""Where an archive is unpacked to: a fresh folder, on this machine by descriptors or in any place by calls.

On this machine each folder on the way is opened below the one before and never through a link, so that
nothing is written anywhere else, whatever the archive says and whatever others do meanwhile.
"""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any, Final, Protocol, TypeVar

from labbox.errors import LabboxError
from labbox.files.archives.chain import Chain, Parts
from labbox.files.archives.source import on_loop
from labbox.files.places.base import Attributes, EntryKind, Handle, Place
from labbox.files.places.errors import explained

_T = TypeVar("_T")
_CREATE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class Writing(Protocol):
    """A file that is being written; `replaced`: bytes of an earlier one of its name, which gave way."""

    replaced: int | None

    def write(self, offset: int, data: bytes | memoryview) -> None:
        """Write all of it."""
        ...

    def finish(self, size: int, mode: int | None, mtime: int) -> None:
        """Give it its length, mode and time, and close it."""
        ...

    def drop(self) -> None:
        """Close it and remove it."""
        ...


class Target(Protocol):
    """A folder into which an archive is unpacked; parts are clean names, and stay in the folder."""

    def folder(self, parts: Parts) -> None:
        """Make a folder, and those above it; content where it is there."""
        ...

    def file(self, parts: Parts) -> Writing:
        """Make a file; one of the same archive that is there is replaced."""
        ...

    def same(self, parts: Parts, other: Parts) -> bool:
        """Make another name of a file that is there; False where the place has no such names."""
        ...

    def link(self, parts: Parts, says: str, mtime: int) -> None:
        """Make a symbolic link where nothing is."""
        ...

    def settle(self, parts: Parts, mode: int | None, mtime: int | None) -> None:
        """Set mode and time of a folder."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class LocalTarget:
    """A folder of this machine."""

    def __init__(self, folder: int) -> None:
        """Below an open folder, which stays the caller's."""
        self._chain = Chain(folder)

    def folder(self, parts: Parts) -> None:
        """Make a folder."""
        self._chain.at(parts, make=True)

    def file(self, parts: Parts) -> Writing:
        """Make a file."""
        above = self._chain.at(parts[:-1], make=True)
        with explained("make", "/".join(parts)):
            replaced = None
            try:
                made = os.open(parts[-1], _CREATE, 0o600, dir_fd=above)
            except FileExistsError:
                found = os.stat(parts[-1], dir_fd=above, follow_symlinks=False)
                if stat.S_ISDIR(found.st_mode):
                    raise
                replaced = found.st_size
                os.unlink(parts[-1], dir_fd=above)  # never written through: it may have other names
                made = os.open(parts[-1], _CREATE, 0o600, dir_fd=above)
        return _LocalWriting(made, above, parts, replaced)

    def same(self, parts: Parts, other: Parts) -> bool:
        """Make another name of a file."""
        with explained("link", "/".join(parts), "/".join(other)):
            source = os.dup(self._chain.at(other[:-1]))
            try:
                if not stat.S_ISREG(os.stat(other[-1], dir_fd=source, follow_symlinks=False).st_mode):
                    raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
                above = self._chain.at(parts[:-1], make=True)
                if parts == other:
                    return True
                with suppress(FileNotFoundError):
                    if not stat.S_ISDIR(os.stat(parts[-1], dir_fd=above, follow_symlinks=False).st_mode):
                        os.unlink(parts[-1], dir_fd=above)
                os.link(other[-1], parts[-1], src_dir_fd=source, dst_dir_fd=above, follow_symlinks=False)
            finally:
                os.close(source)
        return True

    def link(self, parts: Parts, says: str, mtime: int) -> None:
        """Make a symbolic link."""
        above = self._chain.at(parts[:-1], make=True)
        with explained("make", "/".join(parts)):
            os.symlink(says, parts[-1], dir_fd=above)
            with suppress(OSError, OverflowError):
                os.utime(parts[-1], ns=(mtime, mtime), dir_fd=above, follow_symlinks=False)

    def settle(self, parts: Parts, mode: int | None, mtime: int | None) -> None:
        """Set mode and time of a folder."""
        folder = self._chain.at(parts)
        with explained("change", "/".join(parts)):
            os.fchmod(folder, with_mask(0o777) if mode is None else mode)
            if mtime is not None:
                with suppress(OverflowError):
                    os.utime(folder, ns=(mtime, mtime))

    def close(self) -> None:
        """Let go of all folders."""
        self._chain.close()


class _LocalWriting:
    """A file of this machine that is being written."""

    def __init__(self, descriptor: int, above: int, parts: Parts, replaced: int | None) -> None:
        self.replaced = replaced
        self._descriptor, self._above, self._parts = descriptor, above, parts

    def write(self, offset: int, data: bytes | memoryview) -> None:
        with explained("write", "/".join(self._parts)):
            left = memoryview(data)
            while left:
                done = os.pwrite(self._descriptor, left, offset)
                left, offset = left[done:], offset + done

    def finish(self, size: int, mode: int | None, mtime: int) -> None:
        with explained("write", "/".join(self._parts)):
            try:
                os.ftruncate(self._descriptor, size)
                os.fchmod(self._descriptor, with_mask(0o666) if mode is None else mode)
                with suppress(OverflowError):
                    os.utime(self._descriptor, ns=(mtime, mtime))
            finally:
                os.close(self._descriptor)

    def drop(self) -> None:
        with suppress(OSError):
            os.close(self._descriptor)
        with suppress(OSError):
            os.unlink(self._parts[-1], dir_fd=self._above)


class PlaceTarget:
    """A folder of any place, by calls on the loop."""

    def __init__(
        self, place: Place, path: str, loop: asyncio.AbstractEventLoop, gone: Callable[[], bool]
    ) -> None:
        """`gone`: whether nobody waits any more."""
        self._place, self._path, self._loop, self._gone = place, path.rstrip("/"), loop, gone
        self._made: set[Parts] = {()}

    def folder(self, parts: Parts) -> None:
        """Make a folder."""
        for count in range(1, len(parts) + 1):
            if parts[:count] in self._made:
                continue
            path = self._at(parts[:count])
            try:
                self.call(self._place.make_folder(path, 0o700))
            except LabboxError as error:
                if error.code != "conflict":
                    raise
                if self.call(self._place.entry(path)).kind is not EntryKind.FOLDER:
                    raise
            self._made.add(parts[:count])

    def file(self, parts: Parts) -> Writing:
        """Make a file."""
        self.folder(parts[:-1])
        path = self._at(parts)
        replaced = None
        try:
            handle = self.call(self._place.open(path, write=True, create=True, exclusive=True))
        except LabboxError as error:
            if error.code != "conflict" or parts in self._made:
                raise
            replaced = self.call(self._place.entry(path)).size
            self.call(self._place.remove(path))
            handle = self.call(self._place.open(path, write=True, create=True, exclusive=True))
        return _PlaceWriting(self, handle, self._place, path, replaced)

    def same(self, parts: Parts, other: Parts) -> bool:
        """Make another name of a file."""
        if not self._place.traits.hard_links:
            return False
        if self.call(self._place.entry(self._at(other))).kind is not EntryKind.FILE:
            raise LabboxError("conflict", "cannot link it: what it names is no file", "")
        self.folder(parts[:-1])
        if parts != other:
            with suppress(LabboxError):
                self.call(self._place.remove(self._at(parts)))
            self.call(self._place.link(self._at(parts), self._at(other), hard=True))
        return True

    def link(self, parts: Parts, says: str, mtime: int) -> None:
        """Make a symbolic link."""
        self.folder(parts[:-1])
        self.call(self._place.link(self._at(parts), says))

    def settle(self, parts: Parts, mode: int | None, mtime: int | None) -> None:
        """Set mode and time of a folder."""
        wanted = with_mask(0o777) if mode is None else mode
        self.call(self._place.change(self._at(parts), Attributes(mode=wanted, mtime=mtime)))

    def close(self) -> None:
        """Nothing is its own."""

    def call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        """Have the loop do it."""
        return on_loop(self._loop, coroutine, self._gone, self._path)

    def _at(self, parts: Parts) -> str:
        return "/".join((self._path, *parts))


class _PlaceWriting:
    """A file of any place that is being written."""

    def __init__(
        self, target: PlaceTarget, handle: Handle, place: Place, path: str, replaced: int | None
    ) -> None:
        self.replaced = replaced
        self._target, self._handle, self._place, self._path = target, handle, place, path

    def write(self, offset: int, data: bytes | memoryview) -> None:
        self._target.call(self._handle.write(offset, data))

    def finish(self, size: int, mode: int | None, mtime: int) -> None:
        try:
            self._target.call(self._handle.truncate(size))
            self._target.call(self._handle.flush())
        finally:
            self._target.call(self._handle.close())
        mode = with_mask(0o666) if mode is None else mode
        self._target.call(self._place.change(self._path, Attributes(mode=mode, mtime=mtime)))

    def drop(self) -> None:
        with suppress(LabboxError):
            self._target.call(self._handle.close())
        with suppress(LabboxError):
            self._target.call(self._place.remove(self._path))


def with_mask(mode: int) -> int:
    """What a new file gets where an archive says nothing."""
    return mode & ~_mask()


def _mask() -> int:
    with open("/proc/self/status", encoding="ascii", errors="replace") as status:  # noqa: PTH123
        for line in status:
            if line.startswith("Umask:"):
                return int(line.split()[1], 8)
    return 0o077
