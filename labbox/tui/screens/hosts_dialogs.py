"""What is asked on the way to another machine: key or password, where its line goes, whose key is shown."""

from __future__ import annotations

from typing import ClassVar, Final

from textual import on
from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Horizontal
from textual.widget import Widget
from textual.widgets import Button

from labbox.errors import LabboxError
from labbox.files.places.credentials import Secret
from labbox.locations import Kind, Location, parse
from labbox.text import visible_line
from labbox.tui.widgets.dialog import Dialog, Field, Form, Message, Prompt, text_of

_KINDS: Final = {"ssh-ed25519": "ed25519", "ssh-rsa": "rsa"}  # as OpenSSH calls the files of its keys
_KEPT: Final = "kept encrypted, and used for you alone."
_LONGEST_PASSWORD: Final = 1024  # characters


def machine_of(text: str) -> Location:
    """What a person typed to name a machine; ``sftp://`` may be left out, a folder there may follow."""
    typed = text.strip()
    location = parse(typed if typed.startswith("sftp://") else f"sftp://{typed}")
    if location.kind is not Kind.SFTP:
        raise LabboxError("invalid", "cannot take this as a machine", "as in me@my-pc or me@my-pc:2222")
    return location


def which_machine(verb: str) -> Prompt:
    """Asks for a machine by its name; the value is its location."""
    return Prompt(
        "Another machine", "Machine", "", "me@my-pc, or me@my-pc:2222/study", check=machine_of, verb=verb
    )


class Ways(Dialog[str]):
    """Something to read, and ways to go on; dismissed with the name of the one that was taken."""

    FRAME: ClassVar[str] = ""

    def __init__(self, title: str, ways: dict[str, str], first: str) -> None:
        """`ways`: what their buttons say; `first` has the focus, "no" is the way back."""
        super().__init__(title)
        self._ways = ways
        self._first = first

    def told(self) -> list[Widget]:
        """What stands above the buttons."""
        raise NotImplementedError

    def compose(self) -> ComposeResult:
        """What there is to read, and the buttons."""
        buttons = [
            Button(words, id=name, variant="primary" if place == 0 else "default", compact=True)
            for place, (name, words) in enumerate(self._ways.items())
        ]
        yield self.framed(
            *self.told(),
            Horizontal(*buttons, Button("Cancel", id="no", compact=True), classes="buttons"),
            kind=self.FRAME,
        )

    def on_mount(self) -> None:
        """The first way has the focus."""
        self.query_one(f"#{self._first}", Button).focus()

    @on(Button.Pressed)
    def pressed(self, event: Button.Pressed) -> None:
        """A way was taken."""
        self.take(event.button.id or "no")

    def take(self, way: str) -> None:
        """Go it."""
        self.dismiss(None if way == "no" else way)


class Stranger(Ways):
    """A machine that nothing is kept for: dismissed with "key" or "password"."""

    def __init__(self, name: str) -> None:
        """`name` as `[user@]host[:port]`."""
        super().__init__(
            f"{name} is new here", {"key": "Make a key", "password": "Give a password"}, first="key"
        )
        self._name = visible_line(name)

    def told(self) -> list[Widget]:
        """What is missing, and which of the two to take."""
        return [
            text_of(
                f"The box has no key and no password of yours for {self._name}.\n\n"
                "A key is best: the box makes a pair, and shows the line that you put on that machine."
                " Or give the password that you have there.",
                "question",
            ),
            text_of(f"Either is {_KEPT}", "hint"),
        ]


