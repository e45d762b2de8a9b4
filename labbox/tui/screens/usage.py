"""Who took how much, and how the fair share counts it now."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.text import duration_text, format_bytes, visible_line
from labbox.tui.format import bar
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.lines import Lines, wrapped
from labbox.tui.widgets.table import Cell, Column, RowsTable


class UsageScreen(Pane):
    """One row for each person."""

    HEADING = "Usage and shares"
    AUTO_FOCUS = "RowsTable"

    def body(self) -> Iterator[Widget]:
        """The table and what its numbers mean."""
        table = RowsTable(
            [
                Column("owner", "user", 10, grow=1, most=24),
                Column("share", "share of recent use", 24),
                Column("running", "runs now", 15),
                Column("cpu", "CPU hours", 10, right=True),
                Column("jobs", "jobs", 6, right=True),
                Column("memory", "GiB hours", 10, right=True, need=90),
                Column("storage", "storage", 9, right=True, need=90),
            ]
        )
        table.empty = "Reading…"
        yield table
        yield Lines(id="usage-note")

    def begin(self) -> None:
        """Ask."""
        self.attempt(self._load(), group="load")

    def read_again(self) -> None:
        """Ask again."""
        self.attempt(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        page = await self.ask(self.lab.client.usage)
        rows: list[list[Cell]] = []
        for use in sorted(page.rows, key=lambda each: -each.share):
            mine = use.owner == self.lab.me
            running = f"{use.running.cpus:g} CPU {format_bytes(use.running.memory)}"
            rows.append(
                [
                    [(visible_line(use.owner), "bold" if mine else "text")],
                    [
                        *bar(use.share, 16, "accent" if mine else "primary"),
                        (f" {use.share * 100:4.0f} %", "text"),
                    ],
                    [(running if use.running.cpus else "–", "text")],
                    [(f"{use.cpu_seconds / 3600:.1f}", "text")],
                    [(str(use.jobs), "dim")],
                    [(f"{use.memory_byte_seconds / 3600 / (1 << 30):.0f}", "dim")],
                    [("–" if use.storage is None else format_bytes(use.storage), "dim")],
                ]
            )
        self.query_one(RowsTable).set_rows(rows)
        note = (
            "Who used less of the box lately goes first. Use counts half after "
            f"{duration_text(page.half_life)}, a quarter after twice that, and so on."
        )
        self.query_one("#usage-note", Lines).set_lines(wrapped(note, self.size.width, "  ", "dim"))
