"""The box's own disk as a place: system calls with the ids of the process that makes them, in threads.

Nothing here checks what somebody may do: the kernel does. A last part that is a link is never followed unless
that was asked for, and nothing but plain files is ever opened, so that no pipe and no device can hold a
transfer up, whatever is put in a file's place meanwhile.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import AsyncIterator, Callable, Mapping
from typing import Final, Self, TypeVar

from labbox.errors import LabboxError
from labbox.files.places import changing
from labbox.files.places.base import Attributes, Entry, Place, Space, Traits
from labbox.files.places.disks import Disks
from labbox.files.places.errors import explained, not_a_link, not_plain
from labbox.files.places.localfile import LocalFile, entry_of, what_it_is
from labbox.files.places.resolving import Resolver, Spot
from labbox.files.places.scanning import Scan
from labbox.files.places.threads import Threads

_T = TypeVar("_T")
_PARALLEL: Final = 4  # a guess: disks and file servers gain from some, small boxes lose by many
_THREADS: Final = 8  # so that a slow folder does not hold up the others
_BLOCK: Final = 1 << 20
_OPEN: Final = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_READABLE: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NONBLOCK


class LocalPlace(Place):
    """A folder of the box and all below it; by default everything, as the caller may see it."""

    def __init__(self, root: str = "/", *, home: str = "", label: str = "") -> None:
        """`root` is the place's ``/``, `home` its ``~``; `label` goes before paths in messages.

        Opens nothing. A missing root is told by the first call.
        """
        self._paths: Final = Resolver(root, home, label)
        self._label: Final = label
        self._threads: Final = Threads(_THREADS)
        self._disks: Final = Disks(_PARALLEL, _BLOCK)
        self.traits = Traits(
            owners=os.geteuid() == 0, xattrs=True, sparse=True, local=True, parallel=_PARALLEL, block=_BLOCK
        )

    async def look(self) -> Self:
        """Look at the disk of the home, or of the root; LabboxError where there is no such folder."""
        self.traits = await self.traits_at("~" if self._paths.home else "/")
        return self

    async def list(self, path: str, *, full: bool = True) -> AsyncIterator[list[Entry]]:
        """The entries of a folder in batches."""
        scan, batch = await self._read("open", path, lambda: _begin(self._folder(path), full), undo=_let_go)
        try:
            while batch:
                yield batch
                if scan.ended:
                    break
                batch = await self._read("read", path, scan.batch)
        finally:
            if self._threads.closed:
                scan.close()
            elif not scan.ended:
                await self._threads.change(scan.close)

    async def entry(self, path: str, *, follow: bool = False) -> Entry:
        """One entry."""
        return await self._read("look at", path, lambda: self._entry(path, follow))

    async def open(
        self, path: str, *, write: bool = False, create: bool = False, exclusive: bool = False
    ) -> LocalFile:
        """Open a plain file."""
        create = create or exclusive
        doing = "make" if create else "write" if write else "open"

        def call() -> int:
            return self._at(path, self._open, self._label + path, doing, write or create, create, exclusive)

        descriptor = await (
            self._change(doing, path, call, undo=os.close)
            if create
            else self._read(doing, path, call, undo=os.close)
        )
        return LocalFile(descriptor, self._label + path, self._threads)

    async def make_folder(self, path: str, mode: int | None = None) -> None:
        """Make one folder; the group bit that its parent hands on stays."""
        await self._change("make", path, lambda: self._at(path, changing.make_folder, mode))

    async def rename(self, source: str, target: str, *, replace: bool = False) -> None:
        """Move within the place."""

        def call() -> None:
            with self._paths.spot(source) as one, self._paths.spot(target) as other:
                changing.rename(one, other, replace=replace)

        await self._change("move", source, call, onto=self._label + target)

    async def remove(self, path: str) -> None:
        """Remove a file, a link or an empty folder."""
        await self._change("remove", path, lambda: self._at(path, changing.remove))

    async def link(self, path: str, target: str, *, hard: bool = False) -> None:
        """Make a link."""

        def call() -> None:
            with self._paths.spot(path) as one:
                if not hard:
                    changing.symlink(one, target, self._disks)
                    return
                with self._paths.spot(target) as other:
                    changing.hard_link(one, other, self._disks)

        await self._change("make", path, call)

    async def read_link(self, path: str) -> str:
        """What a symbolic link says."""
        return await self._read("read", path, lambda: self._at(path, self._read_link, path))

    async def change(self, path: str, attributes: Attributes) -> None:
        """Set attributes of an entry, of a link those of the link."""
        await self._change("change", path, lambda: self._at(path, changing.change, attributes, self._disks))

    async def share(self, path: str) -> None:
        """Let the people of a shared folder read and change what was just made in it."""
        await self._change("change", path, lambda: self._at(path, changing.share))

    async def xattrs(self, path: str) -> Mapping[str, bytes]:
        """``user.*`` attributes and access lists."""
        return await self._read("read", path, lambda: self._at(path, changing.xattrs))

    async def real_path(self, path: str) -> str:
        """The path without links and without ``~``."""
        return await self._read("look at", path, lambda: self._paths.real_path(path))

    async def traits_at(self, path: str) -> Traits:
        """What the disk under a folder keeps."""
        return await self._read("look at", path, lambda: self._opened(path, self._disks.traits))

    async def space(self, path: str) -> Space:
        """How much room there is for the caller."""
        return await self._read("look at", path, lambda: self._opened(path, _space))

    def system_path(self, path: str) -> str:
        """The path for system calls; in a shared place prefer `folder`, which nobody can lead astray."""
        return self._paths.system_path(path)

    async def folder(self, path: str) -> int:
        """A descriptor of a folder, for system calls relative to it; the caller closes it."""
        return await self._read("open", path, lambda: self._folder(path), undo=os.close)

    async def close(self) -> None:
        """Let the threads end."""
        self._threads.close()

    async def _read(
        self, doing: str, path: str, call: Callable[[], _T], undo: Callable[[_T], object] | None = None
    ) -> _T:
        return await self._threads.read(self._explained, doing, path, "", call, undo=undo)

    async def _change(
        self,
        doing: str,
        path: str,
        call: Callable[[], _T],
        *,
        onto: str = "",
        undo: Callable[[_T], object] | None = None,
    ) -> _T:
        return await self._threads.change(self._explained, doing, path, onto, call, undo=undo)

    def _explained(self, doing: str, path: str, onto: str, call: Callable[[], _T]) -> _T:
        with explained(doing, self._label + path, onto):
            return call()

    def _at(self, path: str, call: Callable[..., _T], *arguments: object) -> _T:
        with self._paths.spot(path) as spot:
            return call(spot, *arguments)

    def _opened(self, path: str, call: Callable[[int], _T]) -> _T:
        descriptor = self._paths.opened(path)
        try:
            return call(descriptor)
        finally:
            os.close(descriptor)

    def _folder(self, path: str) -> int:
        found = self._paths.opened(path, folder=True)
        try:
            return os.open(f"/proc/self/fd/{found}", _READABLE)  # “.” would ask for more rights
        finally:
            os.close(found)

    def _entry(self, path: str, follow: bool) -> Entry:
        name = path.rpartition("/")[2] if path not in ("/", "~") else ""
        if follow:
            return self._opened(path, lambda descriptor: entry_of(name, os.fstat(descriptor)))
        with self._paths.spot(path) as spot:
            found = os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False)
            if not stat.S_ISLNK(found.st_mode):
                return entry_of(name, found)
            return entry_of(name, found, os.readlink(spot.name, dir_fd=spot.folder), _is_folder(spot))

    def _open(self, spot: Spot, path: str, doing: str, write: bool, create: bool, exclusive: bool) -> int:
        """Open what is looked at before and after: a device is not even touched, a swap is noticed."""
        if not exclusive:
            try:
                _check_plain(os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False), doing, path)
            except FileNotFoundError:
                if not create:
                    raise
        flags = _OPEN | (os.O_CREAT if create else 0) | (os.O_EXCL if exclusive else 0)
        try:
            descriptor = os.open(
                spot.name, flags | (os.O_RDWR if write else os.O_RDONLY), 0o600, dir_fd=spot.folder
            )
        except PermissionError:
            if not write:
                raise
            descriptor = os.open(spot.name, flags | os.O_WRONLY, 0o600, dir_fd=spot.folder)
        try:
            _check_plain(os.fstat(descriptor), doing, path)
        except LabboxError:
            os.close(descriptor)
            raise
        return descriptor

    def _read_link(self, spot: Spot, path: str) -> str:
        try:
            return os.readlink(spot.name, dir_fd=spot.folder)
        except OSError as error:
            if error.errno != errno.EINVAL:
                raise
            raise not_a_link(self._label + path) from error


def _check_plain(found: os.stat_result, doing: str, path: str) -> None:
    if not stat.S_ISREG(found.st_mode):
        raise not_plain(doing, path, what_it_is(found.st_mode))


def _is_folder(spot: Spot) -> bool:
    try:
        return stat.S_ISDIR(os.stat(spot.name, dir_fd=spot.folder).st_mode)
    except OSError:  # it leads nowhere, or round in a circle
        return False


def _begin(folder: int, full: bool) -> tuple[Scan, list[Entry]]:
    """An open folder and the first of its entries: for most folders that is all."""
    scan = Scan(folder, full=full)
    try:
        return scan, scan.batch()
    except BaseException:
        scan.close()
        raise


def _let_go(begun: tuple[Scan, list[Entry]]) -> None:
    begun[0].close()


def _space(descriptor: int) -> Space:
    found = os.statvfs(descriptor)
    if not found.f_blocks:  # made-up disks such as /proc
        return Space(None, None)
    return Space(found.f_blocks * found.f_frsize, found.f_bavail * found.f_frsize)
