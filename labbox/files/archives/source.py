"""The bytes of an archive, wherever it lies, read by code that blocks in a thread.

On this machine they come by descriptor. From other places they come through the event loop, in blocks that
are kept for a while: what reads headers asks for a few bytes at a time.
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import threading
from collections import OrderedDict
from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol, TypeVar

from labbox.errors import LabboxError
from labbox.files.listing import shown
from labbox.files.places.base import Handle, Place
from labbox.files.places.errors import explained
from labbox.files.places.localfile import LocalFile

_T = TypeVar("_T")
_BLOCK: Final = 1 << 18
_KEPT: Final = 16  # blocks
_LOOK_SECONDS: Final = 0.5  # between two looks whether anybody still waits


class Source(Protocol):
    """Bytes at offsets."""

    size: int

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        ...

    def duplicate(self) -> int | None:
        """A descriptor of this process, where there is one, the caller's own."""
        ...

    def close(self) -> None:
        """Let go of it; reads that are under way end with LabboxError."""
        ...


class FileSource:
    """A file of this machine."""

    def __init__(self, descriptor: int, label: str) -> None:
        """Owns the descriptor."""
        self._descriptor = descriptor
        self._label = label
        self._lock = threading.Lock()
        self.size: int = os.fstat(descriptor).st_size

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes."""
        with self._lock, explained("read", self._label):
            if self._descriptor < 0:
                raise closed(self._label)
            parts: list[bytes] = []
            while size and (data := os.pread(self._descriptor, size, offset)):
                parts.append(data)
                size, offset = size - len(data), offset + len(data)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def duplicate(self) -> int | None:
        """The file itself."""
        with self._lock:
            if self._descriptor < 0:
                raise closed(self._label)
            return os.dup(self._descriptor)

    def close(self) -> None:
        """Let go of it."""
        with self._lock:  # never under a read: its number might be another file's by then
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1


class HandleSource:
    """An open file of any place; reads go through the loop that it belongs to."""

    def __init__(self, handle: Handle, size: int, label: str, loop: asyncio.AbstractEventLoop) -> None:
        """The handle stays the caller's."""
        self.size: int = size
        self._handle, self._label, self._loop = handle, label, loop
        self._blocks: OrderedDict[int, bytes] = OrderedDict()
        self._closed = False

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes."""
        if size >= _BLOCK:
            return self._fetch(offset, size)
        parts: list[bytes] = []
        end = min(offset + size, self.size)
        while offset < end:
            start = offset - offset % _BLOCK
            block = self._block(start)
            piece = block[offset - start : end - start]
            if not piece:
                break
            parts.append(piece)
            offset += len(piece)
        return b"".join(parts)

    def duplicate(self) -> int | None:
        """None: it is elsewhere."""
        return None

    def close(self) -> None:
        """Have reads that wait give up."""
        self._closed = True
        self._blocks.clear()

    def _block(self, start: int) -> bytes:
        found = self._blocks.get(start)
        if found is None:
            found = self._blocks[start] = self._fetch(start, _BLOCK)
            while len(self._blocks) > _KEPT:
                self._blocks.popitem(last=False)
        return found

    def _fetch(self, offset: int, size: int) -> bytes:
        return on_loop(self._loop, self._handle.read(offset, size), lambda: self._closed, self._label)


def on_loop(
    loop: asyncio.AbstractEventLoop,
    coroutine: Coroutine[Any, Any, _T],
    gone: Callable[[], bool],
    label: str,
) -> _T:
    """In a thread: have the loop do it, and wait; LabboxError once `gone` says that nobody wants it."""
    try:
        future = asyncio.run_coroutine_threadsafe(coroutine, loop)
    except RuntimeError as error:  # the loop has ended
        coroutine.close()
        raise closed(label) from error
    while True:
        try:
            return future.result(_LOOK_SECONDS)
        except concurrent.futures.TimeoutError:
            if future.done():
                raise  # the coroutine's own
            if gone() or loop.is_closed():
                future.cancel()
                raise closed(label) from None
        except concurrent.futures.CancelledError:
            raise closed(label) from None


async def opened(place: Place, path: str) -> tuple[Source, Handle]:
    """Open an archive where it lies; the caller closes first the source, then the handle."""
    handle = await place.open(path)
    try:
        size = (await handle.entry()).size
        if isinstance(handle, LocalFile):
            return FileSource(handle.duplicate(), path), handle
        return HandleSource(handle, size, path, asyncio.get_running_loop()), handle
    except BaseException:
        await handle.close()
        raise


def closed(label: str) -> LabboxError:
    """Somebody let go of it meanwhile."""
    return LabboxError("unavailable", f"cannot read {shown(label)}: it was closed meanwhile", "open it again")
