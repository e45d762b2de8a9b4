"""Checksums of files, a line each as `sha256sum` and its like write them, so that these programs check them.

The lines stand, byte for byte, in a file of the job's output too: ``SHA256SUMS``, ``MD5SUMS``, ``B3SUMS``.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO, Final

from blake3 import blake3

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.sumlines import sum_line
from labbox.files.transfer.asked import Spot, sources_of, spot
from labbox.files.transfer.deciding import changing
from labbox.files.transfer.paired import Walk
from labbox.files.transfer.placefiles import blocks
from labbox.files.transfer.running import Run
from labbox.locations import name_of, path_of

ALGORITHMS: Final = ("blake3", "sha256", "sha512", "sha384", "sha224", "sha1", "md5", "sha3_256", "blake2b")
_FILES: Final = {"blake3": "B3SUMS", "blake2b": "B2SUMS"}  # others: SHA256SUMS
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC


class _Summing:
    """One job of sums."""

    def __init__(self, one: Run, make: Callable[[], Any], out: BinaryIO) -> None:
        self._one, self._make, self._out = one, make, out

    async def source(self, found: Spot, called: str, named: str) -> None:
        """One file, or all files of a folder; `named` stands for the source's name in the lines."""
        entry = await found.place.entry(found.path, follow=True)
        if entry.kind is EntryKind.FOLDER:
            await self._below(found, called, named)
        else:
            await self._line(found, called, named)

    async def _below(self, found: Spot, called: str, named: str) -> None:
        wants = self._one.selection.wants

        def enters(path: str, entry: Entry | None, _other: Entry | None) -> bool:
            return entry is not None and wants(path, entry.name, folder=True)

        walk = Walk(self._one.tick, self._one.reporter.fail)
        async for path, here, _there, entry, _two in walk.pairs(found, None, called, enters):
            if entry is None or entry.kind is not EntryKind.FILE or not wants(path, entry.name, folder=False):
                continue
            try:
                await self._line(here, path, named + path[len(called) :])
            except LabboxError as error:
                if error.code == "unavailable":
                    raise
                self._one.reporter.fail(path, error, "sum")

    async def _line(self, found: Spot, path: str, named: str) -> None:
        hasher, reporter = self._make(), self._one.reporter
        reporter.current = path
        async with await found.place.open(found.path) as opened:
            before = await opened.entry()
            async for block in blocks(opened, 0, before.size):
                hasher.update(block)
                reporter.moved += len(block)
                await self._one.tick()
            after = await opened.entry()
        if (before.size, before.mtime) != (after.size, after.mtime):
            raise changing(path)
        reporter.files += 1
        reporter.size += before.size
        line = sum_line(hasher.hexdigest(), named)
        reporter.line(line)
        self._out.write(os.fsencode(line) + b"\n")


async def checksum(one: Run) -> None:
    """Sum every file."""
    make = _hasher(one.spec.algorithm)
    sources = sources_of(one.spec)
    names = [path_of(name) for name in one.spec.called] or [name_of(source) for source in sources]
    with _sums(one.journal.folder, one.spec.algorithm) as out:
        summing = _Summing(one, make, out)
        for source, named in zip(sources, names, strict=True):
            called = name_of(source)
            try:
                await summing.source(await spot(one.places, source), called, named)
            except LabboxError as error:
                if error.code == "unavailable":
                    raise
                one.reporter.fail(called, error, "sum")


@contextmanager
def _sums(folder: int, algorithm: str) -> Iterator[BinaryIO]:
    name = _FILES.get(algorithm, f"{algorithm.upper()}SUMS")
    with os.fdopen(os.open(name, _NEW, 0o644, dir_fd=folder), "wb") as out:
        yield out


def _hasher(name: str) -> Callable[[], Any]:
    if name == "blake3":
        return blake3
    if name not in ALGORITHMS:
        raise LabboxError(
            "invalid",
            f"cannot sum with “{name}”: there is no such algorithm",
            f"use one of {', '.join(ALGORITHMS)}",
        )
    return lambda: hashlib.new(name, usedforsecurity=False)
