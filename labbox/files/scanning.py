"""Reading a local folder for a screen: the first entries at once, all sorted soon, their sizes last."""

from __future__ import annotations

import ctypes
import mmap
import os
from array import array
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from itertools import accumulate
from typing import Final, cast

from labbox.files.apart import Apart, Column, Send
from labbox.files.directory import UNKNOWN, Arrangement, Kind, Listing, Row, Sort, kind_of
from labbox.files.ordering import AT_ONCE

FIRST: Final = 250  # entries that are shown before the rest is read
APART: Final = 4000  # entries above which a helper reads and sorts
TWO: Final = 20_000  # entries above which a second helper asks for sizes while the first one sorts
_STEP: Final = 2048  # entries that a helper asks about before it looks what the other one has done
_BEHIND: Final = 5  # how nice those who ask for sizes are to who sorts names and who draws
_PIECE: Final = 1 << 15  # numbers that are filled in at once

Columns = tuple["array[int]", "array[int]", "array[int]"]
Show = Callable[[Listing, "Columns | None"], None]
"""Called in the reading thread. `Listing.fill` takes the columns, on the thread that shows the listing."""


def scan(path: str, arrangement: Arrangement, show: Show, apart: Apart) -> None:
    """Read a folder in this thread; `show` gets a listing that is better each time, the last one complete.

    A large one is shown by its names first, and then again with the columns of sizes, times and modes.

    OSError where the folder cannot be read.
    """
    entries: list[os.DirEntry[str]] = []
    rows: list[Row] = []
    with os.scandir(path) as found:
        for entry in found:
            entries.append(entry)
            if len(entries) == FIRST:
                rows = [_row(each) for each in entries]
                show(_listing(rows, arrangement), None)
            if len(entries) > APART or apart.cancelled:
                break
    if apart.cancelled:
        return
    if len(entries) > APART:
        del entries, rows
        apart.run(partial(_read, path, arrangement), partial(_taken, arrangement, show, []))
        return
    for entry in entries[len(rows) :]:
        rows.append(_row(entry))
        if apart.cancelled:
            return
    listing = _listing(rows, arrangement)
    listing.complete = True
    show(listing, None)


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
        send("order", *_orders(listing, arrangement))

    def take(_what: str, columns: list[Column]) -> None:
        found.extend(_numbers(column) for column in columns)

    apart.run(work, take)
    return (found[0], found[-1]) if found else None


def _orders(listing: Listing, arrangement: Arrangement) -> list[array[int]]:
    """The order and what is shown of it; one where all is shown."""
    order, shown = listing.arranged(arrangement)
    return [order] if order is shown else [order, shown]


def _numbers(column: Column) -> array[int]:
    return cast("array[int]", column)


def _repeated(code: str, value: int, count: int) -> array[int]:
    """One number many times over, in pieces: one large step would keep the lock for too long."""
    column, piece = array(code), array(code, [value]) * min(count, _PIECE)
    while len(column) < count:
        column += piece[: count - len(column)]
    return column


# In the parent: what the helper sends becomes a listing.


def _taken(
    arrangement: Arrangement, show: Show, made: list[Listing], what: str, columns: list[Column]
) -> None:
    if what == "names":
        listing = Listing(arrangement)
        names, kinds, starts, order, *shown = columns
        listing.names, listing.kinds = cast("bytearray", names), cast("bytearray", kinds)
        listing.starts = _numbers(starts)
        listing.order = _numbers(order)
        listing.shown = _numbers(shown[0]) if shown else listing.order
        count = len(kinds)
        listing.sizes, listing.modes = _repeated("q", 0, count), _repeated("H", 0, count)
        listing.mtimes = _repeated("q", UNKNOWN, count)
        made.append(listing)
        show(listing, None)
        return
    sizes, mtimes, modes = map(_numbers, columns)
    show(made[0], (sizes, mtimes, modes))


# In the helper.


