"""The dialogs: a question, a line of input, a form. Enter accepts, Esc goes back."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple, TypeVar

from rich.cells import cell_len
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal, Vertical
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Button, Checkbox, Input, Label, Static

from labbox.errors import LabboxError
from labbox.text import visible, visible_line
from labbox.tui.widgets.entry import Entry
from labbox.tui.widgets.leaving import LeavesOnce
from labbox.tui.widgets.tick import Tick

T = TypeVar("T")

LOW = 20  # rows from which a dialog has air around its lines


class Dialog(ModalScreen[T | None], LeavesOnce[T | None]):
    """A box in the middle of the screen; dismissed with None by Esc."""

    VERTICAL_BREAKPOINTS = [(0, "-short"), (LOW, "-low"), (30, "-tall")]  # noqa: RUF012 - as Textual has it
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (76, "-wide")]  # noqa: RUF012 - as above

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("escape", "leave", show=False, priority=True),
        Binding("f10", "leave", show=False, priority=True),
        Binding("left", "app.focus_previous", show=False),
        Binding("right", "app.focus_next", show=False),
        Binding("up", "app.focus_previous", show=False),
        Binding("down", "app.focus_next", show=False),
    ]

    def __init__(self, title: str) -> None:
        """`title` stands in the frame."""
        super().__init__()
        self._frame_title = title

    def action_leave(self) -> None:
        """Go back and change nothing."""
        self.dismiss(None)

    def on_resize(self, event: events.Resize) -> None:
        """Leave room for the buttons, however small the terminal is."""
        for inside in self.query("#inside"):
            buttons = 1 if self.query(".buttons") else 0
            roomy = event.size.height >= LOW
            around = 2 + (1 + 3 * buttons if roomy else buttons)  # frame, padding, buttons with their margins
            inside.styles.max_height = max(2, event.size.height * 24 // 25 - around)
        self.call_after_refresh(self.press_together)

    def press_together(self) -> None:
        """Buttons that would stand beyond the frame come closer to each other; also where one comes later."""
        for row in self.query(".buttons"):
            shown = [button for button in row.query(Button) if button.display]
            wanted = sum(max(10, cell_len(str(button.label)) + 6) + 2 for button in shown)
            row.set_class(wanted > row.size.width, "tight")

    def framed(self, *children: Widget, kind: str = "") -> Vertical:
        """The children in the frame: the buttons always at its bottom, what stands above them scrolls."""
        buttons = [child for child in children if child.has_class("buttons")]
        above = Vertical(*(child for child in children if child not in buttons), id="inside")
        frame = Vertical(above, *buttons, id="frame", classes=kind)
        frame.border_title = visible_line(self._frame_title).replace("[", "\\[")
        return frame


def text_of(text: str, classes: str = "") -> Static:
    """Outside text as a widget, without markup or controls."""
    return Static(visible(text), markup=False, classes=classes)


class Confirm(Dialog[bool]):
    """A question with a verb for yes. The safe answer has the focus where `danger` is set."""

    BINDINGS = [  # noqa: RUF012 - Textual declares it so
        Binding("y", "answer(True)", show=False),
        Binding("n", "answer(False)", show=False),
    ]

    def __init__(
        self, title: str, question: str, verb: str, danger: bool = True, refuse: str = "Cancel"
    ) -> None:
        """`verb` is what the button of consent says, `refuse` the other one."""
        super().__init__(title)
        self._question = question
        self._verb = verb
        self._danger = danger
        self._refuse = refuse

    def compose(self) -> ComposeResult:
        """The question and two buttons."""
        yield self.framed(
            text_of(self._question, "question"),
            Horizontal(
                Button(self._verb, id="yes", variant="error" if self._danger else "primary", compact=True),
                Button(self._refuse, id="no", compact=True),
                classes="buttons",
            ),
            kind="danger" if self._danger else "",
        )

    def on_mount(self) -> None:
        """Consent has the focus: the question was asked because a key asked for it."""
        self.query_one("#yes", Button).focus()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Answer."""
        self.dismiss(event.button.id == "yes")

    def action_answer(self, yes: bool) -> None:
        """Answer by letter."""
        self.dismiss(yes)


