"""Reading a local folder for a screen: the first entries at once, all sorted soon, their sizes last."""

from __future__ import annotations

import mmap
import os
from array import array
from collections.abc import Callable
from functools import partial
from typing import Final

from labbox.files.apart import Apart, Send
from labbox.files.directory import UNKNOWN, Arrangement, Kind, Listing, Row, Sort, kind_of

FIRST: Final = 250  # entries that are shown before the rest is read
APART: Final = 4000  # entries above which a helper reads and sorts
TWO: Final = 150_000  # entries above which a second helper asks for sizes while the first one sorts
_PIECE: Final = 1 << 20  # bytes that are copied at once
_LOOK: Final = 4096  # entries between two looks at whether the parent lives

Columns = tuple["array[int]", "array[int]", "array[int]"]
Show = Callable[[Listing, "Columns | None"], None]
"""Called in the reading thread. `Listing.fill` takes the columns, on the thread that shows the listing."""


def scan(path: str, arrangement: Arrangement, show: Show, apart: Apart) -> None:
    """Read a folder in this thread; `show` gets a listing that is better each time, the last one complete.

    A large one is shown by its names first, and then again with the columns of sizes, times and modes.

    OSError where the folder cannot be read.
    """
    rows: list[Row] = []
    with os.scandir(path) as entries:
        for entry in entries:
            rows.append(_row(entry))
            if len(rows) == FIRST:
                show(_listing(rows, arrangement), None)
            if len(rows) > APART:
                break
            if apart.cancelled:
                return
        else:
            listing = _listing(rows, arrangement)
            listing.complete = True
            show(listing, None)
            return
    del rows
    apart.run(partial(_read, path, arrangement), partial(_taken, arrangement, show, []))


def _row(entry: os.DirEntry[str]) -> Row:
    try:
        about = entry.stat(follow_symlinks=False)
    except OSError:  # it has gone, or nobody may know
        return Row(entry.name, Kind.FILE, 0, 0)
    return Row(
        entry.name,
        kind_of(entry.path, about.st_mode),
        about.st_size,
        about.st_mtime_ns,
        about.st_mode & 0o7777,
    )


def _listing(rows: list[Row], arrangement: Arrangement) -> Listing:
    listing = Listing(arrangement)
    listing.add(rows)
    listing.arrange()
    return listing


def rearrange(
    listing: Listing, arrangement: Arrangement, apart: Apart
) -> tuple[array[int], array[int]] | None:
    """The order of a listing under another arrangement; large ones in a helper. None: cancelled."""
    if len(listing) <= APART:
        return listing.arranged(arrangement)
    found: list[array[int]] = []

    def work(send: Send) -> None:
        order, shown = listing.arranged(arrangement)
        send("order", order, *([shown] if shown is not order else []))

    def take(_what: str, views: list[memoryview]) -> None:
        found.extend(_orders(views[0], views[1], arrangement))

    apart.run(work, take)
    return (found[0], found[1]) if found else None


def _orders(order: memoryview, shown: memoryview, arrangement: Arrangement) -> list[array[int]]:
    first = _column("I", order)
    return [first, first if arrangement.predicate() is None else _column("I", shown)]


def _column(code: str, view: memoryview) -> array[int]:
    """The numbers in a view, copied in pieces: one large copy would keep the lock for too long."""
    column = array(code, bytes(array(code).itemsize)) * (view.nbytes // array(code).itemsize)
    with memoryview(column) as whole, whole.cast("B") as target:
        _copy(view, target)
    return column


def _bytes(view: memoryview) -> bytearray:
    data = bytearray(len(view))
    with memoryview(data) as target:
        _copy(view, target)
    return data


def _copy(view: memoryview, target: memoryview) -> None:
    with view.cast("B") as source:
        for start in range(0, len(source), _PIECE):
            target[start : start + _PIECE] = source[start : start + _PIECE]


# In the parent: what the helper sends becomes a listing.


def _taken(
    arrangement: Arrangement, show: Show, made: list[Listing], what: str, views: list[memoryview]
) -> None:
    if what == "names":
        listing = Listing(arrangement)
        listing.names, listing.kinds = _bytes(views[0]), _bytes(views[2])
        listing.starts = _column("I", views[1])
        count = len(listing.starts)
        listing.sizes, listing.modes = array("q", bytes(8)) * count, array("H", bytes(2)) * count
        listing.mtimes = array("q", [UNKNOWN]) * count
        listing.order, listing.shown = _orders(views[3], views[4], arrangement)
        made.append(listing)
        show(listing, None)
        return
    show(made[0], (_column("q", views[0]), _column("q", views[1]), _column("H", views[2])))


# In the helper.


def _read(path: str, arrangement: Arrangement, send: Send) -> None:
    os.chdir(path)
    names: list[str] = []
    kinds = bytearray()
    with os.scandir(".") as entries:
        for entry in entries:
            names.append(entry.name)
            if entry.is_file(follow_symlinks=False):
                kinds.append(Kind.FILE)
            elif entry.is_dir(follow_symlinks=False):
                kinds.append(Kind.FOLDER)
            else:
                kinds.append(_odd(entry))
    listing = Listing(arrangement)
    listing.set_names(names, kinds)
    stats = _Stats(len(names))
    beside = len(names) >= TWO and stats.begin(names)
    del names
    needs_stats = arrangement.sort in (Sort.SIZE, Sort.TIME)
    if not needs_stats:
        _send_names(listing, arrangement, send)
    if beside:
        stats.wait()
    else:
        stats.ask(listing._all_names())  # noqa: SLF001 - half of this module is the listing's
    if needs_stats:
        listing.sizes, listing.mtimes, listing.modes = stats.columns()
        _send_names(listing, arrangement, send)
    send("all", *stats.views())


def _odd(entry: os.DirEntry[str]) -> Kind:
    if not entry.is_symlink():
        return Kind.OTHER
    try:
        if entry.is_dir():
            return Kind.FOLDER_LINK
        entry.stat()
    except OSError:
        return Kind.BROKEN
    return Kind.LINK


def _send_names(listing: Listing, arrangement: Arrangement, send: Send) -> None:
    order, shown = listing.arranged(arrangement)
    more = [shown] if shown is not order else []
    send("names", listing.names, listing.starts, listing.kinds, order, *more)


class _Stats:
    """Sizes, times and modes of many entries, in memory that a second helper can fill."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._memory = mmap.mmap(-1, max(1, count * 18))
        whole = memoryview(self._memory)
        self._sizes = whole[: 8 * count].cast("q")
        self._mtimes = whole[8 * count : 16 * count].cast("q")
        self._modes = whole[16 * count : 18 * count].cast("H")
        self._pid = 0

    def begin(self, names: list[str]) -> bool:
        """Ask in a second helper, beside the sorting."""
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                self.ask(names, parent)
            finally:
                os._exit(0)
        return True

    def wait(self) -> None:
        os.waitpid(self._pid, 0)

    def ask(self, names: list[str], parent: int = 0) -> None:
        sizes, mtimes, modes = self._sizes, self._mtimes, self._modes
        for number, name in enumerate(names):
            try:
                about = os.lstat(name)
            except OSError:
                mtimes[number] = 0
                continue
            sizes[number], mtimes[number] = about.st_size, about.st_mtime_ns
            modes[number] = about.st_mode & 0o7777
            if parent and number % _LOOK == 0 and os.getppid() != parent:
                return

    def views(self) -> tuple[memoryview, memoryview, memoryview]:
        return self._sizes, self._mtimes, self._modes

    def columns(self) -> Columns:
        return _column("q", self._sizes), _column("q", self._mtimes), _column("H", self._modes)
