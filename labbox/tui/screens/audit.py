"""The audit trail, for administrators."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.protocol import AuditEntry
from labbox.text import visible_line
from labbox.tui.format import local_time
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.table import Column, RowsTable, Table

PAGE = 200


class AuditScreen(Pane):
    """Who did what, when, from where; older pages come when the cursor reaches the end."""

    HEADING = "Audit trail"
    AUTO_FOCUS = "RowsTable"

    def __init__(self) -> None:
        """Nothing read yet."""
        super().__init__()
        self._entries: list[AuditEntry] = []
        self._next: int | None = None

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("at", "when", 16),
                Column("who", "who", 10),
                Column("action", "what", 14, grow=0.5, most=24),
                Column("target", "on", 10, grow=1),
                Column("origin", "from", 14, grow=0.5),
                Column("detail", "detail", 20, grow=1, need=100),
            ]
        )
        table.empty = "Reading…"
        yield table

    def begin(self) -> None:
        """The newest page."""
        self.attempt(self._load(), group="load")

    def on_table_moved(self, _message: Table.Moved) -> None:
        """Older entries."""
        if self._next is not None and self.query_one(RowsTable).cursor >= len(self._entries) - 1:
            self.attempt(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        before = self._next
        page = await self.ask(lambda: self.lab.client.audit(limit=PAGE, before=before))
        self._entries += page.entries
        self._next = page.next
        if not page.intact:
            self.show_trouble(f"The trail is not intact: {page.trouble or 'an entry was edited or removed'}.")
        rows = [
            [
                [(local_time(entry.at), "dim")],
                *(
                    [(visible_line(text), "text")]
                    for text in (entry.who, entry.action, entry.target, entry.origin, entry.detail)
                ),
            ]
            for entry in self._entries
        ]
        self.query_one(RowsTable).set_rows(rows)
