"""Packed bytes as a stream that goes forward only: gzip, bzip2, xz, zstd, told by how they begin."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Iterator
from typing import Any, Final, Protocol

from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.source import Source

_STEP: Final = 1 << 17  # packed bytes at once
_MOST: Final = 1 << 20  # unpacked bytes at once: a bomb is noticed before it fills the memory
_XZ_MEMORY: Final = 512 << 20  # for the dictionary that an archive asks for
_ZSTD_WINDOW: Final = 1 << 27

_MAGIC: Final = (
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_ERRORS: Final = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def compression(source: Source) -> str:
    """What a source is packed with: "gzip", "bzip2", "xz", "zstd"; "" for nothing."""
    start = source.read_at(0, 6)
    return next((name for magic, name in _MAGIC if start.startswith(magic)), "")


class Unpacker(Protocol):
    """Takes packed bytes, gives unpacked ones, few at a time."""

    def take(self, data: bytes) -> Iterator[bytes]:
        """What comes out of `data`."""
        ...

    def end(self) -> bool:
        """Whether nothing is missing."""
        ...


class _Chained:
    """gzip, bzip2, xz: several streams behind each other are one; zeros behind the last are padding."""

    def __init__(self, make: Any, *, pull: bool) -> None:
        self._make, self._pull = make, pull
        self._inner: Any = make()
        self._fresh = True
        self._padding = False

    def take(self, data: bytes) -> Iterator[bytes]:
        while data:
            if self._fresh and self._padding:
                data = data.lstrip(b"\0")
                if not data:
                    return
            self._fresh = False
            if self._pull:
                yield from self._pulled(data)
                data = self._inner.unused_data if self._inner.eof else b""
            else:
                out = self._inner.decompress(data, _MOST)
                if out:
                    yield out
                data = self._inner.unused_data if self._inner.eof else self._inner.unconsumed_tail
            if self._inner.eof:
                self._inner, self._fresh, self._padding = self._make(), True, True

    def _pulled(self, data: bytes) -> Iterator[bytes]:
        out = self._inner.decompress(data, _MOST)
        while out or not (self._inner.eof or self._inner.needs_input):
            if out:
                yield out
            if self._inner.eof or self._inner.needs_input:
                return
            out = self._inner.decompress(b"", _MOST)

    def end(self) -> bool:
        return self._fresh


class _Zstd:
    """zstd frames behind each other."""

    def __init__(self) -> None:
        import zstandard  # few archives are packed so

        self._error: type[Exception] = zstandard.ZstdError
        self._maker = zstandard.ZstdDecompressor(max_window_size=_ZSTD_WINDOW)
        self._inner = self._maker.decompressobj(write_size=_MOST)
        self._fresh = True

    def take(self, data: bytes) -> Iterator[bytes]:
        step = 1 << 12  # it gives all that comes out of a piece at once: small pieces, small answers
        at = 0
        while at < len(data):
            self._fresh = False
            try:
                out = self._inner.decompress(data[at : at + step])
            except self._error as error:
                raise ValueError(str(error)) from error
            if out:
                yield out
            if self._inner.eof:
                at += step - len(self._inner.unused_data) if self._inner.unused_data else step
                at = min(at, len(data))
                self._inner = self._maker.decompressobj(write_size=_MOST)
                self._fresh = True
            else:
                at += step

    def end(self) -> bool:
        return self._fresh


def unpacker(name: str) -> Unpacker:
    """For a compression that `compression` names."""
    match name:
        case "gzip":
            return _Chained(lambda: zlib.decompressobj(31), pull=False)
        case "bzip2":
            return _Chained(bz2.BZ2Decompressor, pull=True)
        case "xz":
            return _Chained(lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY), pull=True)
        case _:
            return _Zstd()


def unpacked(source: Source, label: str, limits: Limits, name: str) -> Iterator[bytes]:
    """All bytes of a packed source; LabboxError where it is damaged, cut off or a bomb."""
    made = unpacker(name)
    at = out = 0
    try:
        while data := source.read_at(at, _STEP):
            at += len(data)
            for block in made.take(data):
                out += len(block)
                limits.check_size(label, out, source.size)
                yield block
    except _ERRORS as error:
        raise damaged(label, f"its {name} data is damaged") from error
    except MemoryError as error:
        raise damaged(label, f"its {name} data asks for too much memory") from error
    if not made.end():
        raise damaged(label, "it ends in the middle: it was cut off")


class Stream:
    """Reads forward through blocks."""

    def __init__(self, blocks: Iterator[bytes]) -> None:
        """`blocks`: what comes, in order."""
        self._blocks = blocks
        self._left = memoryview(b"")
        self.at = 0

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        parts: list[memoryview] = []
        want = size
        while want:
            piece = self.some(want)
            if not piece:
                break
            parts.append(piece)
            want -= len(piece)
        return b"".join(parts)

    def some(self, most: int) -> memoryview:
        """Some bytes, none at the end."""
        while not self._left:
            block = next(self._blocks, None)
            if block is None:
                return self._left
            self._left = memoryview(block)
        piece = self._left[:most]
        self._left = self._left[len(piece) :]
        self.at += len(piece)
        return piece

    def skip_to(self, offset: int) -> bool:
        """Go forward; False where it ends before."""
        while self.at < offset:
            if not self.some(offset - self.at):
                return False
        return True


class SourceStream(Stream):
    """Reads forward through a source, and skips without reading."""

    def __init__(self, source: Source) -> None:
        """From its beginning."""
        super().__init__(iter(()))
        self._source = source

    def some(self, most: int) -> memoryview:
        """Some bytes, none at the end."""
        if not self._left:
            self._left = memoryview(self._source.read_at(self.at, _STEP))
        return super().some(most)

    def skip_to(self, offset: int) -> bool:
        """Go forward; False where it ends before."""
        ahead = offset - self.at
        if ahead <= len(self._left):
            self._left = self._left[ahead:]
        else:
            self._left = memoryview(b"")
        self.at = offset
        return offset <= self._source.size
