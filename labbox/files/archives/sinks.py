"""Where a packed archive goes: a new file, written from front to back, with small corrections further up."""

from __future__ import annotations

import asyncio
import bz2
import lzma
import os
import zlib
from collections.abc import Callable
from typing import Any, Final, Protocol

from labbox.files.archives.source import on_loop
from labbox.files.places.base import Handle
from labbox.files.places.errors import explained

_HELD: Final = 1 << 20
_ZSTD_LEVEL: Final = 6
_ZLIB_LEVEL: Final = 6


class Sink(Protocol):
    """Takes bytes."""

    at: int  # bytes so far

    def write(self, data: bytes) -> None:
        """Append."""
        ...

    def finish(self) -> None:
        """Everything came; wait until it is on disk."""
        ...


class FileSink:
    """A new file of any place."""

    def __init__(
        self, handle: Handle, loop: asyncio.AbstractEventLoop, gone: Callable[[], bool], label: str
    ) -> None:
        """The handle stays the caller's."""
        self.at = 0
        self._held = bytearray()
        self._handle, self._loop, self._gone, self._label = handle, loop, gone, label

    def write(self, data: bytes) -> None:
        """Append."""
        self._held += data
        self.at += len(data)
        if len(self._held) >= _HELD:
            self._flush()

    def patch(self, at: int, data: bytes) -> None:
        """Write over what came before."""
        self._flush()
        self._put(at, data)

    def back(self, at: int) -> None:
        """Forget what came since."""
        self._flush()
        self.at = at

    def finish(self) -> None:
        """Cut off what was forgotten, and wait for the disk."""
        self._flush()
        on_loop(self._loop, self._handle.truncate(self.at), self._gone, self._label)
        on_loop(self._loop, self._handle.flush(durable=True), self._gone, self._label)

    def _flush(self) -> None:
        if self._held:
            self._put(self.at - len(self._held), bytes(self._held))
            self._held.clear()

    def _put(self, at: int, data: bytes) -> None:
        on_loop(self._loop, self._handle.write(at, data), self._gone, self._label)


class LocalSink(FileSink):
    """A new file of this machine, by descriptor."""

    def __init__(self, descriptor: int, handle: Handle, loop: asyncio.AbstractEventLoop, label: str) -> None:
        """Both stay the caller's."""
        super().__init__(handle, loop, lambda: False, label)
        self._descriptor = descriptor

    def _put(self, at: int, data: bytes) -> None:
        with explained("write", self._label):
            left = memoryview(data)
            while left:
                done = os.pwrite(self._descriptor, left, at)
                left, at = left[done:], at + done


class PackingSink:
    """Packs all that it gets, without a time or a name in it: the same files make the same archive."""

    def __init__(self, below: Sink, name: str) -> None:
        """`name`: gzip, bzip2, xz, zstd."""
        self.at = 0
        self._below = below
        self._packer = _packer(name)

    def write(self, data: bytes) -> None:
        """Append."""
        self.at += len(data)
        packed = self._packer.compress(data)
        if packed:
            self._below.write(packed)

    def finish(self) -> None:
        """Everything came."""
        self._below.write(self._packer.flush())
        self._below.finish()


def _packer(name: str) -> Any:
    match name:
        case "gzip":
            return zlib.compressobj(_ZLIB_LEVEL, zlib.DEFLATED, 31)
        case "bzip2":
            return bz2.BZ2Compressor()
        case "xz":
            return lzma.LZMACompressor(check=lzma.CHECK_CRC64)
        case _:
            import zstandard  # few archives are packed so

            return zstandard.ZstdCompressor(level=_ZSTD_LEVEL, write_checksum=True).compressobj()
