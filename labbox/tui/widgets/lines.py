"""A page of lines that are made once and scrolled: details, help, graphs."""

# ruff: noqa: A002 - Textual calls it id

from __future__ import annotations

from textual.binding import Binding
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip

from labbox.tui.widgets.paint import Painted

Line = list[tuple[str, str]]


class Lines(ScrollView, Painted, can_focus=True):
    """Lines of (text, ink); the text must have come through `labbox.text` where it is not our own."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("up,k", "scroll_up", show=False),
        Binding("down,j", "scroll_down", show=False),
        Binding("pageup", "page_up", show=False),
        Binding("pagedown,space", "page_down", show=False),
        Binding("home", "scroll_home", show=False),
        Binding("end", "scroll_end", show=False),
    ]

    def __init__(self, *, id: str | None = None) -> None:
        """A blank page."""
        super().__init__(id=id)
        self.lines: list[Line] = []

    def set_lines(self, lines: list[Line]) -> None:
        """Show these lines and keep the place."""
        self.lines = lines
        self.virtual_size = Size(self.size.width, len(lines))
        self.refresh()

    def on_resize(self) -> None:
        """Lines are cut to the width, so only the height scrolls."""
        self.virtual_size = Size(self.size.width, len(self.lines))

    def render_line(self, y: int) -> Strip:
        """One line of the page."""
        at = y + self.scroll_offset.y
        return self.strip(self.lines[at] if at < len(self.lines) else [], self.size.width)


def section(title: str) -> Line:
    """A heading."""
    return [(f" {title}", "head")]


def field(name: str, value: str, ink: str = "text", width: int = 14) -> Line:
    """A name and its value on one line."""
    return [(f"  {name:<{width}}", "dim"), (value, ink)]


def wrapped(text: str, width: int, indent: str = "  ", ink: str = "text") -> list[Line]:
    """A sentence over as many lines as it needs."""
    import textwrap

    lines = textwrap.wrap(text, max(20, width - len(indent) - 1)) or [""]
    return [[(indent + line, ink)] for line in lines]
