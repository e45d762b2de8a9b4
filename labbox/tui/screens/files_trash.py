"""The trash: what was deleted, from where, how long it is kept; restored by transfers, or gone for good."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Final

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer import Clash
from labbox.files.transfer.trash import KEEP_DAYS, other_disk, trashed_at
from labbox.locations import Kind, Location, parse, path_text
from labbox.model import FINAL, Conflict, JobKind, TransferSpec, TransferVerb
from labbox.protocol import Event
from labbox.text import counted, format_bytes, visible_line
from labbox.tui.browsing import location_below
from labbox.tui.screens.base import Pane
from labbox.tui.screens.files_wishes import Outlook, TransferDialog, Wish
from labbox.tui.widgets.dialog import Confirm, Prompt
from labbox.tui.widgets.entry import Entry as EntryLine
from labbox.tui.widgets.filepane import PaneStatus
from labbox.tui.widgets.table import Table
from labbox.tui.widgets.trashtable import SORTS, Gone, TrashTable, gone

if TYPE_CHECKING:
    from labbox.files.places.opening import Places
    from labbox.tui.screens.files import FilesScreen

MOST: Final = 20_000  # things that are listed
_BATCH: Final = 250  # of them that are read before they are shown
_AT_ONCE: Final = 5_000  # sources of one transfer
_POLICIES: Final = (
    (Conflict.LEAVE, "leave it and tell"),
    (Conflict.SKIP, "skip it"),
    (Conflict.OVERWRITE, "put what is there into the trash"),
    (Conflict.RENAME, "keep both, rename"),
)


class TrashScreen(Pane):
    """What was deleted, the latest first; what is done with it are transfers of the file manager."""

    KEYS = "trash"
    HEADING = "Trash"
    AUTO_FOCUS = "TrashTable"

    def __init__(self, files: FilesScreen) -> None:
        """`files`: whose places are looked at, and who hands transfers to the box."""
        super().__init__()
        self._files = files
        self._table = TrashTable()
        self._status = PaneStatus()
        self._unread: list[LabboxError] = []
        self._more = False

    def body(self) -> Iterator[Widget]:
        """The table over a line about all of it."""
        self._table.empty = "Reading…"
        self._status.add_class("trash-status")
        yield self._table
        yield self._status

    def begin(self) -> None:
        """Read it."""
        self.read_again()

    def read_again(self) -> None:
        """Read it anew."""
        self.attempt(self._read(), group="list", exclusive=True)

    def action_reread(self) -> None:
        """Read it anew."""
        self.read_again()

    def events_arrived(self, events: list[Event]) -> None:
        """A transfer of one's own has ended: it may have brought something, or taken it."""
        for event in events:
            job = event.job
            if job and job.kind is JobKind.TRANSFER and job.owner == self.lab.me and job.state in FINAL:
                self.read_again()
                return

    # Reading.

    async def _read(self) -> None:
        places = await self._files.places()
        found: list[Gone] = []
        self._unread, self._more = [], False
        first = not self._table.items
        for top in await self._tops(places):
            try:
                async for item in trashed_at(places, top):
                    found.append(gone(item, KEEP_DAYS))
                    if first and len(found) % _BATCH == 0:
                        self._table.show(list(found))
                        self._tell("Reading…")
                    if len(found) == MOST:
                        self._more = True
                        break
            except LabboxError as error:
                self._unread.append(error)  # a host that is away hides nothing else
            if self._more:
                break
        self._table.empty = "The trash is empty. F8 in the file manager puts things here."
        self._table.show(found)
        self._tell()
        for unread in self._unread:
            self.lab.say(unread.message, "Trash")

    async def _tops(self, places: Places) -> list[Location]:
        """The home, the lab's places, and the hosts and disks that the panes show."""
        caller = await self._files.caller()
        tops = [parse("~"), *([parse("shared:/")] if caller.shared else [])]
        tops += [parse(f"project:{name}/") for name in caller.projects]
        for browser in self._files.browsers.values():
            shown = browser.location
            if shown.kind is Kind.SFTP:
                tops.append(Location(kind=Kind.SFTP, host=shown.host, path="~"))
            elif shown.kind is Kind.BOX:
                try:
                    disk = await other_disk(places, shown)
                except LabboxError:
                    continue  # the folder has gone, and its disk with it
                tops += [disk] if disk is not None else []
        return list(dict.fromkeys(tops))

    def _tell(self, right: str = "") -> None:
        table = self._table
        shown, size = len(table.shown), sum(one.item.size for one in table.shown)
        parts = [f"{shown:,} {'thing' if shown == 1 else 'things'}, files of {format_bytes(size)}"]
        if table.filter:
            parts.append(f"that hold “{table.filter}”")
        if table.marks:
            parts.insert(0, f"{len(table.marks):,} marked")
        if self._more:
            parts.append("there are more: these are the first")
        if self._unread:
            parts.append(f"{counted(len(self._unread), 'place')} could not be read")
        self._status.say(
            " · ".join(parts), right or f"kept {KEEP_DAYS} days", "mark" if table.marks else "dim"
        )

    # Marks, filter, order.

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
        self._table.toggle(self._table.cursor)
        self._table.action_move(by)
        self._tell()

    def action_mark_all(self) -> None:
        """Mark all that are shown."""
        self._marked({one.key for one in self._table.shown})

    def action_unmark_all(self) -> None:
        """Unmark all."""
        self._marked(set())

    def action_invert_marks(self) -> None:
        """Mark what is not marked."""
        self._marked({one.key for one in self._table.shown} - self._table.marks)

    def _marked(self, marks: set[str]) -> None:
        self._table.marks = marks
        self._table.refresh()
        self._tell()

    async def action_filter(self) -> None:
        """Show only what holds a text in its name or in where it was."""
        if not self.query("#filter-row"):
            entry = EntryLine(self._table.filter, example="part of a name or folder", id="filter")
            await self.mount(Horizontal(Label("Filter: "), entry, id="filter-row"), before="#keys")
        self.query_one("#filter", Input).focus()

    @on(Input.Changed, "#filter")
    def filter_typed(self, event: Input.Changed) -> None:
        """Filter as it is typed: it is all at hand."""
        self._filter(event.value.strip())

    @on(Input.Submitted, "#filter")
    def filter_entered(self) -> None:
        """The filter stays; the keys go back to the list."""
        self.query("#filter-row").remove()
        self._table.focus()

    def _filter(self, text: str) -> None:
        self._table.filter = text
        self._table.empty = "Nothing holds that text. Esc shows all." if text else self._table.empty
        self._table.order()
        self._tell()

    def action_leave_it(self) -> None:
        """End the filter, the marks, the screen: one of them at a time."""
        if self.query("#filter-row") or self._table.filter:
            self.filter_entered()
            self._filter("")
        elif self._table.marks:
            self._marked(set())
        else:
            self.dismiss(None)

    def action_sort(self) -> None:
        """Sort by the next column."""
        names = list(SORTS)
        self._sort(names[(names.index(self._table.sort) + 1) % len(names)])

    def action_reverse(self) -> None:
        """The other way round."""
        self._sort(self._table.sort)

    @on(Table.HeadClicked)
    def head_clicked(self, message: Table.HeadClicked) -> None:
        """Sort by the clicked column; once more: the other way round."""
        if message.key in SORTS:
            self._sort(message.key)

    def _sort(self, by: str) -> None:
        table = self._table
        table.sort, table.turned = by, not table.turned if by == table.sort else False
        table.order()

    # Looking.

    def action_view(self) -> None:
        """Look at a file; a folder is shown in the pane."""
        one = self._table.gone
        if one is None:
            return
        location = parse(one.item.location)
        if one.item.folder:
            self.dismiss(None)
            self._files.go_soon(location)
        else:
            self.attempt(self._view(location), group="dialog")

    async def _view(self, location: Location) -> None:
        from labbox.tui.screens.viewer import ViewerScreen

        self.app.push_screen(ViewerScreen(location, await self._files.places(), []))

    # Restoring.

    @on(Table.Chosen)
    def chosen(self) -> None:
        """Enter, or a second click."""
        self.action_restore()

    def action_restore(self) -> None:
        """Bring the marked ones, else the one here, back to where they were."""
        self.attempt(self._restore(None), group="dialog")

    def action_restore_into(self) -> None:
        """Bring them back into a folder that is typed."""
        self.attempt(self._restore_into(), group="dialog")

    async def _restore_into(self) -> None:
        if self._nothing_meant():
            return
        base = self._files.here.location
        answer = await self.app.push_screen_wait(
            Prompt("Restore into a folder", "Folder", visible_line(str(base)), verb="Go on")
        )
        if answer is not None:
            await self._restore(location_below(str(answer["text"]), base))

    async def _restore(self, into: Location | None) -> None:
        if self._nothing_meant():
            return
        meant = self._table.meant()

        async def look(_wish: Wish, tell: Callable[[str], None]) -> Outlook:
            return await self._look_ahead(meant, into, tell)

        where = "to where it was" if len(meant) == 1 else "to where they were"
        if into is not None:
            where = f"into {into.shown()}"
        elif len(meant) == 1:
            where += f":\n{meant[0].origin.shown()}"
        wish = await self.app.push_screen_wait(
            TransferDialog(
                "Restore",
                f"Restore {self._what(meant)} {where}",
                None,
                look,
                conflicts=_POLICIES,
                verify=False,
                verb="Restore",
            )
        )
        if wish is None:
            return
        for start in range(0, len(meant), _AT_ONCE):
            await self._files.submit(
                TransferSpec(
                    verb=TransferVerb.RESTORE,
                    sources=tuple(one.item.location for one in meant[start : start + _AT_ONCE]),
                    target=None if into is None else str(into),
                    conflict=wish.conflict,
                    decisions=wish.decisions,
                ),
                wish.at_once,
            )
        self._marked(set())

    async def _look_ahead(
        self, meant: list[Gone], into: Location | None, tell: Callable[[str], None]
    ) -> Outlook:
        """What is in the way of those that come back."""
        places = await self._files.places()
        clashes: list[Clash] = []
        names: set[str] = set()
        for number, one in enumerate(meant):
            target = one.origin if into is None else into.joined(one.origin.name)
            names.add(target.name)
            place, path = await places.get(target)
            try:
                clashes.append(_clash(one, await place.entry(path)))
            except LabboxError as error:
                if error.code != "not_found":
                    raise
            if number % _BATCH == _BATCH - 1:
                tell(f"Looking… {number + 1:,} of {len(meant):,}")
        if not clashes:
            return Outlook(f"{counted(len(meant), 'thing')} · nothing in the way")
        there = f"{len(clashes):,} {'is' if len(clashes) == 1 else 'are'} there already"
        lines = [f"{counted(len(meant), 'thing')} · {there}", *(f"  {clash.path}" for clash in clashes[:5])]
        # A decision goes by the name: where two have one name, the policy is all that tells them apart.
        single = tuple(clashes) if len(names) == len(meant) else ()
        return Outlook("\n".join(lines), single, len(clashes))

    # Deleting for good.

    def action_erase(self) -> None:
        """Delete the marked ones, else the one here, for good."""
        self.attempt(self._erase(), group="dialog")

    async def _erase(self) -> None:
        if self._nothing_meant():
            return
        meant = self._table.meant()
        question = f"Delete {self._what(meant)} for good? Nothing brings it back."
        if await self.app.push_screen_wait(Confirm("Delete for good", question, "Delete")):
            await self._be_done_with(meant)

    def action_empty(self) -> None:
        """Delete everything that is in the trash for good."""
        self.attempt(self._empty(), group="dialog")

    async def _empty(self) -> None:
        items = self._table.items
        if not items:
            self.lab.say("The trash is empty.")
            return
        places = sorted({one.place for one in items})
        question = (
            f"Delete all {counted(len(items), 'thing')} in the trash for good ({', '.join(places)})?\n"
            "Nothing brings them back."
        )
        if await self.app.push_screen_wait(Confirm("Empty the trash", question, "Empty it")):
            await self._be_done_with(items)

    async def _be_done_with(self, meant: list[Gone]) -> None:
        for start in range(0, len(meant), _AT_ONCE):
            sources = tuple(one.item.location for one in meant[start : start + _AT_ONCE])
            await self._files.submit(TransferSpec(verb=TransferVerb.ERASE, sources=sources))
        self._marked(set())

    def _nothing_meant(self) -> bool:
        if self._table.meant():
            return False
        self.lab.say("There is nothing under the cursor.")
        return True

    def _what(self, meant: list[Gone]) -> str:
        return f"“{visible_line(meant[0].origin.name)}”" if len(meant) == 1 else f"{len(meant):,} things"


def _clash(one: Gone, there: Entry) -> Clash:
    return Clash(
        path=path_text(one.origin.name),
        source_kind=EntryKind.FOLDER if one.item.folder else EntryKind.FILE,
        source_size=one.item.size,
        source_mtime=one.item.mtime,
        target_kind=there.kind,
        target_size=there.size,
        target_mtime=there.mtime,
    )
