"""Folders of this machine below one that is open, opened one below the other, never through a link."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final, TypeAlias

from labbox.files.places.errors import explained

Parts: TypeAlias = tuple[str, ...]
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Chain:
    """The folders on the way to the one that was used last stay open: what comes next is mostly near."""

    def __init__(self, top: int) -> None:
        """`top` stays the caller's."""
        self._way: list[tuple[str, int]] = []
        self._top = os.dup(top)

    def at(self, parts: Parts, *, make: bool = False) -> int:
        """The open folder, good until the next call; `make`: where it is missing, for its owner alone."""
        same = 0
        while same < min(len(parts), len(self._way)) and self._way[same][0] == parts[same]:
            same += 1
        self._up_to(same)
        for number in range(same, len(parts)):
            above = self._way[-1][1] if self._way else self._top
            with explained("make" if make else "open", "/".join(parts[: number + 1])):
                if make:
                    with suppress(FileExistsError):
                        os.mkdir(parts[number], 0o700, dir_fd=above)
                self._way.append((parts[number], os.open(parts[number], _FOLDER, dir_fd=above)))
        return self._way[-1][1] if self._way else self._top

    def close(self) -> None:
        """Let go of all."""
        self._up_to(0)
        if self._top >= 0:
            os.close(self._top)
            self._top = -1

    def _up_to(self, count: int) -> None:
        while len(self._way) > count:
            os.close(self._way.pop()[1])
