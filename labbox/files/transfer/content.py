"""Moving the bytes of one file from descriptor to descriptor: shared, copied by the kernel, or through us.

A clone costs nothing where the file system shares blocks; `copy_file_range` needs no way through us;
read and write always work, and are what verifying needs, since the sum is taken on the way. Holes stay holes.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Callable
from typing import Final

from blake3 import blake3

from labbox.files.transfer.system import write_out

SMALL: Final = 1 << 17  # bytes; below it one read and one write are the cheapest of all
BLOCK: Final = 1 << 20  # through this process
_KERNEL_BLOCK: Final = 16 << 20  # at once by the kernel, between two looks at the pause
_CLONE: Final = 0x40049409
_CANNOT: Final = (
    errno.EXDEV, errno.EINVAL, errno.EOPNOTSUPP, errno.ENOSYS, errno.ENOTTY, errno.EPERM, errno.ETXTBSY,
    errno.EBADF, errno.EISDIR,
)  # fmt: skip
_ZEROS: Final = bytes(BLOCK)

Moved = Callable[[int], None]
"""Told how many more bytes are done; raises to end the copy."""


class Ways:
    """Which quick ways work between two file systems; learned by trying once."""

    def __init__(self) -> None:
        """Believe in all of them."""
        self._no_clone: set[tuple[int, int]] = set()
        self._no_kernel: set[tuple[int, int]] = set()

    def clone(self, source: int, target: int, devices: tuple[int, int]) -> bool:
        """Share all blocks; whether that could be done."""
        if devices[0] != devices[1] or devices in self._no_clone:
            return False
        try:
            fcntl.ioctl(target, _CLONE, source)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._no_clone.add(devices)
            return False
        return True

    def kernel(self, source: int, target: int, place: int, count: int, devices: tuple[int, int]) -> int:
        """Have the kernel copy up to `count` bytes at `place`; how many, -1 where it cannot."""
        if devices in self._no_kernel:
            return -1
        try:
            return os.copy_file_range(source, target, count, place, place)
        except OSError as error:
            if error.errno not in _CANNOT:
                raise
            self._no_kernel.add(devices)
            return -1


def copy_content(
    source: int, target: int, found: os.stat_result, start: int, moved: Moved, ways: Ways, device: int
) -> int:
    """Copy from `start` to the size in `found`; the size the target has now (less: the source shrank).

    `device`: of the target's file system. Reads one byte too many of an empty file only, since files that
    the kernel makes up say that they are empty.
    """
    size = found.st_size
    if size <= SMALL and start == 0:
        return _copy_small(source, target, size, moved)
    devices = (found.st_dev, device)
    if start == 0 and ways.clone(source, target, devices):
        moved(size)
        return size
    if found.st_blocks * 512 < size:
        return _copy_sparse(source, target, size, start, moved, ways, devices)
    return _stretch(source, target, start, size, moved, ways, devices)


def _copy_small(source: int, target: int, size: int, moved: Moved) -> int:
    data = os.read(source, size + 1)
    done = 0
    while data:
        written = os.write(target, data)
        done += written
        data = data[written:] or (b"" if done >= size else os.read(source, size + 1 - done))
    moved(done)
    return done


def _stretch(
    source: int, target: int, start: int, end: int, moved: Moved, ways: Ways, devices: tuple[int, int]
) -> int:
    place = start
    while place < end:
        count = ways.kernel(source, target, place, min(_KERNEL_BLOCK, end - place), devices)
        if count < 0:
            return _by_hand(source, target, place, end, moved)
        if count == 0:
            break  # it shrank
        place += count
        moved(count)
    return place


def _by_hand(source: int, target: int, start: int, end: int, moved: Moved) -> int:
    place = start
    buffer = bytearray(min(BLOCK, end - start))
    with memoryview(buffer) as view:
        while place < end and (count := os.preadv(source, [view[: min(BLOCK, end - place)]], place)):
            write_at(target, view[:count], place)
            place += count
            moved(count)
    return place


def _copy_sparse(
    source: int,
    target: int,
    size: int,
    start: int,
    moved: Moved,
    ways: Ways,
    devices: tuple[int, int],
) -> int:
    place = start
    while place < size:
        data = seek(source, place, os.SEEK_DATA, size)
        moved(data - place)
        end = seek(source, data, os.SEEK_HOLE, size)
        place = data
        if place < end:
            place = _stretch(source, target, place, end, moved, ways, devices)
            if place < end:
                return place
    os.ftruncate(target, size)
    return size


def copy_and_sum(
    source: int, target: int, found: os.stat_result, start: int, moved: Moved
) -> tuple[int, bytes]:
    """Copy through this process and take the BLAKE3 sum of the whole source on the way.

    What stands before `start` was copied before; it is read for the sum alone.
    """
    hasher = blake3()
    size = found.st_size
    place = 0
    sparse = found.st_blocks * 512 < size
    while place < size:
        data = seek(source, place, os.SEEK_DATA, size) if sparse else place
        _sum_hole(hasher, data - place)
        moved(max(0, data - max(place, start)))
        end = seek(source, data, os.SEEK_HOLE, size) if sparse else size
        place = data
        while place < end:
            block = os.pread(source, min(BLOCK, end - place), place)
            if not block:
                return place, hasher.digest()
            hasher.update(block)
            if place + len(block) > start:
                skip = max(0, start - place)
                write_at(target, memoryview(block)[skip:], place + skip)
                moved(len(block) - skip)
            place += len(block)
    if sparse:
        os.ftruncate(target, size)
    return place, hasher.digest()


def sum_from_disk(target: int, size: int, moved: Moved) -> bytes:
    """The BLAKE3 sum of what the disk has, not of what is in memory of it."""
    write_out(target)
    os.posix_fadvise(target, 0, 0, os.POSIX_FADV_DONTNEED)
    return sum_of(target, size, moved)


def sum_of(file: int, size: int, moved: Moved) -> bytes:
    """The BLAKE3 sum of an open file, up to one byte beyond `size`."""
    hasher = blake3()
    place = 0
    while place <= size and (block := os.pread(file, min(BLOCK, size + 1 - place), place)):
        hasher.update(block)
        place += len(block)
        moved(0)
    return hasher.digest()


def same_tail(source: int, target: int, end: int) -> bool:
    """Whether the last stretch before `end` is the same in both: a 256th of it, at most a mebibyte."""
    count = min(end, max(4096, min(BLOCK, end >> 8)))
    return os.pread(source, count, end - count) == os.pread(target, count, end - count)


def seek(file: int, place: int, what: int, size: int) -> int:
    """Where the next data or hole begins, at most `size`."""
    if place >= size:
        return size
    try:
        return min(os.lseek(file, place, what), size)
    except OSError as error:
        if error.errno == errno.ENXIO:  # nothing but a hole from here on
            return size
        if error.errno == errno.EINVAL:  # the file system tells of no holes
            return place if what == os.SEEK_DATA else size
        raise


def write_at(target: int, data: bytes | memoryview, place: int) -> None:
    """Write every byte at its place."""
    with memoryview(data) as view:
        while view:
            written = os.pwrite(target, view, place)
            view, place = view[written:], place + written


def _sum_hole(hasher: blake3, length: int) -> None:
    while length > 0:
        count = min(length, BLOCK)
        hasher.update(_ZEROS[:count])
        length -= count
