"""Who there is: the accounts in memory, and the one way in which they are changed."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from labbox.custom import Configuration
from labbox.daemon.people import homes, secrets, uids
from labbox.daemon.people.accounts import Account, Actor
from labbox.daemon.people.guessing import Guessing
from labbox.daemon.people.hostkeeping import HostKeeping
from labbox.daemon.people.passwords import Passwords
from labbox.daemon.people.sealing import Seal
from labbox.daemon.people.trailkeeping import TrailKeeping
from labbox.daemon.store import Store, events, former, hosts, users
from labbox.daemon.store.audit import Trail
from labbox.daemon.store.times import now, stamp
from labbox.errors import LabboxError
from labbox.protocol import AuditPage, User
from labbox.text import visible_line

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

_HOSTS_LOST: Final = "the logins to other machines that people keep on the box have to be kept anew"
_NSS_SECONDS: Final = 10.0  # the system's directory may be on the network
_AUDIT_PAGE: Final = 1000  # entries of a page at most


class Directory:
    """The accounts of the box. The daemon alone changes them, so memory and store agree."""

    def __init__(self, store: Store, configuration: Configuration, state: Path) -> None:
        """`start` does the rest: nothing is read before."""
        self._store = store
        self._configuration = configuration
        self._state = state
        self._root = homes.as_root()
        self._passwords = Passwords()
        self.guessing = Guessing()
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="people-disk")
        self._accounts: dict[str, Account] = {}
        self._by_uid: dict[int, Account] = {}
        self._taken: tuple[range, ...] = ()
        self._closed = False
        self._trailkeeping = TrailKeeping(store, state, self._on_disk)
        self.trail: Trail
        self.told: Callable[[], None] = lambda: None  # called when there are new events
        self.hosts: HostKeeping

    async def start(self) -> None:
        """Check that the ids are ours alone, make the folders, read the accounts.

        LabboxError "conflict" where an id belongs to somebody of the system too.
        """
        self.trail = await self._trailkeeping.open()
        sealed = await self._store.read(hosts.any_kept)
        seal = Seal(
            await self._on_disk(
                lambda: secrets.kept_key(self._state / "secrets", "hosts.key", _HOSTS_LOST, made=sealed)
            )
        )
        self.hosts = HostKeeping(self._store, self.trail, seal, lambda: self.told())
        if self._root:
            self._taken = await self._on_disk(uids.taken_ranges)
            allotted = await self._store.read(users.allotted)
            first = self._configuration.settings.people.first_uid
            await self._ask_system(uids.check_ids, first, allotted, self._taken)
        await self._load()
        await self._on_disk(homes.prepare, self._state, frozenset(self._accounts))
        for name, label in (await self._store.read(former.named)).items():
            await self._on_disk(homes.set_aside, self._state, name, label)

    async def close(self) -> None:
        """End the threads."""
        if self._closed:
            return
        self._closed = True
        await self._trailkeeping.mark()
        self._passwords.close()
        self._disk.shutdown(wait=False, cancel_futures=True)

    async def account(self, name: str) -> Account | None:
        """The user of this name; None also while they are being removed."""
        return self._accounts.get(name)

    async def account_by_uid(self, uid: int) -> Account | None:
        """The user with this id."""
        return self._by_uid.get(uid)

    async def audit(self, who: str, action: str, target: str, origin: str, detail: str = "") -> None:
        """Write an entry of the audit trail by itself; a change of the store records its own with `trail`."""
        await self._store.write(lambda db: self.trail.record(db, who, action, target, origin, detail))

    async def audit_page(self, limit: int = 100, before: int | None = None) -> AuditPage:
        """The newest entries older than `before`, and whether the trail is as it was written."""
        limit = min(max(limit, 1), _AUDIT_PAGE)
        return await self._store.read(lambda db: self.trail.page(db, limit, before))

    async def _change(
        self,
        by: Actor,
        action: str,
        name: str,
        change: Callable[[Connection, User], T],
        detail: str = "",
    ) -> tuple[T, User]:
        """Change something about a user and audit it in one transaction; the user as they are then."""

        def apply(db: Connection) -> tuple[T, User]:
            user = self._required(db, name)
            if name in users.leaving(db):
                raise LabboxError("conflict", f"cannot change {name}: the user is being removed")
            result = change(db, user)
            self.trail.record(db, by.name, action, name, by.origin, detail)
            self._tell(db, name, "was changed")
            return result, users.find(db, name) or user

        return await self._write(apply, self._remember)

    async def _write(
        self, change: Callable[[Connection], tuple[T, User]], then: Callable[[User], None]
    ) -> tuple[T, User]:
        """Make a change and then `then` of its user, even where the caller is cancelled in between."""
        written = asyncio.ensure_future(self._store.write(change))

        def follow(done: asyncio.Future[tuple[T, User]]) -> None:
            if not done.cancelled() and done.exception() is None:
                then(done.result()[1])
                self.told()

        written.add_done_callback(follow)
        return await asyncio.shield(written)

    @staticmethod
    def _tell(db: Connection, name: str, what: str) -> None:
        """An event that everybody may read: what exactly changed is in the trail alone."""
        events.append(db, at=stamp(now()), kind="user", owner=name, text=f"{name} {what}")

    @staticmethod
    def _required(db: Connection, name: str) -> User:
        user = users.find(db, name)
        if user is None:
            raise LabboxError(
                "not_found", f"cannot find a user “{visible_line(name[:80])}”", "labbox user list shows all"
            )
        return user

    async def _load(self) -> None:
        for user in sorted(await self._store.read(users.everyone), key=lambda user: user.uid):
            self._remember(user)
        for name in await self._store.read(users.leaving):
            self._forget(name)

    def _groups_of(self, name: str) -> tuple[int, ...]:
        """The groups that a user's processes get besides their own."""
        return ()

    def _apart(self, name: str) -> tuple[str, ...]:
        """The shared folders that no hard link of a user's leads out of, or into."""
        return ()

    def _account(self, user: User) -> Account:
        return Account(
            name=user.name,
            uid=user.uid if self._root else os.getuid(),
            gid=user.gid if self._root else os.getgid(),
            groups=self._groups_of(user.name),
            admin=user.admin,
            home=self._state / "homes" / user.name,
            limits=user.limits,
            suspended=user.suspended_at is not None,
            expires_at=user.expires_at,
            apart=self._apart(user.name),
        )

    def _remember(self, user: User) -> None:
        account = self._account(user)
        self._accounts[user.name] = account
        # Without root all are the one person who started the box, who is the first one that was made.
        if self._root or self._by_uid.get(account.uid, account).name == account.name:
            self._by_uid[account.uid] = account

    def _forget(self, name: str) -> None:
        account = self._accounts.pop(name, None)
        if account is not None and self._by_uid.get(account.uid, account).name == name:
            self._by_uid.pop(account.uid, None)

    async def _on_disk(self, work: Callable[..., T], *args: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._disk, lambda: work(*args))

    async def _ask_system(self, work: Callable[..., T], *args: object) -> T:
        """Something that asks the system's directory of users."""
        try:
            async with asyncio.timeout(_NSS_SECONDS):
                return await self._on_disk(work, *args)
        except TimeoutError as error:
            raise LabboxError(
                "unavailable",
                f"cannot tell which ids are free: the system's directory of users did not answer"
                f" for {_NSS_SECONDS:.0f} seconds",
                "see to the services named in /etc/nsswitch.conf",
            ) from error