def _read(path: str, arrangement: Arrangement, send: Send) -> None:
    os.chdir(path)
    listing = _named(arrangement)
    stats = _Stats(listing)
    if len(listing) >= TWO:
        stats.begin()
    if arrangement.sort in (Sort.SIZE, Sort.TIME):
        listing.sizes, listing.mtimes, listing.modes = map(_copied, "qqH", stats.finish())
    orders = _orders(listing, arrangement)
    _give_back()
    send("names", listing.names, listing.kinds, listing.starts, *orders)
    del orders
    os.nice(_BEHIND)  # the names are on the screen: the rest can wait for who paints
    send("all", *stats.finish())


def _give_back() -> None:
    """Let the system have what the sorting held: the C library would keep it for the next one."""
    with suppress(AttributeError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


def _named(arrangement: Arrangement) -> Listing:
    """The names and kinds of all that is here."""
    listing = Listing(arrangement)
    kinds = listing.kinds
    names: list[bytes] = []

    def pack() -> None:
        if names:
            base = len(listing.names)
            listing.starts.extend(accumulate((len(name) + 1 for name in names[:-1]), initial=base))
            listing.names += b"\0".join([*names, b""])
            names.clear()

    with os.scandir(b".") as entries:
        for entry in entries:
            names.append(entry.name)
            if entry.is_file(follow_symlinks=False):
                kinds.append(Kind.FILE)
            elif entry.is_dir(follow_symlinks=False):
                kinds.append(Kind.FOLDER)
            else:
                kinds.append(_odd(entry))
            if len(names) == AT_ONCE:
                pack()
    pack()
    return listing


def _odd(entry: os.DirEntry[bytes]) -> Kind:
    if not entry.is_symlink():
        return Kind.OTHER
    try:
        if entry.is_dir():
            return Kind.FOLDER_LINK
        entry.stat()
    except OSError:
        return Kind.BROKEN
    return Kind.LINK


class _Stats:
    """Sizes, times and modes of the entries here, in memory that two helpers fill from both ends."""

    def __init__(self, listing: Listing) -> None:
        """Nothing is asked yet."""
        count = self._count = len(listing)
        self._names, self._starts = listing.names, listing.starts
        whole = memoryview(mmap.mmap(-1, 16 + count * 18))
        self._ends = whole[:16].cast("q")  # where the second helper has come to, and where this one has
        self._ends[1] = count
        self._sizes = whole[16 : 16 + 8 * count].cast("q")
        self._mtimes = whole[16 + 8 * count : 16 + 16 * count].cast("q")
        self._modes = whole[16 + 16 * count :].cast("H")
        self._pid = 0

    def begin(self) -> None:
        """Ask in a second helper, from the front on, beside the sorting."""
        parent = os.getpid()
        self._pid = os.fork()
        if self._pid == 0:
            try:
                os.nice(_BEHIND)
                for first in range(0, self._count, _STEP):
                    if first >= self._ends[1] or os.getppid() != parent:
                        break
                    self._ends[0] = first + _STEP
                    self._ask(first)
            finally:
                os._exit(0)

    def finish(self) -> tuple[memoryview, memoryview, memoryview]:
        """Ask here too, from the end on, until both meet; where they do, both may ask for the same."""
        for first in reversed(range(0, self._ends[1], _STEP)):
            if first < self._ends[0]:
                break
            self._ends[1] = first
            self._ask(first)
        if self._pid:
            os.waitpid(self._pid, 0)
            self._pid = 0
        return self._sizes, self._mtimes, self._modes

    def _ask(self, first: int) -> None:
        sizes, mtimes, modes = self._sizes, self._mtimes, self._modes
        behind = min(first + _STEP, self._count)
        end = self._starts[behind] if behind < self._count else len(self._names)
        names = bytes(self._names[self._starts[first] : end - 1]).split(b"\0")
        for number, name in enumerate(names, first):
            try:
                about = os.lstat(name)
            except OSError:
                mtimes[number] = 0
                continue
            sizes[number], mtimes[number] = about.st_size, about.st_mtime_ns
            modes[number] = about.st_mode & 0o7777


def _copied(code: str, view: memoryview) -> array[int]:
    column = array(code)
    column.frombytes(view.cast("B"))
    return column
