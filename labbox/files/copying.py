"""Copying one file and hashing it on the way, without ever holding more of it than one block."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Final

from blake3 import blake3

BLOCK: Final = 4 << 20  # bytes; larger ones gained nothing when measured
_ZEROS: Final = bytes(BLOCK)

Moved = Callable[[int], None]
"""Told how many more bytes are done; raises to end the copy."""


def copy_and_hash(source: int, target: int, size: int, moved: Moved) -> tuple[bytes, int]:
    """Copy `source` to the empty `target`; the digest of what was read, and its length in bytes.

    Holes stay holes. Reads at most one byte beyond `size`, so that a file that grows is seen and never
    followed.
    """
    hasher = blake3()
    if size == 0:
        return hasher.digest(), len(os.read(source, 1))
    if size <= 1 << 16:
        return _copy_small(source, target, size, moved)
    if os.fstat(source).st_blocks * 512 < size:
        return _copy_sparse(source, target, size, moved)
    os.posix_fadvise(source, 0, 0, os.POSIX_FADV_SEQUENTIAL)
    buffer = bytearray(min(BLOCK, size + 1))
    done = 0
    with memoryview(buffer) as view:
        while count := os.readv(source, [view[: min(BLOCK, size + 1 - done)]]):
            hasher.update(view[:count])
            write_all(target, view[:count])
            done += count
            moved(count)
            if done > size:
                break
    return hasher.digest(), done


def _copy_small(source: int, target: int, size: int, moved: Moved) -> tuple[bytes, int]:
    data = os.read(source, size + 1)
    while len(data) <= size:
        more = os.read(source, size + 1 - len(data))
        if not more:
            break
        data += more
    write_all(target, data)
    moved(len(data))
    return blake3(data).digest(), len(data)


def _copy_sparse(source: int, target: int, size: int, moved: Moved) -> tuple[bytes, int]:
    hasher = blake3()
    place = 0
    while place < size:
        start = _seek(source, place, os.SEEK_DATA, size)
        _hash_hole(hasher, start - place, moved)
        end = _seek(source, start, os.SEEK_HOLE, size)
        place = start
        while place < end:
            block = os.pread(source, min(BLOCK, end - place), place)
            if not block:
                return hasher.digest(), place  # it shrank
            hasher.update(block)
            _write_at(target, block, place)
            place += len(block)
            moved(len(block))
    os.ftruncate(target, size)
    return hasher.digest(), size + len(os.pread(source, 1, size))


def _seek(source: int, place: int, what: int, size: int) -> int:
    if place >= size:
        return size
    try:
        return min(os.lseek(source, place, what), size)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole from here on
            return size
        raise


def _hash_hole(hasher: blake3, length: int, moved: Moved) -> None:
    while length > 0:
        count = min(length, BLOCK)
        hasher.update(_ZEROS if count == BLOCK else _ZEROS[:count])
        moved(count)
        length -= count


def write_all(target: int, data: bytes | memoryview) -> None:
    """Write every byte, however many calls it takes."""
    with memoryview(data) as view:
        while view:
            written = os.write(target, view)
            view = view[written:]


def _write_at(target: int, data: bytes, place: int) -> None:
    with memoryview(data) as view:
        while view:
            written = os.pwrite(target, view, place)
            view, place = view[written:], place + written
