"""Archives: read like folders (`labbox.files.places.archive`), packed and unpacked by transfers.

What an archive says is somebody else's word. Reading one has no effect but reading, is bounded by `Limits`,
and never leads out of it; unpacking writes below one fresh folder and nowhere else.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Sequence
from contextlib import ExitStack, suppress
from typing import Any, NamedTuple

from labbox.errors import LabboxError
from labbox.files.archives.folders import LocalTarget, PlaceTarget, Target
from labbox.files.archives.hooks import Hooks, Quiet
from labbox.files.archives.limits import Limits
from labbox.files.archives.packing import Packed, Packing, check_kind, writer
from labbox.files.archives.reading import reader
from labbox.files.archives.sinks import FileSink, LocalSink
from labbox.files.archives.source import opened
from labbox.files.archives.tree import LocalTree, PlaceTree, Tree
from labbox.files.archives.unpacking import Unpacking
from labbox.files.listing import shown
from labbox.files.places.base import EntryKind, Place
from labbox.files.places.local import LocalPlace
from labbox.files.places.localfile import LocalFile
from labbox.files.removing import remove_below

__all__ = ["Hooks", "Limits", "Quiet", "Source", "check_kind", "pack", "unpack"]

InThread = Callable[[Callable[[], None]], Awaitable[None]]
"""Runs what blocks in a thread, and returns only when that has ended, also where it is cancelled.

The hooks are what ends it early: they raise in the thread once nobody wants it any more.
"""


class Source(NamedTuple):
    """A file or folder to pack, and its name in the archive."""

    place: Place
    path: str
    name: str


async def pack(
    sources: Sequence[Source],
    place: Place,
    path: str,
    *,
    name: str,
    hooks: Hooks,
    limits: Limits | None = None,
    in_thread: InThread | None = None,
) -> None:
    """Pack into a new file at `path`, whose final name will be `name`: its ending says which kind.

    The file is complete and on disk when this returns, and gone where it raises.
    """
    check_kind(name)
    depth = (limits or Limits()).depth
    loop = asyncio.get_running_loop()
    gone = False
    handle = await place.open(path, write=True, exclusive=True)
    try:
        with ExitStack() as stack:
            own = (await handle.entry()).identity
            trees = [Packed(await _tree(one, loop, lambda: gone, stack), one.name) for one in sources]
            if isinstance(handle, LocalFile):
                descriptor = handle.duplicate()
                stack.callback(os.close, descriptor)
                sink: FileSink = LocalSink(descriptor, handle, loop, name)
            else:
                sink = FileSink(handle, loop, lambda: gone, name)
            packing = Packing(writer(name, sink), hooks, depth, own)
            await (in_thread or _in_thread)(lambda: packing.run(trees))
    except BaseException:
        gone = True
        await handle.close()
        with suppress(LabboxError):
            await place.remove(path)
        raise
    await handle.close()


async def unpack(
    archive: Place,
    path: str,
    place: Place,
    folder: str,
    *,
    hooks: Hooks,
    limits: Limits | None = None,
    in_thread: InThread | None = None,
) -> None:
    """Unpack into `folder`, which is made (and must not be there); it is gone where this raises.

    LabboxError where the archive is damaged or goes beyond a limit. What is wrong with single entries goes to
    `hooks.fail`.
    """
    limits = limits or Limits()
    loop = asyncio.get_running_loop()
    run = in_thread or _in_thread
    gone = False
    source, handle = await opened(archive, path)
    try:
        await place.make_folder(folder, 0o700)
        try:
            target: Target
            if isinstance(place, LocalPlace):
                descriptor = await place.folder(folder)
                try:
                    await _check_own(place, folder, descriptor)
                    target = LocalTarget(descriptor)
                finally:
                    os.close(descriptor)
            else:
                target = PlaceTarget(place, folder, loop, lambda: gone)

            def work() -> None:
                made = reader(source, path, limits, unpacking=True, idle=lambda: hooks.moved(0))
                try:
                    Unpacking(made, target, hooks, limits).run()
                finally:
                    made.close()
                    target.close()

            await run(work)
        except BaseException:
            gone = True
            await _removed(place, folder)
            raise
    finally:
        source.close()
        await handle.close()


async def _check_own(place: LocalPlace, folder: str, descriptor: int) -> None:
    """Where others may write too, they might have put a link in the place of the folder just made."""
    entry, found = await place.entry(folder), os.fstat(descriptor)
    if entry.kind is not EntryKind.FOLDER or entry.identity != (found.st_dev, found.st_ino):
        raise LabboxError(
            "conflict",
            f"cannot unpack into {shown(folder)}: somebody put something else in its place",
            "unpack where nobody else may write",
        )


async def _tree(
    source: Source, loop: asyncio.AbstractEventLoop, gone: Callable[[], bool], stack: ExitStack
) -> Tree:
    above, _, name = source.path.rstrip("/").rpartition("/")
    tree: Tree
    if isinstance(source.place, LocalPlace) and name not in ("", "~"):
        descriptor = await source.place.folder(above or "/")
        try:
            tree = LocalTree(descriptor, name)
        finally:
            os.close(descriptor)
    else:
        tree = PlaceTree(source.place, source.path, loop, gone)
    stack.callback(tree.close)
    return tree


async def _removed(place: Place, folder: str) -> None:
    """Remove what was unpacked; what cannot be removed is left."""
    if isinstance(place, LocalPlace):
        above, _, name = folder.rstrip("/").rpartition("/")
        with suppress(OSError, LabboxError):
            descriptor = await place.folder(above or "/")
            try:
                await asyncio.to_thread(remove_below, descriptor, name, lambda: None)
            finally:
                os.close(descriptor)
        return
    with suppress(LabboxError):
        async for batch in place.list(folder, full=False):
            for entry in batch:
                path = f"{folder}/{entry.name}"
                if entry.kind is EntryKind.FOLDER:
                    await _removed(place, path)
                else:
                    with suppress(LabboxError):
                        await place.remove(path)
        await place.remove(folder)


async def _in_thread(work: Callable[[], None]) -> None:
    task: asyncio.Future[Any] = asyncio.ensure_future(asyncio.to_thread(work))
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        if not task.cancelled():
            task.exception()
        raise