class KeyLine(Ways):
    """The line for a machine's authorized_keys; dismissed with "go" or "password"."""

    FRAME = "widest"
    BINDINGS = [Binding("y", "take_line", show=False)]  # noqa: RUF012 - Textual declares it so

    def __init__(self, name: str, user: str, line: str, onward: str, refused: bool = False) -> None:
        """`onward` is what the button says that goes on; `refused`: the machine has not taken the key."""
        ways = {"copy": "Copy the line", "go": onward}
        if refused:
            ways["password"] = "Use a password"  # noqa: S105 - the words of a button
        super().__init__(
            f"{name} does not take the key" if refused else f"A key for {name}", ways, first="copy"
        )
        self._name, self._user = visible_line(name), visible_line(user)
        self._line, self._refused = visible_line(line), refused

    def told(self) -> list[Widget]:
        """Where the line belongs."""
        where = f"~/.ssh/authorized_keys of {self._user}"
        sentence = f"Append this line to {where} on that machine:"
        if self._refused:
            sentence = f"This line is to stand in {where} on that machine, on one line:"
        return [
            text_of(sentence, "question"),
            text_of(self._line, "public-line"),
            text_of(
                f"If the clipboard stays empty: “ssh BOX host list sftp://{self._name}” prints the line too."
                " The other half of the key stays in the box.",
                "hint",
            ),
        ]

    def take(self, way: str) -> None:
        """Copying the line leaves it on the screen."""
        if way == "copy":
            self.action_take_line()
            self.query_one("#go", Button).focus()
        else:
            super().take(way)

    def action_take_line(self) -> None:
        """Put the line on the terminal's clipboard (OSC 52)."""
        self.app.copy_to_clipboard(self._line)
        self.app.notify("Copied: the line for authorized_keys", markup=False, timeout=6)


class ConfirmKey(Ways):
    """Whether the key that a machine shows is its own; dismissed with "yes". Keys typed ahead say no."""

    FRAME = "danger"

    def __init__(self, name: str, key: str, fingerprint: str) -> None:
        """`key` is "TYPE BASE64", as the machine shows it."""
        super().__init__(f"Is this {name}?", {"yes": "Yes, it is"}, first="no")
        self._fingerprint = visible_line(fingerprint)
        self._file = key_file(key)

    def told(self) -> list[Widget]:
        """The fingerprint, and where to compare it."""
        return [
            text_of("You have not confirmed this machine's key yet. It shows:", "question"),
            text_of(self._fingerprint, "public-line"),
            text_of(
                f"On that machine, this says what its key is:\n\n  ssh-keygen -lf {self._file}", "question"
            ),
            text_of(
                "Say yes only if they are alike. From then on this key alone is its own,"
                " and nothing is sent to a machine that shows another.",
                "hint",
            ),
        ]


class GivePassword(Form):
    """Asks for the password that one has on a machine; the value is a `Secret`."""

    def __init__(self, name: str, note: str = "") -> None:
        """`note`: why it is asked for, if not for the first time."""
        super().__init__(
            f"Password for {name}",
            [Field("password", "Password", example="the one you have there", check=_password, secret=True)],
            "Keep it",
            note or f"It is {_KEPT}",
        )


class AnotherKey(Form):
    """Whether a machine that shows another key than before was set up anew; that takes more than one key."""

    def __init__(self, name: str, key: str, fingerprint: str, pinned: tuple[str, ...]) -> None:
        """`pinned`: the fingerprints that it was known by."""

        def sure(text: str) -> str:
            if text.strip() not in ("yes", fingerprint):
                raise LabboxError(
                    "invalid", "cannot take that for a yes", "Write yes in full; Esc goes back."
                )
            return text

        super().__init__(
            f"{name} shows another key",
            [Field("sure", "Is it this one?", example="yes, or the fingerprint itself", check=sure)],
            "Confirm",
            f"It shows\n  {fingerprint}\nand was known by\n  {' '.join(pinned)}\n\n"
            "Somebody may be in between. If it was set up anew, this tells there what its key is:"
            f"\n\n  ssh-keygen -lf {key_file(key)}",
        )


def changed_key(name: str, shown: str, pinned: tuple[str, ...]) -> Message:
    """Says that a machine shows another key than the confirmed one; there is no way on from here."""
    return Message(
        f"{name} shows another key",
        f"Nothing was sent there. It shows\n  {shown}\nand was known by\n  {' '.join(pinned)}\n\n"
        "Somebody may be in between you and that machine.",
        "If it was set up anew: Ctrl+X M lists your machines, and F5 there confirms its new key.",
        kind="danger",
    )


def key_file(key: str) -> str:
    """The file that holds such a key on the machine that shows it."""
    kind = key.partition(" ")[0]
    short = "ecdsa" if kind.startswith("ecdsa-") else _KINDS.get(kind, "*")
    return f"/etc/ssh/ssh_host_{short}_key.pub"


def _password(text: str) -> Secret:
    if not 0 < len(text) <= _LONGEST_PASSWORD:
        raise LabboxError("invalid", "cannot keep this password: it is empty or too long", "Give another.")
    return Secret(text)
