"""The log of a job, as it comes."""

from __future__ import annotations

from collections.abc import Iterator

from textual import on
from textual.containers import Horizontal
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Input, Label

from labbox.errors import LabboxError
from labbox.model import ACTIVE, FINAL, Stream
from labbox.protocol import Event, Job, JobDetail, LogRecord
from labbox.text import counted, format_bytes, visible_line
from labbox.tui.format import elapsed, name_of, progress_cell, state_cell, submit_words
from labbox.tui.logbook import Logbook
from labbox.tui.logreader import LogReader
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.logview import LogView
from labbox.tui.widgets.paint import Painted


class LogHead(Painted):
    """Two lines over a log: what was asked for (F6 asks again), and how the job stands."""

    def __init__(self) -> None:
        """Blank until told."""
        super().__init__(id="log-head")
        self._job: Job | None = None
        self._words = ""
        self._note = ""

    def say(self, job: Job, words: str, note: str) -> None:
        """Show a job, the command line that asks for it, and a note on the log."""
        self._job, self._words, self._note = job, words, note
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """One of the two lines."""
        job, width = self._job, self.size.width
        if job is None:
            return self.strip([], width)
        if y == 0:
            return self.strip([(" $ ", "good"), (self._words, "bold")], width)
        parts = [(" ", "text"), *state_cell(job.state, job.kind), ("  ", "text"), (elapsed(job), "text")]
        if job.exit_code is not None:
            parts.append((f"  exit {job.exit_code}", "dim" if job.exit_code == 0 else "bad"))
        used = sum(len(text) for text, _ in parts)
        room = width - used - len(self._note) - 4
        middle: list[tuple[str, str]] = []
        if job.state in ACTIVE and job.progress is not None:
            middle = progress_cell(job.progress, min(60, room))
        elif job.reason is not None:
            middle = [(visible_line(job.reason.text)[: max(0, room)], "dim")]
        length = sum(len(text) for text, _ in middle)
        gap = max(1, width - used - 2 - length - len(self._note) - 1)
        return self.strip([*parts, ("  ", "text"), *middle, (" " * gap, "text"), (self._note, "dim")], width)


