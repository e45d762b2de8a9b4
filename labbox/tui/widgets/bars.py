"""The line above and the line below every screen."""

from __future__ import annotations

from rich.cells import cell_len
from rich.segment import Segment
from textual import events
from textual.message import Message
from textual.strip import Strip

from labbox.text import visible_line
from labbox.tui.widgets.paint import Painted, fit


class TitleBar(Painted):
    """The top line: where one is at the left, who and what at the right; red when the box is lost."""

    def __init__(self, left: str = "", right: str = "") -> None:
        """Both texts may come from outside."""
        super().__init__(id="title")
        self._left = left
        self._right = right

    def say(self, left: str | None = None, right: str | None = None) -> None:
        """Change either text; nothing is drawn where nothing changed."""
        new = (self._left if left is None else left, self._right if right is None else right)
        if new != (self._left, self._right):
            self._left, self._right = new
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line."""
        width = self.size.width
        right = visible_line(self._right)
        if cell_len(right) > width // 2:
            right = fit(right, width // 2)
        left = fit(" " + visible_line(self._left), width - cell_len(right) - 1)
        style = self.ink("title")
        return Strip([Segment(left + right + " ", style)], width)


class KeyBar(Painted):
    """The bottom line: function keys as mc shows them; a click presses the key."""

    class Pressed(Message):
        """A function key was clicked."""

        def __init__(self, key: str) -> None:
            """`key` in Textual's words: "f8"."""
            super().__init__()
            self.key = key

    def __init__(self, keys: list[tuple[int, str]]) -> None:
        """`keys` holds each function key's number and label."""
        super().__init__(id="keys")
        self._keys = keys

    def _slots(self, width: int) -> list[tuple[int, str, str, int]]:
        """(number, key text, label, width) for each key: all of them at any width.

        Spare cells are shared evenly; where they lack, the longest labels are cut.
        """
        named = [(number, f"F{number}", label) for number, label in self._keys]
        need = sum(len(key) + len(label) + 1 for _, key, label in named)
        while need > width and (longest := max(len(label) for _, _, label in named)) > 0:
            named = [(number, key, label[: longest - 1]) for number, key, label in named]
            need = sum(len(key) + len(label) + 1 for _, key, label in named)
        spare, more = divmod(max(0, min(width, 140) - need), max(1, len(named)))
        spare = min(spare, 6)
        return [
            (number, key, label, len(key) + len(label) + 1 + spare + (1 if place < more and spare < 6 else 0))
            for place, (number, key, label) in enumerate(named)
        ]

    def render_line(self, y: int) -> Strip:
        """The one line."""
        segments: list[Segment] = []
        used = 0
        width = self.size.width
        for _, key, label, room in self._slots(width):
            segments.append(Segment(key, self.ink("bar-key")))
            segments.append(Segment(fit(label, room - len(key)), self.ink("bar-text")))
            used += room
        segments.append(Segment(" " * max(0, width - used), self.ink("bar-text")))
        return Strip(segments, max(used, width)).crop(0, width)

    def on_click(self, event: events.Click) -> None:
        """Press the key under the mouse."""
        at = 0
        for number, _, _, room in self._slots(self.size.width):
            at += room
            if event.x < at:
                self.post_message(self.Pressed(f"f{number}"))
                return


class Banner(Painted):
    """A line that is there only while something is wrong: the connection, the engine."""

    def __init__(self) -> None:
        """Hidden until something is said."""
        super().__init__(id="banner")
        self._text = ""
        self.display = False

    def say(self, text: str) -> None:
        """Show a sentence; an empty one hides the line."""
        if text != self._text:
            self._text = text
            self.display = bool(text)
            self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line."""
        return Strip([Segment(fit(" " + visible_line(self._text), self.size.width), self.ink("banner"))])
