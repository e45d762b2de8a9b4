"""One folder as a file manager shows it: names and columns in arrays, the order they stand in, what is shown.

A million entries take about 55 bytes each beside their names. An entry is known by its number, which stays
the same while the listing lives; `order` holds the numbers as sorted, `shown` those that filter and hidden
files leave. A few changes are put in place; numbers of what is gone are not used again.
"""

from __future__ import annotations

import os
import stat
from array import array
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum, StrEnum
from itertools import chain, compress
from typing import Final, NamedTuple, TypeVar

from labbox.files.masks import composed, matcher, seeker
from labbox.files.ordering import by_extension, by_name, extension, name_at, natural, pieces

_PIECE: Final = 1 << 15
UNKNOWN: Final = -(1 << 63)  # a time that nobody has asked for yet


class Sort(StrEnum):
    """What a listing is sorted by."""

    NAME = "name"
    EXTENSION = "extension"
    SIZE = "size"
    TIME = "time"


class Kind(IntEnum):
    """What an entry is; the numbers stand in the column `kinds`."""

    FOLDER = 0
    FILE = 1
    LINK = 2  # to something that is no folder
    FOLDER_LINK = 3
    BROKEN = 4  # a link to nothing
    OTHER = 5
    GONE = 6  # removed since the listing was made


_KINDS: Final = tuple(Kind)
_FOLDERS: Final = frozenset({int(Kind.FOLDER), int(Kind.FOLDER_LINK)})
_FOLDER: Final = bytes(kind in _FOLDERS for kind in range(256))
_NO_FOLDER: Final = bytes(kind not in _FOLDERS for kind in range(256))
_ALIVE: Final = bytes(kind != Kind.GONE for kind in range(256))
_NO_DOT: Final = bytes(first != ord(".") for first in range(256))


class Arrangement(NamedTuple):
    """How a listing is sorted and what of it is shown."""

    sort: Sort = Sort.NAME
    reverse: bool = False
    folders_first: bool = True
    hidden: bool = False
    filter: str = ""  # a part of the name, or a mask with * ? [

    def predicate(self) -> Callable[[str], bool] | None:
        """Whether a name is shown; None where all are."""
        wanted = matcher(self.filter) if self.filter else None
        if self.hidden:
            return wanted
        if wanted is None:
            return lambda name: name[0] != "."
        return lambda name: name[0] != "." and wanted(name)


class Row(NamedTuple):
    """One entry, as it is put into a listing."""

    name: str
    kind: Kind
    size: int = 0
    mtime: int = UNKNOWN  # nanoseconds of the epoch
    mode: int = 0  # permission bits


def row_at(folder: str, name: str) -> Row | None:
    """What a local folder holds under a name; None where nothing is."""
    path = os.path.join(folder, name)  # noqa: PTH118 - many at a time
    try:
        about = os.lstat(path)
    except OSError:
        return None
    return Row(name, kind_of(path, about.st_mode), about.st_size, about.st_mtime_ns, about.st_mode & 0o7777)


def kind_of(path: str, mode: int) -> Kind:
    """The kind by the mode of an entry; links are followed once."""
    if stat.S_ISREG(mode):
        return Kind.FILE
    if stat.S_ISDIR(mode):
        return Kind.FOLDER
    if not stat.S_ISLNK(mode):
        return Kind.OTHER
    try:
        return Kind.FOLDER_LINK if stat.S_ISDIR(os.stat(path).st_mode) else Kind.LINK  # noqa: PTH116
    except OSError:
        return Kind.BROKEN


def _those(order: array[int], flags: bytes | bytearray) -> array[int]:
    """The numbers whose flag is set."""
    return array("I", compress(order, map(flags.__getitem__, order)))


def _sorted(order: array[int], values: array[int], reverse: bool) -> array[int]:
    return array("I", sorted(order, key=values.__getitem__, reverse=reverse))


_Column = TypeVar("_Column", bytearray, "array[int]")


def twin_of(column: _Column) -> _Column:
    """A copy, made in pieces: one large step would keep Python's lock for too long."""
    twin = column[:0]
    for start in range(0, len(column), _PIECE):
        twin += column[start : start + _PIECE]
    return twin


