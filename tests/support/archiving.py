"""Places and archives for tests: a place that is not this machine's, and packing and opening in one step."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from labbox.files.archives import Limits, Quiet, Source, pack, unpack
from labbox.files.places.archive import ArchivePlace
from labbox.files.places.base import Attributes, Entry, Handle, Place, Space
from labbox.files.places.local import LocalPlace

TARS = (".tar", ".tar.gz", ".tar.bz2", ".tar.xz", ".tar.zst")
PACKED = (*TARS, ".zip")


class FarHandle(Handle):
    """A file of a place that has no descriptors to give."""

    def __init__(self, inner: Handle) -> None:
        self._inner = inner

    async def read(self, offset: int, size: int) -> bytes:
        return await self._inner.read(offset, size)

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        await self._inner.write(offset, data)

    async def flush(self, *, durable: bool = False) -> None:
        await self._inner.flush(durable=durable)

    async def truncate(self, size: int) -> None:
        await self._inner.truncate(size)

    async def entry(self) -> Entry:
        return await self._inner.entry()

    async def close(self) -> None:
        await self._inner.close()


class FarPlace(Place):
    """This machine's disk as another host would offer it: by calls alone."""

    def __init__(self, inner: LocalPlace) -> None:
        self._inner = inner
        self.traits = inner.traits._replace(local=False, sparse=False, xattrs=False)

    def list(self, path: str, *, full: bool = True) -> AsyncIterator[list[Entry]]:
        return self._inner.list(path, full=full)

    async def entry(self, path: str, *, follow: bool = False) -> Entry:
        return await self._inner.entry(path, follow=follow)

    async def open(
        self, path: str, *, write: bool = False, create: bool = False, exclusive: bool = False
    ) -> Handle:
        return FarHandle(await self._inner.open(path, write=write, create=create, exclusive=exclusive))

    async def make_folder(self, path: str, mode: int | None = None) -> None:
        await self._inner.make_folder(path, mode)

    async def rename(self, source: str, target: str, *, replace: bool = False) -> None:
        await self._inner.rename(source, target, replace=replace)

    async def remove(self, path: str) -> None:
        await self._inner.remove(path)

    async def link(self, path: str, target: str, *, hard: bool = False) -> None:
        await self._inner.link(path, target, hard=hard)

    async def read_link(self, path: str) -> str:
        return await self._inner.read_link(path)

    async def change(self, path: str, attributes: Attributes) -> None:
        await self._inner.change(path, attributes)

    async def xattrs(self, path: str) -> Mapping[str, bytes]:
        return await self._inner.xattrs(path)

    async def real_path(self, path: str) -> str:
        return await self._inner.real_path(path)

    async def space(self, path: str) -> Space:
        return await self._inner.space(path)

    async def close(self) -> None:
        await self._inner.close()


@asynccontextmanager
async def disk(*, far: bool = False) -> AsyncIterator[Place]:
    """This machine's disk, or the same as if it were another host's."""
    async with LocalPlace() as place:
        yield FarPlace(place) if far else place


@asynccontextmanager
async def opened(
    archive: Path | str, *, far: bool = False, limits: Limits | None = None
) -> AsyncIterator[ArchivePlace]:
    """An archive as a place."""
    async with disk(far=far) as place, await ArchivePlace.open_on(place, str(archive), limits=limits) as one:
        yield one


async def packed(
    folder: Path,
    archive: Path,
    *,
    far: bool = False,
    name: str = "top",
    hooks: Quiet | None = None,
    **more: Any,
) -> Quiet:
    """Pack a folder under a name of its own; what was told meanwhile."""
    hooks = hooks or Quiet()
    async with disk(far=far) as place:
        source = Source(place, str(folder), name)
        await pack([source], place, str(archive), name=archive.name, hooks=hooks, **more)
    return hooks


async def unpacked(
    archive: Path,
    folder: Path,
    *,
    far: bool = False,
    hooks: Quiet | None = None,
    limits: Limits | None = None,
) -> Quiet:
    """Unpack into a new folder; what was told meanwhile."""
    hooks = hooks or Quiet()
    async with disk(far=far) as place:
        await unpack(place, str(archive), place, str(folder), hooks=hooks, limits=limits)
    return hooks


Build = Callable[[Path, Path], None]
"""Makes an archive (second) of a folder (first) with a program of its own."""
