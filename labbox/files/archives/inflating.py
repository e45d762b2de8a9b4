"""What comes out of the bytes of one file in a zip, whichever way they are packed."""

from __future__ import annotations

import bz2
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import Any, Final

from labbox.files.archives.source import Source
from labbox.files.archives.streams import unpacker

_STEP: Final = 1 << 18
_MOST: Final = 1 << 20
_LZMA_DICTIONARY: Final = 256 << 20
STORED, DEFLATED, BZIP2, LZMA, ZSTD = 0, 8, 12, 14, 93
KNOWN: Final = (STORED, DEFLATED, BZIP2, LZMA, ZSTD)
ERRORS: Final = (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError)


def inflated(source: Source, at: int, packed: int, method: int) -> Iterator[bytes]:
    """What comes out of `packed` bytes at `at`, a mebibyte at once at most."""
    end = at + packed
    take = _TAKERS[method]()
    if method == LZMA:
        head = source.read_at(at, 4)
        length = int.from_bytes(head[2:4], "little")
        properties = source.read_at(at + 4, length)
        if len(properties) != 5:
            raise ValueError("the properties of LZMA are five bytes")
        at += 4 + length
        take = _Pulling(_lzma(properties))
    while at < end:
        data = source.read_at(at, min(_STEP, end - at))
        if not data:
            return
        at += len(data)
        yield from take(data)


class _Deflated:
    """Raw deflate."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(-15)

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while data and not self._inner.eof:
            out = self._inner.decompress(data, _MOST)
            data = self._inner.unconsumed_tail
            if out:
                yield out
        while not self._inner.eof and (out := self._inner.decompress(b"", _MOST)):
            yield out


class _Pulling:
    """bzip2 and LZMA, which are asked again for what they hold back."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __call__(self, data: bytes) -> Iterator[bytes]:
        while not self._inner.eof:
            out = self._inner.decompress(data, _MOST)
            data = b""
            if out:
                yield out
            elif self._inner.needs_input:
                return


def _whole(data: bytes) -> Iterator[bytes]:
    yield data


_TAKERS: Final[dict[int, Callable[[], Callable[[bytes], Iterator[bytes]]]]] = {
    STORED: lambda: _whole,
    DEFLATED: _Deflated,
    BZIP2: lambda: _Pulling(bz2.BZ2Decompressor()),
    LZMA: lambda: _whole,
    ZSTD: lambda: unpacker("zstd").take,
}


def _lzma(properties: bytes) -> lzma.LZMADecompressor:
    first, dictionary = properties[0], int.from_bytes(properties[1:], "little")
    if first >= 9 * 5 * 5 or dictionary > _LZMA_DICTIONARY:
        raise ValueError("properties out of range")
    settings = {
        "id": lzma.FILTER_LZMA1,
        "dict_size": max(dictionary, 4096),
        "lc": first % 9,
        "lp": first // 9 % 5,
        "pb": first // 45,
    }
    return lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=[settings])
