"""The strip above the function keys: one's transfers as they run."""

from __future__ import annotations

from typing import Final

from textual import events
from textual.message import Message
from textual.strip import Strip

from labbox.model import ACTIVE, FINISHING, JobState, state_word
from labbox.protocol import Job
from labbox.text import counted, format_bytes, format_duration, visible_line
from labbox.tui.format import STATE, bar
from labbox.tui.widgets.paint import Painted, fit
from labbox.tui.widgets.table import Cell

MOST: Final = 3  # lines


class TransferStrip(Painted):
    """A line for each transfer that runs, the first few; none, and it takes no room."""

    class Chosen(Message):
        """Somebody wants to see the transfers."""

    def __init__(self) -> None:
        """Hidden until there is something to show."""
        super().__init__(id="transfers")
        self._jobs: list[Job] = []
        self.display = False

    def say(self, jobs: list[Job]) -> None:
        """The transfers that have not ended."""
        self._jobs = jobs
        lines = min(MOST, len(jobs))
        if (lines > 0) != self.display:
            self.display = lines > 0
        if lines:
            self.styles.height = lines
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        """Open the list of transfers."""
        self.post_message(self.Chosen())

    def render_line(self, y: int) -> Strip:
        """One transfer."""
        width = self.size.width
        if y >= len(self._jobs):
            return self.strip([], width)
        if y == MOST - 1 and len(self._jobs) > MOST:
            return self.strip([(f" and {len(self._jobs) - y} more · Ctrl+X J shows all", "dim")], width)
        return self.strip(transfer_cells(self._jobs[y], width), width)


def transfer_cells(job: Job, width: int) -> Cell:
    """Sign, name, bar, share, bytes and files, rate, time left: as much as fits."""
    sign, ink = STATE[job.state]
    name_room = max(12, min(36, width // 3))
    parts: Cell = [(f" {sign} ", ink), (fit(visible_line(job.name), name_room), "text"), (" ", "text")]
    progress = job.progress
    room = width - name_room - 4
    if job.state not in ACTIVE or progress is None:
        words = job.reason.text if job.reason else state_word(job.state, job.kind)
        return [*parts, (fit(visible_line(words), room), "dim")]
    tail: list[str] = []
    if progress.total:
        tail.append(f"{min(100, int(100 * progress.done / progress.total)):3d}%")
    if job.state is JobState.PAUSED:
        tail.append("paused")
    elif progress.phase == FINISHING or job.state is JobState.COLLECTING:
        tail.append(FINISHING)
    elif progress.rate:
        tail.append(
            f"{format_bytes(progress.rate)}/s" if progress.unit == "bytes" else f"{progress.rate:.3g}/s"
        )
        if progress.remaining is not None:
            tail.append(f"{format_duration(progress.remaining)} left")
    if progress.files is not None:
        tail.append(
            f"{progress.files:,} of {counted(progress.files_total, 'file')}"
            if progress.files_total
            else counted(progress.files, "file")
        )
    elif progress.unit == "bytes" and progress.total is None:
        tail.append(format_bytes(progress.done))
    if not progress.total:
        return [*parts, (fit(" ".join([visible_line(progress.phase), *tail]), room), "dim")]
    text = " " + "  ".join(tail)
    bar_room = max(6, min(30, room - len(text) - 2))
    parts += bar(progress.done / progress.total, bar_room)
    left = room - bar_room
    parts.append((fit(text, min(left, len(text))), "text"))
    left -= min(left, len(text))
    if left > 12 and progress.current:
        parts.append((fit("  " + visible_line(progress.current), left), "dim"))
    return parts
