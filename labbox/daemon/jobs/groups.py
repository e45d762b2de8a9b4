"""Groups of jobs: a name that somebody gives to their jobs, and how many of these may run at once.

A group comes into being with its first job, without a limit. Each pass of the scheduler reads the limits
anew, so one that is set, changed or removed holds at once; what runs already goes on.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from labbox.daemon.jobs.parts import Parts
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import events, groups
from labbox.errors import LabboxError
from labbox.groups import TRANSFERS, check_parallel, parse_group
from labbox.protocol import Group, Groups

if TYPE_CHECKING:
    from sqlite3 import Connection


class GroupLimits:
    """What people ask about their groups and do with them."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    async def page(self, account: Account, owner: str | None) -> Groups:
        """Somebody's groups by name; `owner` None: everybody's, for administrators."""
        _check_owner(account, owner, "show")
        return Groups(groups=tuple(await self._parts.store.read(lambda c: groups.listed(c, owner))))

    async def set(self, account: Account, owner: str, name: str, parallel: int | None, origin: str) -> Group:
        """How many of a group's jobs may run at once; None: no limit."""
        name = parse_group(name)
        check_parallel(parallel)
        most = self._parts.settings.max_transfers
        if name == TRANSFERS and parallel is not None and parallel > most:
            raise LabboxError(
                "limit",
                f"cannot run {parallel:,} transfers at once: this box allows {most} of one person",
                f"labbox job group set {TRANSFERS} --parallel {most}",
            )
        _check_owner(account, owner, "change")
        if await self._parts.people.account(owner) is None:
            raise LabboxError("not_found", f"cannot set the group {name}: there is no user {owner}")
        detail = "no limit" if parallel is None else f"{parallel} at once"

        def write(connection: Connection) -> Group:
            groups.put(connection, owner, name, parallel)
            self._parts.people.trail.record(
                connection, account.name, "job group set", f"{owner}/{name}", origin, detail
            )
            self._tell(connection, owner)
            return groups.listed(connection, owner, name)[0]

        group = await self._parts.store.write(write)
        self._parts.feed.wake()
        self._parts.dispatcher.limit_group(owner, name, parallel)
        return group

    async def remove(self, account: Account, owner: str, name: str, origin: str) -> None:
        """Forget a group and its limit; its jobs go on, and keep its name."""
        name = parse_group(name)
        _check_owner(account, owner, "remove")

        def write(connection: Connection) -> None:
            if not groups.remove(connection, owner, name):
                raise LabboxError(
                    "not_found",
                    f"cannot remove the group {name}: {owner} has none of that name",
                    "`labbox job group list` shows the groups",
                )
            self._parts.people.trail.record(
                connection, account.name, "job group remove", f"{owner}/{name}", origin
            )
            self._tell(connection, owner)

        await self._parts.store.write(write)
        self._parts.feed.wake()
        self._parts.dispatcher.forget_group(owner, name)

    async def forget(self, owner: str) -> None:
        """Remove the groups of somebody who leaves: whoever gets the name later begins without."""
        for name in await self._parts.store.write(lambda c: groups.remove_all(c, owner)):
            self._parts.dispatcher.forget_group(owner, name)

    def _tell(self, connection: Connection, owner: str) -> None:
        events.append(connection, at=self._parts.clock.now(), kind="group", owner=owner)


def _check_owner(account: Account, owner: str | None, doing: str) -> None:
    if owner != account.name and not account.admin:
        whose = "everybody's groups" if owner is None else f"groups of {owner}"
        raise LabboxError("forbidden", f"cannot {doing} {whose}: ask an administrator")
