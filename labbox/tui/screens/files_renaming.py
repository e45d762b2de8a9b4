"""Many names at once: a pattern, and what becomes of each name."""

from __future__ import annotations

import re
from typing import Final

from textual import on
from textual.app import ComposeResult
from textual.containers import Horizontal
from textual.widgets import Button, Input, Label, Static

from labbox.errors import LabboxError
from labbox.locations import check_name
from labbox.text import counted, visible, visible_line
from labbox.tui.widgets.dialog import Dialog
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.table import Cell, Column, RowsTable


class RenameMany(Dialog[list[tuple[str, str]]]):
    """A pattern for many names, and every old name beside its new one; dismissed with what changes."""

    def __init__(self, names: list[str]) -> None:
        """The names as they are."""
        super().__init__(f"Rename {counted(len(names), 'item')}")
        self._names = names
        self._new: list[str] = list(names)
        self._problem = ""

    def compose(self) -> ComposeResult:
        """The two lines, the table, the buttons."""
        table = RowsTable(
            [Column("old", "Old name", 16, grow=1), Column("new", "New name", 16, grow=1)], id="renames"
        )
        yield self.framed(
            Horizontal(Label("New name"), Entry("{name}{ext}", id="pattern"), classes="row"),
            Horizontal(Label("Find"), Entry(example="regular expression", id="seek"), classes="row"),
            Horizontal(Label("Replace with"), Entry(example=r"text, \1 for a group", id="by"), classes="row"),
            Static(
                "{name} without ending, {ext} with its dot, {n} {n:03} number, {upper} {lower}",
                classes="hint",
                markup=False,
            ),
            table,
            Static("", id="complaint", markup=False),
            Horizontal(
                Button("Rename", id="yes", variant="primary", compact=True),
                Button("Cancel", id="no", compact=True),
                classes="buttons",
            ),
            kind="wide",
        )

    def on_mount(self) -> None:
        """Show the names."""
        self.query_one("#pattern", Input).focus()
        self._show()

    @on(Input.Changed)
    def changed(self) -> None:
        """Another pattern, other names."""
        self._show()

    def _show(self) -> None:
        values = [self.query_one(f"#{each}", Input).value for each in ("pattern", "seek", "by")]
        self._problem = ""
        try:
            self._new = renamed(self._names, *values)
        except LabboxError as error:
            self._problem = error.message
        self.query_one("#complaint", Static).update(visible(self._problem))
        rows: list[list[Cell]] = [
            [
                [(visible_line(old), "dim")],
                [(visible_line(new), "accent" if new != old else "dim")],
            ]
            for old, new in zip(self._names, self._new, strict=True)
        ]
        self.query_one(RowsTable).set_rows(rows)

    @on(Input.Submitted)
    @on(Button.Pressed, "#yes")
    def accepted(self) -> None:
        """Rename, where the names can be."""
        if not self._problem:
            pairs = zip(self._names, self._new, strict=True)
            self.dismiss([(old, new) for old, new in pairs if old != new])

    @on(Button.Pressed, "#no")
    def back(self) -> None:
        """Go back."""
        self.dismiss(None)


_PLACE: Final = re.compile(r"\{(name|ext|upper|lower|n(?::0?[1-9])?)\}")


def renamed(names: list[str], pattern: str, seek: str = "", by: str = "") -> list[str]:
    """The new names; LabboxError where a pattern is none, or two names would be one."""
    try:
        wanted = re.compile(seek) if seek else None
    except re.error as error:
        raise LabboxError("invalid", f"cannot read “{visible_line(seek)}”: {error}") from None
    found: list[str] = []
    for number, old in enumerate(names, 1):
        stem, dot, end = old.rpartition(".")
        stem, end = (stem, f".{end}") if dot and stem else (old, "")
        new = _PLACE.sub(lambda match: _put(match[1], number, stem, end), pattern)  # noqa: B023 - used at once
        if wanted is not None:
            try:
                new = wanted.sub(by, new)
            except (re.error, IndexError) as error:
                raise LabboxError("invalid", f"cannot use “{visible_line(by)}”: {error}") from None
        check_name(new)
        found.append(new)
    twice = len(found) - len(set(found))
    if twice:
        raise LabboxError("conflict", f"cannot rename: {twice} names would be there twice", "add {n}")
    return found


def _put(what: str, number: int, stem: str, end: str) -> str:
    match what:
        case "name":
            return stem
        case "ext":
            return end
        case "upper":
            return stem.upper()
        case "lower":
            return stem.lower()
    return f"{number:{what.partition(':')[2]}}"
