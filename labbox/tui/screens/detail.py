"""Everything that is known about one job."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox import transfers
from labbox.model import ACTIVE, JobKind
from labbox.protocol import Event, Job, JobDetail
from labbox.text import duration_text, format_bytes, visible_line
from labbox.tui.format import (
    cpu_hours,
    elapsed,
    live_lines,
    local_time,
    name_of,
    progress_cell,
    so_many,
    state_cell,
    submit_words,
)
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.lines import Line, Lines, field, section, wrapped


class DetailScreen(JobPane):
    """A page about a job; it stays right while the job goes on."""

    KEYS = "detail"
    AUTO_FOCUS = "Lines"

    def __init__(self, job: Job) -> None:
        """The page of this job."""
        super().__init__()
        self.job = job
        self.detail: JobDetail | None = None

    def body(self) -> Iterator[Widget]:
        """One page."""
        yield Lines()

    def heading(self) -> str:
        """Which job."""
        return f"Job {self.job.id} · {name_of(self.job)}"

    def begin(self) -> None:
        """Show what the list knew, and ask for the rest."""
        self._show()
        self.attempt(self._load())

    async def _load(self) -> None:
        self.detail = await self.ask(lambda: self.lab.client.show_job(self.job.id))
        self.job = self.detail.job
        self._show()

    def read_again(self) -> None:
        """Ask again."""
        self.attempt(self._load(), group="load", exclusive=True)

    def events_arrived(self, events: list[Event]) -> None:
        """The job changed."""
        mine = [event for event in events if event.job is not None and event.job.id == self.job.id]
        if mine and mine[-1].job is not None:
            self.job = mine[-1].job
            self._show()
            if any(event.kind == "job" for event in mine):
                self.read_again()

    def tick(self) -> None:
        """It grows older."""
        if self.job.state in ACTIVE:
            self._show()
            if self.job.kind is JobKind.CONTAINER:
                self.read_again()  # what it takes now

    def on_resize(self) -> None:
        """Break sentences anew."""
        self._show()

    def job_here(self) -> Job | None:
        """This job."""
        return self.job

    def _show(self) -> None:
        if self.is_mounted:
            page = self.query_one(Lines)
            page.set_lines(lines_of(self.job, self.detail, max(40, self.size.width - 2)))


def lines_of(job: Job, detail: JobDetail | None, width: int) -> list[Line]:
    """The page as lines."""
    lines: list[Line] = [
        [],
        [("  State         ", "dim"), *state_cell(job.state, job.kind), *_ending(job)],
    ]
    if job.reason is not None:
        first, *more = wrapped(visible_line(job.reason.text), width - 16, "")
        lines.append([("  Because       ", "dim"), *first])
        lines += [[(" " * 16, "text"), *line] for line in more]
    if job.state in ACTIVE and job.progress is not None:
        lines.append([("  Progress      ", "dim"), *progress_cell(job.progress, min(60, width - 18))])
    lines += [
        field("User", visible_line(job.owner)),
        field("Submitted", local_time(job.submitted_at)),
        field("Started", local_time(job.started_at) or "–"),
        field("Ended", local_time(job.ended_at) or "–"),
        field("Time", elapsed(job) or "–"),
        field("Priority", str(job.priority)),
        field("Results", "" if job.kind is JobKind.TRANSFER else "~/" + visible_line(job.results)),
    ]
    if job.group is not None:
        lines.append(field("Group", visible_line(job.group)))
    if job.after:
        lines.append(field("Start after", "job " + ", ".join(str(number) for number in job.after)))
    if job.array is not None:
        lines.append(field("Array", f"element {job.index} of job {job.array}"))
    if job.kind is JobKind.TRANSFER:
        return lines + _of_transfer(detail)
    needs = f"{so_many(job.resources.cpus, 'CPU')}, {format_bytes(job.resources.memory)} of memory"
    if job.resources.gpus:
        needs += f", {so_many(job.resources.gpus, 'GPU')}"
    lines += [[], section("Requests"), field("Resources", needs)]
    if detail is None:
        return lines
    lines += live_lines(detail)
    limit = "none" if detail.time_limit is None else duration_text(detail.time_limit)
    lines += [
        field("Time limit", limit),
        field("Network", "yes" if detail.network else "no"),
        field("Retries", str(detail.retries)),
        [],
        section("Runs"),
        field("Submitted as", submit_words(detail.spec), "bold"),
        field("Command", visible_line(" ".join(detail.command))),
        field("Template", visible_line(detail.template or "–")),
        field("Image", visible_line(detail.image or "not known yet")),
        field("Environment", visible_line(detail.environment or "none")),
        field("Code", visible_line(detail.code_hash) or "–", "dim"),
        field("Input", visible_line(detail.input_hash) or "–", "dim"),
    ]
    for key, value in detail.spec.env.items():
        lines.append(field("Variable", visible_line(f"{key}={value}")))
    if detail.output_bytes is not None:
        lines.append(field("Output", format_bytes(detail.output_bytes)))
    if job.kind is JobKind.ARRAY and detail.elements is not None:
        lines += [[], section("Elements (a shows the grid)")]
        for state, count in detail.elements.by_state.items():
            lines.append([("  ", "text"), *state_cell(state), (f"  {count}", "text")])
    return lines + _attempts(detail)


def _of_transfer(detail: JobDetail | None) -> list[Line]:
    """What a transfer has, in place of what a run has."""
    if detail is None:
        return []
    lines: list[Line] = [[], section("Transfer")]
    for name, value in transfers.facts(detail.spec.transfer) if detail.spec.transfer is not None else ():
        first, *more = value.split("\n")
        if value:
            lines.append(field(name.capitalize(), visible_line(first)))
        lines += [field("", visible_line(one)) for one in more]
    if detail.time_limit is not None:
        lines.append(field("Time limit", duration_text(detail.time_limit)))
    lines.append(field("Retries", str(detail.retries)))
    return lines + _attempts(detail)


def _attempts(detail: JobDetail) -> list[Line]:
    lines: list[Line] = []
    if detail.attempts:
        lines += [[], section("Attempts"), _attempt_head()]
    for attempt in detail.attempts:
        lines.append(
            [
                (f"  {attempt.number:<4}", "text"),
                (f"{local_time(attempt.started_at):<18}", "dim"),
                (f"{local_time(attempt.ended_at) or '–':<18}", "dim"),
                (f"{'' if attempt.exit_code is None else attempt.exit_code:<6}", "text"),
                (f"{cpu_hours(attempt.cpu_seconds) or '–':<11}", "text"),
                ("–" if attempt.peak_memory is None else format_bytes(attempt.peak_memory), "text"),
            ]
        )
    return lines


def _attempt_head() -> Line:
    return [(f"  {'no':<4}{'from':<18}{'to':<18}{'exit':<6}{'CPU time':<11}peak memory", "dim")]


def _ending(job: Job) -> Line:
    if job.exit_code is None:
        return []
    return [(f"   exit {job.exit_code}", "dim" if job.exit_code == 0 else "bad")]
