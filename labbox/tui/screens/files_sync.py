"""What a synchronisation would do, row by row: each can be left out, and two texts looked at side by side."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button

from labbox.files.places.base import EntryKind
from labbox.locations import path_of
from labbox.model import Conflict
from labbox.text import visible_line
from labbox.tui.screens.files_conflicts import ConflictsDialog, ConflictTable
from labbox.tui.widgets.dialog import Dialog
from labbox.tui.widgets.lines import Lines
from labbox.tui.widgets.table import Cell, Column
from labbox.tui.widgets.working import begin

if TYPE_CHECKING:
    from labbox.files.transfer import Clash

Compare = Callable[[str], Awaitable[list[str]]]
"""The lines that differ between both sides of a path."""

_DEEDS: Final = {"+": "copy", "-": "to the trash", "~": "replace"}
_INKS: Final = {"+": "good", "-": "bad", "@": "accent"}


class SyncTable(ConflictTable):
    """A row for each difference; Space leaves it out or takes it in again."""

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """Mark and name, both sides with a dot at the newer one, what happens."""
        clash = self._clashes[row]
        left = self.chosen(clash) is Conflict.SKIP
        both = clash.mark == "~"
        newer = both and clash.source_mtime > clash.target_mtime
        older = both and clash.source_mtime < clash.target_mtime
        here = self._side(clash.source_kind, clash.source_size, clash.source_mtime, newer)
        there = self._side(clash.target_kind, clash.target_size, clash.target_mtime, older)
        return [
            [(f"{clash.mark} {visible_line(path_of(clash.path))}", "dim" if left else "text")],
            [here if clash.mark != "-" else ("", "dim")],
            [there if clash.mark != "+" else ("", "dim")],
            [("leave" if left else _DEEDS.get(clash.mark, ""), "dim" if left else "accent")],
        ]

    def action_turn(self, by: int) -> None:
        """Leave it out, or take it in again."""
        self._take(self.clash, None if self.chosen(self.clash) is Conflict.SKIP else Conflict.SKIP)
        self.refresh_row(self.cursor)
        self.post_message(self.Moved())


class SyncDialog(ConflictsDialog):
    """Dismissed with what is to be left, by path."""

    BINDINGS = [Binding("d", "difference", show=False)]  # noqa: RUF012 - Textual declares it so

    def __init__(
        self, choices: Sequence[Clash], count: int, decided: Mapping[str, Conflict], compare: Compare
    ):
        """`compare`: what D shows of a row."""
        super().__init__(
            choices, count, Conflict.OVERWRITE, decided, frozenset({Conflict.SKIP}), table=SyncTable
        )
        self._frame_title = f"{count:,} {'differs' if count == 1 else 'differ'}"
        self._compare = compare
        self._keys = "d differing lines  s leave  u take"

    def action_difference(self) -> None:
        """Show what differs between the two texts under the cursor."""
        clash = self._table.clash
        if clash.mark == "~" and clash.source_kind is clash.target_kind is EntryKind.FILE:
            path = path_of(clash.path)
            begin(self, partial(self._show_difference, path), group="difference", exclusive=True)

    async def _show_difference(self, path: str) -> None:
        from labbox.errors import LabboxError
        from labbox.tui.widgets.dialog import Message

        try:
            lines = await self._compare(path)
        except LabboxError as error:
            await self.app.push_screen_wait(Message("Differing lines", error.message, error.hint))
            return
        await self.app.push_screen_wait(Difference(path, lines))

    def outcome(self, clash: Clash, what: Conflict) -> str:
        """What happens with a row, in words."""
        if what is Conflict.SKIP:
            return "stays as it is on both sides."
        if clash.mark == "~":
            age = "an older one" if clash.source_mtime < clash.target_mtime else "a newer one"
            same = clash.source_mtime == clash.target_mtime
            return f"the target's is replaced by {'one of the same time' if same else age}."
        return "is copied." if clash.mark == "+" else "only the target has it: it goes to the trash."


class Difference(Dialog[bool]):
    """Two texts, as `diff -u` writes what differs."""

    def __init__(self, path: str, lines: Sequence[str]) -> None:
        """`lines` are safe to show."""
        super().__init__(visible_line(path))
        self._lines = lines

    def compose(self) -> ComposeResult:
        """The lines and a button."""
        page = Lines(id="difference")
        shown = self._lines or ["They hold the same."]
        page.set_lines([[(line, _INKS.get(line[:1], "text"))] for line in shown])
        yield self.framed(
            page, Horizontal(Button("Close", id="no", compact=True), classes="buttons"), kind="widest"
        )

    def on_mount(self) -> None:
        """The lines have the keys, and the room that there is."""
        page = self.query_one(Lines)
        page.styles.height = min(max(1, len(page.lines)), max(4, self.app.size.height - 8))
        page.focus()

    def on_button_pressed(self) -> None:
        """Read."""
        self.dismiss(True)
