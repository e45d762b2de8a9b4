"""A line to type in."""

# ruff: noqa: A002 - Textual calls it id

from __future__ import annotations

from textual.binding import Binding
from textual.widgets import Input
from textual.widgets.input import Selection

from labbox.text import visible_line


class Entry(Input):
    """One line high, its cursor still; control characters put or pasted into it are made visible."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("alt+b", "cursor_left_word", show=False),  # as shells have them
        Binding("alt+f", "cursor_right_word", show=False),
    ]

    def __init__(
        self,
        value: str = "",
        *,
        example: str = "",
        secret: bool = False,
        selected: int | None = None,
        id: str,
    ) -> None:
        """`example` stands in the empty line; a `secret` is not shown.

        What stands there from the start is selected when one comes to it, so that typing replaces it:
        `selected` characters of it, None for all.
        """
        super().__init__(
            value, placeholder=example, password=secret, id=id, compact=True, select_on_focus=True
        )
        self.cursor_blink = False
        self._selected = selected

    def on_focus(self) -> None:
        """Of a name that one changes, the ending stays: once, at the first look."""
        if self._selected is not None:
            self.selection, self._selected = Selection(0, self._selected), None
            self.select_on_focus = False

    def validate_value(self, value: str) -> str:
        """The value without anything that a terminal would obey."""
        return visible_line(value)
