"""The keys of the screen that asked, and the signs of the states."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.tui import keys
from labbox.tui.format import STATE
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.lines import Line, Lines, section


class HelpScreen(Pane):
    """One page, made from the table of keys."""

    HEADING = "Help"
    AUTO_FOCUS = "Lines"

    def __init__(self, screen: str) -> None:
        """Help for this screen of the table."""
        super().__init__()
        self._screen = screen

    def body(self) -> Iterator[Widget]:
        """One page."""
        yield Lines()

    def begin(self) -> None:
        """Make the page."""
        self.query_one(Lines).set_lines(help_lines(self._screen, self.lab.is_admin))


def help_lines(screen: str, admin: bool) -> list[Line]:
    """The page as lines, menu by menu."""
    lines: list[Line] = [
        [],
        [("  Arrows, PgUp, PgDn, Home, End or the mouse move; Enter opens; Esc goes back.", "text")],
        [("  If a terminal swallows a key: all is in the F9 menu and under Ctrl+P too.", "dim")],
    ]
    actions = keys.actions_of(screen, admin)
    for menu in keys.MENUS:
        mine = [action for action in actions if (action.menu or "Box") == menu and action.keys]
        if not mine:
            continue
        lines += [[], section(menu)]
        lines += [[(f"  {keys.key_names(action):<18}", "accent"), (action.title, "text")] for action in mine]
    lines += [[], section("Signs")]
    lines += [
        [(f"  {sign} ", ink), (state.value.replace("_", " "), "text")] for state, (sign, ink) in STATE.items()
    ]
    return lines
