"""One's own password, SSH keys and tokens."""

from __future__ import annotations

from collections.abc import Iterator

from textual.widget import Widget

from labbox.errors import LabboxError
from labbox.model import Scope
from labbox.protocol import Key, Token
from labbox.text import visible_line
from labbox.tui.format import local_time
from labbox.tui.screens.base import Pane
from labbox.tui.widgets.dialog import Confirm, Field, Form, Message
from labbox.tui.widgets.table import Cell, Column, RowsTable
from labbox.units import parse_duration


def _scope(text: str) -> Scope:
    try:
        return Scope(text.strip())
    except ValueError:
        raise LabboxError("invalid", f"cannot make a token for “{text}”", "Write read or submit.") from None


class AccountScreen(Pane):
    """Keys and tokens in one list; F6 changes the password."""

    KEYS = "account"
    FOLLOWS = frozenset({"user"})
    AUTO_FOCUS = "RowsTable"

    def __init__(self) -> None:
        """Nothing read yet."""
        super().__init__()
        self._things: list[Key | Token] = []

    def heading(self) -> str:
        """Whose."""
        return f"Password, keys and tokens of {self.lab.me}"

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("what", "what", 8),
                Column("label", "label", 14, grow=0.5, most=30),
                Column("detail", "fingerprint · scope", 20, grow=1),
                Column("since", "since", 16),
                Column("used", "last used", 16),
            ]
        )
        table.empty = "No keys and no tokens. F2 deposits a key."
        yield table

    def begin(self) -> None:
        """Ask."""
        self.attempt(self._load(), group="load")

    def read_again(self) -> None:
        """Ask again."""
        self.attempt(self._load(), group="load", exclusive=True)

    async def _load(self) -> None:
        me, client = self.lab.me, self.lab.client
        keys = (await self.ask(lambda: client.list_keys(me))).keys
        tokens = (await self.ask(lambda: client.list_tokens(me))).tokens
        self._things = [*keys, *(token for token in tokens if not token.revoked)]
        rows: list[list[Cell]] = []
        for thing in self._things:
            if isinstance(thing, Key):
                what = (
                    "key",
                    visible_line(thing.comment),
                    visible_line(f"{thing.kind} {thing.fingerprint}"),
                    thing.added_at,
                )
            else:
                until = f"{thing.scope.value}, until {local_time(thing.expires_at)}"
                what = ("token", visible_line(thing.label), until, thing.created_at)
            rows.append(
                [
                    [(what[0], "accent" if what[0] == "token" else "note")],
                    [(what[1], "text")],
                    [(what[2], "dim")],
                    [(local_time(what[3]), "dim")],
                    [(local_time(thing.last_used) or "never", "dim")],
                ]
            )
        names = [each.fingerprint if isinstance(each, Key) else each.id for each in self._things]
        self.query_one(RowsTable).set_rows(rows, names)

    def action_add_key(self) -> None:
        """Deposit a key."""
        self.attempt(self._add_key())

    async def _add_key(self) -> None:
        answer = await self.app.push_screen_wait(
            Form(
                "Deposit an SSH key",
                [Field("key", "Public key", example="ssh-ed25519 AAAA… you@laptop")],
                "Deposit",
                "Paste the line of your ~/.ssh/id_ed25519.pub.",
            )
        )
        if answer is not None:
            key = await self.ask(lambda: self.lab.client.add_key(self.lab.me, str(answer["key"]).strip()))
            self.lab.say(f"Deposited: {key.fingerprint}")
            await self._load()

    def action_add_token(self) -> None:
        """Make a token."""
        self.attempt(self._add_token())

    async def _add_token(self) -> None:
        answer = await self.app.push_screen_wait(
            Form(
                "Make a token for scripts",
                [
                    Field("label", "Label", example="nightly"),
                    Field("scope", "May", "read", "read or submit", _scope),
                    Field("valid", "Good for", "90d", check=parse_duration),
                ],
                "Make",
            )
        )
        if answer is not None:
            scope, valid = answer["scope"], answer["valid"]
            made = await self.ask(
                lambda: self.lab.client.add_token(
                    self.lab.me,
                    str(answer["label"]),
                    scope if isinstance(scope, Scope) else Scope.READ,
                    valid if isinstance(valid, float) else 86400.0,
                )
            )
            text = f"This is its only showing. It is given as the password at login:\n\n    {made.secret}\n"
            self.app.push_screen(Message(f"Token {made.token.label}", text))
            await self._load()

    def action_password(self) -> None:
        """Change the password."""
        self.attempt(self._password())

    async def _password(self) -> None:
        answer = await self.app.push_screen_wait(
            Form(
                "Change my password",
                [
                    Field("old", "Present password", example="empty if there is none", secret=True),
                    Field("new", "New password", secret=True),
                    Field("again", "Once more", secret=True, same_as="new"),
                ],
                "Change",
            )
        )
        if answer is None:
            return
        old = str(answer["old"]) or None
        await self.ask(lambda: self.lab.client.set_password(self.lab.me, str(answer["new"]), old=old))
        self.lab.say("Your password is changed.")

    def action_remove(self) -> None:
        """Remove what is under the cursor."""
        if self._things:
            self.attempt(self._remove(self._things[self.query_one(RowsTable).cursor]))

    async def _remove(self, thing: Key | Token) -> None:
        me, client = self.lab.me, self.lab.client
        if isinstance(thing, Key):
            question = f"Remove the key {thing.comment or thing.fingerprint}?\nIt opens the box no more."
            if await self.app.push_screen_wait(Confirm("Remove a key", question, "Remove")):
                await self.ask(lambda: client.remove_key(me, thing.fingerprint))
        else:
            question = f"Revoke the token {thing.label}?\nScripts that use it stop working."
            if await self.app.push_screen_wait(Confirm("Revoke a token", question, "Revoke")):
                await self.ask(lambda: client.revoke_token(me, thing.id))
        await self._load()
