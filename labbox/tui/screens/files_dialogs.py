"""A list to choose from, as the dialogs of the file manager show it."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.widgets import Input, Static

from labbox.text import visible_line
from labbox.tui.widgets.dialog import Dialog
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.table import Cell, Column, RowsTable


class Choice(NamedTuple):
    """A line of a list to choose from."""

    title: str
    detail: str
    value: str


class Choose(Dialog[str]):
    """A list; letters narrow it down. Dismissed with the value chosen."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("up", "step(-1)", show=False, priority=True),
        Binding("down", "step(1)", show=False, priority=True),
        Binding("pageup", "step(-10)", show=False, priority=True),
        Binding("pagedown", "step(10)", show=False, priority=True),
        Binding("f8", "take_out", show=False, priority=True),
    ]

    def __init__(
        self,
        title: str,
        choices: list[Choice],
        hint: str = "Letters narrow it down · Enter chooses · Esc back",
        forget: Callable[[str], None] | None = None,
    ) -> None:
        """`forget`: F8 takes a line out of the list for good."""
        super().__init__(title)
        self._choices = choices
        self._shown = choices
        self._hint = hint + (" · F8 takes out" if forget else "")
        self._forget = forget

    def compose(self) -> ComposeResult:
        """The line to type in, the list, the hint."""
        table = RowsTable(
            [Column("title", "", 16, grow=1), Column("detail", "", 20, grow=1)], heads=False, id="choices"
        )
        table.can_focus = False
        table.lit = True
        table.empty = "Nothing like that."
        yield self.framed(
            Entry(example="type to narrow down", id="narrow"),
            table,
            Static(self._hint, classes="hint", markup=False),
            kind="wide",
        )

    def on_mount(self) -> None:
        """All of it first."""
        self._show("")
        self.query_one("#narrow", Input).focus()

    @on(Input.Changed)
    def typed(self, event: Input.Changed) -> None:
        """Keep what fits."""
        self._show(event.value)

    def _show(self, typed: str) -> None:
        wanted = typed.casefold().split()
        self._shown = [
            choice
            for choice in self._choices
            if all(word in f"{choice.title} {choice.detail}".casefold() for word in wanted)
        ]
        table = self.query_one(RowsTable)
        table.cursor = 0
        rows: list[list[Cell]] = [
            [[(visible_line(each.title), "text")], [(visible_line(each.detail), "dim")]]
            for each in self._shown
        ]
        table.set_rows(rows)

    def action_step(self, by: int) -> None:
        """Up or down the list."""
        self.query_one(RowsTable).action_move(by)

    @on(Input.Submitted)
    def entered(self) -> None:
        """Take the line under the cursor."""
        if self._shown:
            self.dismiss(self._shown[self.query_one(RowsTable).cursor].value)

    @on(RowsTable.Chosen)
    def clicked(self) -> None:
        """Take the clicked line."""
        self.entered()

    def action_take_out(self) -> None:
        """Take the line under the cursor out of the list."""
        if self._forget is not None and self._shown:
            gone = self._shown[self.query_one(RowsTable).cursor]
            self._forget(gone.value)
            self._choices = [each for each in self._choices if each is not gone]
            self._show(self.query_one("#narrow", Input).value)
