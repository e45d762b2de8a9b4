"""A check box that can be told on from off without colours."""

from __future__ import annotations

from textual.widgets import Checkbox


class Tick(Checkbox):
    """Shows ``[x]`` when on and ``[ ]`` when off."""

    BUTTON_LEFT = ""  # Textual draws the sides in the button's background
    BUTTON_RIGHT = ""
    BUTTON_INNER = "[ ]"

    def watch_value(self) -> None:
        """Draw the sign of the new state."""
        self.BUTTON_INNER = "[x]" if self.value else "[ ]"
        super().watch_value()
