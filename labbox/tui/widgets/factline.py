"""One line about what is above it: facts on the left, what goes on at the right."""

from __future__ import annotations

from textual.strip import Strip

from labbox.text import visible_line
from labbox.tui.widgets.paint import Painted, fit


class FactLine(Painted):
    """The line."""

    def __init__(self) -> None:
        """Blank."""
        super().__init__(classes="fact-line")
        self._facts = self._note = ""

    def say(self, facts: str, note: str = "") -> None:
        """Show these."""
        if (facts, note) != (self._facts, self._note):
            self._facts, self._note = facts, note
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line."""
        width = self.size.width
        note = f" {visible_line(self._note)} " if self._note else ""
        facts = fit(" " + visible_line(self._facts), max(0, width - len(note)))
        return self.strip([(facts, "bar-text"), (note, "mark")], width)
