"""What a job waits for and what waits for it, drawn as text."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.protocol import Event, Job
from labbox.tui.format import name_of, state_cell
from labbox.tui.joblist import BULK
from labbox.tui.screens.jobactions import JobPane
from labbox.tui.widgets.lines import Line, Lines, section

DEEPEST: Final = 20  # levels drawn
MOST: Final = 400  # jobs drawn


class GraphScreen(JobPane):
    """The dependencies around one job."""

    KEYS = "detail"
    AUTO_FOCUS = "Lines"

    def __init__(self, job: Job) -> None:
        """The graph around this job."""
        super().__init__()
        self.job = job
        self._known: dict[int, Job] = {job.id: job}

    def body(self) -> Iterator[Widget]:
        """One page."""
        yield Lines()

    def heading(self) -> str:
        """Which job."""
        return f"Dependencies of job {self.job.id} · {name_of(self.job)}"

    def begin(self) -> None:
        """Read the jobs before and after."""
        self.attempt(self._load(), group="load")

    def read_again(self) -> None:
        """Read them again."""
        self.attempt(self._load(), group="load", exclusive=True)

    def job_here(self) -> Job | None:
        """This job."""
        return self.job

    def events_arrived(self, events: list[Event]) -> None:
        """One of them changed."""
        mine = [
            event.job
            for event in events
            if event.job is not None
            and (event.job.id in self._known or any(earlier in self._known for earlier in event.job.after))
        ]
        if mine:
            self._known.update((job.id, job) for job in mine)
            self._show()

    async def _load(self) -> None:
        client = self.lab.client

        def gather() -> dict[int, Job]:
            known = {job.id: job for job in client.list_jobs(limit=BULK).jobs}
            known[self.job.id] = self.job
            ask = [number for number in self.job.after if number not in known]
            while ask and len(known) < BULK + MOST:
                number = ask.pop()
                try:
                    known[number] = client.show_job(number).job
                except LabboxError:
                    continue  # it is another person's, or gone: drawn by its number alone
                ask += [earlier for earlier in known[number].after if earlier not in known]
            return known

        self._known = await self.ask(gather)
        self._show()

    def _show(self) -> None:
        self.query_one(Lines).set_lines(graph_lines(self.job.id, self._known))


def graph_lines(centre: int, known: dict[int, Job]) -> list[Line]:
    """First what the job waits for, then what waits for it; a job that stands above already is only named."""
    later: dict[int, list[int]] = {}
    for job in known.values():
        for earlier in job.after:
            later.setdefault(earlier, []).append(job.id)
    before = {number: list(job.after) for number, job in known.items()}
    lines: list[Line] = [[], section("It runs after"), *_tree(centre, before, known)]
    lines += [[], section("After it run"), *_tree(centre, later, known)]
    return lines


def _tree(root: int, edges: dict[int, list[int]], known: dict[int, Job]) -> list[Line]:
    lines: list[Line] = []
    seen: set[int] = set()

    def draw(number: int, stem: str, joint: str, depth: int) -> None:
        if len(lines) >= MOST:
            return
        job = known.get(number)
        again = number in seen
        seen.add(number)
        label: Line = [("  " + stem + joint, "faint"), (f"{number} ", "bold" if not depth else "text")]
        if job is None:
            label.append(("not shown to you", "dim"))
        else:
            label += [(name_of(job) + "  ", "text"), *state_cell(job.state, job.kind)]
        if again:
            label.append(("  (above)", "dim"))
        lines.append(label)
        if again or depth >= DEEPEST:
            return
        below = sorted(edges.get(number, []))
        deeper = stem + ("" if not depth else "   " if joint.startswith("└") else "│  ")
        for place, other in enumerate(below):
            draw(other, deeper, "└─ " if place == len(below) - 1 else "├─ ", depth + 1)

    draw(root, "", "", 0)
    if len(lines) == 1:
        lines.append([("  nothing", "dim")])
    return lines
