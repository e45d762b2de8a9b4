"""How the box stands."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.protocol import Event, Status
from labbox.text import format_bytes, format_duration, visible_line
from labbox.tui import clock
from labbox.tui.format import STATE, bar
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.lines import Line, Lines, field, section, wrapped

EVERY = 5  # seconds


class BoxScreen(Pane):
    """One page of figures, kept fresh while it is in front."""

    HEADING = "Status of the box"
    AUTO_FOCUS = "Lines"

    def __init__(self) -> None:
        """Nothing asked yet."""
        super().__init__()
        self._seconds = 0

    def body(self) -> Iterator[Widget]:
        """One page."""
        yield Lines()

    def begin(self) -> None:
        """Ask."""
        self.attempt(self._load(), group="load")

    def tick(self) -> None:
        """Ask again now and then."""
        self._seconds += 1
        if self._seconds % EVERY == 0:
            self.attempt(self._load(), group="load", exclusive=True)

    def events_arrived(self, events: list[Event]) -> None:
        """Figures follow by themselves."""

    async def _load(self) -> None:
        status = await self.ask(self.lab.client.status)
        self.lab.status = status
        self.query_one(Lines).set_lines(status_lines(status, self.size.width))


def _gauge(name: str, used: float, total: float, text: str) -> Line:
    share = used / total if total else 0.0
    ink = "bad" if share > 0.95 else "warn" if share > 0.8 else "primary"
    return [(f"  {name:<14}", "dim"), *bar(share, 24, ink), (f"  {text}", "text")]


def status_lines(status: Status, width: int) -> list[Line]:
    """The page as lines."""
    since = (clock.now() - status.started_at).total_seconds()
    engine = f"Docker {visible_line(status.engine.version)}" if status.engine.available else "away"
    lines: list[Line] = [[], section(visible_line(status.box))]
    if status.problems:
        for problem in status.problems:
            lines += wrapped("! " + visible_line(problem), width, "  ", "bad")
    else:
        lines.append([("  ✓ healthy", "good")])
    lines += [
        field("Version", visible_line(status.version)),
        field("Up for", format_duration(since)),
        field("Logins at", visible_line(status.ssh)),
        field("Engine", engine, "text" if status.engine.available else "bad"),
    ]
    if not status.engine.available:
        lines += wrapped(visible_line(status.engine.reason), width, " " * 16, "dim")
    used, total = status.used, status.total
    memory_used = status.memory_total - status.memory_available
    disk_used = status.disk_total - status.disk_free
    lines += [
        field("Users", str(status.users)),
        [],
        section("What jobs take"),
        _gauge("CPUs", used.cpus, total.cpus, f"{used.cpus:g} of {total.cpus:g}"),
        _gauge(
            "Memory",
            used.memory,
            total.memory,
            f"{format_bytes(used.memory)} of {format_bytes(total.memory)}",
        ),
    ]
    if total.gpus:
        lines.append(_gauge("GPUs", used.gpus, total.gpus, f"{used.gpus} of {total.gpus}"))
    load = " ".join(f"{each:.2f}" for each in status.load)
    lines += [
        [],
        section("The machine"),
        field("Load", load),
        _gauge("Memory", memory_used, status.memory_total, f"{format_bytes(status.memory_available)} free"),
        _gauge("Disk", disk_used, status.disk_total, f"{format_bytes(status.disk_free)} free"),
        [],
        section("Jobs"),
    ]
    for state, (sign, ink) in STATE.items():
        if count := status.jobs.get(state):
            lines.append(
                [
                    (f"  {sign} ", ink),
                    (f"{state.value.replace('_', ' '):<12}", "text"),
                    (f"{count:>7}", "text"),
                ]
            )
    return lines
