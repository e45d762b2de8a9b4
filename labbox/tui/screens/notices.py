"""What happened: jobs that ended, limits that were reached."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.text import visible_line
from labbox.tui.format import local_time
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.table import Column, RowsTable


class NoticesScreen(Pane):
    """The notices that are kept, newest first, as `labbox notices --all` has them; Enter opens the job."""

    HEADING = "Notices"
    AUTO_FOCUS = "RowsTable"

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("new", "", 1),
                Column("at", "when", 16),
                Column("job", "job", 6, right=True),
                Column("text", "what", 20, grow=1),
            ]
        )
        table.empty = "Nothing to tell. You hear here when a job of yours ends."
        yield table

    def __init__(self) -> None:
        """What is new at the first look stays marked until one leaves."""
        super().__init__()
        self._new: set[int] = set()

    def begin(self) -> None:
        """Show what there is, and ask whether there is more."""
        self._look()
        self.attempt(self.lab.fetch_notices(quiet=True), group="notices", exclusive=True)

    def retitle(self) -> None:
        """Notices came; those that come while one looks are seen at once."""
        if self.is_current and self.query(RowsTable):  # neither while it is built up, nor while taken down
            self._look()
        super().retitle()

    def _look(self) -> None:
        self._new |= {notice.id for notice in self.lab.notices if not notice.seen}
        self.lab.notices_seen()
        self._show()

    def _show(self) -> None:
        rows = []
        for notice in self.lab.notices:
            new = notice.id in self._new
            rows.append(
                [
                    [("●" if new else " ", "mark")],
                    [(local_time(notice.at), "dim")],
                    [("" if notice.job is None else str(notice.job), "text")],
                    [(visible_line(notice.text), "bold" if new else "text")],
                ]
            )
        self.query_one(RowsTable).set_rows(rows, [notice.id for notice in self.lab.notices])

    def on_table_chosen(self) -> None:
        """Open the job that the notice is about."""
        notice = self.lab.notices[self.query_one(RowsTable).cursor]
        if notice.job is not None:
            self.attempt(self._open(notice.job))

    async def _open(self, number: int) -> None:
        from labbox.tui.screens.detail import DetailScreen

        detail = await self.ask(lambda: self.lab.client.show_job(number))
        self.app.push_screen(DetailScreen(detail.job))
