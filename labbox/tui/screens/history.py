"""How a job came to where it is, what it took, and why it waits."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from textual.widget import Widget

from labbox.model import ACTIVE, JobKind, state_clause
from labbox.protocol import Event, Job, JobDetail, JobHistory
from labbox.text import elements_text, format_bytes, format_duration, visible_line
from labbox.tui import clock
from labbox.tui.format import cpu_hours, live_lines, local_time, name_of, state_cell
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.dialog import Message
from labbox.tui.widgets.lines import Line, Lines, field, section

if TYPE_CHECKING:
    from labbox.tui.screens.base import Pane


async def show_why(pane: Pane, job: Job) -> None:
    """A box with every reason that holds now."""
    why = await pane.ask(lambda: pane.lab.client.why_job(job.id))
    lines = [f"{number}. {reason.text}" for number, reason in enumerate(why.reasons, 1)]
    facts = []
    if why.position is not None:
        facts.append(f"It is number {why.position} in the queue.")
    if why.expected_start is not None:
        facts.append(f"It should start at about {local_time(why.expected_start)}.")
    text = "\n".join(lines) or f"Nothing holds it back: it is {why.state.value}."
    pane.app.push_screen(Message(f"Why job {job.id} {state_clause(why.state)}", text, " ".join(facts)))


class HistoryScreen(JobPane):
    """The trail of one job and its account."""

    KEYS = "detail"
    AUTO_FOCUS = "Lines"

    def __init__(self, job: Job) -> None:
        """The history of this job."""
        super().__init__()
        self.job = job

    def body(self) -> Iterator[Widget]:
        """One page."""
        yield Lines()

    def heading(self) -> str:
        """Which job."""
        return f"History of job {self.job.id} · {name_of(self.job)}"

    def begin(self) -> None:
        """Ask."""
        self.attempt(self._load(), group="load")

    def read_again(self) -> None:
        """Ask again."""
        self.attempt(self._load(), group="load", exclusive=True)

    def events_arrived(self, events: list[Event]) -> None:
        """The job changed."""
        if any(
            event.kind == "job" and event.job is not None and event.job.id == self.job.id for event in events
        ):
            self.read_again()

    def tick(self) -> None:
        """It takes more, or less."""
        if self.job.state in ACTIVE and self.job.kind is JobKind.CONTAINER:
            self.read_again()

    def job_here(self) -> Job | None:
        """This job."""
        return self.job

    async def _load(self) -> None:
        client = self.lab.client
        history = await self.ask(lambda: client.job_history(self.job.id))
        detail = await self.ask(lambda: client.show_job(self.job.id))
        self.job = detail.job
        self.query_one(Lines).set_lines(history_lines(history, detail))


def history_lines(history: JobHistory, detail: JobDetail) -> list[Line]:
    """The page as lines."""
    lines: list[Line] = [[], section("What happened")]
    last = len(history.entries) - 1
    for place, entry in enumerate(history.entries):
        joint = "└" if place == last else "├" if place else "┌"
        state = state_cell(entry.state, detail.job.kind)[0]
        why = visible_line(entry.reason.text) if entry.reason else elements_text(entry.elements)
        by = f" by {visible_line(entry.by)}" if entry.by else ""
        after = ""
        if place:
            after = "+" + format_duration((entry.at - history.entries[place - 1].at).total_seconds())
        lines.append(
            [
                (f"  {local_time(entry.at):<17}", "dim"),
                (f"{after:>8} ", "faint"),
                (f"{joint}─ ", "faint"),
                (f"{state[0]:<14}", state[1]),
                (f"try {entry.attempt}  " if entry.attempt else "       ", "dim"),
                (why, "text"),
                (by, "dim"),
            ]
        )
    cpu = sum(attempt.cpu_seconds or 0 for attempt in detail.attempts)
    peak = max((attempt.peak_memory or 0 for attempt in detail.attempts), default=0)
    if detail.live is not None:
        peak = max(peak, detail.live.peak_memory or 0)
    now = clock.now()
    ran = sum(((each.ended_at or now) - each.started_at).total_seconds() for each in detail.attempts)
    lines += [
        [],
        section("What it took"),
        field("Attempts", str(len(detail.attempts))),
        field("Time running", format_duration(ran)),
        field("CPU time", cpu_hours(cpu)),
        field("Peak memory", format_bytes(peak) if peak else "–"),
        *live_lines(detail),
        field("Output", "–" if detail.output_bytes is None else format_bytes(detail.output_bytes)),
    ]
    if ran and detail.job.resources.cpus:
        lines.append(
            field(
                "CPU in use", f"{min(100, 100 * cpu / ran / detail.job.resources.cpus):.0f} % of what it had"
            )
        )
    return lines