class Listing:
    """The entries of one folder."""

    def __init__(self, arrangement: Arrangement = Arrangement()) -> None:  # noqa: B008 - frozen
        """No entries yet."""
        self.arrangement = arrangement
        self.names = bytearray()  # as the file system has them, each with a 0 byte behind it
        self.starts = array("I")  # where each name begins
        self.kinds = bytearray()
        self.sizes = array("q")
        self.mtimes = array("q")
        self.modes = array("H")
        self.order = array("I")
        self.shown = array("I")
        self.marks: set[int] = set()
        self.sized: set[int] = set()  # folders whose size was asked for
        self.complete = False

    def __len__(self) -> int:
        """How many entries there ever were."""
        return len(self.starts)

    # Filling.

    def add(self, rows: Iterable[Row]) -> None:
        """Put entries at the end; `arrange` brings them into order."""
        for row in rows:
            self.starts.append(len(self.names))
            self.names += os.fsencode(row.name) + b"\0"
            self.kinds.append(row.kind)
            self.sizes.append(row.size)
            self.mtimes.append(row.mtime)
            self.modes.append(row.mode)

    def fill(self, columns: tuple[array[int], array[int], array[int]]) -> None:
        """Sizes, times and modes of all entries, which were open when the names came."""
        self.sizes, self.mtimes, self.modes = columns
        self.complete = True

    def twin(self) -> Listing:
        """The same entries in the same order, for another pane: without marks."""
        twin = Listing(self.arrangement)
        twin.names, twin.kinds, twin.starts = twin_of(self.names), twin_of(self.kinds), twin_of(self.starts)
        twin.sizes, twin.mtimes, twin.modes = twin_of(self.sizes), twin_of(self.mtimes), twin_of(self.modes)
        twin.order = twin_of(self.order)
        twin.shown = twin.order if self.shown is self.order else twin_of(self.shown)
        twin.complete = self.complete
        return twin

    # One entry.

    def name(self, number: int) -> str:
        """The name; undecodable bytes as `os.fsdecode` keeps them."""
        return name_at(self.names, self.starts[number])

    def row(self, number: int) -> Row:
        """The whole entry."""
        return Row(
            self.name(number),
            _KINDS[self.kinds[number]],
            self.sizes[number],
            self.mtimes[number],
            self.modes[number],
        )

    def is_folder(self, number: int) -> bool:
        """Whether Enter goes into it: a folder, or a link to one."""
        return self.kinds[number] in _FOLDERS

    def size_of(self, number: int) -> int:
        """The size; of a folder 0 until somebody asks for it."""
        return 0 if self.is_folder(number) and number not in self.sized else self.sizes[number]

    def find(self, name: str) -> int | None:
        """The number of an entry by its name."""
        wanted = os.fsencode(name) + b"\0"
        at = self.names.find(wanted)
        while at >= 0:
            if at == 0 or self.names[at - 1] == 0:
                number = self._number_at(at)
                if self.kinds[number] != Kind.GONE:
                    return number
            at = self.names.find(wanted, at + 1)
        return None

    def _number_at(self, start: int) -> int:
        return bisect_left(self.starts, start)

    def place_of(self, number: int) -> int | None:
        """Where the entry stands in `shown`."""
        at = self._at(self.shown, number)
        if at < len(self.shown) and self.shown[at] == number:
            return at
        try:
            return self.shown.index(number)
        except ValueError:
            return None

    # Order.

    def arranged(self, arrangement: Arrangement) -> tuple[array[int], array[int]]:
        """The order and what is shown of it, as another arrangement has them. Changes nothing."""
        kinds, reverse = self.kinds, arrangement.reverse
        order = by_name(self.names, self.starts)
        if Kind.GONE in kinds:
            order = _those(order, kinds.translate(_ALIVE))
        match arrangement.sort:
            case Sort.NAME:
                if reverse:
                    order.reverse()
            case Sort.EXTENSION:
                order = _sorted(order, by_extension(self.names, self.starts), reverse)
            case Sort.TIME:
                order = _sorted(order, self.mtimes, reverse)
            case Sort.SIZE:
                order = _sorted(order, self._sizes_shown(), reverse)
        if arrangement.folders_first and any(kind in kinds for kind in _FOLDERS):
            order = _those(order, kinds.translate(_FOLDER)) + _those(order, kinds.translate(_NO_FOLDER))
        if not arrangement.hidden and not arrangement.filter:
            if not self.names.startswith(b".") and b"\0." not in self.names:
                return order, order[:]
            return order, _those(order, bytes(map(self.names.__getitem__, self.starts)).translate(_NO_DOT))
        wanted = arrangement.predicate()
        if wanted is None:
            return order, order
        fits = bytearray()
        for names in pieces(self.names, self.starts):
            fits += bytes(map(wanted, names))
        return order, _those(order, fits)

    def _sizes_shown(self) -> array[int]:
        """The sizes as `size_of` has them."""
        if not any(kind in self.kinds for kind in _FOLDERS):
            return self.sizes
        sizes, folders = self.sizes[:], self.kinds.translate(_FOLDER)
        for number in compress(range(len(sizes)), folders):
            if number not in self.sized:
                sizes[number] = 0
        return sizes

    def arrange(self, arrangement: Arrangement | None = None) -> None:
        """Sort at once; for listings of a few thousand entries."""
        arrangement = arrangement or self.arrangement
        self.settle(arrangement, *self.arranged(arrangement))

    def settle(self, arrangement: Arrangement, order: array[int], shown: array[int]) -> None:
        """Take an order that was found elsewhere; what came in the meantime is put in place."""
        known = len(order)
        self.arrangement, self.order, self.shown = arrangement, order, shown
        alive = len(self.kinds) - self.kinds.count(Kind.GONE)
        if known < alive:
            had = set(order)
            for number in range(len(self.kinds)):
                if number not in had and self.kinds[number] != Kind.GONE:
                    self._insert(number)

    def _before(self, one: int, other: int) -> bool:
        """Whether an entry stands in front of another."""
        how = self.arrangement
        if how.folders_first and (left := self.is_folder(one)) != self.is_folder(other):
            return left
        a, b = self.name(one), self.name(other)
        if how.sort is Sort.NAME:
            return natural(a) > natural(b) if how.reverse else natural(a) < natural(b)
        left_value: int | str
        right_value: int | str
        if how.sort is Sort.EXTENSION:
            left_value, right_value = extension(a), extension(b)
        else:
            value = self.size_of if how.sort is Sort.SIZE else self.mtimes.__getitem__
            left_value, right_value = value(one), value(other)
        if left_value != right_value:
            return (left_value > right_value) == how.reverse  # type: ignore[operator]  # both are of one kind
        return natural(a) < natural(b)

    def _insert(self, number: int) -> None:
        wanted = self.arrangement.predicate()
        places = [self.order]
        if self.shown is not self.order and (wanted is None or wanted(self.name(number))):
            places.append(self.shown)
        for place in places:
            place.insert(self._at(place, number), number)

    def _at(self, place: array[int], number: int) -> int:
        """Where an entry stands, or would stand."""
        low, high = 0, len(place)
        while low < high:
            middle = (low + high) // 2
            if self._before(place[middle], number):
                low = middle + 1
            else:
                high = middle
        return low

    # Changes.

    def change(self, name: str, row: Row | None) -> bool:
        """Put one change in place: an entry that came, changed or went. Whether rows moved."""
        number = self.find(name)
        if row is None:
            if number is None:
                return False
            self._take_out(number)
            self.kinds[number] = Kind.GONE
            self.marks.discard(number)
            return True
        if number is None:
            self.add([row])
            self._insert(len(self.kinds) - 1)
            return True
        if number in self.sized and row.kind is Kind.FOLDER:
            row = row._replace(size=self.sizes[number])
        same_kind = self.kinds[number] == row.kind
        by = self.arrangement.sort
        moves = (
            not same_kind
            or (by is Sort.SIZE and self.sizes[number] != row.size)
            or (by is Sort.TIME and self.mtimes[number] != row.mtime)
        )
        if moves:
            self._take_out(number)
        self.set_row(number, row)
        if moves:
            self._insert(number)
        return moves

    def _take_out(self, number: int) -> None:
        for place in (self.order, self.shown) if self.shown is not self.order else (self.order,):
            at = self._at(place, number)
            if at < len(place) and place[at] == number:
                place.pop(at)
            elif number in place:  # two that nothing tells apart
                place.remove(number)

    def set_row(self, number: int, row: Row) -> None:
        """What was found out about an entry."""
        self.kinds[number], self.sizes[number] = row.kind, row.size
        self.mtimes[number], self.modes[number] = row.mtime, row.mode

    def set_size(self, number: int, size: int) -> None:
        """The size of a folder that was asked for."""
        if moves := self.arrangement.sort is Sort.SIZE and bool(self.order):
            self._take_out(number)
        self.sizes[number] = size
        self.sized.add(number)
        if moves:
            self._insert(number)

    # Marks and totals.

    def marked_names(self) -> list[str]:
        """The marked entries in the order shown; marks on what a filter hides count too."""
        marks = self.marks
        return [self.name(number) for number in self.order if number in marks] if marks else []

    def mark_names(self, names: Iterable[str]) -> None:
        """Mark entries by name, where they are there."""
        wanted = list(names)
        if len(wanted) > 20:  # one pass over all names costs less than many searches
            known = {
                name: number
                for number, name in enumerate(chain.from_iterable(pieces(self.names, self.starts)))
            }
            found = (known.get(name) for name in wanted)
        else:
            found = (self.find(name) for name in wanted)
        self.marks |= {number for number in found if number is not None and self.kinds[number] != Kind.GONE}

    def marked_bytes(self) -> int:
        """The size of what is marked, as far as it is known."""
        sizes, kinds, sized = self.sizes, self.kinds, self.sized
        return sum(sizes[number] for number in self.marks if kinds[number] != Kind.FOLDER or number in sized)

    def matching(self, mask: str) -> set[int]:
        """The shown entries whose names fit a mask."""
        fits = matcher(mask)
        if mask.strip() == "*":
            return set(self.shown)
        return {number for number in self.shown if fits(self.name(number))}

    def search(self, text: str, start: int, step: int = 1, pause: int = 2000) -> Iterator[int | None]:
        """Look from a row on, around the end, for a name that begins so, then for one that holds it.

        Yields None now and then, so that a search among very many can be spread, and the row at last.
        """
        wanted = seeker(text)
        count = len(self.shown)
        for fits in (wanted.match, wanted.search):
            for turn in range(count):
                row = (start + turn * step) % count
                if fits(composed(self.name(self.shown[row]))):
                    yield row
                    return
                if turn % pause == pause - 1:
                    yield None
