"""A line of tabs with numbers, and a note at its right end."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.message import Message
from textual.strip import Strip

from labbox.text import visible_line
from labbox.tui.widgets.paint import Painted, fit


class Tabs(Painted):
    """Tabs over a table; a click chooses one."""

    class Chosen(Message):
        """A tab was clicked."""

        def __init__(self, key: str) -> None:
            """`key` is the tab's."""
            super().__init__()
            self.key = key

    def __init__(self, tabs: list[tuple[str, str]]) -> None:
        """`tabs` holds (key, title); the first one is chosen."""
        super().__init__(id="tabs")
        self._tabs = tabs
        self._chosen = tabs[0][0]
        self._counts: dict[str, int] = {}
        self._note = ""

    def say(self, chosen: str, counts: dict[str, int], note: str) -> None:
        """Which tab is chosen, the number behind each, and the note."""
        if (chosen, counts, note) != (self._chosen, self._counts, self._note):
            self._chosen, self._counts, self._note = chosen, counts, note
            self.refresh()

    def _labels(self) -> list[tuple[str, str]]:
        return [
            (
                key,
                f" {title} {self._counts[key]:,} ".replace(",", " ") if key in self._counts else f" {title} ",
            )
            for key, title in self._tabs
        ]

    def render_line(self, y: int) -> Strip:
        """The one line."""
        parts: list[tuple[str, str]] = [(" ", "text")]
        used = 1
        for key, label in self._labels():
            parts += [(label, "cursor" if key == self._chosen else "dim"), (" ", "text")]
            used += cell_len(label) + 1
        room = self.size.width - used - 1
        note = visible_line(self._note)
        if room > 10 and note:
            if cell_len(note) > room:
                note = fit(note, room)
            parts.append((" " * (room - cell_len(note)) + note, "dim"))
        return self.strip(parts, self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Choose the tab under the mouse."""
        at = 1
        for key, label in self._labels():
            if at <= event.x < at + cell_len(label):
                self.post_message(self.Chosen(key))
                return
            at += cell_len(label) + 1