class LogScreen(JobPane):
    """Follows a job's log."""

    KEYS = "log"
    AUTO_FOCUS = "LogView"

    def __init__(self, job: Job) -> None:
        """The log of this job."""
        super().__init__()
        self.job = job
        self.book = Logbook()
        # Kept here and not looked up: records arrive while the screen is built up and taken down, too.
        self.head, self.log_view = LogHead(), LogView(self.book)
        self._reader: LogReader | None = None
        self._words = f"job submit {visible_line(job.name)}"
        self._find_open = False

    def body(self) -> Iterator[Widget]:
        """The two lines, then the log."""
        yield self.head
        yield self.log_view

    def heading(self) -> str:
        """Which job."""
        return f"Log of job {self.job.id} · {name_of(self.job)}"

    def begin(self) -> None:
        """Begin with the last lines, and follow."""
        self._read(tail=True)
        self._tell()
        self.attempt(self._detail())

    async def _detail(self) -> None:
        detail: JobDetail = await self.ask(lambda: self.lab.client.show_job(self.job.id))
        self.job = detail.job
        self._words = submit_words(detail.spec)
        self._tell()

    def _read(self, tail: bool) -> None:
        from labbox.tui import logreader

        if self._reader is not None:
            self._reader.stop()
        self._reader = LogReader(self.lab.client, self.job.id, self._delivered, self._log_failed)
        self._reader.start(tail=logreader.TAIL if tail else None)

    def on_unmount(self) -> None:
        """Stop reading."""
        if self._reader is not None:
            self._reader.stop()

    def _delivered(self, records: list[LogRecord], skipped: int) -> None:
        if not self.is_attached:
            return
        self.book.skipped += skipped
        dropped = self.book.add(records)
        self.log_view.changed(dropped=bool(dropped))
        self._tell()

    def _log_failed(self, error: LabboxError) -> None:
        if self.is_attached:
            self.lab.show_error(error)

    def _tell(self) -> None:
        view = self.log_view
        notes = []
        if self.book.skipped:
            notes.append(f"{format_bytes(self.book.skipped)} skipped")
        if self.book.dropped:
            notes.append(f"{counted(self.book.dropped, 'earlier line')} let go")
        hidden = set(Stream) - view.view.streams
        if hidden:
            notes.append("without " + ", ".join(sorted(stream.value for stream in hidden)))
        if view.words and view.found_row is None:
            notes.append(f"“{visible_line(view.words)}” not found")
        elif self.book.ended:
            notes.append("end of log")
        elif view.follow:
            notes.append("following")
        else:
            notes.append("F2 follows")
        self.head.say(self.job, self._words, " · ".join(notes))

    def events_arrived(self, events: list[Event]) -> None:
        """The job changed."""
        for event in events:
            if event.job is not None and event.job.id == self.job.id:
                self.job = event.job
                self._tell()

    def tick(self) -> None:
        """It grows older."""
        if self.job.state in ACTIVE:
            self.head.refresh()

    def job_here(self) -> Job | None:
        """This job."""
        return self.job

    @on(LogView.Scrolled)
    def scrolled(self, message: LogView.Scrolled) -> None:
        """Scrolling up stops following; scrolling to the end of a running log takes it up again."""
        self.log_view.follow = message.at_end and self.job.state not in FINAL
        self._tell()

    def action_follow(self) -> None:
        """Follow, or stop following."""
        self.log_view.follow = not self.log_view.follow
        if self.log_view.follow:
            self.log_view.to_end()
        self._tell()

    def action_to_end(self) -> None:
        """To the end, and follow."""
        self.log_view.follow = True
        self.log_view.to_end()
        self._tell()

    def action_from_start(self) -> None:
        """To the first line; read from the beginning where the first lines are not at hand."""
        self.log_view.follow = False
        self.log_view.scroll_to(y=0, animate=False, force=True)
        if self.book.dropped or self.book.skipped or len(self.book.lines) >= 2000:
            self.book = Logbook()
            self.log_view.book = self.log_view.view.book = self.book
            self.log_view.changed(everything=True)
            self._read(tail=False)
        self._tell()

    def action_stream(self, stream: str) -> None:
        """Show or hide a stream."""
        self.log_view.view.streams ^= {Stream(stream)}
        self.log_view.changed(everything=True)
        self._tell()

    def action_wrap(self) -> None:
        """Wrap long lines, or cut them."""
        self.log_view.view.wrap = not self.log_view.view.wrap
        self.log_view.changed(everything=True)

    def action_progress(self) -> None:
        """Show or hide the lines that drive the progress bar."""
        self.log_view.view.progress = not self.log_view.view.progress
        self.log_view.changed(everything=True)
        self._tell()

    def action_times(self) -> None:
        """Show or hide times."""
        self.log_view.set_times(not self.log_view.times)

    def action_save_hint(self) -> None:
        """Say where the log lies."""
        self.lab.say(
            f"The log is kept as ~/{self.job.results}/log.txt.\n"
            f"scp BOX:{self.job.results}/log.txt .   or   job fetch {self.job.id}",
            "Save the log",
        )

    async def action_find(self) -> None:
        """Ask for words."""
        if self._find_open:
            return
        self._find_open = True
        entry = Entry(self.log_view.words, id="filter")
        await self.mount(Horizontal(Label("Search: "), entry, id="filter-row"), before="#keys")
        entry.focus()

    @on(Input.Submitted, "#filter")
    def find_entered(self, event: Input.Submitted) -> None:
        """Search backwards from the end, as one looks for what just happened."""
        self._close_find()
        self.log_view.words = event.value
        self.log_view.found_row = None
        if event.value:
            self.log_view.search()
        else:
            self.log_view.refresh()
        self._tell()

    def _close_find(self) -> None:
        self._find_open = False
        self.query("#filter-row").remove()
        self.log_view.focus()

    def action_next_match(self) -> None:
        """The next line with the words."""
        self.log_view.search(again=True)
        self._tell()

    def action_previous_match(self) -> None:
        """The line before with the words."""
        self.log_view.search(backward=True, again=True)
        self._tell()

    def action_back(self) -> None:
        """Close the search line, else go back."""
        if self._find_open:
            self._close_find()
        else:
            super().action_back()
