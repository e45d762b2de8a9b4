"""Going about in the file manager: folders, places, tabs, history, bookmarks, and how a pane is sorted."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import Final

from labbox.errors import LabboxError
from labbox.files.directory import Sort
from labbox.locations import Kind, Location, archive_ending, parse
from labbox.model import JobKind
from labbox.text import visible_line
from labbox.tui.browsing import Browser, Tab
from labbox.tui.filememory import MOST_BOOKMARKS, MOST_TABS, location_of
from labbox.tui.screens.files_dialogs import Choice, Choose
from labbox.tui.screens.files_hosts import FilesHosts

RESULTS_SHOWN: Final = 30  # of the last runs, in the list of places
LOOKED_AT: Final = 300  # jobs among which they are: most may be transfers
_ANOTHER = "another machine"  # in the list of places; no location reads so


class FilesGoing(FilesHosts):
    """Where the panes are."""

    async def go(self, location: Location, side: str | None = None, *, stand_on: str | None = None) -> None:
        """Show a folder in a pane; a machine that is new is met first."""
        side = side or self.active
        browser = self.browsers[side]
        try:
            await browser.go(location, stand_on=stand_on)
        except LabboxError as error:
            if not self.meet(error, location, lambda: self.go_soon(location, side, stand_on)):
                raise
        else:
            self.visits.add(str(browser.location))

    def read_soon(self, side: str) -> None:
        """Read again what a pane shows."""
        self.attempt(self._read(side), group=f"go-{side}", exclusive=True)

    async def _read(self, side: str) -> None:
        browser = self.browsers[side]
        try:
            await browser.read()
        except LabboxError as error:
            if not self.meet(error, browser.location, lambda: self.read_soon(side)):
                raise

    def go_soon(self, location: Location, side: str | None = None, stand_on: str | None = None) -> None:
        """The same as a worker; the last one asked for counts."""
        side = side or self.active
        self.attempt(self.go(location, side, stand_on=stand_on), group=f"go-{side}", exclusive=True)

    def above(self, location: Location) -> Location:
        """The folder that a location stands in; above the home is what the system says."""
        if location.kind is Kind.BOX and location.path == "~" and location.inner is None:
            return Location(kind=Kind.BOX, path=os.path.dirname(os.environ.get("HOME", "/")) or "/")  # noqa: PTH120
        return location.parent

    # Enter and Backspace.

    def enter(self) -> None:
        """Go into what is under the cursor, or look at it."""
        row = self.row
        if row is None:
            self.action_parent()
            return
        location = self.location_of(row.name)
        number = self.pane.table.number
        listing = self.here.listing
        if listing is not None and number is not None and listing.is_folder(number):
            self.go_soon(location)
        elif archive_ending(row.name) and location.inner is None:
            self.go_soon(location.entered())
        elif self.here.tab.title or self.here.tab.flat:
            self.go_soon(location.parent, stand_on=location.name)
        else:
            self.action_view()

    def action_view(self) -> None:
        """Look at the file under the cursor."""
        raise NotImplementedError

    def action_parent(self) -> None:
        """Up one folder; the cursor stands on the one that was left."""
        tab = self.here.tab
        if tab.flat or tab.title:
            self.go_soon(tab.location)
            return
        before = tab.location
        above = self.above(before)
        if above == before:
            return
        name = before.name
        if before.inner == "":
            name = before.path.rpartition("/")[2]
        elif before.path == "~":
            name = os.path.basename(os.environ.get("HOME", "/"))  # noqa: PTH119
        self.go_soon(above, stand_on=name)

    # Elsewhere.

    def action_place(self, side: str) -> None:
        """Choose the place that a pane shows."""
        self.attempt(self._place(side), group="dialog")

    async def _place(self, side: str) -> None:
        caller = await self.caller()
        choices = [Choice("Home", "~", "~")]
        if caller.shared:
            choices.append(Choice("Shared", "the lab's shared folder", "shared:/"))
        choices += [
            Choice(f"Project {name}", f"project:{name}/", f"project:{name}/") for name in caller.projects
        ]
        choices += [Choice("Root", "/", "/")]
        choices += [Choice("Bookmark", text, text) for text in self.bookmarks_kept]
        hosts = {host for each in self.visits.best() if (host := _host(each))}
        for host in (*await self._hosts(), *sorted(hosts)):
            if all(choice.value != host for choice in choices):
                choices.append(Choice("Host", host, host))
        choices.append(Choice("Another machine…", "by SFTP: your own PC, for one", _ANOTHER))
        page = await self.ask(
            lambda: self.lab.client.list_jobs(owner=self.lab.me or None, state="final", limit=LOOKED_AT)
        )
        runs = [job for job in page.jobs if job.results and job.kind is not JobKind.TRANSFER]
        choices += [
            Choice(f"Results of job {job.id}", job.name, f"job:{job.id}/") for job in runs[:RESULTS_SHOWN]
        ]
        wanted = await self.app.push_screen_wait(Choose(f"Place of the {side} pane", choices))
        if wanted == _ANOTHER:
            if location := await self.another_machine():
                self.activate(side)
                await self.go(location, side)
        elif wanted:
            self.activate(side)
            await self.go(parse(wanted), side)

    async def _hosts(self) -> list[str]:
        """Hosts that the person has a key or a password for."""
        kept = await self.ask(self.lab.client.list_hosts)
        return [f"sftp://{host.name}/" for host in kept.hosts]

    def activate(self, side: str) -> None:
        """Give a pane the keys."""
        raise NotImplementedError

    def action_jump(self) -> None:
        """Go to a path that is typed; Tab completes it."""
        self.attempt(self._jump(), group="dialog")

    async def _jump(self) -> None:
        from labbox.tui.screens.files_jump import Jump

        side = self.active  # a Tab typed right behind the path is not to send the other pane there
        location = await self.app.push_screen_wait(Jump(self.here))
        if location is not None:
            try:
                await self.go(location, side)
            except LabboxError as error:
                if error.code != "conflict":
                    raise
                await self.go(location.parent, side, stand_on=location.name)

    def action_often(self) -> None:
        """Choose among the folders where one often is."""
        self.attempt(self._often(), group="dialog")

    async def _often(self) -> None:
        here = str(self.here.location)
        choices = [Choice(visible_line(each), "", each) for each in self.visits.best() if each != here]
        wanted = await self.app.push_screen_wait(
            Choose("Where one often is", choices, forget=self.visits.forget)
        )
        if wanted and (location := location_of(wanted)):
            try:
                await self.go(location)
            except LabboxError:
                self.visits.forget(wanted)
                raise

    def action_bookmarks(self) -> None:
        """Choose a bookmark."""
        self.attempt(self._bookmarks(), group="dialog")

    async def _bookmarks(self) -> None:
        here = str(self.here.location)
        choices = [Choice(visible_line(each), "", each) for each in self.bookmarks_kept]
        if here not in self.bookmarks_kept:
            choices.append(Choice("+ Bookmark this folder", visible_line(here), "+"))
        wanted = await self.app.push_screen_wait(Choose("Bookmarks", choices, forget=self._forget_bookmark))
        if wanted == "+":
            self.action_bookmark()
        elif wanted and (location := location_of(wanted)):
            await self.go(location)

    def _forget_bookmark(self, text: str) -> None:
        with suppress(ValueError):
            self.bookmarks_kept.remove(text)
        self.keep()

    def action_bookmark(self) -> None:
        """Bookmark the folder of the active pane."""
        here = str(self.here.location)
        if here not in self.bookmarks_kept:
            self.bookmarks_kept = [*self.bookmarks_kept, here][-MOST_BOOKMARKS:]
            self.keep()
        self.lab.say(f"Bookmarked: {self.here.location.shown()}")

    def keep(self) -> None:
        """Write down what the next login is to find."""
        raise NotImplementedError

    def action_history_back(self) -> None:
        """Where this tab was before."""
        self.attempt(self._history(self.here.tab.back, self.here.tab.forward), group="go", exclusive=True)

    def action_history_forward(self) -> None:
        """Where it was before going back."""
        self.attempt(self._history(self.here.tab.forward, self.here.tab.back), group="go", exclusive=True)

    async def _history(self, from_: list[Location], to: list[Location]) -> None:
        if not from_:
            return
        location, before = from_[-1], self.here.location
        try:
            await self.here.go(location, remember=False, stand_on=before.name)
        except LabboxError as error:
            if not self.meet(error, location, lambda: self.attempt(self._history(from_, to), group="go")):
                raise
            return
        from_.pop()
        to.append(before)

    # Both panes, and tabs.

    def action_swap(self) -> None:
        """Each pane shows what the other did."""
        left, right = self.browsers["left"], self.browsers["right"]
        for browser in (left, right):
            self._leave_tab(browser)
        left.tabs, right.tabs = right.tabs, left.tabs
        left.at, right.at = right.at, left.at
        for side in self.browsers:
            self.turned(side)

    def turned(self, side: str) -> None:
        """Another tab is in front: show what is known of it, and read it again."""
        self.pane_changed(side, self.browsers[side].tab.stand_on)
        self.read_soon(side)

    def action_same_here(self) -> None:
        """The other pane shows the folder of this one."""
        self.go_soon(self.here.location, self.passive)

    def action_open_other(self) -> None:
        """The other pane shows the folder under the cursor, or that above this one."""
        row, number = self.row, self.pane.table.number
        location = self.above(self.here.location)
        if row is not None and self.here.listing is not None and number is not None:
            location = self.here.location
            if self.here.listing.is_folder(number):
                location = self.location_of(row.name)
            elif archive_ending(row.name) and self.here.location.inner is None:
                location = self.location_of(row.name).entered()
        self.go_soon(location, self.passive)

    def action_new_tab(self) -> None:
        """Another tab at the same folder."""
        browser = self.here
        if len(browser.tabs) >= MOST_TABS:
            self.lab.say(f"{MOST_TABS} tabs are the most a pane has.")
            return
        self._leave_tab(browser)
        browser.tabs.insert(browser.at + 1, Tab(browser.location, browser.tab.arrangement))
        browser.at += 1
        self.turned(self.active)

    def action_close_tab(self) -> None:
        """Close the tab; the last one stays."""
        browser = self.here
        if len(browser.tabs) > 1:
            browser.tabs.pop(browser.at)
            browser.at = max(0, browser.at - 1)
            self.turned(self.active)

    def action_turn_tab(self, by: int) -> None:
        """The next tab."""
        self.choose_tab(self.active, (self.here.at + by) % len(self.here.tabs))

    def choose_tab(self, side: str, at: int) -> None:
        """Put a tab in front."""
        browser = self.browsers[side]
        if at != browser.at:
            self._leave_tab(browser)
            browser.at = at
            self.turned(side)

    def _leave_tab(self, browser: Browser) -> None:
        side = next(side for side, each in self.browsers.items() if each is browser)
        row = self.file_panes[side].table.row
        browser.tab.stand_on = row.name if row else None

    # How it is sorted and shown.

    def action_sort(self, by: str) -> None:
        """Sort by a column; the other way round the second time. Sizes and times begin with the largest."""
        how = self.here.tab.arrangement
        sort = Sort(by)
        reverse = not how.reverse if how.sort is sort else sort in (Sort.SIZE, Sort.TIME)
        self.sort_so(how._replace(sort=sort, reverse=reverse))

    def action_reverse(self) -> None:
        """The other way round."""
        how = self.here.tab.arrangement
        self.sort_so(how._replace(reverse=not how.reverse))

    def action_hidden(self) -> None:
        """Show or hide names that begin with a dot."""
        how = self.here.tab.arrangement
        self.sort_so(how._replace(hidden=not how.hidden))
        self.lab.say("Hidden files are shown." if not how.hidden else "Hidden files are hidden.")

    def sort_so(self, how: object) -> None:
        """Sort or filter the active pane anew; the cursor stays on its entry."""
        raise NotImplementedError

    def action_reread(self) -> None:
        """Read both panes again."""
        for side in self.browsers:
            self.read_soon(side)


def _host(text: str) -> str:
    location = location_of(text)
    return f"sftp://{location.host}/" if location is not None and location.kind is Kind.SFTP else ""
