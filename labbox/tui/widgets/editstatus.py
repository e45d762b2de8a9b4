"""The line under a text that is changed."""

from __future__ import annotations

from textual.strip import Strip

from labbox.tui.widgets.paint import Painted


class EditStatus(Painted):
    """Where the cursor is, what stands there, how the file is made."""

    DEFAULT_CSS = "EditStatus { height: 1; width: 1fr; }"

    def __init__(self) -> None:
        """Blank until told."""
        super().__init__(id="edit-status")
        self._parts: list[tuple[str, str]] = []
        self._note = ""

    def say(self, parts: list[tuple[str, str]], note: str) -> None:
        """Show parts at the left, a note at the right."""
        if (parts, note) != (self._parts, self._note):
            self._parts, self._note = parts, note
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line."""
        width = self.size.width
        used = sum(len(text) for text, _ in self._parts)
        gap = max(1, width - used - len(self._note) - 1)
        return self.strip([*self._parts, (" " * gap, "text"), (self._note, "dim")], width)
