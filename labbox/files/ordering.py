"""The order in which people expect names, found for a million of them in little time and room.

What is done for every name is done inside of Python's own loops (`map`, `split`, `sort`), a few thousand
names at a time. The keys of a million names would take 100 MB: they are dealt into parts of the order, and
only the keys of one part are ever taken out of their packing.
"""

from __future__ import annotations

import re
from array import array
from bisect import bisect_left
from collections.abc import Iterator
from itertools import pairwise, repeat
from operator import add, eq
from typing import Final

AT_ONCE: Final = 16_384  # names that are looked at together
PART: Final = 65_536  # entries in a part of the order, about
SAMPLES: Final = 32  # names of each part from which its ends are guessed
_RUN: Final = re.compile(r"(\d+)")
# What stands before a number of so many digits, so that texts compare as numbers; a name has 255 at most.
_LENGTHS: Final = [str(length) if length < 9 else f"9{length:03}" for length in range(256)]


def natural(name: str) -> str:
    """The key by which names sort as people count: ``run2`` before ``run10``, case aside."""
    key = _keys([name])[0]
    return key if key == name else f"{key}\0{name}"


def _keys(names: list[str]) -> list[str]:
    """The first part of the natural keys; names that differ by case or zeros alone have the same."""
    parts = _RUN.split("\0".join(names).casefold())
    runs = list(map(str.lstrip, parts[1::2], repeat("0")))
    parts[1::2] = map(add, map(_LENGTHS.__getitem__, map(len, runs)), runs)
    return "".join(parts).split("\0")


def extension(name: str) -> str:
    """What stands behind the last dot, case aside; a dot in front makes none."""
    return name[1:].rpartition(".")[2].casefold() if "." in name[1:] else ""


def pieces(names: bytearray, starts: array[int]) -> Iterator[list[str]]:
    """The names of a listing, some thousands at a time; each has a 0 byte behind it."""
    for first in range(0, len(starts), AT_ONCE):
        behind = first + AT_ONCE
        end = starts[behind] if behind < len(starts) else len(names)
        yield names[starts[first] : end - 1].decode("utf-8", "surrogateescape").split("\0")


def name_at(names: bytearray, start: int) -> str:
    """The name that begins there."""
    return names[start : names.index(0, start)].decode("utf-8", "surrogateescape")


def by_name(names: bytearray, starts: array[int]) -> array[int]:
    """The numbers of all entries in natural order."""
    ends = _ends(names, starts)
    keys = [bytearray() for _ in range(len(ends) + 1)]
    numbers = [array("I") for _ in keys]
    base = 0
    for some in pieces(names, starts):
        found = _keys(some)
        order = sorted(range(len(found)), key=found.__getitem__)
        found = list(map(found.__getitem__, order))
        cuts = [0, *(bisect_left(found, end) for end in ends), len(found)]
        for part, (low, high) in enumerate(pairwise(cuts)):
            if low < high:
                keys[part] += "\0".join([*found[low:high], ""]).encode("utf-8", "surrogatepass")
                numbers[part].extend(map(base.__add__, order[low:high]))
        base += len(some)
    whole = array("I")
    for packed, those in zip(keys, numbers, strict=True):
        found = packed.decode("utf-8", "surrogatepass").split("\0")
        packed.clear()
        order = sorted(range(len(those)), key=found.__getitem__)  # made of sorted runs: merged, in fact
        found = list(map(found.__getitem__, order))
        those = array("I", map(those.__getitem__, order))
        if any(map(eq, found, found[1:])):
            _tell_apart(found, those, names, starts)
        whole += those
    return whole


def _ends(names: bytearray, starts: array[int]) -> list[str]:
    """The keys at which the parts of the order end, guessed from some of the names."""
    parts = len(starts) // PART + 1
    if parts == 1:
        return []
    some = _keys([name_at(names, start) for start in starts[:: len(starts) // (parts * SAMPLES) or 1]])
    some.sort()
    return [some[len(some) * part // parts] for part in range(1, parts)]


def _tell_apart(keys: list[str], numbers: array[int], names: bytearray, starts: array[int]) -> None:
    """Bring those into order that have the same key."""
    first = 0
    while first < len(keys):
        behind = first + 1
        while behind < len(keys) and keys[behind] == keys[first]:
            behind += 1
        if behind - first > 1:
            those = sorted(numbers[first:behind], key=lambda number: natural(name_at(names, starts[number])))
            numbers[first:behind] = array("I", those)
        first = behind


def by_extension(names: bytearray, starts: array[int]) -> array[int]:
    """For each entry the place of its extension among all of them."""
    known: dict[str, int] = {}
    found = array("I")
    for some in pieces(names, starts):
        found.extend(known.setdefault(extension(name), len(known)) for name in some)
    places = {known[text]: place for place, text in enumerate(sorted(known))}
    return array("I", map(places.__getitem__, found))
