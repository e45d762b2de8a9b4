"""One pane's way through the places: its tabs, what is read for them, how it is kept fresh."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from contextvars import copy_context
from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError
from labbox.files import directory, readings, scanning
from labbox.files.apart import Apart
from labbox.files.directory import Arrangement, Kind, Listing, Row, Sort, row_at
from labbox.files.places.base import Entry, EntryKind, Place
from labbox.locations import Kind as PlaceKind
from labbox.locations import Location, new_text, parse
from labbox.text import visible_line
from labbox.tui.filememory import MOST_HISTORY, MOST_TABS, PaneMemory, TabMemory, location_of
from labbox.tui.link import Calls

if TYPE_CHECKING:
    from labbox.files.places.opening import Places
    from labbox.files.watching import Watcher

LOOK_EVERY: Final = 2.0  # seconds between two looks at a folder, for what the kernel did not tell
GATHER: Final = 0.15  # seconds in which changes are gathered before they are put in place
FEW: Final = 200  # changes that are put in place one by one; more: the folder is read again
SLICE: Final = 0.008  # seconds of work on the event loop at once

HOME: Final = Location(kind=PlaceKind.BOX, path="~")


class Tab:
    """Where one tab is, how it is sorted, and where it was before."""

    def __init__(self, location: Location, arrangement: Arrangement) -> None:
        """Nothing is read yet."""
        self.location = location
        self.arrangement = arrangement
        self.back: list[Location] = []
        self.forward: list[Location] = []
        self.listing: Listing | None = None
        self.stand_on: str | None = None
        self.flat = False
        self.title = ""  # of a panel of results that is no folder

    def memory(self) -> TabMemory:
        """What is remembered of it."""
        how = self.arrangement
        return TabMemory(
            location=str(self.location),
            sort=how.sort.value,
            reverse=how.reverse,
            hidden=how.hidden,
            filter=how.filter,
            back=tuple(map(str, self.back[-MOST_HISTORY:])),
            forward=tuple(map(str, self.forward[-MOST_HISTORY:])),
        )


def remembered_tab(memory: TabMemory) -> Tab | None:
    """The tab that was remembered; None where it makes no sense."""
    location = location_of(memory.location)
    if location is None:
        return None
    sort = next((each for each in Sort if each.value == memory.sort), Sort.NAME)
    tab = Tab(location, Arrangement(sort, memory.reverse, True, memory.hidden, memory.filter))
    tab.back = [each for text in memory.back[-MOST_HISTORY:] if (each := location_of(text))]
    tab.forward = [each for text in memory.forward[-MOST_HISTORY:] if (each := location_of(text))]
    return tab


class _Stand:
    """The entry that the cursor is to stand on: it may not be among the first ones that are shown."""

    def __init__(self, browser: Browser, name: str | None) -> None:
        """`name` None: the cursor stays where it is."""
        self._browser, self._name = browser, name
        self._left_on: str | None = None
        self._shown = False

    def next(self) -> str | None:
        """The name for the listing that is about to be shown; None once somebody has moved the cursor."""
        if self._shown and self._browser.under() != self._left_on:
            self._name = None
        return self._name

    def shown(self, listing: Listing) -> None:
        """A listing was shown: with the entry in it there is nothing left to do."""
        if self._name is not None and listing.find(self._name) is not None:
            self._name = None
        self._shown, self._left_on = True, self._browser.under()


class Browser:
    """What a pane shows and how it comes there. `changed(stand_on)` is called when there is more to draw."""

    def __init__(
        self,
        disk: Calls,
        watcher: Watcher,
        places: Callable[[], Awaitable[Places]],
        changed: Callable[[str | None], None],
        failed: Callable[[LabboxError], None],
    ) -> None:
        """`disk` runs what waits for disks; `places` gives what holds all that is not on the box."""
        self._disk = disk
        self._watcher = watcher
        self._places = places
        self._changed = changed
        self._failed = failed
        self.tabs = [Tab(HOME, Arrangement())]
        self.at = 0
        self.reading = False
        self.folder: str | None = None  # the local path of what is shown
        self.free: int | None = None
        self.writable = True
        self._apart = Apart()
        self._turn = 0
        self._watch: int | None = None
        self._seen: set[str] = set()
        self._everything = False
        self._gathering = False
        self._stamp: int | None = None
        self._blind = False
        self._patching = False

    # Tabs.

    @property
    def tab(self) -> Tab:
        """The tab in front."""
        return self.tabs[self.at]

    @property
    def location(self) -> Location:
        """Where it is."""
        return self.tab.location

    @property
    def listing(self) -> Listing | None:
        """What it shows."""
        return self.tab.listing

    def restore(self, memory: PaneMemory) -> None:
        """The tabs of the last login."""
        tabs = [tab for each in memory.tabs[:MOST_TABS] if (tab := remembered_tab(each))]
        if tabs:
            self.tabs, self.at = tabs, max(0, min(memory.at, len(tabs) - 1))

    def memory(self) -> PaneMemory:
        """What the next login finds."""
        return PaneMemory(tabs=tuple(tab.memory() for tab in self.tabs[:MOST_TABS]), at=self.at)

    # Going somewhere.

    async def go(self, location: Location, *, stand_on: str | None = None, remember: bool = True) -> bool:
        """Show another folder. Where it cannot be read the old one stays; the reason is raised."""
        tab, before = self.tab, self.tab.location
        try:
            await self.read(location, stand_on=stand_on)
        except LabboxError:
            if self.tab is tab and tab.location == before and tab.listing is None:
                tab.listing = Listing(tab.arrangement)
                self._changed(None)
            raise
        if remember and before != location:
            tab.back = [*tab.back, before][-MOST_HISTORY:]
            tab.forward = []
        return True

    async def read(self, location: Location | None = None, *, stand_on: str | None = None) -> None:
        """Read the folder, or another one, and show it as it comes."""
        self._turn += 1
        turn = self._turn
        self._apart.cancel()
        self._apart = Apart()
        tab = self.tab
        wanted = location or tab.location
        folder = await self.system_path(wanted)
        if turn != self._turn:
            return
        self.reading = True
        try:
            if folder is not None:
                await self._read_local(turn, tab, wanted, folder, stand_on)
            else:
                await self._read_place(turn, tab, wanted, stand_on)
        finally:
            if turn == self._turn:
                self.reading = False
        if turn == self._turn:
            self._changed(None)

    async def _read_local(
        self, turn: int, tab: Tab, location: Location, folder: str, stand_on: str | None
    ) -> None:
        loop, context = asyncio.get_running_loop(), copy_context()  # Textual's, which a thread has not
        how = self._arrangement_for(tab, location)
        first, stand = True, _Stand(self, stand_on)
        before = tab.listing if location == tab.location else None

        def arrived(listing: Listing, columns: scanning.Columns | None) -> None:
            nonlocal first
            if turn != self._turn:
                return
            if columns is not None:
                listing.fill(columns)
                self._changed(None)
                return
            if first and before is not None and not listing.complete and len(listing) <= scanning.FIRST:
                return  # a reread does not shrink what is on the screen
            self._put(tab, location, folder, listing, stand.next(), before)
            stand.shown(listing)
            first = False

        def show(listing: Listing, columns: scanning.Columns | None) -> None:
            with suppress(RuntimeError):  # the loop has closed
                loop.call_soon_threadsafe(arrived, listing, columns, context=context)

        def work() -> None:
            try:
                readings.read(folder, how, show, self._apart)
            except OSError as error:
                raise refused(location, error) from error

        apart = self._apart
        try:
            await self._disk.ask(work)
        except asyncio.CancelledError:
            apart.cancel()
            raise
        if turn == self._turn:
            await self._look_after(turn, folder)

    async def _read_place(self, turn: int, tab: Tab, location: Location, stand_on: str | None) -> None:
        place, path = await self.place_of(location)
        how = self._arrangement_for(tab, location)
        listing, stand = Listing(how), _Stand(self, stand_on)
        shown = False
        async for batch in place.list(path):
            if turn != self._turn:
                return
            for start in range(0, len(batch), 500):
                listing.add(row_of(entry) for entry in batch[start : start + 500])
                await asyncio.sleep(0)
            if not shown and len(listing) <= scanning.APART:
                shown = True
                first = Listing(how)
                first.add(row_of(entry) for entry in batch)
                first.arrange()
                self._put(tab, location, None, first, stand.next(), None)
                stand.shown(first)
        apart = self._apart
        found = await self._disk.ask(lambda: scanning.rearrange(listing, how, apart))
        if turn != self._turn or found is None:
            return
        listing.settle(how, *found)
        listing.complete = True
        before = tab.listing if location == tab.location else None
        self._put(tab, location, None, listing, stand.next(), before)
        self.writable = place.traits.writable
        with suppress(LabboxError):
            self.free = (await place.space(path)).free

    def _arrangement_for(self, tab: Tab, location: Location) -> Arrangement:
        """A filter is for one folder."""
        return tab.arrangement if location == tab.location else tab.arrangement._replace(filter="")

    def _put(
        self,
        tab: Tab,
        location: Location,
        folder: str | None,
        listing: Listing,
        stand_on: str | None,
        before: Listing | None,
    ) -> None:
        if before is not None and before.marks:
            listing.mark_names(before.marked_names())
        if before is not None:
            for number in before.sized:
                if (now := listing.find(before.name(number))) is not None:
                    listing.set_size(now, before.sizes[number])
        if location != tab.location:
            self._unwatch()
        tab.location, tab.listing, tab.arrangement = location, listing, listing.arrangement
        tab.flat, tab.title = False, ""
        self.folder = folder
        self._changed(stand_on)

    async def system_path(self, location: Location) -> str | None:
        """The path for system calls where it is on this machine; None elsewhere."""
        if location.inner is not None:
            return None
        if location.kind is PlaceKind.BOX:
            home = os.environ.get("HOME", "/")
            return home + location.path[1:] if location.path.startswith("~") else location.path
        place, path = await self.place_of(location)
        return place.system_path(path)

    async def place_of(self, location: Location) -> tuple[Place, str]:
        """The place and the path in it."""
        return await (await self._places()).get(location)

    # Arrangement.

    async def arrange(self, how: Arrangement) -> None:
        """Sort or filter anew; marks and cursor stay."""
        tab, listing = self.tab, self.tab.listing
        tab.arrangement = how
        if listing is None:
            return
        if not listing.complete:
            await self.read()
            return
        apart, turn = self._apart, self._turn
        if len(listing) <= scanning.APART:
            listing.arrange(how)
        else:
            found = await self._disk.ask(lambda: scanning.rearrange(listing, how, apart))
            if found is None or turn != self._turn or tab.arrangement != how:
                return
            listing.settle(how, *found)
        self._changed(None)

    # Keeping fresh.

    async def _look_after(self, turn: int, folder: str) -> None:
        from labbox.files import watching

        def look() -> tuple[int | None, int | None, bool, int | None, bool]:
            return (
                self._watcher.add(folder),
                _stamp(folder),
                watching.is_blind(folder),
                _free(folder),
                os.access(folder, os.W_OK),
            )

        number, stamp, blind, free, writable = await self._disk.ask(look)
        if turn != self._turn or number == self._watch:
            if number is not None:
                self._watcher.forget(number)
            if turn != self._turn:
                return
        elif number is not None:
            self._unwatch()
            self._watch = number
            self._watcher.listen(number, self._noticed)
        self._stamp, self._blind, self.free, self.writable = stamp, blind, free, writable

    def _unwatch(self) -> None:
        if self._watch is not None:
            self._watcher.forget(self._watch, self._noticed)
            self._watch = None
        self._seen, self._everything = set(), False

    def _noticed(self, names: set[str] | None) -> None:
        if names is None or len(self._seen) > FEW:
            self._everything = True
        else:
            self._seen |= names
        if not self._gathering:
            self._gathering = True
            asyncio.get_running_loop().call_later(GATHER, self._gathered)

    def _gathered(self) -> None:
        self._gathering = False
        listing = self.listing
        if listing is None or self.reading or not listing.complete or self._patching:
            if self._watch is not None:
                self._gathering = True
                asyncio.get_running_loop().call_later(GATHER, self._gathered)
            return
        names, everything = self._seen, self._everything
        self._seen, self._everything = set(), False
        if self.folder is None or self.tab.flat or self.tab.title:
            return
        if everything or len(names) > FEW:
            self.start(self._again())
        elif names:
            self.start(self._patch(self.folder, listing, names))

    def start(self, work: Awaitable[None]) -> None:
        """Do something beside; the screen puts a worker in this place."""
        raise NotImplementedError

    async def _again(self) -> None:
        """Read again; where the folder has gone, go to what is left of its path."""
        try:
            await self.read()
        except LabboxError as error:
            if error.code != "not_found":
                raise
            above = self.location
            while not above.is_root and above != above.parent:
                above = above.parent
                with suppress(LabboxError):
                    await self.read(above)
                    break
            self._failed(error)

    async def _patch(self, folder: str, listing: Listing, names: set[str]) -> None:
        self._patching = True
        try:
            found = await self._disk.ask(lambda: [(name, row_at(folder, name)) for name in names])
            stamp = await self._disk.ask(lambda: _stamp(folder))
            if self.listing is not listing:
                return
            moved, began = False, time.perf_counter()
            wanted, under = listing.arrangement.predicate(), self.under()
            for name, row in found:
                moved = (listing.change(name, row) and (wanted is None or wanted(name))) or moved
                if time.perf_counter() - began > SLICE:
                    self._changed(under)
                    await asyncio.sleep(0)
                    if self.listing is not listing:
                        return
                    began, under = time.perf_counter(), self.under()
            self._stamp = stamp
        finally:
            self._patching = False
        if self.listing is listing and moved:
            self._changed(under)
        elif self.listing is listing:
            self.touched([number for name in names if (number := listing.find(name)) is not None])

    def under(self) -> str | None:
        """The name under the cursor, which stays there when rows come and go above it."""
        raise NotImplementedError

    def touched(self, numbers: list[int]) -> None:
        """Some entries look otherwise, and stand where they stood."""
        raise NotImplementedError

    async def look(self, numbers: list[int]) -> None:
        """What the kernel did not tell: has the folder changed, or what is on screen of a foreign one?"""
        listing, folder = self.listing, self.folder
        if listing is None or folder is None or self.reading or self.tab.flat or self.tab.title:
            return
        blind = self._blind or self._watch is None
        names = [listing.name(number) for number in numbers] if blind else []

        def ask() -> tuple[int | None, list[tuple[str, Row | None]], int | None]:
            return _stamp(folder), [(name, row_at(folder, name)) for name in names], _free(folder)

        stamp, rows, self.free = await self._disk.ask(ask)
        if self.listing is not listing or self.folder != folder or self._gathering or self._patching:
            return
        if stamp is None or stamp != self._stamp:
            self._stamp = stamp
            await self._again()
            return
        under = self.under()
        moved = [listing.change(name, row) for name, row in rows]  # each of them
        if any(moved):
            self._changed(under)

    async def ask_about(self, numbers: list[int]) -> None:
        """Sizes and times of some entries, before those of all are known."""
        listing, folder = self.listing, self.folder
        if listing is None or folder is None:
            return
        names = [(number, listing.name(number)) for number in numbers]
        rows = await self._disk.ask(lambda: [(number, row_at(folder, name)) for number, name in names])
        for number, row in rows:
            gone = Row("", Kind(listing.kinds[number]), 0, 0)
            if listing.mtimes[number] == directory.UNKNOWN:
                listing.set_row(number, row or gone)
        if self.listing is listing:
            self._changed(None)

    def close(self) -> None:
        """End what is under way."""
        self._turn += 1
        self._apart.cancel()
        self._unwatch()


def row_of(entry: Entry) -> Row:
    """An entry of any place as a row."""
    match entry.kind:
        case EntryKind.FOLDER:
            kind = Kind.FOLDER
        case EntryKind.FILE:
            kind = Kind.FILE
        case EntryKind.LINK:
            kind = Kind.FOLDER_LINK if entry.folder else Kind.LINK
        case _:
            kind = Kind.OTHER
    return Row(entry.name, kind, entry.size, entry.mtime, (entry.mode or 0) & 0o7777)


def refused(location: Location, error: OSError) -> LabboxError:
    """What the system says about a folder, for people."""
    shown = location.shown()
    match error:
        case FileNotFoundError():
            return LabboxError("not_found", f"cannot open {shown}: it is not there", "Ctrl+R reads again.")
        case PermissionError():
            return LabboxError("forbidden", f"cannot open {shown}: it is not yours to read", "Ask its owner.")
        case NotADirectoryError():
            return LabboxError("conflict", f"cannot open {shown}: it is no folder", "F3 shows a file.")
    reason = visible_line(error.strerror or str(error))
    return LabboxError("unavailable", f"cannot open {shown}: {reason}", "Try again later.")


def location_below(text: str, base: Location) -> Location:
    """What a person typed, from where they stand."""
    return parse(_typed(text), base)


def _typed(text: str) -> str:
    text = text.strip()
    if text.startswith("~") and text[1:2] not in ("", "/"):
        name = visible_line(text[1:])
        raise LabboxError(
            "invalid",
            f"cannot tell what ~{name} means",
            f"write ~/{name} for a place in your home, ./~{name} for a file that is called so",
        )
    return text


def new_location_below(text: str, base: Location) -> Location:
    """The same of something that may be made: a “!” at its end belongs to the name."""
    return parse(new_text(_typed(text)), base)


def _stamp(folder: str) -> int | None:
    try:
        return os.stat(folder).st_mtime_ns  # noqa: PTH116 - its own time alone is wanted
    except OSError:
        return None


def _free(folder: str) -> int | None:
    try:
        room = os.statvfs(folder)
    except OSError:
        return None
    return room.f_bavail * room.f_frsize
