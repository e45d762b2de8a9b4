"""The F9 menu: every action of the screen, under the titles of the table of keys."""

from __future__ import annotations

from rich.cells import cell_len
from textual import events
from textual.app import ComposeResult
from textual.binding import Binding
from textual.screen import ModalScreen
from textual.strip import Strip

from labbox.tui import keys
from labbox.tui.keys import Action
from labbox.tui.widgets.paint import Painted, fit


def action_name(action: Action) -> str:
    """The action as Textual runs it from a screen."""
    return ("app." if action.scope == "app" else "screen.") + action.name


class PullDown(Painted, can_focus=True):
    """A bar of titles and, under the chosen one, its entries."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("left", "title(-1)", show=False),
        Binding("right,tab", "title(1)", show=False),
        Binding("up", "entry(-1)", show=False),
        Binding("down", "entry(1)", show=False),
        Binding("home", "entry(-100)", show=False),
        Binding("end", "entry(100)", show=False),
        Binding("enter,space", "choose", show=False),
    ]

    def __init__(self, menus: list[tuple[str, list[Action]]]) -> None:
        """Titles with their actions."""
        super().__init__()
        self._menus = menus
        self._at = 0
        self._entry = 0

    def _left(self, title: int) -> int:
        return 1 + sum(len(name) + 4 for name, _ in self._menus[:title])

    @property
    def _entries(self) -> list[Action]:
        return self._menus[self._at][1]

    def action_title(self, by: int) -> None:
        """The next menu."""
        self._at = (self._at + by) % len(self._menus)
        self._entry = 0
        self.refresh()

    def action_entry(self, by: int) -> None:
        """The next entry, around the end."""
        count = len(self._entries)
        self._entry = (self._entry + by) % count if abs(by) == 1 else max(0, min(count - 1, self._entry + by))
        self.refresh()

    def action_choose(self) -> None:
        """Run the entry."""
        self.screen.dismiss(action_name(self._entries[self._entry]))

    def _box(self) -> tuple[int, int]:
        room = max(len(action.title) + cell_len(keys.key_names(action)) for action in self._entries) + 6
        return min(self._left(self._at), max(0, self.size.width - room - 2)), room

    def render_line(self, y: int) -> Strip:
        """The bar, then the open menu in its frame."""
        width = self.size.width
        if y == 0:
            parts = [(" ", "title")]
            for place, (name, _) in enumerate(self._menus):
                parts.append((f"  {name}  ", "cursor" if place == self._at else "title"))
            used = sum(cell_len(text) for text, _ in parts)
            return self.strip([*parts, (" " * max(0, width - used), "title")], width)
        left, room = self._box()
        entries = self._entries
        if y > len(entries) + 2:
            return Strip.blank(width)
        if y == 1 or y == len(entries) + 2:
            corners = "┌┐" if y == 1 else "└┘"
            line = [(corners[0] + "─" * room + corners[1], "bar-text")]
        else:
            action = entries[y - 2]
            names = keys.key_names(action)
            text = " " + fit(action.title, room - cell_len(names) - 3) + " " + names + " "
            line = [("│", "bar-text"), (text, "cursor" if y - 2 == self._entry else "bar-text"), ("│", "bar-text")]
        strip = self.strip(line, room + 2)
        return Strip.join([Strip.blank(left), strip, Strip.blank(max(0, width - left - room - 2))])

    def on_click(self, event: events.Click) -> None:
        """Open a menu, run an entry, or leave."""
        if event.y == 0:
            for place, (name, _) in enumerate(self._menus):
                if self._left(place) <= event.x < self._left(place) + len(name) + 4:
                    self._at, self._entry = place, 0
                    self.refresh()
            return
        left, room = self._box()
        place = event.y - 2
        if 0 <= place < len(self._entries) and left < event.x <= left + room:
            self._entry = place
            self.action_choose()
        else:
            self.screen.dismiss(None)


class MenuScreen(ModalScreen[str | None]):
    """The menu over the screen; dismissed with the action's name."""

    BINDINGS = [Binding("escape,f9,f10", "dismiss(None)", show=False)]  # noqa: RUF012 - Textual declares it so

    def __init__(self, screen: str, admin: bool) -> None:
        """The menus of this screen of the table."""
        super().__init__()
        actions = keys.actions_of(screen, admin)
        menus = [(menu, [action for action in actions if action.menu == menu]) for menu in keys.MENUS]
        self._menus = [(menu, entries) for menu, entries in menus if entries]

    def compose(self) -> ComposeResult:
        """The menu."""
        yield PullDown(self._menus)
