"""What a person has chosen for their screens: one line each, taken at once and kept for the next login."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from msgspec.structs import replace
from textual.widget import Widget

from labbox.tui import look
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.table import Column, RowsTable

_YES: Final[dict[object, str]] = {True: "yes", False: "no"}
_THEMES: Final[dict[object, str]] = {
    "": "what fits the terminal",
    **{theme.name.removeprefix("labbox-"): theme.name.removeprefix("labbox-") for theme in look.THEMES},
}
CHOICES: Final[tuple[tuple[str, str, dict[object, str]], ...]] = (
    ("theme", "Colour theme", {**_THEMES, "ansi": "the terminal's own 16 colours"}),
    ("toasts", "Show notices in a corner as they come", {**_YES}),
    ("bell", "Ring the bell for them", {**_YES}),
    ("title", "Show them in the terminal's title", {**_YES}),
    ("mine", "The job view begins with", {False: "everybody's jobs", True: "my jobs"}),
    (
        "graphics",
        "Pictures",
        {False: "half blocks, if in doubt", True: "the terminal's graphics"},
    ),
)


class SettingsScreen(Pane):
    """A line for each setting; Enter, Space and the arrows turn it."""

    KEYS = "settings"
    HEADING = "Settings"
    AUTO_FOCUS = "RowsTable"

    def body(self) -> Iterator[Widget]:
        """One table."""
        yield RowsTable([Column("what", "setting", 24, grow=1, most=44), Column("is", "", 20, grow=1)])

    def begin(self) -> None:
        """Show how they are."""
        self._show()

    def _show(self) -> None:
        rows = []
        for key, title, choices in CHOICES:
            value = getattr(self.lab.settings, key)
            rows.append([[(title, "text")], [(f"◂ {choices.get(value, str(value))} ▸", "accent")]])
        self.query_one(RowsTable).set_rows(rows, [key for key, _, _ in CHOICES])

    def action_turn(self, by: int) -> None:
        """Another choice of the setting under the cursor."""
        key, _, choices = CHOICES[self.query_one(RowsTable).cursor]
        values = list(choices)
        present = getattr(self.lab.settings, key)
        at = values.index(present) if present in values else 0
        self.lab.choose(replace(self.lab.settings, **{key: values[(at + by) % len(values)]}))
        self._show()

    def on_table_chosen(self) -> None:
        """A second click, or Enter in the table."""
        self.action_turn(1)
