"""A check box that can be told on from off without colours."""

from __future__ import annotations

from textual.binding import Binding
from textual.widgets import Checkbox


class Tick(Checkbox, inherit_bindings=False):
    """Shows ``[x]`` when on and ``[ ]`` when off; Space turns it, Enter is the dialog's."""

    BINDINGS = [Binding("space", "toggle_button", show=False)]  # noqa: RUF012 - Textual declares it so

    BUTTON_LEFT = ""  # Textual draws the sides in the button's background
    BUTTON_RIGHT = ""
    BUTTON_INNER = "[ ]"

    def watch_value(self) -> None:
        """Draw the sign of the new state."""
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        super().watch_value()
