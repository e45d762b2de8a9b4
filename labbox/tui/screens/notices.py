"""What happened: jobs that ended, limits that were reached."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.protocol import Event
from labbox.text import visible_line
from labbox.tui.format import local_time
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.table import Column, RowsTable


class NoticesScreen(Pane):
    """The notices of this session, newest first; Enter opens the job."""

    HEADING = "Notices"
    AUTO_FOCUS = "RowsTable"

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("at", "when", 16),
                Column("job", "job", 6, right=True),
                Column("text", "what", 20, grow=1),
            ]
        )
        table.empty = "Nothing to tell. You hear here when a job of yours ends."
        yield table

    def begin(self) -> None:
        """Show what the app has gathered: it is read now."""
        self.lab.unread = 0
        for screen in self.lab.panes():
            screen.retitle()

    def events_arrived(self, events: list[Event]) -> None:
        """There may be more; the app is fetching it, and retitles when it has."""

    def retitle(self) -> None:
        """Notices came; those that come while one looks are seen at once."""
        if self.is_current:
            self.lab.unread = 0
        super().retitle()
        self._show()

    def _show(self) -> None:
        self.query_one(RowsTable).set_rows(
            [
                [
                    [(local_time(notice.at), "dim")],
                    [("" if notice.job is None else str(notice.job), "text")],
                    [(visible_line(notice.text), "text")],
                ]
                for notice in self.lab.notices
            ]
        )

    def on_table_chosen(self) -> None:
        """Open the job that the notice is about."""
        notice = self.lab.notices[self.query_one(RowsTable).cursor]
        if notice.job is not None:
            self.attempt(self._open(notice.job))

    async def _open(self, number: int) -> None:
        from labbox.tui.screens.detail import DetailScreen

        detail = await self.ask(lambda: self.lab.client.show_job(number))
        self.app.push_screen(DetailScreen(detail.job))
