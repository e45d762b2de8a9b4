"""Files with holes in tar: the map of what is none, and reading through it."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise
from typing import Protocol, TypeAlias

from labbox.files.archives.limits import Limits, damaged
from labbox.files.archives.member import Where
from labbox.files.archives.streams import Stream

Stretches: TypeAlias = tuple[tuple[int, int], ...]


class _Bytes(Protocol):
    def read_at(self, offset: int, size: int) -> bytes: ...


def from_pairs(numbers: Sequence[bytes], label: str) -> Stretches:
    """From start, length, start, length and so on."""
    if len(numbers) % 2 or not all(number.isdigit() and len(number) <= 18 for number in numbers):
        raise damaged(label, "what it tells of the holes in a file cannot be")
    values = [int(number) for number in numbers]
    return tuple(zip(values[::2], values[1::2], strict=True))


def read_map(stream: Stream, most: int, limits: Limits, label: str) -> Stretches:
    """The map that stands before the bytes (GNU's way 1.0): numbers on lines of their own, then padding."""
    text = b""
    need: int | None = None
    while True:
        lines = text.split(b"\n")
        if len(lines) > 1 and need is None:
            if not lines[0].isdigit() or len(lines[0]) > 8:
                raise damaged(label, "what it tells of the holes in a file cannot be")
            need = 1 + 2 * int(lines[0])
        if need is not None and len(lines) > need:
            return from_pairs(lines[1:need], label)
        if len(text) >= min(most, limits.header):
            raise damaged(label, "what it tells of the holes in a file cannot be")
        block = stream.read(512)
        if len(block) < 512:
            raise damaged(label, "it ends in the middle: it was cut off")
        text += block


class SparseContent:
    """Bytes that stand together in an archive, as the file that they were, with its holes."""

    def __init__(self, inside: _Bytes, where: Where, size: int, label: str) -> None:
        """`inside`: where they stand; it stays the caller's."""
        self._inside, self._size, self._label = inside, size, label
        self._stretches = ((0, size),) if where.stretches is None else where.stretches
        self._starts = [start for start, _ in self._stretches]
        self._places = [where.offset]
        for (_, length), _ in pairwise((*self._stretches, (0, 0))):
            self._places.append(self._places[-1] + length)

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; holes are zeros."""
        end = min(offset + size, self._size)
        parts: list[bytes] = []
        while offset < end:
            number = bisect_right(self._starts, offset) - 1
            start, length = self._stretches[number] if number >= 0 else (0, 0)
            if number >= 0 and offset < start + length:
                want = min(end, start + length) - offset
                data = self._inside.read_at(self._places[number] + offset - start, want)
                if len(data) < want:
                    raise damaged(self._label, "it ends in the middle: it was cut off")
                parts.append(data)
            else:
                later = self._starts[number + 1] if number + 1 < len(self._starts) else self._size
                want = min(end, later) - offset
                parts.append(bytes(want))
            offset += want
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        """Nothing is its own."""
