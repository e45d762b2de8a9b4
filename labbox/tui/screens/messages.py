"""What was told in passing, to be read once more."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.text import visible_line
from labbox.tui.format import local_time
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.dialog import Message
from labbox.tui.widgets.table import Column, RowsTable


class MessagesScreen(Pane):
    """The messages of this session, newest first; Enter shows one whole."""

    HEADING = "What was said"
    AUTO_FOCUS = "RowsTable"

    def __init__(self) -> None:
        """Those that there are now."""
        super().__init__()
        self._said: list[tuple[str, str]] = []

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable([Column("at", "when", 8), Column("text", "what", 20, grow=1)])
        table.empty = "Nothing was said in this session yet."
        yield table

    def begin(self) -> None:
        """Show them."""
        said = list(reversed(self.lab.said))
        self._said = [(title, text) for _, title, text in said]
        self.query_one(RowsTable).set_rows(
            [[[(local_time(at)[-8:], "dim")], [(visible_line(text), "text")]] for at, _, text in said]
        )

    def on_table_chosen(self) -> None:
        """All of it."""
        if self._said:
            title, text = self._said[self.query_one(RowsTable).cursor]
            self.app.push_screen(Message(title or "It was said", text))
