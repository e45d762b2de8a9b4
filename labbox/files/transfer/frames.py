"""What a walk remembers of each folder that it is in."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NamedTuple

from blake3 import blake3

from labbox.files.transfer.hardlinks import Anchor
from labbox.files.transfer.spill import Names


class Frame:
    """A folder that is being copied.

    `fresh`: the target's folder is ours alone; `wanted`: the name that it gets in the end, "" where it has
    it; `found`: the source's attributes, None where the target's folder was there before.
    """

    __slots__ = (
        "anchor", "folders", "found", "fresh", "inherits", "name", "names", "out", "path", "under_anchor",
        "waiting", "wanted",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        out: str,
        path: str,
        fresh: bool,
        anchor: Anchor,
        under_anchor: str = "",
        found: os.stat_result | None = None,
        wanted: str = "",
    ) -> None:
        """`path`: how reports call it; `under_anchor`: its path below the anchor."""
        self.name, self.out, self.path, self.fresh = name, out, path, fresh
        self.anchor, self.under_anchor, self.found, self.wanted = anchor, under_anchor, found, wanted
        self.folders = Names()
        self.waiting: Iterator[str] = iter(())
        self.names: set[str] | None = None  # casefolded, where the target folds case
        self.inherits = False

    def below(self, name: str) -> str:
        """How reports call an entry of it."""
        return f"{self.path}/{name}" if self.path else name

    def under(self, name: str) -> str:
        """The path of an entry below the anchor."""
        return f"{self.under_anchor}/{name}" if self.under_anchor else name


class Placed(NamedTuple):
    """A tree that was copied whole: open folders and names of original and copy, how reports call it."""

    source: int
    name: str
    target: int
    wanted: str
    path: str


def part_name(tag: str, wanted: str) -> str:
    """What something is called until it is whole: the same at every attempt of one transfer."""
    digest = blake3(wanted.encode("utf-8", "surrogateescape")).hexdigest(8)
    return f".labbox-{tag}-{digest}.part"
