"""A line to type in."""

# ruff: noqa: A002 - Textual calls it id

from __future__ import annotations

from textual.binding import Binding
from textual.widgets import Input

from labbox.text import visible_line


class Entry(Input):
    """One line high, its cursor still; control characters put or pasted into it are made visible."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("alt+b", "cursor_left_word", show=False),  # as shells have them
        Binding("alt+f", "cursor_right_word", show=False),
    ]

    def __init__(
        self, value: str = "", *, example: str = "", secret: bool = False, fresh: bool = False, id: str
    ) -> None:
        """`example` stands in the empty line; a `secret` is not shown; a key replaces a `fresh` value."""
        super().__init__(
            value, placeholder=example, password=secret, id=id, compact=True, select_on_focus=fresh
        )
        self.cursor_blink = False

    def validate_value(self, value: str) -> str:
        """The value without anything that a terminal would obey."""
        return visible_line(value)
