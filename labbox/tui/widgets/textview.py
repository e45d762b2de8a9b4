"""Draws the rows of a page of a file; what is on the page is somebody else's matter."""

from __future__ import annotations

from textual.binding import Binding
from textual.message import Message
from textual.strip import Strip

from labbox.tui.paging import Row
from labbox.tui.widgets.paint import Mark, Painted, marked


class TextView(Painted, can_focus=True):
    """A page of rows. Keys and wheel ask for another page."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j,enter", "move(1)", show=False),
        Binding("pageup,b", "pages(-1)", show=False),
        Binding("pagedown,space", "pages(1)", show=False),
        Binding("home,g,less_than_sign", "edge(-1)", show=False),
        Binding("end,G,greater_than_sign", "edge(1)", show=False),
        Binding("left", "sideways(-1)", show=False),
        Binding("right", "sideways(1)", show=False),
    ]

    class Wanted(Message):
        """Another page is wanted: "rows", "edge" or "sideways", by so much."""

        def __init__(self, what: str, by: int) -> None:
            """`by` counts rows; for edges its sign counts."""
            super().__init__()
            self.what, self.by = what, by

    class Resized(Message):
        """There is room for another number of rows."""

    def __init__(self) -> None:
        """Blank."""
        super().__init__()
        self.margin = 0
        self._rows: list[Row] = []
        self._marks: list[list[Mark]] = []
        self._numbers: list[str] = []

    def set_page(self, rows: list[Row], marks: list[list[Mark]], numbers: list[str]) -> None:
        """Show these rows; `numbers` stand in the margin."""
        self._rows, self._marks, self._numbers = rows, marks, numbers
        self.refresh()

    def on_resize(self) -> None:
        """Say so."""
        self.post_message(self.Resized())

    def action_move(self, by: int) -> None:
        """By rows."""
        self.post_message(self.Wanted("rows", by))

    def action_pages(self, by: int) -> None:
        """By screens."""
        self.post_message(self.Wanted("rows", by * max(1, self.size.height - 1)))

    def action_edge(self, by: int) -> None:
        """To the beginning or the end."""
        self.post_message(self.Wanted("edge", by))

    def action_sideways(self, by: int) -> None:
        """See the end of long lines."""
        self.post_message(self.Wanted("sideways", by))

    def on_mouse_scroll_up(self) -> None:
        """The wheel."""
        self.action_move(-3)

    def on_mouse_scroll_down(self) -> None:
        """The wheel."""
        self.action_move(3)

    def render_line(self, y: int) -> Strip:
        """One row."""
        width = self.size.width
        if y >= len(self._rows):
            return self.strip([], width)
        parts: list[tuple[str, str]] = []
        if self.margin:
            number = self._numbers[y] if y < len(self._numbers) else ""
            parts.append((f"{number:>{self.margin - 1}} ", "dim"))
        parts += marked(self._rows[y].text, self._marks[y] if y < len(self._marks) else [])
        return self.strip(parts, width)
