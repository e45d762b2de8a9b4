"""The dialogs of the file manager: a list to choose from, a transfer with its plan, many names at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Final, NamedTuple

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Button, Checkbox, Input, Label, Static

from labbox.errors import LabboxError
from labbox.locations import check_name
from labbox.model import Conflict
from labbox.text import visible, visible_line
from labbox.tui.widgets.dialog import Dialog, text_of
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.paint import Painted
from labbox.tui.widgets.table import Cell, Column, RowsTable
from labbox.tui.widgets.tick import Tick

CONFLICTS: Final = (
    (Conflict.FAIL, "leave it and tell"),
    (Conflict.SKIP, "skip it"),
    (Conflict.OVERWRITE, "overwrite it"),
    (Conflict.NEWER, "overwrite what is older"),
    (Conflict.RENAME, "keep both, rename"),
    (Conflict.RESUME, "go on behind its end"),
)


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


class Cycle(Painted, can_focus=True):
    """One of a few words; ← → and Space change it."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("left", "turn(-1)", show=False),
        Binding("right,space", "turn(1)", show=False),
    ]

    class Changed(Message):
        """Another word was chosen."""

    def __init__(self, words: list[str], *, id: str, at: int = 0) -> None:  # noqa: A002 - as Textual calls it
        """`at` is the word to begin with."""
        super().__init__(id=id)
        self._words = words
        self.at = at

    def action_turn(self, by: int) -> None:
        """The next word."""
        self.at = (self.at + by) % len(self._words)
        self.refresh()
        self.post_message(self.Changed())

    def on_click(self) -> None:
        """The next word."""
        self.focus()
        self.action_turn(1)

    def on_focus(self) -> None:
        """Show where the keys go."""
        self.refresh()

    def on_blur(self) -> None:
        """Show that they go elsewhere."""
        self.refresh()

    def render_line(self, y: int) -> Strip:
        """The one line."""
        over = "cursor" if self.has_focus else "cursor-off"
        return self.strip([(f"◂ {self._words[self.at]} ▸", "text")], self.size.width, over)


class Wish(NamedTuple):
    """What a person wants of a transfer."""

    target: str
    conflict: Conflict
    verify: bool
    flags: dict[str, bool]
    at_once: bool  # start; else wait behind what is queued


class TransferDialog(Dialog[Wish]):
    """Where to, what to do with what is in the way, and what it amounts to."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("f2", "take(False)", show=False, priority=True),
        Binding("enter", "take(True)", show=False),
    ]

    def __init__(
        self,
        title: str,
        question: str,
        target: str | None,
        plan: Callable[[Wish], Awaitable[str]] | None = None,
        *,
        conflicts: bool = True,
        verify: bool = True,
        flags: dict[str, tuple[str, bool]] | None = None,
        danger: bool = False,
        verb: str = "Start",
    ) -> None:
        """`target` None: there is none to be asked for. `plan` tells in words what a wish amounts to."""
        super().__init__(title)
        self._question = question
        self._target = target
        self._plan = plan
        self._conflicts = conflicts
        self._verify = verify
        self._flags = flags or {}
        self._danger = danger
        self._verb = verb

    def compose(self) -> ComposeResult:
        """Question, target, choices, plan, buttons."""
        rows = [text_of(self._question, "question")]
        lines: list[Horizontal] = []
        if self._target is not None:
            lines.append(
                Horizontal(Label("To"), Entry(visible_line(self._target), id="target"), classes="row")
            )
        if self._conflicts:
            cycle = Cycle([words for _, words in CONFLICTS], id="conflict")
            lines.append(Horizontal(Label("If it is there"), cycle, classes="row"))
        if self._verify:
            lines.append(
                Horizontal(
                    Label("Verify"),
                    Tick("compare sums afterwards", False, id="verify", compact=True),
                    classes="row",
                )
            )
        for key, (words, on_) in self._flags.items():
            lines.append(
                Horizontal(Label(""), Tick(words, on_, id=f"flag-{key}", compact=True), classes="row")
            )
        plan = Static("", id="plan", markup=False, classes="hint")
        yield self.framed(
            *rows,
            *lines,
            plan,
            Static("", id="complaint", markup=False),
            Horizontal(
                Button(self._verb, id="start", variant="error" if self._danger else "primary", compact=True),
                Button("Queue", id="queue", compact=True),
                Button("Back", id="no", compact=True),
                classes="buttons",
            ),
            kind="danger" if self._danger else "",
        )

    def on_mount(self) -> None:
        """The target has the keys, else the button."""
        (self.query_one("#target") if self._target is not None else self.query_one("#start")).focus()
        self._plan_again()

    @on(Input.Changed)
    @on(Checkbox.Changed)
    @on(Cycle.Changed)
    def changed(self) -> None:
        """Another wish, another plan."""
        self._plan_again()

    def _plan_again(self) -> None:
        if self._plan is not None:
            self.query_one("#plan", Static).update("Counting…")
            self.run_worker(self._tell_plan(), group="plan", exclusive=True)

    async def _tell_plan(self) -> None:
        await asyncio.sleep(0.2)  # somebody may still be typing
        if self._plan is None or not self.query("#plan"):
            return  # it has been answered meanwhile
        try:
            text = await self._plan(self._wish(True))
        except LabboxError as error:
            text = error.message
        for plan in self.query("#plan").results(Static):
            plan.update(visible(text))

    def _wish(self, at_once: bool) -> Wish:
        return Wish(
            target=self.query_one("#target", Input).value if self._target is not None else "",
            conflict=CONFLICTS[self.query_one(Cycle).at][0] if self._conflicts else Conflict.FAIL,
            verify=self._verify and self.query_one("#verify", Checkbox).value,
            flags={key: self.query_one(f"#flag-{key}", Checkbox).value for key in self._flags},
            at_once=at_once,
        )

    @on(Input.Submitted)
    def entered(self) -> None:
        """Enter starts."""
        self.action_take(True)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Start, queue, or go back."""
        if event.button.id == "no":
            self.dismiss(None)
        else:
            self.action_take(event.button.id == "start")

    def action_take(self, at_once: bool) -> None:
        """The wish is complete, unless there is no target."""
        wish = self._wish(at_once)
        if self._target is not None and not wish.target.strip():
            self.query_one("#complaint", Static).update("Say where to.")
            return
        self.dismiss(wish)


class RenameMany(Dialog[list[tuple[str, str]]]):
    """A pattern for many names, and every old name beside its new one; dismissed with what changes."""

    def __init__(self, names: list[str]) -> None:
        """The names as they are."""
        super().__init__(f"Rename {len(names):,} {'entry' if len(names) == 1 else 'entries'}")
        self._names = names
        self._new: list[str] = list(names)
        self._problem = ""

    def compose(self) -> ComposeResult:
        """The two lines, the table, the buttons."""
        table = RowsTable([Column("old", "Now", 16, grow=1), Column("new", "Then", 16, grow=1)], id="renames")
        yield self.framed(
            Horizontal(Label("New name"), Entry("{name}{ext}", id="pattern"), classes="row"),
            Horizontal(Label("Replace"), Entry(example="a regular expression", id="seek"), classes="row"),
            Horizontal(Label("by"), Entry(example=r"text, \1 for a group", id="by"), classes="row"),
            Static(
                "{name} without ending, {ext} with its dot, {n} {n:03} number, {upper} {lower}",
                classes="hint",
                markup=False,
            ),
            table,
            Static("", id="complaint", markup=False),
            Horizontal(
                Button("Rename", id="yes", variant="primary", compact=True),
                Button("Back", id="no", compact=True),
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
