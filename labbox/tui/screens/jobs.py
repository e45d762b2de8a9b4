"""The first screen: all jobs, live."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Final

from textual import on
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Input, Label

from labbox.errors import LabboxError
from labbox.model import ACTIVE, FILES, FINAL, RUNS, WAITING, JobKind, JobState
from labbox.protocol import Event, Job, JobPage
from labbox.text import format_bytes
from labbox.tui.joblist import BULK, PAGE, SORTS, JobList
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.jobtable import JobTable
from labbox.tui.widgets.tabs import Tabs

ROOMY: Final = 100  # columns from which the note beside the tabs is written out
GIB: Final = 1 << 30
VIEWS: Final = (RUNS, "waiting", "active", "final", FILES)
_STATE_OF: Final = {RUNS: None, "waiting": "waiting", "active": "active", "final": "final", FILES: None}


class JobsScreen(JobPane):
    """The live table of jobs."""

    KEYS = "jobs"
    AUTO_FOCUS = "JobTable"

    def __init__(self) -> None:
        """The list begins with everybody's jobs, newest first."""
        super().__init__()
        self.list = JobList()
        self.counts: dict[JobState, int] = {}  # of runs
        self.files = 0  # operations on files
        self._loading = False
        self._again = False
        self._filter_open = False
        self._looking = False

    def body(self) -> Iterator[Widget]:
        """Tabs and table; the filter's line is made when it is first asked for."""
        yield Tabs(
            [
                (RUNS, "Runs"),
                ("waiting", "Waiting"),
                ("active", "Active"),
                ("final", "Finished"),
                (FILES, "Files"),
            ]
        )
        yield JobTable(self.list)

    @property
    def table(self) -> JobTable:
        """The table."""
        return self.query_one(JobTable)

    def heading(self) -> str:
        """Whose jobs, and what is shown of them."""
        whose = "My jobs" if self.list.owner else "Jobs"
        return f"{whose} on {self.lab.box_name}" if self.lab.box_name else whose

    def retitle(self) -> None:
        """Who, where, and how full the box is."""
        super().retitle()
        if self.query("Tabs") and self.query(
            "JobTable"
        ):  # neither while it is built up, nor while taken down
            self._tell_view()

    def begin(self) -> None:
        """The first page is on its way already: the app asked before this screen was made."""
        self.table.empty = "Reading…"
        if self.lab.settings.mine:
            self.attempt(self._first_of_mine(), group="list")
        else:
            self.attempt(self._first(), group="list")

    async def _first_of_mine(self) -> None:
        self.list.owner = await self.lab.who()
        cursor = await self.lab.cursor()
        await self._reload(None)
        self.lab.follow(cursor)

    async def _first(self) -> None:
        page = await self.lab.newest_jobs()
        self._take_first(page)
        self.lab.follow(page.cursor)
        await self._count()

    def _take_first(self, page: JobPage) -> None:
        self.list.add_page(page.jobs, page.next, page.cursor)
        self.list.total = max(self.list.total, len(page.jobs))
        self._say_empty()
        self.table.arrived()
        self.table.rows_changed()

    def _say_empty(self) -> None:
        if self.list.words:
            self.table.empty = "Nothing matches the filter. Esc clears it."
        elif self.list.view != RUNS or self.list.owner:
            self.table.empty = "No such jobs. Tab shows another view, m everybody's jobs."
        else:
            self.table.empty = "No jobs yet. F2 submits a project folder."

    # Reading.

    def reload(self) -> None:
        """Ask anew, because the question changed."""
        job = self.job_here()
        self.list.clear()
        self.list.total = self._expected()
        self.table.cursor = 0
        self.table.scroll_to(y=0, animate=False, force=True)
        self.attempt(self._reload(job.id if job else None), group="list", exclusive=True)

    async def _reload(self, keep: int | None) -> None:
        self._loading = False
        size = PAGE if self.list.plain else BULK
        while True:
            before = self.list.next_before
            page = await self.ask(partial(self._page, before, size))
            if self.list.next_before == before:
                self.list.add_page(page.jobs, page.next, page.cursor)
            self._say_empty()
            self.table.arrived()
            self.table.rows_changed()
            if before is None and keep is not None and (row := self.list.row_of(keep)) is not None:
                self.table.go(row)
            self._tell_view()
            if self.list.plain or self.list.complete:
                break
        await self._count()

    def _page(self, before: int | None, size: int) -> JobPage:
        return self.lab.client.list_jobs(
            owner=self.list.owner,
            state=_STATE_OF[self.list.view],
            limit=size,
            before=before,
            array=0,
            kind=FILES if self.list.view == FILES else RUNS,
        )

    async def _count(self) -> None:
        owner = self.list.owner
        counts = await self.ask(lambda: self.lab.client.count_jobs(owner=owner, array=0, kind=RUNS))
        files = await self.ask(lambda: self.lab.client.count_jobs(owner=owner, array=0, kind=FILES))
        self.counts, self.files = dict(counts.by_state), sum(files.by_state.values())
        self.list.total = self._expected()
        self.table.rows_changed()
        self._tell_view()

    def _expected(self) -> int:
        return self._number(self.list.view)

    def _number(self, view: str) -> int:
        if view == FILES:
            return self.files
        groups = {"waiting": WAITING, "active": ACTIVE, "final": FINAL, RUNS: frozenset(JobState)}
        return sum(count for state, count in self.counts.items() if state in groups[view])

    def _tell_view(self) -> None:
        note = ""
        if self.table.marks:
            note = f"{len(self.table.marks)} marked"
        elif self.list.words:
            sign = "without" if self.list.inverse else "with"
            note = f"{sign} “{self.list.words}”: {len(self.list)}"
            if not self.list.complete:
                note += f" of {self.list.scanned} read…"
        elif not self.list.plain and self.list.dropped:
            note = f"first {len(self.list)} of {self.list.scanned}"
        elif (usage := self.lab.status) is not None:
            memory = f"{format_bytes(usage.used.memory)}/{format_bytes(usage.total.memory)}"
            note = f"CPU {usage.used.cpus:g}/{usage.total.cpus:g} · memory {memory}"
            if self.size.width < ROOMY:
                memory = f"{usage.used.memory / GIB:.0f}/{usage.total.memory / GIB:.0f} GiB"
                note = f"CPU {usage.used.cpus:g}/{usage.total.cpus:g} · {memory}"
        counts = {view: self._number(view) for view in VIEWS} if self.counts else {}
        self.query_one(Tabs).say(self.list.view, counts, note)

    @on(JobTable.Wanted)
    def wanted(self, message: JobTable.Wanted) -> None:
        """Rows are on screen that are not at hand."""
        if not self._loading and self.list.plain:
            self._loading = True
            self.attempt(self._fill(message.first), group="fill")

    async def _fill(self, row: int) -> None:
        try:
            if row < self.list.loaded:  # known, but let go: read that page again
                above = self.list.id_at(max(0, row - PAGE // 4))
                before = above + 1 if above is not None else None
                page = await self.ask(lambda: self._page(before, PAGE))
                self.list.remember(page.jobs, page.cursor)
            else:
                while row >= self.list.loaded and not self.list.complete:
                    before = self.list.next_before
                    far = row - self.list.loaded > PAGE
                    page = await self.ask(partial(self._page, before, BULK if far else PAGE))
                    if self.list.next_before != before:
                        return
                    self.list.add_page(page.jobs, page.next, page.cursor)
                    self.table.rows_changed()
        finally:
            self._loading = False
            self.table.arrived()
            self.table.rows_changed()

    # What happens.

    def events_arrived(self, events: list[Event]) -> None:
        """Jobs changed: draw those that are on screen."""
        came_or_went = False
        recount = False
        latest: dict[int, tuple[Job, int]] = {}
        for event in events:
            if event.job is not None:
                recount = recount or event.kind == "job"
                latest[event.job.id] = event.job, event.cursor
        top = self.table.cursor == 0 and self.table.first_shown == 0
        here = self.list.id_at(self.table.cursor)
        for job, cursor in latest.values():
            structure, row = self.list.apply(job, cursor)
            came_or_went = came_or_went or structure
            if row is not None:
                self.table.refresh_row(row)
        if came_or_went:
            self._keep_place(top, here)
        if recount:
            self.attempt(self._count(), group="count", exclusive=True)

    def _keep_place(self, top: bool, here: int | None) -> None:
        """New rows came in above: the cursor stays with its job, and its job where it was on screen."""
        table = self.table
        row = None if top or here is None else self.list.row_of(here)
        table.rows_changed()
        if row is not None and row != table.cursor:
            shift = row - table.cursor
            table.cursor = row
            table.scroll_to(y=table.first_shown + shift, animate=False, force=True)
        self._say_empty()

    def read_again(self) -> None:
        """Read the list again."""
        self.reload()

    def tick(self) -> None:
        """Running jobs grow older, and take more or less."""
        if self.table.shows_live and not self._looking:
            self._looking = True
            self.attempt(self._look(), group="live")
        self.table.tick()

    async def _look(self) -> None:
        try:
            self.table.lives = (await self.ask(self.lab.client.live_jobs)).jobs
        except LabboxError as error:
            if error.code != "unavailable":  # of that the stream of events tells
                raise
        finally:
            self._looking = False

    # Jobs at hand.

    def job_here(self) -> Job | None:
        """The job under the cursor."""
        return self.list.get(self.table.cursor) if len(self.list) else None

    def jobs_meant(self) -> list[int]:
        """The marked jobs, else the one under the cursor."""
        return sorted(self.table.marks) if self.table.marks else super().jobs_meant()

    def deed_done(self) -> None:
        """The marks have served."""
        self.action_unmark_all()

    @on(JobTable.Chosen)
    def chosen(self) -> None:
        """Enter opens the elements of an array, the details of any other job."""
        job = self.job_here()
        if job is not None and job.kind is JobKind.ARRAY:
            self.action_elements()
        else:
            self.action_info()

    def action_manager(self) -> None:
        """The file manager."""
        self.lab.show_files()

    def action_submit(self) -> None:
        """Open the submit screen."""
        from labbox.tui.screens.submit import SubmitScreen

        self.app.push_screen(SubmitScreen())

    def action_accounting(self) -> None:
        """Open the accounts of finished jobs."""
        from labbox.tui.screens.accounting import AccountingScreen

        self.app.push_screen(AccountingScreen())

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
        job = self.list.id_at(self.table.cursor) if len(self.list) else None
        if job is not None:
            self.table.marks ^= {job}
            self.table.refresh_row(self.table.cursor)
            self.table.go(self.table.cursor + by)
            self._tell_view()

    def action_mark_all(self) -> None:
        """Mark all jobs of the view whose rows are known."""
        self.table.marks = set(self.list.ids())
        self._marks_changed()

    def action_unmark_all(self) -> None:
        """Unmark all."""
        self.table.marks = set()
        self._marks_changed()

    def action_invert_marks(self) -> None:
        """Mark what is not marked."""
        self.table.marks = set(self.list.ids()) - self.table.marks
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.table.refresh()
        self._tell_view()

    # Views.

    @on(Tabs.Chosen)
    def tab_chosen(self, message: Tabs.Chosen) -> None:
        """A tab was clicked."""
        self.action_view(message.key)

    def action_view(self, view: str) -> None:
        """Show all runs, those that wait, run or have ended, or operations on files."""
        if view != self.list.view:
            self.list.view = view
            self.table.marks = set()
            self.reload()

    def action_next_view(self) -> None:
        """The next tab."""
        self.action_view(VIEWS[(VIEWS.index(self.list.view) + 1) % len(VIEWS)])

    def action_previous_view(self) -> None:
        """The tab before."""
        self.action_view(VIEWS[VIEWS.index(self.list.view) - 1])

    def action_mine(self) -> None:
        """Mine or everybody's."""
        self.list.owner = None if self.list.owner else self.lab.me
        self.counts = {}
        self.retitle()
        self.reload()

    def action_reread(self) -> None:
        """Read all again."""
        self.reload()

    def action_sort(self) -> None:
        """Sort by the next column."""
        self._sort(
            SORTS[(SORTS.index(self.list.column) + 1) % len(SORTS)] if self.list.column in SORTS else "id"
        )

    @on(JobTable.HeadClicked)
    def head_clicked(self, message: JobTable.HeadClicked) -> None:
        """Sort by the clicked column, the other way round the second time."""
        if message.key == self.list.column:
            self.action_reverse()
        elif message.key != "live":  # figures of now order nothing
            self._sort(message.key)

    def _sort(self, column: str) -> None:
        self.list.column = column
        self.list.descending = column in ("id", "when", "elapsed", "exit")
        self.reload()

    def action_reverse(self) -> None:
        """The other way round."""
        self.list.descending = not self.list.descending
        self.reload()

    # The filter.

    async def action_filter(self) -> None:
        """Show only what matches."""
        await self._open_filter(inverse=False)

    async def action_filter_out(self) -> None:
        """Hide what matches."""
        await self._open_filter(inverse=True)

    async def _open_filter(self, inverse: bool) -> None:
        if self._filter_open:
            return
        self._filter_open = True
        entry = Entry(self.list.words, example="id, name, user, state or reason", id="filter")
        row = Horizontal(Label("Hide: " if inverse else "Show: "), entry, id="filter-row")
        self.list.inverse = inverse
        await self.mount(row, before="#keys")
        entry.focus()

    @on(Input.Submitted, "#filter")
    def filter_entered(self, event: Input.Submitted) -> None:
        """Apply the filter."""
        self._close_filter()
        words = event.value.strip()
        if words != self.list.words or words:
            self.list.words = words
            self.reload()

    def _close_filter(self) -> None:
        self._filter_open = False
        self.query("#filter-row").remove()
        self.table.focus()

    def before_escape(self) -> Callable[[], None] | None:
        """Marks and filter come back."""
        marks, words, inverse = set(self.table.marks), self.list.words, self.list.inverse

        def undo() -> None:
            if self.list.words != words:
                self.list.words, self.list.inverse = words, inverse
                self.reload()
            self.table.marks = marks
            self._marks_changed()

        return undo

    def action_clear_filter(self) -> None:
        """Esc: close the filter's line, else clear the filter, else the marks."""
        if self._filter_open:
            self._close_filter()
        elif self.list.words:
            self.list.words = ""
            self.list.inverse = False
            self.reload()
        else:
            self.action_unmark_all()
