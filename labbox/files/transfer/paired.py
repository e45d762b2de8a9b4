"""Two folders side by side, name by name, however many names: for plans, comparisons, synchronising."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer.asked import Spot
from labbox.files.transfer.spill import Names, Sorted
from labbox.files.transfer.walking import holds_itself

Tick = Callable[[], Awaitable[None]]
Pair = tuple[str, Entry | None, Entry | None]


async def paired(source: Spot | None, target: Spot | None, tick: Tick) -> AsyncIterator[Pair]:
    """Names of both folders in order, each with its entry on either side; None: the whole side is missing."""
    sides = [Sorted(), Sorted()]
    try:
        for side, found in zip(sides, (source, target), strict=True):
            if found is not None:
                async for batch in found.place.list(found.path):
                    for entry in batch:
                        side.add(entry)
                    await tick()
        for pair in merged(iter(sides[0]), iter(sides[1])):
            yield pair
    finally:
        for side in sides:
            side.close()


def merged(left: Iterator[Entry], right: Iterator[Entry]) -> Iterator[Pair]:
    """Two orders of names as one."""
    one, other = next(left, None), next(right, None)
    while one is not None or other is not None:
        here = None if one is None else _key(one)
        there = None if other is None else _key(other)
        if there is None or (here is not None and here < there):
            assert one is not None  # noqa: S101 - for the types
            yield one.name, one, None
            one = next(left, None)
        elif here is None or there < here:
            assert other is not None  # noqa: S101 - for the types
            yield other.name, None, other
            other = next(right, None)
        else:
            assert one is not None  # noqa: S101 - for the types
            yield one.name, one, other
            one, other = next(left, None), next(right, None)


def _key(entry: Entry) -> bytes:
    return entry.name.encode("utf-8", "surrogateescape")


class Walk:
    """Goes through a source and its counterpart, folder by folder; holds one folder's names at a time."""

    def __init__(self, tick: Tick, failed: Callable[[str, LabboxError], None]) -> None:
        """`failed`: told which folder could not be read."""
        self._tick, self._failed = tick, failed

    async def pairs(
        self,
        source: Spot,
        target: Spot | None,
        path: str,
        enters: Callable[[str, Entry | None, Entry | None], bool],
    ) -> AsyncIterator[tuple[str, Spot, Spot | None, Entry | None, Entry | None]]:
        """Everything below: (path, source, target, entry of each). `enters`: whether to go into a folder."""
        way: list[tuple[Spot, Spot | None, str, Iterator[str]]] = [(source, target, path, iter(("",)))]
        inside: list[tuple[int, int] | None] = []  # the folders that are gone through, one for two steps down
        while way:
            above, other, at, names = way[-1]
            name = next(names, None)
            if name is None:
                way.pop()
                if len(way) % 2:
                    inside.pop()
                continue
            here = above.below(name) if name else above
            there = other.below(name) if other is not None and name else other
            now = f"{at}/{name}" if name else at
            folders = Names()
            one_sided = Names()
            try:
                identity = (await here.place.entry(here.path, follow=not name)).identity
                if identity is not None and identity in inside:
                    raise holds_itself()
                async for child, one, two in paired(here, there, self._tick):
                    below = f"{now}/{child}"
                    counterpart = None if there is None else there.below(child)
                    yield below, here.below(child), counterpart, one, two
                    if _folder(one) and enters(below, one, two):
                        (folders if _folder(two) else one_sided).append(child)
            except LabboxError as error:
                if error.code == "unavailable":
                    raise
                self._failed(now, error)
                continue
            inside.append(identity)
            way.append((here, None, now, one_sided.drain()))
            way.append((here, there, now, folders.drain()))


def _folder(entry: Entry | None) -> bool:
    return entry is not None and entry.kind is EntryKind.FOLDER
