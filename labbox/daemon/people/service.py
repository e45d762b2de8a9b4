"""The people of the box: who comes, what they may, who goes."""

from __future__ import annotations

import asyncio
import math
import os
import pwd
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from labbox.custom import Configuration
from labbox.daemon.people import homes, uids
from labbox.daemon.people.accounts import BOX, Account, Actor, Removal
from labbox.daemon.people.keys import PublicKey, parse_key
from labbox.daemon.people.logins import person_source
from labbox.daemon.people.names import check_name, check_no_system_user
from labbox.daemon.people.passwords import check_password
from labbox.daemon.people.projects import Projects
from labbox.daemon.people.standing import Standing, check_end, check_full_name, keep_an_admin
from labbox.daemon.store import Store, former, users
from labbox.daemon.store.times import now
from labbox.errors import LabboxError
from labbox.model import Limits
from labbox.protocol import Invite, InviteBody, Key, User, UserAdd, UserPage
from labbox.units import MAX_SIZE

if TYPE_CHECKING:
    from sqlite3 import Connection

Departure = Callable[[Account, bool], Awaitable[None]]
"""What has to happen before a user is gone; the bool says whether their files are to be deleted."""

_ID_TRIES: Final = 1000


class People(Standing):
    """The users of the box: every change is audited in the transaction that makes it.

    Whether the one who asks (`by`) may is the caller's to check: rights belong to the API.
    """

    def __init__(self, store: Store, configuration: Configuration, state: Path) -> None:
        """As in `Directory`; `departures` are called in order when a user is removed."""
        super().__init__(store, configuration, state)
        self.projects = Projects(
            store,
            state,
            trail=lambda: self.trail,
            allot=self._allot,
            on_disk=self._on_disk,
            regroup=self._regroup,
            told=lambda: self.told(),
            first_uid=configuration.settings.people.first_uid,
            root=self._root,
        )
        self.departures: list[Departure] = [self.projects.left]
        self.relabelled: Callable[[str, str], None] = lambda name, label: (
            None
        )  # what was the one's is the other's
        self._adding = asyncio.Lock()

    async def start(self) -> None:
        """As in `Directory`; without root, the one who started the box becomes its administrator."""
        await super().start()
        await self.projects.start()
        if not self._root and not self._accounts:
            await self.add(UserAdd(name=_own_name(), admin=True), BOX)

    def _groups_of(self, name: str) -> tuple[int, ...]:
        return self.projects.groups(name)

    def _apart(self, name: str) -> tuple[str, ...]:
        return self.projects.apart(name)

    def _regroup(self) -> None:
        for name, account in list(self._accounts.items()):
            groups, apart = self.projects.groups(name), self.projects.apart(name)
            if (account.groups, account.apart) != (groups, apart):
                renewed = msgspec.structs.replace(account, groups=groups, apart=apart)
                self._accounts[name] = renewed
                if self._by_uid.get(account.uid) == account:
                    self._by_uid[account.uid] = renewed

    async def list(self) -> UserPage:
        """All users, by name."""
        return UserPage(users=await self._store.read(users.everyone))

    async def show(self, name: str) -> User:
        """One user."""
        return await self._store.read(lambda db: self._required(db, name))

    async def add(self, user: UserAdd, by: Actor) -> User:
        """Make a user with ids of their own and a home; limits not given are the box's for new users."""
        check_name(user.name)
        if user.password is not None:
            check_password(user.name, user.password)
        keys = {key.fingerprint: key for key in map(parse_key, user.keys)}
        limits = _merge(user.limits, self._configuration.settings.people.limits)
        check_limits(limits)
        user = msgspec.structs.replace(user, full_name=check_full_name(user.full_name))
        if user.expires_at is not None:
            check_end(user.name, user.expires_at)
        if self._root:
            await self._ask_system(check_no_system_user, user.name)
        password: str | None = None
        if user.password is not None:
            async with self.guessing.turn(person_source(by), person_source(by)):
                password = await self._passwords.hash(user.password)
        async with self._adding:
            await self._check_free(user.name)
            uid = await self._allot(user.name)
            await self._on_disk(homes.make, self._state, user.name, uid, uid, self._configuration.skeleton)
            try:
                _, added = await self._write(
                    lambda db: self._insert(db, user, uid, password, limits, tuple(keys.values()), by),
                    self._remember,
                )
            except BaseException:  # cancelled as well: the row may be there or not
                if await self._store.write(lambda db: users.find(db, user.name)) is None:
                    await self._on_disk(homes.take_back, self._state, user.name)
                raise
            await self._on_disk(homes.place, self._state, user.name)
            self._ends_changed.set()
            return added

    async def remove(self, name: str, *, delete_files: bool, by: Actor) -> Removal:
        """Remove a user: no login from now on, then the departures, then the row; the uid is never reused.

        A departure that fails leaves the user without login, and to be removed again.
        """
        account, user = await self._write(
            lambda db: self._begin_removal(db, name, delete_files, by), lambda user: self._forget(user.name)
        )
        for departure in self.departures:
            await departure(account, delete_files)
        await self.projects.take_over(account.uid)  # nothing of theirs runs any more that could add to it
        if delete_files:
            await self._on_disk(homes.drop_emptied, self._state, name)
        label = former.label(name, user.uid)
        await self._on_disk(homes.set_aside, self._state, name, label)

        def finish(db: Connection) -> None:
            users.delete(db, name)
            self.trail.record(db, by.name, "user removed", name, by.origin, f"uid {user.uid}")
            self._tell(db, name, "was removed")
            former.relabel(db, name, label)

        await self._store.write(finish)
        self.relabelled(name, label)
        self.told()
        return Removal(name=name, uid=user.uid, left=await self._on_disk(homes.leftovers, self._state, label))

    async def set_limits(self, name: str, limits: Limits, by: Actor) -> User:
        """Replace what a user may take at once."""
        check_limits(limits)
        given = {key: value for key, value in msgspec.structs.asdict(limits).items() if value is not None}
        detail = ", ".join(f"{key}={value}" for key, value in given.items()) or "none"
        _, user = await self._change(
            by, "user limits", name, lambda db, _: users.set_limits(db, name, limits), detail
        )
        return user

    async def set_admin(self, name: str, admin: bool, by: Actor) -> User:
        """Say whether a user administers the box; the last one who does stays so."""

        def change(db: Connection, user: User) -> None:
            if not admin:
                keep_an_admin(db, user, "make")
            users.set_admin(db, name, admin)

        _, user = await self._change(by, "user admin", name, change, "yes" if admin else "no")
        return user

    async def invite(self, body: InviteBody, by: Actor) -> Invite:
        """A one-time code for somebody new, who is added; or for a user who lost key and password."""
        if body.name not in self._accounts:
            await self.add(UserAdd(name=body.name, admin=body.admin, full_name=body.full_name), by)
        elif body.admin and not self._accounts[body.name].admin:
            raise LabboxError(
                "conflict",
                f"cannot invite {body.name} as administrator: there is such a user, who is none",
                f"labbox user admin {body.name} on",
            )
        self._accounts[body.name].refuse_barred(f"invite {body.name}", now())
        made = await self._invite_existing(body.name, body.valid, by)
        self.uninvited(body.name)  # who has just come with an earlier code
        return made

    async def _check_free(self, name: str) -> None:
        if await self._store.read(lambda db: users.find(db, name)) is not None:
            raise LabboxError(
                "conflict", f"cannot add {name}: there is a user of that name", "choose another name"
            )
        left = await self._on_disk(homes.leftovers, self._state, name)
        if left:
            raise LabboxError(
                "conflict",
                f"cannot add {name}: {left[0]} of an earlier user of that name is still there",
                "move it away first, so that nobody gets another person's files; or choose another name",
            )

    async def _allot(self, name: str) -> int:
        """An id that nobody has or had; those of the system are passed over."""
        first = self._configuration.settings.people.first_uid
        for _ in range(_ID_TRIES):
            uid = await self._store.write(lambda db: users.allot(db, name, first, self._taken))
            if not self._root or await self._ask_system(uids.id_owner, uid) is None:
                return uid
        raise LabboxError(
            "conflict",
            f"cannot find a free id for {name}: the system has {_ID_TRIES} in a row",
            "set first_uid in the section [people] of box.toml to a number with free ids above it",
        )

    def _insert(
        self,
        db: Connection,
        user: UserAdd,
        uid: int,
        password: str | None,
        limits: Limits,
        keys: tuple[PublicKey, ...],
        by: Actor,
    ) -> tuple[None, User]:
        former.relabel(db, user.name, former.label(user.name, former.last_uid(db, user.name, uid)))
        users.insert(
            db,
            user.name,
            uid,
            admin=user.admin,
            password=password,
            limits=limits,
            full_name=user.full_name,
            expires_at=user.expires_at,
        )
        at = now()
        for key in keys:
            stored = Key(fingerprint=key.fingerprint, kind=key.kind, comment=key.comment, added_at=at)
            users.add_key(db, user.name, key.line, stored)
        if user.expires_at is not None and user.admin and users.count_admins(db) == 0:
            raise LabboxError(
                "conflict", f"cannot let {user.name} expire: nobody else administers the box", "leave it out"
            )
        opened_by = [f"uid {uid}", *(["admin"] if user.admin else []), *(["password"] if password else [])]
        detail = ", ".join((*opened_by, *(key.fingerprint for key in keys)))
        self.trail.record(db, by.name, "user add", user.name, by.origin, detail)
        self._tell(db, user.name, "was added")
        return None, self._required(db, user.name)

    def _begin_removal(
        self, db: Connection, name: str, delete_files: bool, by: Actor
    ) -> tuple[Account, User]:
        user = self._required(db, name)
        if name not in users.leaving(db):
            keep_an_admin(db, user, "remove")
        users.mark_leaving(db, name)
        detail = "files are deleted" if delete_files else "files are kept"
        self.trail.record(db, by.name, "user remove", name, by.origin, detail)
        return self._account(user), user


def check_limits(limits: Limits) -> None:
    """LabboxError "invalid" for a limit that is no amount."""
    for name, value in msgspec.structs.asdict(limits).items():
        if value is not None and not (math.isfinite(value) and 0 <= value <= MAX_SIZE):
            raise LabboxError(
                "invalid", f"cannot set {name} to {value}", "give a number from 0 up, or nothing for no limit"
            )


def _merge(given: Limits, box: Limits) -> Limits:
    """What was said for this user, else what the box says for new ones."""
    said = {name: value for name, value in msgspec.structs.asdict(given).items() if value is not None}
    return msgspec.structs.replace(box, **said)


def _own_name() -> str:
    """The name of the one who runs the box, where it can be a user's."""
    try:
        name = pwd.getpwuid(os.getuid()).pw_name
        check_name(name)
    except (KeyError, LabboxError):
        return "me"
    return name
