"""What is in the way of a transfer, one by one: what comes beside what is there, and a decision for each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button, Static

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.files.transfer.deciding import Deed, Side, decide
from labbox.locations import path_of
from labbox.model import Conflict
from labbox.text import format_bytes, visible, visible_line
from labbox.tui import clock
from labbox.tui.widgets.dialog import Dialog
from labbox.tui.widgets.filepane import short_size, short_time
from labbox.tui.widgets.table import Cell, Column, Table

if TYPE_CHECKING:
    from labbox.files.transfer import Clash

_WORDS: Final[dict[Conflict, str]] = {
    Conflict.FAIL: "leave, fail",
    Conflict.LEAVE: "leave, tell",
    Conflict.SKIP: "skip",
    Conflict.OVERWRITE: "overwrite",
    Conflict.NEWER: "if newer",
    Conflict.RENAME: "keep both",
    Conflict.RESUME: "resume",
}
_LETTERS: Final[dict[str, tuple[Conflict | None, str]]] = {
    "o": (Conflict.OVERWRITE, "overwrite"),
    "s": (Conflict.SKIP, "skip"),
    "n": (Conflict.NEWER, "overwrite if newer"),
    "k": (Conflict.RENAME, "keep both"),
    "g": (Conflict.RESUME, "resume"),
    "u": (None, "undecided"),
}
ALL: Final = frozenset(Conflict)


class ConflictTable(Table, inherit_bindings=False):
    """A row for each; the letters decide."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("up", "move(-1)", show=False),
        Binding("down", "move(1)", show=False),
        Binding("pageup", "page(-1)", show=False),
        Binding("pagedown", "page(1)", show=False),
        Binding("home", "edge(-1)", show=False),
        Binding("end", "edge(1)", show=False),
        Binding("space,right", "turn(1)", show=False),
        Binding("left", "turn(-1)", show=False),
        *(Binding(letter, f"decide('{letter}')", show=False) for letter in _LETTERS),
        *(Binding(letter.upper(), f"decide_all('{letter}')", show=False) for letter in _LETTERS),
    ]

    def __init__(
        self,
        clashes: Sequence[Clash],
        policy: Conflict,
        decided: Mapping[str, Conflict],
        allowed: frozenset[Conflict] = ALL,
    ) -> None:
        """`policy`: what holds for what is not decided; `allowed`: what can be decided."""
        super().__init__(
            [
                Column("name", "Name", 10, grow=1),
                Column("new", "Source", 20, right=True),
                Column("old", "Existing", 20, right=True),
                Column("deed", "Action", 13),
            ],
            id="conflicts",
        )
        self.decided = dict(decided)
        self._clashes = clashes
        self._policy = policy
        self._turns = [what for what, _ in _LETTERS.values() if what is None or what in allowed]
        self._now = clock.now().timestamp()

    def on_mount(self) -> None:
        """All rows are at hand."""
        self.rows_changed()

    def row_count(self) -> int:
        """One for each."""
        return len(self._clashes)

    @property
    def clash(self) -> Clash:
        """The one under the cursor."""
        return self._clashes[self.cursor]

    def chosen(self, clash: Clash) -> Conflict:
        """What is decided for it, else the policy."""
        return self.decided.get(clash.path, self._policy)

    def cells(self, row: int, widths: list[tuple[Column, int]]) -> list[Cell] | None:
        """Name, both sides, decision."""
        clash = self._clashes[row]
        decided = clash.path in self.decided
        words = _WORDS[self.chosen(clash)]
        newer = clash.source_mtime > clash.target_mtime
        older = clash.source_mtime < clash.target_mtime
        return [
            [(visible_line(path_of(clash.path)), "text")],
            [self._side(clash.source_kind, clash.source_size, clash.source_mtime, newer)],
            [self._side(clash.target_kind, clash.target_size, clash.target_mtime, older)],
            [(words if decided else f"({words})", "accent" if decided else "dim")],
        ]

    def _side(self, kind: EntryKind, size: int, mtime: int, newer: bool) -> tuple[str, str]:
        what = short_size(size) if kind is EntryKind.FILE else kind.value
        text = f"{what} {short_time(mtime, self._now):>12}{'●' if newer else ' '}"
        return text, "good" if newer else "dim"

    def action_decide(self, letter: str) -> None:
        """Decide about the row under the cursor, and go on to the next."""
        self._take(self.clash, _LETTERS[letter][0])
        self.refresh_row(self.cursor)
        self.action_move(1)
        self.post_message(self.Moved())

    def action_decide_all(self, letter: str) -> None:
        """Decide about all rows."""
        for clash in self._clashes:
            self._take(clash, _LETTERS[letter][0])
        self.refresh()
        self.post_message(self.Moved())

    def action_turn(self, by: int) -> None:
        """The next decision for the row under the cursor."""
        at = self._turns.index(self.decided.get(self.clash.path))
        self._take(self.clash, self._turns[(at + by) % len(self._turns)])
        self.refresh_row(self.cursor)
        self.post_message(self.Moved())

    def _take(self, clash: Clash, what: Conflict | None) -> None:
        if what not in self._turns:
            return
        if what is None:
            self.decided.pop(clash.path, None)
        else:
            self.decided[clash.path] = what


