"""The command palette: type a few letters of what you want."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input

from labbox.tui import keys
from labbox.tui.keys import Action
from labbox.tui.screens.menu import action_name
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.leaving import LeavesOnce
from labbox.tui.widgets.table import Column, RowsTable

LONGEST_NUMBER = 12  # digits of a job


def rank(action: Action, typed: str) -> tuple[int, int] | None:
    """How well an action fits: words before scattered letters, early before late; None: not at all."""
    title, typed = action.title.casefold(), typed.casefold().strip()
    at = title.find(typed)
    if at >= 0:
        return (0 if at == 0 or title[at - 1] == " " else 1, at)
    if typed and any(word.startswith(typed) for word in keys.SYNONYMS.get(action.name, "").split()):
        return (0, len(title))
    place = -1
    for letter in typed.replace(" ", ""):
        place = title.find(letter, place + 1)
        if place < 0:
            return None
    return (2, place)


def _places(typed: str) -> list[Action]:
    """What a number or a path leads to: a job, a place of the panes."""
    typed = typed.strip()
    if typed.isascii() and typed.isdigit() and len(typed) <= LONGEST_NUMBER:
        return [Action("app", f"open_job({int(typed)})", "", f"Go to job {int(typed)}", "")]
    if typed.startswith(("~/", "/")) or typed == "~" or (":" in typed and len(typed) > 2):
        return [Action("app", f"open_place({typed!r})", "", f"Go to {typed}", "")]
    return []


class PaletteScreen(ModalScreen[str | None], LeavesOnce[str | None]):
    """A line to type in over the actions that fit; dismissed with the action's name."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("escape,ctrl+p,f10", "dismiss(None)", show=False, priority=True),
        Binding("up", "step(-1)", show=False, priority=True),
        Binding("down", "step(1)", show=False, priority=True),
    ]

    def __init__(self, screen: str, admin: bool) -> None:
        """The actions of this screen of the table."""
        super().__init__()
        self._actions = [action for action in keys.actions_of(screen, admin) if action.name != "palette"]
        self._shown = self._actions

    def compose(self) -> ComposeResult:
        """The line and the list."""
        entry = Entry(example="What do you want to do?", id="palette-text")
        table = RowsTable([Column("title", "", 30, grow=1), Column("keys", "", 14, right=True)], heads=False)
        table.can_focus = False
        table.lit = True
        table.empty = "Nothing like that here."
        yield Vertical(entry, table, id="palette")

    def on_mount(self) -> None:
        """All actions first."""
        self._show("")

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """Keep what fits, best first."""
        self._show(event.value)

    def _show(self, typed: str) -> None:
        ranked = [(rank(action, typed), action) for action in self._actions]
        fitting = [(place, action) for place, action in ranked if place is not None]
        if typed.strip():
            fitting.sort(key=lambda each: each[0])
        self._shown = [*_places(typed), *(action for _, action in fitting)]
        table = self.query_one(RowsTable)
        table.cursor = 0
        table.set_rows([[[(a.title, "text")], [(keys.key_names(a), "accent")]] for a in self._shown])

    def action_step(self, by: int) -> None:
        """Up or down the list."""
        self.query_one(RowsTable).action_move(by)

    @on(Input.Submitted)
    def entered(self) -> None:
        """Run what is under the cursor."""
        if self._shown:
            self.dismiss(action_name(self._shown[self.query_one(RowsTable).cursor]))

    @on(RowsTable.Chosen)
    def clicked(self) -> None:
        """Run what was clicked."""
        self.entered()
