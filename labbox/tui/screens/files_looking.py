"""All that is below a folder, in the file manager: find, flat view, folder sizes; wherever the folder is.

Each can be ended with Esc, and tells how far it is. What was found until then stays.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from functools import partial
from typing import Any, TypeVar

from labbox.files.counting import Count, count
from labbox.files.directory import Kind, Listing, Row, Sort
from labbox.files.finding import Looked, gather
from labbox.locations import Location
from labbox.text import counted, format_bytes, visible_line
from labbox.tui.browsing import Browser, row_of
from labbox.tui.screens.files_deeds import FilesDeeds
from labbox.tui.widgets.dialog import Field, Form

T = TypeVar("T")
_SHOWN_AT_ONCE = 4000  # of what is found so many are kept in order while more come


class FilesLooking(FilesDeeds):
    """Looks that take their time."""

    def __init__(self) -> None:
        """None is under way."""
        super().__init__()
        self._looks: dict[str, list[asyncio.Future[Any]]] = {}
        self._looked: dict[str, str] = {}

    # Beginning, telling, ending.

    async def _look(self, side: str, work: Coroutine[Any, Any, T], ended: Callable[[], None]) -> T | None:
        """Its result; None where Esc ended it."""
        inner = asyncio.ensure_future(work)
        self._looks.setdefault(side, []).append(inner)
        try:
            await asyncio.wait({inner})
        finally:
            self._looks[side].remove(inner)
            if not self._looks[side]:
                self._looked.pop(side, None)
            ended()
            if not inner.done():  # somebody went elsewhere
                inner.cancel()
                await asyncio.wait({inner})
        return None if inner.cancelled() else inner.result()

    def _far(self, side: str, text: str) -> None:
        if self._looks.get(side):
            self._looked[side] = text
            self.tell_status(side)

    def looking_at(self, side: str) -> str:
        """How far a look in a pane is; empty where none is under way."""
        return self._looked.get(side, "")

    def end_looks(self, side: str | None = None) -> bool:
        """End those of the active pane, or of another one; whether there were any."""
        looks = self._looks.get(side or self.active, [])
        for each in looks:
            each.cancel()
        return bool(looks)

    def _from_thread(self, call: Callable[..., None]) -> Callable[..., None]:
        """The same call on the event loop, for a thread; nothing once the loop has closed."""
        loop, context = asyncio.get_running_loop(), copy_context()  # Textual's, which a thread has not

        def later(*arguments: object) -> None:
            try:
                loop.call_soon_threadsafe(call, *arguments, context=context)
            except RuntimeError:
                pass

        return later

    # Everything below a folder.

    def action_find(self) -> None:
        """Find by name or content; what is found is shown as a panel."""
        self.attempt(self._find(), group="dialog")

    async def _find(self) -> None:
        here = self.here
        note = f"Below {here.location.shown()}"
        if await here.system_path(here.location) is None:
            note += ". For a text, each file that fits is read from there."
        answer = await self.app.push_screen_wait(
            Form(
                "Find",
                [
                    Field("mask", "Names", "*", "*.csv;run?.txt"),
                    Field("text", "Containing text", "", "a text in the files"),
                    Field("hidden", "Hidden files", flag=True),
                    Field("case", "Match case", flag=False),
                ],
                "Find",
                note=note,
            )
        )
        if answer is not None:
            mask, text = str(answer["mask"]) or "*", str(answer["text"])
            title = f"Found: {mask}" + (f" with “{text}”" if text else "")
            self._start_gathering(
                title,
                mask=mask,
                text=text,
                hidden=bool(answer["hidden"]),
                folders=True,
                case=bool(answer["case"]),
            )

    def action_flat(self) -> None:
        """Everything below in one list; once more: the folder again."""
        tab = self.here.tab
        if tab.flat or tab.title:
            self.attempt(self.here.read(), group=f"go-{self.active}", exclusive=True)
        else:
            self._start_gathering("", mask="*", text="", hidden=tab.arrangement.hidden, folders=False)

    def _start_gathering(self, title: str, **wanted: Any) -> None:
        """`wanted`: as `finding.gather` takes it."""
        work = self._gather(title, **wanted)
        self.attempt(work, group=f"go-{self.active}", exclusive=True)

    async def _gather(self, title: str, **wanted: Any) -> None:
        browser, side, tab = self.here, self.active, self.here.tab
        folder = await browser.system_path(browser.location)
        usual = tab.arrangement
        how = usual._replace(hidden=True, filter="")
        listing = Listing(how)
        before = tab.listing, tab.flat, tab.title
        tab.listing, tab.flat, tab.title = listing, not title, title
        browser.reading = True
        self.pane_changed(side, None)
        looked = Looked()

        def take(rows: list[Row]) -> None:
            if tab.listing is listing and rows:
                listing.add(rows)
                if len(listing) <= _SHOWN_AT_ONCE:
                    listing.arrange()
                self.pane_changed(side, None)

        def tell(now: Looked) -> None:
            nonlocal looked
            looked = now
            read = f", {format_bytes(now.read)} read" if now.read else ""
            self._far(side, f"Searching… {now.entries:,} in {counted(now.folders, 'folder')}{read}")

        def ended() -> None:
            browser.reading = False

        try:
            work = (
                self._gather_here(folder, listing, browser, take, tell, wanted)
                if folder is not None
                else self._gather_there(browser, take, tell, wanted)
            )
            whole = await self._look(side, work, ended)
        except BaseException:
            if tab.listing is listing and not len(listing):
                tab.listing, tab.flat, tab.title = before  # nothing could be looked at: the folder stays
                self.pane_changed(side, None)
            raise
        if tab.listing is not listing:
            return
        await asyncio.sleep(0)  # the last batch is on its way
        listing.complete = True
        await browser.arrange(how)
        tab.arrangement = usual._replace(filter="")  # hidden ones are shown among what is found alone
        if whole is None:
            self.lab.say(f"Ended: {len(listing):,} found so far. Ctrl+R or Backspace: the folder again.")
        elif not whole:
            self.lab.say("There are more; these are the first ones.")
        if looked.unread:
            self.lab.say(f"{looked.unread:,} could not be read.", "Find")

    async def _gather_here(
        self,
        folder: str,
        listing: Listing,
        browser: Browser,
        take: Callable[[list[Row]], None],
        tell: Callable[[Looked], None],
        wanted: dict[str, Any],
    ) -> bool:
        """In a thread: the folder is on this machine."""
        going = True
        take, tell = self._from_thread(take), self._from_thread(tell)

        def going_on() -> bool:
            return going and browser.listing is listing

        try:
            return await self.disk.ask(lambda: gather(folder, take, going_on, tell=tell, **wanted))
        finally:
            going = False

    async def _gather_there(
        self,
        browser: Browser,
        take: Callable[[list[Row]], None],
        tell: Callable[[Looked], None],
        wanted: dict[str, Any],
    ) -> bool:
        """Through the place: another host, or an archive."""
        from labbox.files.lookingbelow import Search

        place, path = await browser.place_of(browser.location)
        search = Search(place, path, lambda found: take([row_of(one) for one in found]), tell, **wanted)
        try:
            return await search.run()
        finally:
            tell(search.looked)

    # Sizes.

    def action_folder_size(self) -> None:
        """Count what the folder under the cursor holds, or every marked one."""
        self.attempt(self._folder_sizes(), group="size")

    async def _folder_sizes(self) -> None:
        listing, browser, side = self.here.listing, self.here, self.active
        if listing is None:
            return
        numbers = [at for name in self.meant() if (at := listing.find(name)) is not None]
        unread = 0
        for number in numbers or list(listing.shown):
            if listing.kinds[number] != Kind.FOLDER:
                continue
            name = listing.name(number)
            work = self._count(name, self.location_of(name, browser), browser, side)
            found = await self._look(side, work, lambda: self.tell_status(side))
            if found is None or browser.listing is not listing:
                return
            listing.set_size(number, found.size)
            unread += found.unread
            if listing.arrangement.sort is Sort.SIZE:
                self.pane_changed(side, None)
            self.file_panes[side].table.refresh_number(number)
            self.tell_status(side)
        if unread:
            self.lab.say(f"{counted(unread, 'folder')} could not be read: the size is without them.")

    async def _count(self, name: str, location: Location, browser: Browser, side: str) -> Count:
        shown, listing = visible_line(name), browser.listing

        def tell(now: Count) -> None:
            self._far(side, f"Counting {shown}… {counted(now.files, 'file')}, {format_bytes(now.size)}")

        folder = await browser.system_path(location)
        if folder is None:
            from labbox.files.lookingbelow import count_below

            place, path = await browser.place_of(location)
            return await count_below(place, path, tell)
        going = True

        def going_on() -> bool:
            return going and browser.listing is listing

        try:
            return await self.disk.ask(partial(count, [os.fspath(folder)], going_on, self._from_thread(tell)))
        finally:
            going = False
