"""Two panes that open one folder at the same moment read it once."""

from __future__ import annotations

import os
import threading
from typing import Final

from labbox.files.apart import Apart
from labbox.files.directory import Arrangement, Listing, twin_of
from labbox.files.scanning import FIRST, Columns, Show, scan

_LOOK: Final = 0.2  # seconds between two looks at whether one who waits is still wanted


class _Looker:
    """Somebody whom another's reading serves: every listing comes as a twin of its own."""

    def __init__(self, show: Show) -> None:
        """`show` as `scan` has it."""
        self._show = show
        self._twin = Listing()

    def see(self, listing: Listing, columns: Columns | None) -> None:
        """Show a twin of what has come."""
        if columns is None:
            self._twin = listing.twin()
            self._show(self._twin, None)
        else:
            sizes, mtimes, modes = columns
            self._show(self._twin, (twin_of(sizes), twin_of(mtimes), twin_of(modes)))


class _Reading:
    """One under way, and those who look on."""

    def __init__(self) -> None:
        """Nobody looks on yet."""
        self._lock = threading.Lock()
        self._lookers: list[_Looker] = []
        self._first: Listing | None = None
        self._late = False
        self.whole = False
        self.done = threading.Event()

    def join(self, show: Show) -> bool:
        """Look on from now; not where more has come than the first entries."""
        with self._lock:
            if self._late:
                return False
            looker = _Looker(show)
            if self._first is not None:
                looker.see(self._first, None)
            self._lookers.append(looker)
            return True

    def tell(self, listing: Listing, columns: Columns | None) -> None:
        """Something has come: the lookers first, for the listing changes once it is on a screen."""
        with self._lock:
            for looker in self._lookers:
                looker.see(listing, columns)
            if len(listing) > FIRST or listing.complete or columns is not None:
                self._late, self._first = True, None
            else:
                self._first = listing.twin()


_under_way: Final[dict[tuple[str, Arrangement, int], _Reading]] = {}
_lock: Final = threading.Lock()


def read(path: str, arrangement: Arrangement, show: Show, apart: Apart) -> None:
    """As `scan`; looks on where the same is being read and nothing came or went since it began.

    OSError where the folder cannot be read.
    """
    key = (path, arrangement, os.stat(path).st_mtime_ns)  # noqa: PTH116 - its own time alone is wanted
    own = _Reading()
    with _lock:
        others = _under_way.setdefault(key, own)
    if others is not own:
        if others.join(show):
            while not others.done.wait(_LOOK):
                if apart.cancelled:
                    return
            if others.whole or apart.cancelled:
                return
        scan(path, arrangement, show, apart)
        return

    def tell(listing: Listing, columns: Columns | None) -> None:
        own.tell(listing, columns)
        show(listing, columns)

    try:
        scan(path, arrangement, tell, apart)
        own.whole = not apart.cancelled
    finally:
        with _lock:
            del _under_way[key]
        own.done.set()
