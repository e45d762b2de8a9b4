"""How accounts stand: suspended and back, their end by the clock, full names, invitations withdrawn.

Somebody who is barred comes in by no way: every way asks `Account.barred`. What of theirs is open is ended by
the callbacks in `barring`, which are called once the change is stored, and again where an account expires.
"""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final

from labbox.daemon.people.accounts import BOX, Account, Actor
from labbox.daemon.people.logins import Logins
from labbox.daemon.store import notices, users
from labbox.daemon.store.times import now
from labbox.errors import LabboxError
from labbox.protocol import User, UserEdit
from labbox.text import visible_line

if TYPE_CHECKING:
    from pathlib import Path
    from sqlite3 import Connection

    from labbox.custom import Configuration
    from labbox.daemon.store import Store

Barring = Callable[[Account, str, bool], Awaitable[None]]
"""Ends what a person has open; told the sentence for them, and whether their running jobs are to end."""

_log = logging.getLogger(__name__)

BEFOREHAND: Final = timedelta(days=7)  # between the notice and the end of an account
_LOOK: Final = 60.0  # seconds between looks at most: the wall clock may be set meanwhile
_TROUBLE: Final = 5.0  # seconds until what the store refused is tried again
_MAX_FULL_NAME: Final = 100  # characters
_LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)


