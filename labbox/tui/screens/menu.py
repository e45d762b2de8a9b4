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
from labbox.tui.widgets.leaving import LeavesOnce
from labbox.tui.widgets.paint import Painted, fit


def action_name(action: Action) -> str:
    """The action as Textual runs it from a screen."""
    return ("app." if action.scope == "app" else "screen.") + action.name


class PullBox(Painted):
    """The open menu in its frame."""

    def __init__(self) -> None:
        """Empty until a menu opens."""
        super().__init__(id="pull-box")
        self._entries: list[Action] = []
        self._at = 0
        self._room = 0
        self._first, self._lines = 0, 0  # of a menu that is longer than the terminal is high

    def say(self, entries: list[Action], at: int, left: int) -> None:
        """Show these entries, the cursor on one, the frame's corner under the title."""
        self._entries, self._at = entries, at
        self._room = max(len(action.title) + cell_len(keys.key_names(action)) for action in entries) + 6
        self.styles.width = self._room + 2
        self._lines = min(len(entries), max(1, self.screen.size.height - 3))
        self._first = max(0, min(self._first, at, len(entries) - self._lines))
        self._first = max(self._first, at - self._lines + 1)
        self.styles.height = self._lines + 2
        self.styles.offset = (min(left, max(0, self.screen.size.width - self._room - 2)), 1)
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """A line of the frame or an entry."""
        room = self._room
        last = self._first + self._lines
        if y in (0, self._lines + 1):
            corners = "┌┐" if y == 0 else "└┘"
            more = self._first > 0 if y == 0 else last < len(self._entries)
            edge = ("─ … " if more else "").ljust(room, "─")
            return self.strip([(corners[0] + edge + corners[1], "bar-text")], room + 2)
        if y > self._lines:
            return Strip.blank(self.size.width)
        action = self._entries[self._first + y - 1]
        names = keys.key_names(action)
        text = " " + fit(action.title, room - cell_len(names) - 3) + " " + names + " "
        ink = "cursor" if self._first + y - 1 == self._at else "bar-text"
        return self.strip([("│", "bar-text"), (text, ink), ("│", "bar-text")], room + 2)

    def on_click(self, event: events.Click) -> None:
        """Run the entry under the mouse."""
        if 0 < event.y <= self._lines:
            self.screen.query_one(PullDown).run_entry(self._first + event.y - 1)
        event.stop()


class PullDown(Painted, can_focus=True):
    """The bar of titles, which has the keys."""

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

    def on_mount(self) -> None:
        """The first menu is open."""
        self.call_after_refresh(self._open)

    def on_resize(self) -> None:
        """Find room anew."""
        self._open()

    def _open(self) -> None:
        self.refresh()
        for box in self.screen.query(PullBox):
            box.say(self._entries, self._entry, self._left(self._at))

    def _left(self, title: int) -> int:
        return 1 + sum(len(name) + 4 for name, _ in self._menus[:title])

    @property
    def _entries(self) -> list[Action]:
        return self._menus[self._at][1]

    def action_title(self, by: int) -> None:
        """The next menu."""
        self._at = (self._at + by) % len(self._menus)
        self._entry = 0
        self._open()

    def action_entry(self, by: int) -> None:
        """The next entry, around the end."""
        count = len(self._entries)
        self._entry = (self._entry + by) % count if abs(by) == 1 else max(0, min(count - 1, self._entry + by))
        self._open()

    def run_entry(self, place: int) -> None:
        """Run an entry of the open menu."""
        self._entry = place
        self.action_choose()

    def action_choose(self) -> None:
        """Run the entry under the cursor."""
        self.screen.dismiss(action_name(self._entries[self._entry]))

    def render_line(self, y: int) -> Strip:
        """The titles."""
        parts = [(" ", "title")]
        for place, (name, _) in enumerate(self._menus):
            parts.append((f"  {name}  ", "cursor" if place == self._at else "title"))
        used = sum(cell_len(text) for text, _ in parts)
        return self.strip([*parts, (" " * max(0, self.size.width - used), "title")], self.size.width)

    def on_click(self, event: events.Click) -> None:
        """Open the menu under the mouse."""
        event.stop()
        for place, (name, _) in enumerate(self._menus):
            if self._left(place) <= event.x < self._left(place) + len(name) + 4:
                self._at, self._entry = place, 0
                self._open()


class MenuScreen(ModalScreen[str | None], LeavesOnce[str | None]):
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
        yield PullBox()

    def on_click(self) -> None:
        """A click beside the menu leaves it."""
        self.dismiss(None)
