"""The people of the box, for administrators."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any, Final

from textual.widget import Widget

from labbox.model import Limits
from labbox.protocol import User, UserAdd, UserEdit
from labbox.text import counted, format_bytes, visible_line
from labbox.tui.format import local_time, size_text, so_many
from labbox.tui.screens.base import Pane
from labbox.tui.screens.edit import optional, whole
from labbox.tui.widgets.dialog import Confirm, Field, Form, Message
from labbox.tui.widgets.table import Cell, Column, RowsTable
from labbox.units import parse_cpus, parse_size, parse_when

EVERY: Final = 5  # seconds between two looks; the box tells of jobs by itself, not of people


def limits_text(limits: Limits) -> str:
    """Limits in one line; a dash for none."""
    parts = []
    if limits.running_jobs is not None:
        parts.append(counted(limits.running_jobs, "job"))
    if limits.cpus is not None:
        parts.append(so_many(limits.cpus, "CPU"))
    if limits.memory is not None:
        parts.append(format_bytes(limits.memory))
    if limits.gpus is not None:
        parts.append(so_many(limits.gpus, "GPU"))
    if limits.storage is not None:
        parts.append(f"{format_bytes(limits.storage)} on disk")
    return ", ".join(parts) or "–"


def standing(user: User, at: datetime) -> tuple[str, str]:
    """How an account stands, in a word and its colour."""
    match user.standing(at):
        case "invited":
            return f"invited until {local_time(user.invited_until)}", "warn"
        case "active" if user.expires_at is not None:
            return f"until {local_time(user.expires_at)}", "text"
        case "active":
            return "active", "dim"
        case other:
            return other, "bad"


class UsersScreen(Pane):
    """One row for each person."""

    KEYS = "users"
    HEADING = "Users"
    FOLLOWS = frozenset({"user"})
    AUTO_FOCUS = "RowsTable"

    def __init__(self) -> None:
        """Nothing read yet."""
        super().__init__()
        self._users: list[User] = []
        self._seconds = 0

    def body(self) -> Iterator[Widget]:
        """One table."""
        table = RowsTable(
            [
                Column("name", "name", 12, grow=0.5, most=24),
                Column("full", "full name", 14, grow=0.5, most=30, need=100),
                Column("role", "role", 6),
                Column("status", "status", 9, grow=0.5, most=24),
                Column("login", "last login", 16),
                Column("by", "logs in by", 16),
                Column("limits", "limits", 14, grow=1),
                Column("storage", "storage", 9, right=True),
                Column("uid", "uid", 6, right=True, need=100),
            ]
        )
        table.empty = "Reading…"
        yield table

    def begin(self) -> None:
        """Ask."""
        self.attempt(self._load(), group="load")

    def read_again(self) -> None:
        """Ask again."""
        self.attempt(self._load(), group="load", exclusive=True)

    def tick(self) -> None:
        """Ask again now and then, unless the box is away, which the banner says."""
        self._seconds += 1
        if self._seconds % EVERY == 0 and not self.lab.trouble:
            self.read_again()

    def action_reread(self) -> None:
        """Ask again at once."""
        self.read_again()

    async def _load(self) -> None:
        users = list((await self.ask(self.lab.client.list_users)).users)
        self._users = users
        rows: list[list[Cell]] = []
        at = datetime.now(UTC)
        for user in self._users:
            ways = [f"{user.keys} key{'s' if user.keys != 1 else ''}"] if user.keys else []
            ways += ["password"] if user.has_password else []
            rows.append(
                [
                    [(visible_line(user.name), "text")],
                    [(visible_line(user.full_name), "text")],
                    [("admin", "accent") if user.admin else ("user", "dim")],
                    [standing(user, at)],
                    [(local_time(user.last_login) or "never", "dim")],
                    [(", ".join(ways) or "nothing yet", "text" if ways else "warn")],
                    [(limits_text(user.limits), "text")],
                    [("–" if user.storage is None else format_bytes(user.storage), "dim")],
                    [(str(user.uid), "dim")],
                ]
            )
        self.query_one(RowsTable).set_rows(rows, [user.name for user in users])

    def _here(self) -> User | None:
        table = self.query_one(RowsTable)
        return self._users[table.cursor] if self._users else None

    def on_table_chosen(self) -> None:
        """Enter changes the limits."""
        self.action_limits()

    def action_add(self) -> None:
        """Add a person."""
        self.attempt(self._add())

    async def _add(self) -> None:
        answer = await self.app.push_screen_wait(
            Form(
                "Add a user",
                [
                    Field("name", "Name", example="ada"),
                    Field("key", "SSH key", example="ssh-ed25519 AAAA… (may be empty)"),
                    Field("password", "Password", example="may be empty", secret=True),
                    Field("again", "Once more", secret=True, same_as="password"),
                    Field("admin", "Administrator", flag=False),
                ],
                "Add",
                "A person without key and password needs an invitation: F3.",
            )
        )
        if answer is not None:
            key, password = str(answer["key"]).strip(), str(answer["password"])
            user = UserAdd(
                name=str(answer["name"]).strip(),
                admin=bool(answer["admin"]),
                password=password or None,
                keys=(key,) if key else (),
            )
            made = await self.ask(lambda: self.lab.client.add_user(user))
            self.lab.say(f"{made.name} is a user now, uid {made.uid}.")
            await self._load()

    def action_invite(self) -> None:
        """Make a one-time code."""
        self.attempt(self._invite())

    async def _invite(self) -> None:
        here = self._here()
        waits = here if here and not here.keys and not here.has_password else None
        answer = await self.app.push_screen_wait(
            Form(
                "Invite",
                [
                    Field("name", "Name", waits.name if waits else "", "ada"),
                    Field("admin", "Administrator", flag=False),
                ],
                "Invite",
                "The code is the password of the first login, which deposits a key or sets a password.",
            )
        )
        if answer is not None:
            name, admin = str(answer["name"]).strip(), bool(answer["admin"])
            invite = await self.ask(lambda: self.lab.client.invite_user(name, admin=admin))
            line = f"\n    {visible_line(invite.ssh)}\n" if invite.ssh else ""
            once = f"{invite.name} logs in over SSH with this code as password, once:"
            text = f"{once}\n{line}\n    {invite.code}\n"
            self.app.push_screen(
                Message("Invitation", text, f"It is good until {local_time(invite.expires_at)}.")
            )
            await self._load()

    def action_withdraw(self) -> None:
        """Take a one-time code back."""
        if user := self._here():
            self.attempt(self._withdraw(user))

    async def _withdraw(self, user: User) -> None:
        question = f"Withdraw the invitation of {user.name}?\nThe code opens nothing any more."
        if await self.app.push_screen_wait(Confirm("Withdraw an invitation", question, "Withdraw")):
            await self.ask(lambda: self.lab.client.withdraw_invitation(user.name))
            await self._load()

    def action_suspend(self) -> None:
        """Shut a person out, or let them in again."""
        if user := self._here():
            self.attempt(self._suspend(user))

    async def _suspend(self, user: User) -> None:
        if user.suspended_at is not None:
            question = f"Let {user.name} in again?\nWaiting jobs start in their turn."
            if await self.app.push_screen_wait(Confirm("Unsuspend", question, "Let in")):
                await self.ask(lambda: self.lab.client.unsuspend_user(user.name))
                await self._load()
            return
        answer = await self.app.push_screen_wait(
            Form(
                f"Suspend {user.name}",
                [Field("cancel", "Cancel jobs", flag=False)],
                "Suspend",
                "Logins and tokens end at once. Running jobs go on, unless cancelled; waiting ones wait.",
            )
        )
        if answer is not None:
            cancel = bool(answer["cancel"])
            await self.ask(lambda: self.lab.client.suspend_user(user.name, cancel_running=cancel))
            self.lab.say(f"{user.name} is suspended.")
            await self._load()

    def action_edit(self) -> None:
        """Change the full name and the end of an account."""
        if user := self._here():
            self.attempt(self._edit(user))

    async def _edit(self, user: User) -> None:
        was = "" if user.expires_at is None else user.expires_at.astimezone().strftime("%Y-%m-%d %H:%M")
        answer = await self.app.push_screen_wait(
            Form(
                f"Account of {user.name}",
                [
                    Field("full_name", "Full name", user.full_name, "Ada Lovelace"),
                    Field("expires", "Expires", was, "never", optional(parse_when)),
                ],
                "Set",
                "A date and time such as 2027-09-30 18:00, or +90d; empty is never.",
            )
        )
        if answer is not None:
            end = answer["expires"]
            edit = UserEdit(
                full_name=str(answer["full_name"]).strip(),
                expires_at=end if isinstance(end, datetime) else None,
                forever=not isinstance(end, datetime),
            )
            await self.ask(lambda: self.lab.client.edit_user(user.name, edit))
            await self._load()

    def action_limits(self) -> None:
        """Change limits."""
        if user := self._here():
            self.attempt(self._limits(user))

    async def _limits(self, user: User) -> None:
        now = user.limits
        fields: list[tuple[str, str, str, Any]] = [
            (
                "running_jobs",
                "Running jobs",
                "" if now.running_jobs is None else str(now.running_jobs),
                whole,
            ),
            ("cpus", "CPUs", "" if now.cpus is None else f"{now.cpus:g}", parse_cpus),
            ("memory", "Memory", "" if now.memory is None else size_text(now.memory), parse_size),
            ("gpus", "GPUs", "" if now.gpus is None else str(now.gpus), whole),
            ("storage", "Storage", "" if now.storage is None else size_text(now.storage), parse_size),
        ]
        answer = await self.app.push_screen_wait(
            Form(
                f"Limits of {user.name}",
                [
                    Field(key, label, value, "no limit", optional(check))
                    for key, label, value, check in fields
                ],
                "Set",
            )
        )
        if answer is not None:
            values: dict[str, Any] = dict(answer)
            await self.ask(lambda: self.lab.client.set_limits(user.name, Limits(**values)))
            await self._load()

    def action_admin(self) -> None:
        """Make or unmake an administrator."""
        if user := self._here():
            self.attempt(self._admin(user))

    async def _admin(self, user: User) -> None:
        question = (
            f"Take administration from {user.name}?" if user.admin else f"Let {user.name} administer the box?"
        )
        if await self.app.push_screen_wait(Confirm("Administrator", question, "Yes")):
            await self.ask(lambda: self.lab.client.set_admin(user.name, not user.admin))
            await self._load()

    def action_password(self) -> None:
        """Set a password."""
        if user := self._here():
            self.attempt(self._password(user))

    async def _password(self, user: User) -> None:
        answer = await self.app.push_screen_wait(
            Form(
                f"Password of {user.name}",
                [
                    Field("new", "New password", secret=True),
                    Field("again", "Once more", secret=True, same_as="new"),
                ],
                "Set",
            )
        )
        if answer is not None:
            await self.ask(lambda: self.lab.client.set_password(user.name, str(answer["new"])))
            self.lab.say(f"{user.name} has a new password.")

    def action_remove(self) -> None:
        """Remove a person."""
        if user := self._here():
            self.attempt(self._remove(user))

    async def _remove(self, user: User) -> None:
        question = f"Remove {user.name}?\nTheir jobs are cancelled; home and results are kept."
        if await self.app.push_screen_wait(Confirm("Remove a user", question, "Remove")):
            await self.ask(lambda: self.lab.client.remove_user(user.name))
            self.lab.say(f"{user.name} is removed. The files are kept.")
            await self._load()
