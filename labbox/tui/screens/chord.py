"""The second stroke of a key of two: what each letter means stands on the screen while it is awaited."""

from __future__ import annotations

from textual import events
from textual.app import ComposeResult
from textual.screen import ModalScreen
from textual.strip import Strip

from labbox.tui import keys
from labbox.tui.keys import Action
from labbox.tui.widgets.leaving import LeavesOnce
from labbox.tui.widgets.paint import Painted, fit


class Letters(Painted):
    """A framed line for each letter; a click is as good as the letter."""

    def __init__(self, first: str, meanings: dict[str, Action]) -> None:
        """`meanings` by the second key."""
        super().__init__(id="letters")
        self._title = f" {keys.key_name(first)} … "
        self._meanings = meanings
        self._room = max(len(action.title) for action in meanings.values()) + 5
        self.styles.width, self.styles.height = self._room + 2, len(meanings) + 2

    def render_line(self, y: int) -> Strip:
        """A line of the frame, or a letter."""
        room = self._room
        if y == 0:
            return self.strip(
                [("┌" + fit(self._title, len(self._title)).ljust(room, "─") + "┐", "bar-text")], room + 2
            )
        if y > len(self._meanings):
            return self.strip([("└" + "─" * room + "┘", "bar-text")], room + 2)
        letter, action = list(self._meanings.items())[y - 1]
        title = fit(f"  {action.title}", room - 2)
        line = [("│ ", "bar-text"), (letter.upper(), "bar-key"), (title, "bar-text"), ("│", "bar-text")]
        return self.strip(line, room + 2)

    def on_click(self, event: events.Click) -> None:
        """Do it."""
        event.stop()
        if 0 < event.y <= len(self._meanings):
            self.screen.dismiss(list(self._meanings.values())[event.y - 1].name)


class ChordScreen(ModalScreen[str | None], LeavesOnce[str | None]):
    """Dismissed with the name of what the letter means; with None for a key that means nothing here."""

    def __init__(self, first: str, meanings: dict[str, Action]) -> None:
        """`first` was pressed."""
        super().__init__()
        self._first, self._meanings = first, meanings

    def compose(self) -> ComposeResult:
        """The letters."""
        yield Letters(self._first, self._meanings)

    def on_key(self, event: events.Key) -> None:
        """The second stroke; Ctrl may still be held."""
        event.stop()
        action = self._meanings.get(event.key.lower().removeprefix("ctrl+"))
        self.dismiss(None if action is None else action.name)

    def on_click(self) -> None:
        """A click beside it leaves it."""
        self.dismiss(None)
