"""The parts of the daemon that the API speaks for."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from labbox.daemon.api.callers import Login
from labbox.daemon.api.streams import Terminal
from labbox.daemon.people import Account, People
from labbox.model import JobSpec
from labbox.protocol import (
    Event,
    InputBody,
    InspectBody,
    Inspection,
    Job,
    JobCounts,
    JobDetail,
    JobEdit,
    JobHistory,
    JobPage,
    LogRecord,
    Notices,
    Status,
    Templates,
    UsagePage,
    Why,
)


class JobsService(Protocol):
    """What the API needs of the jobs; every call checks the account's rights itself."""

    async def submit(self, account: Account, spec: JobSpec, origin: str) -> Job: ...
    async def page(
        self,
        account: Account,
        *,
        owner: str | None = None,
        state: str | None = None,
        name: str | None = None,
        array: int | None = None,
        limit: int = 100,
        before: int | None = None,
        order: str | None = None,
    ) -> JobPage: ...
    async def counts(self, account: Account, owner: str | None = None) -> JobCounts: ...
    async def show(self, account: Account, id: int) -> JobDetail: ...
    async def why(self, account: Account, id: int) -> Why: ...
    async def history(self, account: Account, id: int) -> JobHistory: ...
    def log(
        self,
        account: Account,
        id: int,
        *,
        after: int = 0,
        follow: bool = False,
        attempt: int | None = None,
        tail: int | None = None,
    ) -> AsyncIterator[LogRecord]: ...
    async def cancel(self, account: Account, id: int, origin: str) -> Job: ...
    async def kill(self, account: Account, id: int, origin: str) -> Job: ...
    async def hold(self, account: Account, id: int, origin: str) -> Job: ...
    async def release(self, account: Account, id: int, origin: str) -> Job: ...
    async def pause(self, account: Account, id: int, origin: str) -> Job: ...
    async def resume(self, account: Account, id: int, origin: str) -> Job: ...
    async def retry(self, account: Account, id: int, origin: str) -> Job: ...
    async def rerun(self, account: Account, id: int, edit: JobEdit, origin: str) -> Job: ...
    async def edit(self, account: Account, id: int, edit: JobEdit, origin: str) -> Job: ...
    async def input(self, account: Account, id: int, body: InputBody) -> None: ...
    async def shell(self, account: Account, id: int, rows: int, columns: int) -> Terminal: ...
    async def inspect(self, account: Account, body: InspectBody) -> Inspection: ...
    def templates(self) -> Templates: ...
    async def usage(self, account: Account, owner: str | None = None) -> UsagePage: ...
    def events(
        self, account: Account, *, after: int | None = None, follow: bool = False, mine: bool = False
    ) -> AsyncIterator[Event]: ...
    async def notices(self, account: Account) -> Notices: ...
    async def forget(self, owner: str, origin: str) -> None:
        """End all jobs of somebody who is being removed."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers reach; `login_of` says what the gate knows of a process, None for no login of its."""

    people: People
    jobs: JobsService
    status: Callable[[], Awaitable[Status]]
    login_of: Callable[[int], Login | None]
