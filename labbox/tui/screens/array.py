"""The elements of an array as a grid: one sign each."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

from rich.cells import cell_len
from textual import events
from textual.binding import Binding
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from labbox.model import FINAL, JobState
from labbox.protocol import Event, Job
from labbox.text import visible_line
from labbox.tui.format import STATE, elapsed, state_cell, why_cell
from labbox.tui.joblist import BULK
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.paint import Painted

CELL = 2  # cells that one element takes


class Grid(ScrollView, Painted, can_focus=True):
    """One sign for each element, in rows; a cursor walks over them."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("left", "move(-1)", show=False),
        Binding("right", "move(1)", show=False),
        Binding("up", "row(-1)", show=False),
        Binding("down", "row(1)", show=False),
        Binding("home", "move(-1000000)", show=False),
        Binding("end", "move(1000000)", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Moved(Message):
        """The cursor stands on another element."""

    class Chosen(Message):
        """Enter on an element."""

    def __init__(self) -> None:
        """No element yet."""
        super().__init__()
        self.jobs: list[Job] = []
        self.cursor = 0

    @property
    def per_row(self) -> int:
        """Elements in one row: a multiple of ten, so that rows can be counted."""
        return max(10, (self.size.width - 9) // CELL // 10 * 10)

    def set_jobs(self, jobs: list[Job]) -> None:
        """Show these elements, by index."""
        self.jobs = jobs
        self.cursor = max(0, min(self.cursor, len(jobs) - 1))
        self.on_resize()

    def on_resize(self) -> None:
        """Count the rows anew."""
        self.virtual_size = Size(self.size.width, -(-len(self.jobs) // self.per_row))
        self.refresh()

    def action_move(self, by: int) -> None:
        """By elements."""
        to = max(0, min(self.cursor + by, len(self.jobs) - 1))
        if to != self.cursor:
            self.cursor = to
            row = to // self.per_row
            if not self.scroll_offset.y <= row < self.scroll_offset.y + self.size.height:
                self.scroll_to(y=max(0, row - self.size.height // 2), animate=False, force=True)
            self.refresh()
            self.post_message(self.Moved())

    def action_row(self, by: int) -> None:
        """By rows."""
        self.action_move(by * self.per_row)

    def action_choose(self) -> None:
        """Choose the element under the cursor."""
        if self.jobs:
            self.post_message(self.Chosen())

    def on_click(self, event: events.Click) -> None:
        """Go to the element under the mouse."""
        at = (event.y + self.scroll_offset.y) * self.per_row + (event.x - 8) // CELL
        if event.x >= 8 and at < len(self.jobs):
            self.action_move(at - self.cursor)

    def render_line(self, y: int) -> Strip:
        """One row of elements, after the index of its first."""
        first = (y + self.scroll_offset.y) * self.per_row
        if first >= len(self.jobs):
            return self.strip([], self.size.width)
        parts = [(f"{self.jobs[first].index or 0:>6}  ", "dim")]
        for place in range(first, min(first + self.per_row, len(self.jobs))):
            sign, ink = STATE[self.jobs[place].state]
            here = place == self.cursor
            parts.append((sign, "cursor" if here else ink))
            gap = " " * (CELL - cell_len(sign))
            parts.append((gap, "text"))
        return self.strip(parts, self.size.width)


class ArrayFoot(Painted):
    """Two lines under the grid: the counts, and the element under the cursor."""

    def __init__(self) -> None:
        """Blank."""
        super().__init__(id="array-foot")
        self._lines: list[list[tuple[str, str]]] = [[], []]

    def say(self, counts: dict[JobState, int], here: Job | None) -> None:
        """Show the counts and an element."""
        summary: list[tuple[str, str]] = [("  ", "text")]
        for state, count in counts.items():
            summary += [
                (f"{STATE[state][0]} {state.value.replace('_', ' ')} ", STATE[state][1]),
                (f"{count}   ", "text"),
            ]
        line: list[tuple[str, str]] = []
        if here is not None:
            line = [
                (f"  [{here.index}] job {here.id}  ", "bold"),
                *state_cell(here.state),
                (f"  {elapsed(here)}  ", "text"),
            ]
            line += why_cell(here, 40)
        self._lines = [summary, line]
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the two lines."""
        return self.strip(self._lines[y] if y < 2 else [], self.size.width)


class ArrayScreen(JobPane):
    """All elements of one array."""

    KEYS = "array"
    AUTO_FOCUS = "Grid"

    def __init__(self, parent: Job) -> None:
        """The array whose parent this is."""
        super().__init__()
        self.array = parent
        self._elements: dict[int, Job] = {}
        self._said = ""
        self._heard: dict[int, int] = {}  # elements that events told of, with the events' cursors

    def body(self) -> Iterator[Widget]:
        """Grid and foot."""
        yield Grid()
        yield ArrayFoot()

    def heading(self) -> str:
        """Which array, and how much of it is done."""
        ended = sum(job.state in FINAL for job in self._elements.values())
        done = f" · {ended}/{len(self._elements)} done" if self._elements else ""
        return f"Array {self.array.id} · {visible_line(self.array.name)}{done}"

    def begin(self) -> None:
        """Read all elements."""
        self.attempt(self._load(), group="load")

    def read_again(self) -> None:
        """Read all elements again."""
        self.attempt(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        before: int | None = None
        while True:
            read = partial(self.lab.client.list_jobs, array=self.array.id, limit=BULK, before=before)
            page = await self.ask(read)
            self._elements.update(
                (job.id, job) for job in page.jobs if self._heard.get(job.id, 0) <= page.cursor
            )
            self._show()
            before = page.next
            if before is None:
                return

    def _show(self) -> None:
        grid = self.query_one(Grid)
        grid.set_jobs(sorted(self._elements.values(), key=lambda job: job.index or 0))
        self._tell()

    def _tell(self) -> None:
        counts: dict[JobState, int] = {}
        for job in self._elements.values():
            counts[job.state] = counts.get(job.state, 0) + 1
        ordered = {state: counts[state] for state in JobState if state in counts}
        self.query_one(ArrayFoot).say(ordered, self.job_here())
        if (heading := self.heading()) != self._said:
            self._said = heading
            self.retitle()

    def events_arrived(self, events: list[Event]) -> None:
        """Elements changed."""
        mine = False
        for event in events:
            if event.job is not None and event.job.array == self.array.id:
                self._elements[event.job.id] = event.job
                self._heard[event.job.id] = event.cursor
                mine = True
        if mine:
            self._show()

    def tick(self) -> None:
        """What runs grows older."""
        self._tell()

    def on_grid_moved(self) -> None:
        """Show the element under the cursor."""
        self._tell()

    def on_grid_chosen(self) -> None:
        """Enter opens its details."""
        self.action_info()

    def job_here(self) -> Job | None:
        """The element under the cursor."""
        grid = self.query_one(Grid)
        return grid.jobs[grid.cursor] if grid.jobs else None
