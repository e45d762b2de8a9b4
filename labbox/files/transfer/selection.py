"""Which files a transfer takes, and what a person decided about single ones."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

import msgspec

from labbox.files.transfer.excluding import excluding
from labbox.locations import path_of, path_text
from labbox.model import Conflict, TransferSpec

PART: Final = re.compile(r"\.labbox-[0-9a-f]{12}-[0-9a-f]{16}\.part")
"""Names of what a transfer is still writing; no transfer takes them for files."""


class Selection:
    """What `only`, `exclude` and `decisions` of a spec say, by path: the source's name, then the rest."""

    def __init__(self, spec: TransferSpec) -> None:
        """Read the three from a spec."""
        self._spec = spec
        self._only = frozenset(path_of(path) for path in spec.only)
        self._above = frozenset(_above(self._only))
        self._excluded = excluding(spec.exclude)
        self._decided = {path_of(one.path): one.conflict for one in spec.decisions}
        self._otherwise = spec.conflict
        self.partial = bool(spec.only or spec.exclude)

    def wants(self, path: str, name: str, *, folder: bool) -> bool:
        """Whether an entry is taken, or a folder entered because something below it is."""
        if PART.fullmatch(name):
            return False
        if not self.partial:
            return True
        if self._only and not self._chosen(path, folder=folder):
            return False
        return self._excluded is None or not self._excluded(path.partition("/")[2] or path, name, folder)

    def whole(self, path: str) -> bool:
        """Whether everything below a folder is taken, whatever it is called."""
        return self._excluded is None and (not self._only or self._named(path))

    def conflict(self, path: str) -> Conflict:
        """What happens where something is in the way of `path`; the nearest decision counts."""
        if self._decided:
            while path:
                if path in self._decided:
                    return self._decided[path]
                path = path.rpartition("/")[0]
        return self._otherwise

    def always(self, policy: Conflict) -> Selection:
        """The same choice with one rule for whatever is in the way."""
        return Selection(msgspec.structs.replace(self._spec, conflict=policy, decisions=()))

    def _chosen(self, path: str, *, folder: bool) -> bool:
        return (folder and path in self._above) or self._named(path)

    def _named(self, path: str) -> bool:
        while path:
            if path in self._only:
                return True
            path = path.rpartition("/")[0]
        return False


def shown_path(path: str) -> str:
    """A path as messages and reports carry it, fit for `TransferSpec.only`."""
    return path_text(path)


def _above(paths: Iterable[str]) -> Iterable[str]:
    for path in paths:
        above = path.rpartition("/")[0]
        while above:
            yield above
            above = above.rpartition("/")[0]
