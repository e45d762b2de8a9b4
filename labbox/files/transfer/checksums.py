"""Checksums of files, a line each as `sha256sum` writes them, so that such programs check them."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any, Final

from blake3 import blake3

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer.asked import Spot, name_of, sources_of, spot
from labbox.files.transfer.deciding import changing
from labbox.files.transfer.paired import Walk
from labbox.files.transfer.placefiles import blocks
from labbox.files.transfer.running import Run

ALGORITHMS: Final = ("blake3", "sha256", "sha512", "sha384", "sha224", "sha1", "md5", "sha3_256", "blake2b")


async def checksum(one: Run) -> None:
    """Sum every file."""
    make = _hasher(one.spec.algorithm)
    for source in sources_of(one.spec):
        called = name_of(source)
        try:
            found = await spot(one.places, source)
            entry = await found.place.entry(found.path, follow=True)
            if entry.kind is not EntryKind.FOLDER:
                await _line(one, found, entry, called, make)
                continue
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(called, error, "sum")
            continue
        await _below(one, found, called, make)


async def _below(one: Run, found: Spot, called: str, make: Callable[[], Any]) -> None:
    wants = one.selection.wants

    def enters(path: str, entry: Entry | None, _other: Entry | None) -> bool:
        return entry is not None and wants(path, entry.name, folder=True)

    walk = Walk(one.tick, one.reporter.fail)
    async for path, here, _there, entry, _two in walk.pairs(found, None, called, enters):
        if entry is None or entry.kind is not EntryKind.FILE or not wants(path, entry.name, folder=False):
            continue
        try:
            await _line(one, here, entry, path, make)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(path, error, "sum")


async def _line(one: Run, found: Spot, entry: Entry, path: str, make: Callable[[], Any]) -> None:
    hasher = make()
    one.reporter.current = path
    async with await found.place.open(found.path) as opened:
        before = await opened.entry()
        async for block in blocks(opened, 0, before.size):
            hasher.update(block)
            one.reporter.moved += len(block)
            await one.tick()
        after = await opened.entry()
    if (before.size, before.mtime) != (after.size, after.mtime):
        raise changing(path)
    one.reporter.files += 1
    one.reporter.size += before.size
    one.reporter.line(_written(hasher.hexdigest(), path))


def _written(digest: str, path: str) -> str:
    """As GNU coreutils write it: a name with a newline or a backslash is escaped and the line says so."""
    if "\n" in path or "\\" in path or "\r" in path:
        path = path.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        return f"\\{digest}  {path}"
    return f"{digest}  {path}"


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
