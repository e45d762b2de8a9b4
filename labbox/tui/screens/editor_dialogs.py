"""The editor's questions: what to look for, what to do with a match, with a text that is not saved."""

from __future__ import annotations

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widgets import Button

from labbox.tui.searching import Wish
from labbox.tui.widgets.dialog import Dialog, Field, Form, text_of


class Choose(Dialog[str]):
    """A question with several answers; each has a letter, the first one has the focus."""

    def __init__(self, title: str, question: str, answers: dict[str, str], *, low: bool = False) -> None:
        """`answers`: what each returns, and its button; `low`: at the bottom, to leave the text free."""
        super().__init__(title)
        self._question = question
        self._answers = answers
        if low:
            self.styles.align_vertical = "bottom"
        for answer, label in answers.items():
            self._bindings.bind(label[0].lower(), f"answer('{answer}')", show=False)

    def compose(self) -> ComposeResult:
        """The question and a button for each answer."""
        yield self.framed(
            text_of(self._question, "question"),
            Horizontal(
                *(Button(label, id=answer, compact=True) for answer, label in self._answers.items()),
                Button("Cancel", id="back", compact=True),
                classes="buttons",
            ),
        )

    def on_mount(self) -> None:
        """The first answer has the focus."""
        self.query(Button).first().focus()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        answer = event.button.id or ""
        self.dismiss(None if answer == "back" else answer)

    def action_answer(self, answer: str) -> None:
        """Answer by letter."""
        self.dismiss(answer)


class WishForm(Form):
    """What to look for, and what to put in its place."""

    BINDINGS = [Binding("ctrl+a", "tick_all", show=False, priority=True)]  # noqa: RUF012 - Textual declares it so

    def __init__(self, wish: Wish, *, replace: bool) -> None:
        """Begin with what was looked for last."""
        fields = [Field("words", "Find", wish.words)]
        if replace:
            fields.append(Field("instead", "Replace with", wish.instead))
        fields += [
            Field("regex", "Regular expression", flag=wish.regex),
            Field("case", "Match case", flag=wish.case),
            Field("whole", "Whole words", flag=wish.whole),
        ]
        if replace:
            fields.append(Field("all", "Replace all", flag=False))
        super().__init__("Replace" if replace else "Search", fields, "Replace" if replace else "Search")

    def action_tick_all(self) -> None:
        """Tick “All at once”."""
        for box in self.query("#field-all"):
            box.value = not box.value  # type: ignore[attr-defined]
