"""What all parts of the file manager's screen share: the two panes, what is at hand, how disks are asked."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterator
from typing import TYPE_CHECKING, Any, TypeVar

from labbox.errors import LabboxError
from labbox.files.directory import Row
from labbox.files.watching import Watcher
from labbox.locations import Kind, Location
from labbox.protocol import Caller, Job
from labbox.text import counted, visible_line
from labbox.tui.browsing import Browser
from labbox.tui.filememory import FileMemory, Visits
from labbox.tui.link import Calls
from labbox.tui.screens.base import Pane
from labbox.tui.screens.folder import folder_of, home
from labbox.tui.widgets.filepane import FilePane

if TYPE_CHECKING:
    from labbox.files.places.opening import Places

T = TypeVar("T")
SIDES = ("left", "right")


class _Browser(Browser):
    """A browser whose work is a worker of the screen."""

    def __init__(self, screen: FilesBase, side: str) -> None:
        super().__init__(
            screen.disk,
            screen.watcher,
            screen.places,
            lambda stand_on: screen.pane_changed(side, stand_on),
            screen.lab_error,
        )
        self._screen, self._side = screen, side

    def under(self) -> str | None:
        row = self._screen.file_panes[self._side].table.row
        return None if row is None else row.name

    def touched(self, numbers: list[int]) -> None:
        self._screen.rows_touched(self, numbers)

    def start(self, work: Awaitable[None]) -> None:
        self._screen.attempt(_as_coroutine(work), group="fresh")


async def _as_coroutine(work: Awaitable[None]) -> None:
    await work


class FilesBase(Pane):
    """Two panes; one of them has the keys."""

    KEYS = "manager"

    def __init__(self) -> None:
        """Both panes begin at the home."""
        super().__init__()
        self.disk = Calls()  # threads of its own: a slow disk does not keep the box's answers waiting
        self.watcher = Watcher()
        self._opened: Places | None = None
        self._opening = asyncio.Lock()
        self.memory = FileMemory()
        self.visits = Visits({})
        self.bookmarks_kept: list[str] = []
        self.asked: dict[str, tuple[str, ...]] = {}
        self.active = "left"
        self.file_panes = {side: FilePane(side) for side in SIDES}
        self.browsers: dict[str, Browser] = {side: _Browser(self, side) for side in SIDES}
        self.undoable: list[tuple[str, Callable[[], Coroutine[Any, Any, Job | None]]]] = []

    # Which pane.

    @property
    def passive(self) -> str:
        """The side that has not the keys."""
        return "left" if self.active == "right" else "right"

    @property
    def pane(self) -> FilePane:
        """The pane that has the keys."""
        return self.file_panes[self.active]

    @property
    def here(self) -> Browser:
        """What the active pane shows."""
        return self.browsers[self.active]

    @property
    def there(self) -> Browser:
        """What the other pane shows."""
        return self.browsers[self.passive]

    def side_of(self, widget: object) -> str:
        """Which pane a part belongs to."""
        for side, pane in self.file_panes.items():
            if widget in (pane, pane.table, pane.path, pane.tabs, pane.status):
                return side
        return self.active

    def pane_changed(self, side: str, stand_on: str | None) -> None:
        """A browser has more to show."""
        raise NotImplementedError

    def lab_error(self, error: LabboxError) -> None:
        """Tell in passing what went wrong with no key pressed."""
        self.lab.say(error.message)

    def rows_touched(self, browser: Browser, numbers: list[int]) -> None:
        """Draw some entries of a pane again."""
        for side, each in self.browsers.items():
            if each is browser:
                for number in numbers:
                    self.file_panes[side].table.refresh_number(number)
                self.tell_status(side)

    # What is at hand.

    @property
    def row(self) -> Row | None:
        """The entry under the cursor; None on the way up."""
        return self.pane.table.row

    def location_of(self, name: str, browser: Browser | None = None) -> Location:
        """An entry's location; in a flat view the name holds the way to it."""
        found = (browser or self.here).location
        for part in name.split("/"):
            found = found.joined(part)
        return found

    def meant(self) -> list[str]:
        """The names that a deed is about: the marked ones, else the one under the cursor."""
        listing = self.here.listing
        if listing is None:
            return []
        if listing.marks:
            return listing.marked_names()
        row = self.row
        return [row.name] if row else []

    def meant_locations(self) -> list[Location]:
        """Where they are."""
        return [self.location_of(name) for name in self.meant()]

    def nothing_meant(self) -> bool:
        """Whether there is nothing to do something with; says so."""
        if self.meant():
            return False
        self.lab.say("Nothing is under the cursor, and nothing is marked.")
        return True

    def unmark(self) -> None:
        """The marks have served."""
        if self.here.listing is not None and self.here.listing.marks:
            self.here.listing.marks.clear()
            self.pane.table.refresh()
            self.tell_status(self.active)

    def tell_status(self, side: str) -> None:
        """Write the line under the files anew."""
        raise NotImplementedError

    def what(self, names: list[str]) -> str:
        """Names for a question: one by itself, many by their number."""
        return f"“{visible_line(names[0])}”" if len(names) == 1 else counted(len(names), "item")

    # The places.

    async def places(self) -> Places:
        """Everything that holds files, opened when it is first wanted."""
        async with self._opening:
            if self._opened is None:
                from labbox.files.places.opening import Places, Roots

                caller = await self.caller()
                roots = Roots(home=str(home()), shared=caller.shared, projects=dict(caller.projects), jobs={})
                self._opened = Places(
                    roots, credentials=self.credential_source(), job_folder=self._job_folder
                )
            return self._opened

    def credential_source(self) -> Any:
        """Where keys for other hosts come from: the box keeps them, each for its owner."""
        from labbox.files.places.credentials import AskedCredentials

        return AskedCredentials(lambda host: self.lab.client.host_secret(host))

    async def caller(self) -> Caller:
        """Who one is."""
        known: Caller | None = self.lab.caller
        if known is not None:
            return known
        return await self.ask(self.lab.client.whoami)

    async def _job_folder(self, number: int) -> str:
        job = (await self.ask(lambda: self.lab.client.show_job(number))).job
        return str(folder_of(job))

    async def close_all(self) -> None:
        """Let go of threads, descriptors and connections."""
        for browser in self.browsers.values():
            browser.close()
        self.watcher.close()
        self.disk.close()
        if self._opened is not None:
            await self._opened.close()

    def remember_undo(self, what: str, back: Callable[[], Coroutine[Any, Any, Job | None]]) -> None:
        """Keep the way back of what was just done: a job, or done once it returns."""
        self.undoable = [*self.undoable, (what, back)][-50:]

    def both(self) -> Iterator[tuple[str, Browser]]:
        """Side and browser."""
        yield from self.browsers.items()

    def end_looks(self, side: str | None = None) -> bool:
        """End what looks through all that is below a pane's folder; whether anything did."""
        return False

    def same_folder(self, location: Location) -> bool:
        """Whether a location is the very folder that the other pane shows."""
        return self.there.location == location and location.kind in Kind