class Standing(Logins):
    """The logins with who may use them."""

    def __init__(self, store: Store, configuration: Configuration, state: Path) -> None:
        """As in `Directory`; `barring` is called in order when somebody may come in no more."""
        super().__init__(store, configuration, state)
        self.barring: list[Barring] = []
        self.uninvited: Callable[[str], None] = lambda name: None  # their code opens nothing any more
        self._ends_changed = asyncio.Event()

    async def run(self) -> None:
        """Keep the audit trail and see to the ends of accounts, until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._trailkeeping.run())
            group.create_task(self._watch_ends())

    async def suspend(self, name: str, *, cancel_running: bool, by: Actor) -> User:
        """Shut a user out: nothing of theirs stays open, their waiting jobs wait; the user as they are then.

        Suspending again is no error: it ends what is open once more.
        """
        if name == by.name:
            raise LabboxError("conflict", "cannot suspend yourself", "another administrator may")

        def change(db: Connection, user: User) -> None:
            keep_an_admin(db, user, "suspend")
            if user.suspended_at is None:
                users.suspend(db, name)

        jobs = "running jobs are cancelled" if cancel_running else "running jobs go on"
        _, user = await self._change(by, "user suspend", name, change, jobs)
        await self._end_open(name, cancel_running)
        return user

    async def unsuspend(self, name: str, by: Actor) -> User:
        """Let a suspended user in again."""

        def change(db: Connection, user: User) -> None:
            if user.suspended_at is None:
                raise LabboxError("conflict", f"cannot unsuspend {name}: the account is not suspended")
            users.unsuspend(db, name)

        _, user = await self._change(by, "user unsuspend", name, change)
        return user

    async def edit(self, name: str, edit: UserEdit, by: Actor) -> User:
        """Change the full name or the end of an account."""
        full_name = None if edit.full_name is None else check_full_name(edit.full_name)
        if edit.expires_at is not None:
            check_end(name, edit.expires_at)
        told = [] if full_name is None else [f"full name {full_name or 'none'}"]
        told += ["expires never"] if edit.forever else []
        told += [] if edit.expires_at is None else [f"expires {_written(edit.expires_at)}"]

        def change(db: Connection, user: User) -> None:
            if full_name is not None:
                users.set_full_name(db, name, full_name)
            if edit.expires_at is not None:
                keep_an_admin(db, user, "set an end for")
            if edit.forever or edit.expires_at is not None:
                users.set_expiry(db, name, None if edit.forever else edit.expires_at)

        _, user = await self._change(by, "user edit", name, change, ", ".join(told))
        self._ends_changed.set()
        return user

    async def withdraw_invitation(self, name: str, by: Actor) -> User:
        """Take a one-time code back; who has just come with it is sent away."""

        def change(db: Connection, _user: User) -> None:
            if not users.consume_invitation(db, name):
                raise LabboxError(
                    "not_found",
                    f"cannot withdraw an invitation of {visible_line(name[:80])}: none waits for its use",
                    "labbox user list shows all",
                )

        _, user = await self._change(by, "user invite withdraw", name, change)
        self.uninvited(name)
        return user

    async def _end_open(self, name: str, cancel_running: bool) -> None:
        account = self._accounts.get(name)
        if account is None:
            return
        why = account.barred(now())
        for bar in self.barring:
            await bar(account, why, cancel_running)

    # The ends of accounts.

    async def _watch_ends(self) -> None:
        """Give a notice before an account ends, and end what is open when it does."""
        while True:
            self._ends_changed.clear()
            seconds = _LOOK
            try:
                seconds = await self._see_to_ends()
            except LabboxError as error:  # a full disk: entries are barred by the clock all the same
                _log.warning("cannot see to the ends of accounts: %s", error.message)
                seconds = _TROUBLE
            try:
                async with asyncio.timeout(seconds):
                    await self._ends_changed.wait()
            except TimeoutError:
                continue

    async def _see_to_ends(self) -> float:
        """Do what is due; seconds until something is due again."""
        wait = _LOOK
        for name, end, told in await self._store.read(users.expiring):
            left = (end - now()).total_seconds()
            if left <= 0:
                await self._expire(name, end)
                continue
            soon = left - BEFOREHAND.total_seconds()
            if not told and soon <= 0:
                await self._store.write(functools.partial(_tell_beforehand, name=name, end=end))
                self.told()
            wait = min(wait, left if soon <= 0 else min(left, soon))
        return wait

    async def _expire(self, name: str, end: datetime) -> None:
        def note(db: Connection) -> bool:
            user = users.find(db, name)
            if user is None or user.expires_at != end or name in users.leaving(db):
                return False  # changed meanwhile
            users.told_expiry(db, name, 2)
            self.trail.record(
                db, BOX.name, "user expired", name, BOX.origin, end.isoformat(timespec="seconds")
            )
            self._tell(db, name, "was changed")
            for admin in users.admins(db):
                notices.add(db, admin, f"the account {name} has expired")
            return True

        if await self._store.write(note):
            self.told()
            await self._end_open(name, cancel_running=False)


def _written(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds")


def _tell_beforehand(db: Connection, name: str, end: datetime) -> None:
    when = end.astimezone().strftime("%Y-%m-%d %H:%M")
    users.told_expiry(db, name, 1)
    notices.add(db, name, f"your account on this box ends on {when}: an administrator can give it longer")
    for admin in users.admins(db):
        if admin != name:
            notices.add(db, admin, f"the account {name} ends on {when}: labbox user edit {name} --expires …")


def check_full_name(text: str) -> str:
    """What a person is called, in one line; LabboxError "invalid" where it cannot be."""
    name = visible_line(" ".join(text.split()))
    if len(name) > _MAX_FULL_NAME or ":" in name:
        raise LabboxError(
            "invalid",
            f"cannot take this full name: it has a colon, or more than {_MAX_FULL_NAME} characters",
            "give it as on a door",
        )
    return name


def check_end(name: str, end: datetime) -> None:
    """LabboxError "invalid" for an end that is no moment to come."""
    if end.tzinfo is None or not now() < end < _LAST:
        raise LabboxError(
            "invalid",
            f"cannot let {visible_line(name[:80])} expire then: it is not a time to come",
            f"labbox user suspend {visible_line(name[:80])} shuts them out now",
        )


def keep_an_admin(db: Connection, user: User, what: str) -> None:
    """LabboxError "conflict" where nobody would be left who administers the box, for good."""
    stays = user.admin and user.suspended_at is None and user.expires_at is None
    if stays and users.count_admins(db) == 1:
        sentence = f"cannot {what} {user.name}" + (" an ordinary user" if what == "make" else "")
        raise LabboxError(
            "conflict",
            f"{sentence}: nobody else administers the box",
            "make somebody else administrator first: labbox user admin NAME on",
        )
