"""The first screen: two panes of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import Final

from textual import events, on
from textual.containers import Horizontal
from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.files.directory import Kind, Listing
from labbox.groups import TRANSFERS
from labbox.locations import Location
from labbox.model import FINAL, JobKind, JobState, TransferVerb, state_word
from labbox.protocol import Event, Job
from labbox.text import counted, format_bytes, visible_line
from labbox.tui import keys
from labbox.tui.atonce import paint
from labbox.tui.browsing import HOME, LOOK_EVERY
from labbox.tui.filememory import FileMemory, Visits, load, memory_path, save
from labbox.tui.screens.chord import ChordScreen
from labbox.tui.screens.files_base import SIDES
from labbox.tui.screens.files_going import FilesGoing
from labbox.tui.screens.files_marks import FilesMarks
from labbox.tui.screens.files_tools import FilesTools
from labbox.tui.widgets.filepane import FileTable, PaneTabs, PathLine, tab_name
from labbox.tui.widgets.paint import Alike
from labbox.tui.widgets.transfers import TransferStrip
from labbox.tui.widgets.working import begin

KEEP_AFTER: Final = 2.0  # seconds after a change in which more may come before it is written down
MOST_OVER: Final = 100
MOST_SIBLINGS: Final = 2000  # files that the viewer can go on to


class _Panes(Horizontal, Alike):
    """The ground of both panes."""


class FilesScreen(FilesMarks, FilesGoing, FilesTools):
    """Two panes, the transfers that run, and the keys of mc."""

    KEYS = "manager"
    AUTO_FOCUS = "#left-pane FileTable"

    def __init__(self) -> None:
        """Nothing is read before the screen stands."""
        super().__init__()
        self.transfers: dict[int, Job] = {}
        self._awaited: set[int] = set()  # sums that are shown when they are there
        self._over: dict[int, Job] = {}  # the last that ended: one may end before its number is known here
        self._beside = ""  # what the other pane shows in place of files: "view", "info"
        self._ticks = 0
        self._keeping = False
        self._chords = keys.chords("manager")
        self._shown_at: dict[str, Location] = {}

    def body(self) -> Iterator[Widget]:
        """Two panes over the strip of transfers."""
        yield _Panes(*self.file_panes.values(), id="panes")
        yield TransferStrip()

    def heading(self) -> str:
        """The box, so that nobody takes it for another machine."""
        return f"Files on {self.lab.box_name}" if self.lab.box_name else "Files"

    # The beginning and the end.

    def begin(self) -> None:
        """Read both panes, and what runs on the box."""
        self.attempt(self._begin(), group="begin")

    async def _begin(self) -> None:
        await self.lab.awake.wait()
        memory = await self.disk.ask(lambda: load(memory_path()))
        self._restore(memory)
        for side in sorted(SIDES, key=lambda side: side != self.active):
            self.attempt(self._open_first(side), group=f"go-{side}", exclusive=True)
        self.lab.follow(await self.lab.cursor())
        await self._ask_transfers()

    async def _open_first(self, side: str) -> None:
        browser = self.browsers[side]
        try:
            await browser.read()
        except LabboxError as error:
            wanted = browser.location
            await browser.read(HOME)
            if side != self.active or not self.meet(error, wanted, lambda: self.go_soon(wanted, side)):
                self.lab.say(error.message)

    def _restore(self, memory: FileMemory) -> None:
        self.visits = Visits(memory.visited)
        self.bookmarks_kept = list(memory.bookmarks)
        self.asked = dict(memory.asked)
        self.browsers["left"].restore(memory.left)
        self.browsers["right"].restore(memory.right)
        if memory.right_active:
            self.activate("right")

    def _memory(self) -> FileMemory:
        return FileMemory(
            left=self.browsers["left"].memory(),
            right=self.browsers["right"].memory(),
            right_active=self.active == "right",
            bookmarks=tuple(self.bookmarks_kept),
            visited=self.visits.kept(),
            asked=self.asked,
        )

    def keep(self) -> None:
        """Write down, in a moment, what the next login is to find."""
        if not self._keeping:
            self._keeping = True
            self.set_timer(KEEP_AFTER, self._keep_now)

    def _keep_now(self) -> None:
        self._keeping = False
        begin(self, self._keep, group="keep")

    async def _keep(self) -> None:
        memory = self._memory()
        with suppress(LabboxError):  # a full disk is no reason to disturb anyone
            await self.disk.ask(lambda: save(memory_path(), memory))

    async def on_unmount(self) -> None:
        """Write down where one was, and let go of everything."""
        if any(browser.listing is not None for browser in self.browsers.values()):
            with suppress(OSError):
                save(memory_path(), self._memory())
        await self.close_all()

    # The panes.

    def activate(self, side: str) -> None:
        """Give a pane the keys."""
        if side != self.active:
            self.end_search()
            self.active = side
            for each in SIDES:
                self.tell_path(each)
                self.tell_status(each)
        self._beside_off(side)
        self.pane.table.focus()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """A click into a pane gives it the keys."""
        if isinstance(event.widget, FileTable) and (side := self.side_of(event.widget)) != self.active:
            self.activate(side)

    def action_other_pane(self) -> None:
        """The other pane has the keys."""
        if not self._beside:
            self.activate(self.passive)

    def pane_changed(self, side: str, stand_on: str | None) -> None:
        """A browser has more to show."""
        if not self.is_mounted:
            return
        browser, table = self.browsers[side], self.file_panes[side].table
        listing = browser.listing or Listing(browser.tab.arrangement)
        if stand_on is None or listing.find(stand_on) is not None:
            self.seen(f"go-{side}")
            self.seen("go")
        up = bool(browser.tab.title) or self.above(browser.location) != browser.location
        table.empty = "Reading…" if browser.reading else self._emptiness(listing)
        if table.listing is not listing:
            kept = table.row.name if stand_on is None and table.row and self._same_place(side) else None
            if not self._same_place(side):
                self.end_looks(side)
                table.cursor = 0
                table.scroll_to(y=0, animate=False, force=True)
            table.show(listing, up=up, stand_on=stand_on or kept)
            self._shown_at[side] = browser.location
        else:
            row = table.row
            table.up = 1 if up else 0
            table.rows_changed()
            if row is not None and stand_on is None:
                table.stand_on(row.name)
            elif stand_on is not None:
                table.stand_on(stand_on)
        self.tell_path(side)
        self.tell_status(side)
        self.keep()

    def _same_place(self, side: str) -> bool:
        return self._shown_at.get(side) == self.browsers[side].location

    def _emptiness(self, listing: Listing) -> str:
        if listing.arrangement.filter:
            return "Nothing matches the filter. Esc clears it."
        return "Nothing here." if not listing.order else "Only hidden files. Ctrl+H shows them."

    def tell_path(self, side: str) -> None:
        """Write the line above the files anew."""
        browser, pane = self.browsers[side], self.file_panes[side]
        how = browser.tab.arrangement
        notes = [f"filter {how.filter}"] if how.filter else []
        if browser.tab.flat:
            notes.append("flat")
        title = browser.tab.title
        path = f"{title} — {browser.location}" if title else str(browser.location)
        pane.path.say(path, " · ".join(notes), side == self.active)
        pane.tabs.say([tab_name(str(tab.location)) for tab in browser.tabs], browser.at)

    def tell_status(self, side: str) -> None:
        """Write the line under the files anew."""
        browser, pane = self.browsers[side], self.file_panes[side]
        listing = browser.listing
        if listing is None:
            pane.status.say("Reading…", "")
            return
        right = f"{len(listing.shown):,}"
        if browser.reading:
            right += "…"
        if browser.free is not None and pane.size.width > 50:
            right += f" · {format_bytes(browser.free)} free"
        searched, looked = self.searching_for(side), self.looking_at(side)
        if searched is not None:
            pane.status.say(f"Search: {searched}▏", "↑↓ next · Esc", "accent")
        elif looked:
            pane.status.say(looked, "Esc ends", "accent")
        elif listing.marks:
            size = format_bytes(listing.marked_bytes())
            pane.status.say(f"{counted(len(listing.marks), 'item')}, {size}", right, "mark")
        else:
            pane.status.say(self._about(side), right)

    def _about(self, side: str) -> str:
        row = self.file_panes[side].table.row
        if row is None:
            return "Up"
        size = "" if row.kind in (Kind.FOLDER, Kind.FOLDER_LINK) else f"  {row.size:,}"
        return f"{row.name}{size}"

    # What the parts tell.

    @on(FileTable.Chosen)
    def chosen(self) -> None:
        """Enter, or a double click."""
        self.end_search()
        self.enter()

    @on(FileTable.Moved)
    def moved(self, message: FileTable.Moved) -> None:
        """The cursor stands elsewhere."""
        self._follow_cursor()

    def _follow_cursor(self) -> None:
        self.tell_status(self.active)
        if self._beside:
            self._show_beside()

    def take(self, key: str, more: bool) -> bool:
        """Move the cursor of the files without a way round, where the key does so; `more` keys wait."""
        table = self.pane.table
        if self.focused is not table or not table.take(key):
            return False
        self._follow_cursor()
        if not more:
            paint(self, (table, table.vertical_scrollbar, self.pane.status))
        return True

    @on(FileTable.HeadClicked)
    def head_clicked(self, message: FileTable.HeadClicked) -> None:
        """Sort by the clicked column."""
        if message.key in ("name", "size", "time"):
            self.action_sort(message.key)

    @on(FileTable.Unread)
    def unread(self, message: FileTable.Unread) -> None:
        """Sizes of what is on screen, before all are known."""
        self.attempt(self.browsers[self.side_of(message.table)].ask_about(message.numbers), group="ask")

    @on(PathLine.Clicked)
    def path_clicked(self) -> None:
        """Go elsewhere."""
        self.action_jump()

    @on(PaneTabs.Chosen)
    def tab_clicked(self, message: PaneTabs.Chosen) -> None:
        """Another tab."""
        self.choose_tab(self.side_of(message.tabs), message.place)

    @on(TransferStrip.Chosen)
    def strip_clicked(self) -> None:
        """The list of transfers."""
        self.action_transfers()

    async def on_key(self, event: events.Key) -> None:
        """Keys of two strokes."""
        if event.key in self._chords:
            event.stop()
            await self.app.push_screen(ChordScreen(event.key, self._chords[event.key]), self._second)

    def _second(self, name: str | None) -> None:
        if name is not None:
            self.call_later(self.run_action, name)

    # Looking.

    def _file_here(self) -> Location | None:
        row = self.row
        if row is None or row.kind is Kind.FOLDER:
            self.lab.say("There is no file under the cursor.")
            return None
        return self.location_of(row.name)

    def action_view(self) -> None:
        """Look at the file under the cursor."""
        if location := self._file_here():
            self.attempt(self._view(location), group="dialog")

    async def _view(self, location: Location) -> None:
        from labbox.tui.screens.viewer import ViewerScreen

        listing = self.here.listing
        siblings: list[Location] = []
        if listing is not None and len(listing.shown) <= MOST_SIBLINGS:
            files = [number for number in listing.shown if not listing.is_folder(number)]
            siblings = [self.location_of(listing.name(number)) for number in files]
        self.app.push_screen(ViewerScreen(location, await self.places(), siblings))

    def action_edit(self) -> None:
        """Edit the file under the cursor."""
        if location := self._file_here():
            self.edit(location)

    def action_external(self) -> None:
        """Edit the file under the cursor in the person's own editor, where the box allows that."""
        if location := self._file_here():
            self.attempt(self._edit_elsewhere(location), group="dialog")

    async def _edit_elsewhere(self, location: Location) -> None:
        from labbox.tui.external import edit

        allowed = (await self.caller()).external_editor
        await edit(self.lab, allowed, await self.here.system_path(location), location)
        self.action_reread()

    def edit(self, location: Location) -> None:
        """Open the editor."""
        from labbox.tui.screens.editor import EditorScreen

        self.app.push_screen(EditorScreen(location, self.places))

    def action_quick_view(self) -> None:
        """What is under the cursor, in the other pane; once more: the files."""
        self._turn_beside("view")

    def action_info(self) -> None:
        """All about what is under the cursor, in the other pane."""
        self._turn_beside("info")

    def _turn_beside(self, what: str) -> None:
        self._beside = "" if self._beside == what else what
        self.attempt(self._open_beside(self.passive, self._beside), group="beside", exclusive=True)

    async def _open_beside(self, side: str, what: str) -> None:
        from labbox.tui.widgets.quickview import Beside, InfoPanel, QuickView

        pane = self.file_panes[side]
        await pane.query(Beside).remove()
        pane.table.display = not what
        if what:
            places = await self.places()
            await pane.mount(
                QuickView(places, self.lab.graphics) if what == "view" else InfoPanel(places),
                after=pane.table,
            )
            self._show_beside()

    def _beside_off(self, side: str) -> None:
        if self._beside and not self.file_panes[side].table.display:
            self._beside = ""
            self.file_panes[side].table.display = True
            self.attempt(self._open_beside(side, ""), group="beside", exclusive=True)

    def _show_beside(self) -> None:
        from labbox.tui.widgets.quickview import Beside

        row = self.row
        location = self.location_of(row.name) if row else None
        for beside in self.query(Beside):
            beside.show(location)

    def action_copy_path(self) -> None:
        """Put the paths of what is meant on the terminal's clipboard (OSC 52)."""
        paths = [str(location) for location in self.meant_locations()] or [str(self.here.location)]
        shown = visible_line(" ".join(paths)) if len(paths) == 1 else "\n".join(map(visible_line, paths))
        self.app.copy_to_clipboard(shown)
        self.lab.say(f"Copied: {shown if len(paths) == 1 else f'{len(paths)} paths'}")

    # Jobs and transfers.

    def action_jobs(self) -> None:
        """The jobs."""
        self.lab.show_jobs()

    def action_submit(self) -> None:
        """Submit the folder under the cursor, or the one that is shown."""
        from labbox.tui.screens.submit import SubmitScreen

        number, listing, row = self.pane.table.number, self.here.listing, self.row
        location = self.here.location
        if row is not None and number is not None and listing is not None and listing.is_folder(number):
            location = self.location_of(row.name)
        self.attempt(self._submit(location, SubmitScreen), group="dialog")

    async def _submit(self, location: Location, screen: type) -> None:
        path = await self.here.system_path(location)
        home = os.environ.get("HOME", "/")
        below = os.path.relpath(path, home) if path else ".."  # noqa: ASYNC240 - of names alone
        if below.startswith("..") or below == ".":
            self.app.push_screen(screen())
        else:
            self.app.push_screen(screen(below))

    def action_transfers(self) -> None:
        """The list of transfers."""
        from labbox.tui.screens.files_transfers import TransfersScreen

        self.app.push_screen(TransfersScreen())

    def action_trash_bin(self) -> None:
        """Show what was deleted."""
        from labbox.tui.screens.files_trash import TrashScreen

        self.app.push_screen(TrashScreen(self))

    async def _ask_transfers(self) -> None:
        owner = await self.lab.who()
        for state in ("active", "waiting"):
            page = await self.ask(
                partial(
                    self.lab.client.list_jobs,
                    state=state,
                    owner=owner or None,
                    group=TRANSFERS,
                    limit=100,
                )
            )
            for job in page.jobs:
                self.transfers[job.id] = job
        self._tell_transfers()

    def transfer_submitted(self, job: Job, verb: TransferVerb) -> None:
        """A transfer is on its way."""
        if verb is TransferVerb.CHECKSUM:  # its lines are what it was for
            self._awaited.add(job.id)
        if job.id not in self._over:
            self.transfers.setdefault(job.id, job)
        elif job.id in self._awaited:
            self._ended(self._over[job.id])
        self._tell_transfers()

    def read_again(self) -> None:
        """The box was away: ask what runs."""
        self.transfers.clear()
        self.attempt(self._ask_transfers(), group="transfers", exclusive=True)

    def events_arrived(self, events: list[Event]) -> None:
        """Transfers went on or ended."""
        changed = False
        for event in events:
            job = event.job
            if job is None or job.kind is not JobKind.TRANSFER or job.owner != self.lab.me:
                continue
            changed = True
            if job.state in FINAL:
                known = self.transfers.pop(job.id, None)
                self._over[job.id] = job
                if len(self._over) > MOST_OVER:
                    del self._over[next(iter(self._over))]
                if known is not None:
                    self._ended(job)
            else:
                self._over.pop(job.id, None)  # tried again
                self.transfers[job.id] = job
        if changed:
            self._tell_transfers()

    def _tell_transfers(self) -> None:
        order = sorted(self.transfers.values(), key=lambda job: (job.started_at is None, job.id))
        for strip in self.query(TransferStrip):
            strip.say(order)

    def _ended(self, job: Job) -> None:
        self.lab.spoken.add(job.id)
        if job.id in self._awaited:
            self._awaited.discard(job.id)
            self.attempt(self._show_lines(job), group="summary")
        elif job.state is JobState.SUCCEEDED:
            self.lab.say(f"{job.name}: done.")
        else:
            why = f" {job.reason.text}" if job.reason else ""
            self.lab.say(f"{job.name}: {state_word(job.state, job.kind)}.{why} Ctrl+X J: retry.", "Transfer")
        for side, browser in self.both():
            if browser.folder is None and browser.listing is not None:
                self.attempt(browser.read(), group=f"go-{side}", exclusive=True)

    async def _show_lines(self, job: Job) -> None:
        from labbox.tui.widgets.dialog import Message

        summary = await self.ask(lambda: self.lab.client.transfer_summary(job.id))
        more = f"\n… {summary.line_count} in all: job:{job.id}/output" if summary.line_count > 20 else ""
        self.app.push_screen(Message(job.name, "\n".join(summary.lines[:20]) + more or "Nothing to tell."))

    def tick(self) -> None:
        """Look now and then at what the kernel does not tell of."""
        self._ticks += 1
        if self._ticks % round(LOOK_EVERY) == 0:
            for side, browser in self.both():
                shown = self.file_panes[side].table.numbers_shown()
                self.attempt(browser.look(shown), group=f"look-{side}", exclusive=True)
