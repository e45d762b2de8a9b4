"""Marks, quick search and filter of the file manager."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

from textual import on
from textual.containers import Horizontal
from textual.widgets import Input, Label

from labbox.files.directory import Arrangement
from labbox.tui.browsing import SLICE
from labbox.tui.screens.files_base import FilesBase
from labbox.tui.widgets.dialog import Prompt
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.filepane import FileTable

FILTER_AFTER: Final = 0.12  # seconds without a key after which a filter is applied


class FilesMarks(FilesBase):
    """What is chosen among the files."""

    _search = ""
    _mask = "*"

    # Marks.

    def action_mark(self) -> None:
        """Mark or unmark, and go down."""
        self.action_mark_down()

    def action_mark_down(self) -> None:
        """Mark or unmark, and go down."""
        self._mark(1)

    def action_mark_up(self) -> None:
        """Mark or unmark, and go up."""
        self._mark(-1)

    def _mark(self, by: int) -> None:
        table = self.pane.table
        table.toggle(table.cursor)
        table.action_move(by)
        self.tell_status(self.active)

    def action_mark_mask(self) -> None:
        """Mark what fits a mask."""
        self.attempt(self._by_mask(True), group="dialog")

    def action_unmark_mask(self) -> None:
        """Unmark what fits a mask."""
        self.attempt(self._by_mask(False), group="dialog")

    async def _by_mask(self, on_: bool) -> None:
        title = "Mark" if on_ else "Unmark"
        answer = await self.app.push_screen_wait(
            Prompt(title, "Names", self._mask, "*.csv;*.txt", verb=title)
        )
        listing = self.here.listing
        if answer is None or listing is None:
            return
        self._mask = str(answer["text"]) or "*"
        found = await self.disk.ask(lambda: listing.matching(self._mask))
        if on_:
            listing.marks |= found
        else:
            listing.marks -= found
        self._marks_changed()

    def action_invert_marks(self) -> None:
        """Mark what is not marked."""
        listing = self.here.listing
        if listing is not None:
            listing.marks = set(listing.shown) - listing.marks
            self._marks_changed()

    def _marks_changed(self) -> None:
        self.pane.table.refresh()
        self.tell_status(self.active)

    # Quick search.

    def action_search(self) -> None:
        """Search by typing."""
        self.pane.table.searching = True
        self._search = ""
        self.tell_status(self.active)

    @on(FileTable.Typed)
    def typed(self, message: FileTable.Typed) -> None:
        """A key of the quick search."""
        table = message.table
        if message.what == "end":
            self.end_search()
            return
        if not table.searching:
            table.searching, self._search = True, ""
        start, step = table.cursor - table.up, 1
        if message.what == "next":
            start += 1
        elif message.what == "previous":
            start, step = start - 1, -1
        elif message.what == "":
            if not self._search:
                self.end_search()
                return
            self._search = self._search[:-1]
        else:
            self._search += message.what
        self.tell_status(self.active)
        if self._search:
            self.attempt(self._seek(table, self._search, max(0, start), step), group="seek", exclusive=True)

    async def _seek(self, table: FileTable, text: str, start: int, step: int) -> None:
        began = time.perf_counter()
        for row in table.listing.search(text, start, step, 500):
            if row is not None:
                table.go(row + table.up)
                return
            if time.perf_counter() - began > SLICE:
                await asyncio.sleep(0)
                began = time.perf_counter()
        if self._search == text and table.searching and len(text) > 1:
            self._search = text[:-1]  # what is not there is not taken
            self.tell_status(self.active)

    def end_search(self) -> None:
        """Letters begin anew."""
        table = self.pane.table
        if table.searching:
            table.searching = False
            self._search = ""
            self.tell_status(self.active)

    def searching_for(self, side: str) -> str | None:
        """What is being searched for in a pane."""
        return self._search if self.file_panes[side].table.searching else None

    # Filter.

    async def action_filter(self) -> None:
        """Show only the names that hold a text, or fit a mask."""
        if self.query("#filter-row"):
            self.query_one("#filter", Input).focus()
            return
        entry = Entry(self.here.tab.arrangement.filter, example="text or *.csv", id="filter")
        await self.mount(Horizontal(Label("Filter: "), entry, id="filter-row"), before="#keys")
        entry.focus()

    @on(Input.Changed, "#filter")
    def filter_typed(self, event: Input.Changed) -> None:
        """Filter while it is typed, when the keys rest for a moment."""
        self.attempt(self._filter(event.value), group="filter", exclusive=True)

    async def _filter(self, text: str) -> None:
        await asyncio.sleep(FILTER_AFTER)
        await self._filter_now(text)

    async def _filter_now(self, text: str) -> None:
        how = self.here.tab.arrangement
        if how.filter != text.strip():
            await self._arranged(how._replace(filter=text.strip()))

    @on(Input.Submitted, "#filter")
    def filter_entered(self, event: Input.Submitted) -> None:
        """The filter stays; the keys go back to the files."""
        self.attempt(self._filter_now(event.value), group="filter", exclusive=True)
        self._close_filter()

    def _close_filter(self) -> None:
        self.query("#filter-row").remove()
        self.pane.table.focus()

    def sort_so(self, how: object) -> None:
        """Sort or filter the active pane anew; the cursor stays on its entry."""
        if isinstance(how, Arrangement):
            self.here.tab.arrangement = how
            self.attempt(self._arranged(how), group="arrange", exclusive=True)

    async def _arranged(self, how: Arrangement) -> None:
        table, row = self.pane.table, self.row
        await self.here.arrange(how)
        if row is not None and not table.stand_on(row.name):
            table.go(table.up)

    def before_escape(self) -> Callable[[], None] | None:
        """The marks come back."""
        listing = self.here.listing
        if listing is None:
            return None
        marks = set(listing.marks)

        def undo() -> None:
            listing.marks = marks
            self._marks_changed()

        return undo

    def action_escape(self) -> None:
        """End the search, the filter's line, the filter, the marks: one of them at a time."""
        if self.query("#filter-row"):
            how = self.here.tab.arrangement
            self._close_filter()
            self.sort_so(how._replace(filter=""))
        elif self.pane.table.searching:
            self.end_search()
        elif self.end_looks():
            return
        elif self.here.tab.arrangement.filter:
            self.sort_so(self.here.tab.arrangement._replace(filter=""))
        else:
            self.unmark()