class ConflictsDialog(Dialog[dict[str, Conflict]]):
    """Dismissed with the decisions by path; what is not among them follows the policy."""

    BINDINGS = [Binding("enter", "enter", show=False, priority=True)]  # noqa: RUF012 - Textual declares it so

    def __init__(
        self,
        clashes: Sequence[Clash],
        count: int,
        policy: Conflict,
        decided: Mapping[str, Conflict],
        allowed: frozenset[Conflict] = ALL,
        table: type[ConflictTable] = ConflictTable,
    ) -> None:
        """`count`: of all that is in the way; `clashes` are the first. `allowed`: what can be decided."""
        super().__init__(f"{count:,} {'is' if count == 1 else 'are'} there already")
        self._table = table(clashes, policy, decided, allowed)
        offered = [(key, words) for key, (what, words) in _LETTERS.items() if what is None or what in allowed]
        self._keys = "  ".join(f"{key} {words}" for key, words in offered)
        self._beyond = count - len(clashes)
        self._rest = _WORDS[policy]

    def compose(self) -> ComposeResult:
        """The list, what happens with the one under the cursor, the keys, the buttons."""
        hint = f"{self._keys}\nWith Shift: all of them. Space: the next choice. ● the newer one"
        if self._beyond:
            hint = f"{self._beyond:,} more are not listed: they follow the policy ({self._rest}).\n{hint}"
        yield self.framed(
            self._table,
            Static("", id="what", markup=False),
            Static(hint, classes="hint", markup=False),
            Horizontal(
                Button("Done", id="yes", variant="primary", compact=True),
                Button("Cancel", id="no", compact=True),
                classes="buttons",
            ),
            kind="widest",
        )

    def on_mount(self) -> None:
        """The list has the keys, and as much room as the terminal leaves."""
        self._table.styles.height = min(self._table.row_count() + 1, max(4, self.app.size.height - 13))
        self._table.focus()
        self._tell()

    @on(Table.Moved)
    def moved(self) -> None:
        """Another row, or another decision."""
        self._tell()

    @on(Table.Chosen)
    def clicked(self) -> None:
        """A second click on a row turns its decision."""
        self._table.action_turn(1)

    def _tell(self) -> None:
        clash = self._table.clash
        self.query_one("#what", Static).update(
            visible(f"{visible_line(path_of(clash.path))}: {self.outcome(clash, self._table.chosen(clash))}")
        )

    def outcome(self, clash: Clash, what: Conflict) -> str:
        """What a decision comes to, in words."""
        return outcome(clash, what)

    def action_enter(self) -> None:
        """Enter accepts; on a button it presses that button."""
        if isinstance(self.focused, Button):
            self.focused.press()
        else:
            self.dismiss(self._table.decided)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Accept or go back."""
        self.dismiss(self._table.decided if event.button.id == "yes" else None)


def outcome(clash: Clash, what: Conflict) -> str:
    """What a decision comes to, in words: by the very rule that the transfer follows."""
    source = Side(clash.source_kind, clash.source_size, clash.source_mtime)
    target = Side(clash.target_kind, clash.target_size, clash.target_mtime)
    try:
        deed = decide(what, source, target, path_of(clash.path))
    except LabboxError as error:
        if what is Conflict.FAIL:
            return "stays as it is, and counts as not done."
        return f"stays as it is: {error.message.rpartition(': ')[2]}."
    match deed:
        case Deed.REPLACE:
            return "what is there is replaced."
        case Deed.RENAME:
            return "is put beside it under another name."
        case Deed.APPEND:
            return f"{format_bytes(clash.source_size - clash.target_size)} are put behind its end."
    if what is Conflict.LEAVE:
        return "stays as it is, and is told of."
    if what is Conflict.NEWER:
        same = clash.source_mtime == clash.target_mtime
        return f"stays as it is: {'both are of the same time' if same else 'what is there is newer'}."
    if what is Conflict.RESUME:
        return "stays as it is: it has its whole length."
    return "stays as it is."
