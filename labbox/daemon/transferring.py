"""What transfers need of the rest of the box: workers, shared folders, logins for other machines."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager

from labbox.daemon.jobs.ports import Reach
from labbox.daemon.people import Account, People
from labbox.daemon.workers import Dedicated, Workers
from labbox.errors import LabboxError
from labbox.protocol import HostSecret


class WorkerTransfers:
    """Implements `jobs.ports.Transfers`."""

    def __init__(self, workers: Workers, people: People) -> None:
        """`people` knows who shares what with whom."""
        self._workers = workers
        self._people = people

    def dedicated(self, account: Account) -> AbstractAsyncContextManager[Dedicated]:
        """A worker with the person's ids for one transfer."""
        return self._workers.dedicated(account)

    async def reach(self, account: Account) -> Reach:
        """The shared folders of a person."""
        projects = self._people.projects
        return Reach(shared=projects.shared_folder(), projects=projects.folders(account.name))

    async def logins(self, account: Account, hosts: Sequence[str]) -> tuple[HostSecret, ...]:
        """How the person logs in to these hosts; one that nothing is kept for fails where it is reached."""
        if account.bound is not None and hosts:
            raise LabboxError(
                "forbidden",
                "cannot log in elsewhere for a token: it has none of its owner's stored logins",
                "ask for it again, logged in with a key or a password",
            )
        found: list[HostSecret] = []
        for host in hosts:
            try:
                found.append(await self._people.hosts.secret(account.name, host))
            except LabboxError as error:
                if error.code != "not_found":
                    raise
        return tuple(found)
