"""What a person wants of a transfer: where to, what happens at taken names, and what it amounts to."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, Static

from labbox.errors import LabboxError
from labbox.model import Conflict, Decision
from labbox.text import visible, visible_line
from labbox.tui.widgets.dialog import Dialog, text_of
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.paint import Painted
from labbox.tui.widgets.tick import Tick
from labbox.tui.widgets.working import begin

if TYPE_CHECKING:
    from labbox.files.transfer import Clash

CONFLICTS: Final = (
    (Conflict.LEAVE, "leave it and tell"),
    (Conflict.SKIP, "skip"),
    (Conflict.OVERWRITE, "overwrite"),
    (Conflict.NEWER, "overwrite what is older"),
    (Conflict.RENAME, "keep both, rename"),
    (Conflict.RESUME, "resume: go on behind its end"),
)
_SHORT: Final = 38  # cells of a target that the usual frame shows whole, with room to type
_REST: Final = 0.2  # seconds without a key before it is counted: somebody may still be typing


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
    decisions: tuple[Decision, ...] = ()


class Outlook(NamedTuple):
    """What a wish amounts to: in words, and the first of what is in the way with the number of all."""

    text: str
    clashes: tuple[Clash, ...] = ()
    clash_count: int = 0


Ask = Callable[[Wish, Callable[[str], None]], Awaitable[Outlook]]
"""Looks at what a wish amounts to, and tells meanwhile how far it is."""


def _sentence(error: LabboxError) -> str:
    return f"{error.message}: {error.hint}" if error.hint else error.message


class TransferDialog(Dialog[Wish]):
    """Where to, what to do with what is in the way, and what it amounts to."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("f2", "take(False)", show=False, priority=True),
        Binding("f3", "decide", show=False, priority=True),
        Binding("enter", "take(True)", show=False),
    ]

    def __init__(
        self,
        title: str,
        question: str,
        target: str | None,
        plan: Ask | None = None,
        *,
        conflicts: tuple[tuple[Conflict, str], ...] = CONFLICTS,
        verify: bool = True,
        flags: dict[str, tuple[str, bool]] | None = None,
        danger: bool = False,
        verb: str = "Start",
        check: Callable[[Wish], object] | None = None,
        compare: Callable[[str], Awaitable[list[str]]] | None = None,
        selected: int | None = None,
    ) -> None:
        """`target` None: there is none to be asked for; `selected` of it is replaced by what is typed.

        `conflicts`: the policies that can be chosen.

        `check`: raises LabboxError for a wish that cannot be; the dialog says so and stays. `compare`: of a
        synchronisation, whose rows can be left one by one, the lines that differ at a path.
        """
        super().__init__(title)
        self._question = question
        self._target = target
        self._plan = plan
        self._conflicts = conflicts
        self._verify = verify
        self._flags = flags or {}
        self._danger = danger
        self._verb = verb
        self._check = check
        self._compare = compare
        self._selected = selected
        self._outlook = Outlook("")
        self._decided: dict[str, Conflict] = {}

    def compose(self) -> ComposeResult:
        """Question, target, choices, plan, buttons."""
        rows = [text_of(self._question, "question")]
        lines: list[Widget] = []
        if self._target is not None:
            lines.append(
                Horizontal(
                    Label("Target"),
                    Entry(visible_line(self._target), selected=self._selected, id="target"),
                    classes="row",
                )
            )
            whole = Static("", id="whole", markup=False)
            whole.display = False
            lines.append(whole)
        if self._conflicts:
            cycle = Cycle([words for _, words in self._conflicts], id="conflict")
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
                Horizontal(
                    Label(""), Tick(words, on_, id=f"flag-{key}", classes="flag", compact=True), classes="row"
                )
            )
        long = self._target is not None and cell_len(visible_line(self._target)) > _SHORT
        each = Button("F3 Each…", id="each", compact=True)
        each.display = False
        yield self.framed(
            *rows,
            *lines,
            Static("", id="plan", markup=False, classes="hint"),
            Static("", id="complaint", markup=False),
            Horizontal(
                Button(self._verb, id="start", variant="error" if self._danger else "primary", compact=True),
                Button("F2 Queue", id="queue", compact=True),
                each,
                Button("Cancel", id="no", compact=True),
                classes="buttons",
            ),
            kind="danger" if self._danger else "wide" if long else "",
        )

    def on_mount(self) -> None:
        """The target has the keys, else the button."""
        (self.query_one("#target") if self._target is not None else self.query_one("#start")).focus()
        self._plan_again()

    @on(Input.Changed)
    @on(Checkbox.Changed, ".flag")
    def changed(self) -> None:
        """Another wish, another plan."""
        self._repeat()
        self._plan_again()

    def on_resize(self, event: events.Resize) -> None:
        """The line has another width: how much of the target it shows is known when that is laid out."""
        self.call_after_refresh(self._repeat)

    def _repeat(self) -> None:
        """A target that the line is too narrow for, with the cursor behind it, stands whole below it."""
        for whole in self.query("#whole").results(Static):
            line = self.query_one("#target", Input)
            whole.display = 0 < line.content_size.width <= cell_len(line.value)
            whole.update(visible(line.value))

    def _plan_again(self) -> None:
        self._complain("")
        if self._plan is not None:
            self._tell("Counting…")
            begin(self, self._look, group="plan", exclusive=True)

    def _tell(self, text: str) -> None:
        for plan in self.query("#plan").results(Static):
            plan.update(visible(text))

    async def _look(self) -> None:
        await asyncio.sleep(_REST)
        if self._plan is None or not self.query("#plan"):
            return  # it has been answered meanwhile
        try:
            self._outlook = await self._plan(self._wish(True), self._tell)
        except LabboxError as error:
            self._outlook = Outlook(_sentence(error))
        known = {clash.path for clash in self._outlook.clashes}
        self._decided = {path: what for path, what in self._decided.items() if path in known}
        self._show()

    def _show(self) -> None:
        decided = len(self._decided)
        more = f"\n{decided:,} of them decided one by one" if decided else ""
        self._tell(self._outlook.text + more)
        for each in self.query("#each").results(Button):
            each.display = self._choosable
        self.press_together()

    def target_typed(self) -> str:
        """What stands in the line; a folder of an odd name is shown harmless, and meant as it is."""
        if self._target is None:
            return ""
        typed, shown = self.query_one("#target", Input).value, visible_line(self._target)
        return self._target + typed[len(shown) :] if typed.startswith(shown) else typed

    def _wish(self, at_once: bool) -> Wish:
        return Wish(
            target=self.target_typed(),
            conflict=self._policy,
            verify=self._verify and self.query_one("#verify", Checkbox).value,
            flags={key: self.query_one(f"#flag-{key}", Checkbox).value for key in self._flags},
            at_once=at_once,
            decisions=tuple(Decision(path=path, conflict=what) for path, what in self._decided.items()),
        )

    @property
    def _policy(self) -> Conflict:
        return self._conflicts[self.query_one(Cycle).at][0] if self._conflicts else Conflict.FAIL

    # What is in the way, one by one.

    def action_decide(self) -> None:
        """Open the list of what is in the way."""
        if self._choosable:
            begin(self, self._decide, group="each", exclusive=True)

    @property
    def _choosable(self) -> bool:
        return bool((self._conflicts or self._compare) and self._outlook.clashes)

    async def _decide(self) -> None:
        if self._compare is not None:
            await self._leave_some(self._compare)
            return
        from labbox.tui.screens.files_conflicts import ConflictsDialog

        outlook = self._outlook
        decided = await self.app.push_screen_wait(
            ConflictsDialog(
                outlook.clashes,
                outlook.clash_count,
                self._policy,
                self._decided,
                frozenset(what for what, _ in self._conflicts),
            )
        )
        if decided is not None:
            self._decided = decided
            self._show()
            self.query_one("#start").focus()

    async def _leave_some(self, compare: Callable[[str], Awaitable[list[str]]]) -> None:
        from labbox.tui.screens.files_sync import SyncDialog

        outlook = self._outlook
        left = await self.app.push_screen_wait(
            SyncDialog(outlook.clashes, outlook.clash_count, self._decided, compare)
        )
        if left is not None:
            self._decided = left
            self._plan_again()
            self.query_one("#start").focus()

    # The end.

    @on(Input.Submitted)
    def entered(self) -> None:
        """Enter starts."""
        self.action_take(True)

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Start, queue, decide, or go back."""
        match event.button.id:
            case "no":
                self.dismiss(None)
            case "each":
                self.action_decide()
            case which:
                self.action_take(which == "start")

    def action_take(self, at_once: bool) -> None:
        """The wish is complete, unless there is no target."""
        wish = self._wish(at_once)
        if self._target is not None and not wish.target.strip():
            self._complain("Say where to.")
            return
        try:
            if self._check is not None:
                self._check(wish)
        except LabboxError as error:
            self._tell("")
            self._complain(_sentence(error))
            return
        self.dismiss(wish)

    def _complain(self, text: str) -> None:
        for line in self.query("#complaint").results(Static):
            line.update(visible(text))