class Message(Dialog[bool]):
    """Something to read: an error with its hint, a code to copy."""

    BINDINGS = [Binding("enter", "leave", show=False, priority=True)]  # noqa: RUF012 - Textual declares it so

    def __init__(self, title: str, text: str, hint: str = "", kind: str = "") -> None:
        """`kind` "danger" frames it in the colour of errors."""
        super().__init__(title)
        self._text = text
        self._hint = hint
        self._kind = kind

    def compose(self) -> ComposeResult:
        """The text, the hint, a button."""
        parts = [text_of(self._text, "question")]
        if self._hint:
            parts.append(text_of(self._hint, "hint"))
        yield self.framed(
            *parts, Horizontal(Button("OK", id="ok", compact=True), classes="buttons"), kind=self._kind
        )

    @on(Button.Pressed)
    def pressed(self) -> None:
        """Read."""
        self.dismiss(True)


class Field(NamedTuple):
    """One line of a form. `check` returns the value or raises LabboxError or ValueError."""

    key: str
    label: str
    value: str = ""
    example: str = ""
    check: Callable[[str], object] = str
    secret: bool = False
    flag: bool | None = None  # a box to tick instead of a line, and its state
    same_as: str = ""  # the key of a field before it that it must repeat
    selected: int | None = None  # so much of the value is replaced by what is typed; None: all of it


class Form(Dialog[dict[str, object]]):
    """Lines to fill in; dismissed with the checked values of all fields."""

    BINDINGS = [Binding("enter", "enter", show=False, priority=True)]  # noqa: RUF012 - Textual declares it so

    def __init__(self, title: str, fields: list[Field], verb: str = "OK", note: str = "") -> None:
        """`note` stands above the fields."""
        super().__init__(title)
        self._fields = fields
        self._verb = verb
        self._note = note

    def compose(self) -> ComposeResult:
        """One line for each field, the complaint, the buttons."""
        rows: list[Horizontal] = []
        for field in self._fields:
            entry: Input | Checkbox
            if field.flag is not None:
                entry = Tick("", field.flag, id=f"field-{field.key}", compact=True)
            else:
                entry = Entry(
                    field.value,
                    example=field.example,
                    secret=field.secret,
                    selected=field.selected,
                    id=f"field-{field.key}",
                )
            rows.append(Horizontal(Label(field.label, classes="label"), entry, classes="row"))
        note = [text_of(self._note, "note")] if self._note else []
        yield self.framed(
            *note,
            *rows,
            Static("", id="complaint", markup=False),
            Horizontal(
                Button(self._verb, id="yes", variant="primary", compact=True),
                Button("Cancel", id="no", compact=True),
                classes="buttons",
            ),
        )

    def on_mount(self) -> None:
        """Begin in the first field."""
        self.query(".row > *:last-child").first().focus()

    def action_enter(self) -> None:
        """Enter accepts from every field, boxes to tick too; on a button it presses that button."""
        if isinstance(self.focused, Button):
            self.focused.press()
        else:
            self._accept()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """Accept or go back."""
        if event.button.id == "yes":
            self._accept()
        else:
            self.dismiss(None)

    def _accept(self) -> None:
        values: dict[str, object] = {}
        for field in self._fields:
            if field.flag is not None:
                values[field.key] = self.query_one(f"#field-{field.key}", Checkbox).value
                continue
            entry = self.query_one(f"#field-{field.key}", Input)
            try:
                values[field.key] = field.check(entry.value)
                if field.same_as and values[field.key] != values[field.same_as]:
                    raise LabboxError(
                        "invalid", "cannot take it: the two are not alike", "Write it twice, alike."
                    )
            except (LabboxError, ValueError) as error:
                hint = error.hint if isinstance(error, LabboxError) else ""
                self.query_one("#complaint", Static).update(visible(f"{error}\n{hint}".strip()))
                entry.focus()
                return
        self.dismiss(values)


class Prompt(Form):
    """A form of one line; the value is under the key "text"."""

    def __init__(
        self,
        title: str,
        label: str,
        value: str = "",
        example: str = "",
        check: Callable[[str], object] = str,
        verb: str = "OK",
        selected: int | None = None,
    ) -> None:
        """As `Form`."""
        super().__init__(title, [Field("text", label, value, example, check, selected=selected)], verb)
