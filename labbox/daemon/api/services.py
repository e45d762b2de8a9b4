"""The parts of the daemon that the API speaks for."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import Protocol

from labbox.daemon.api.callers import Login
from labbox.daemon.api.terminals import OpenShells, Terminal
from labbox.daemon.people import Account, People
from labbox.model import JobSpec
from labbox.protocol import (
    Event,
    Group,
    Groups,
    InputBody,
    InspectBody,
    Inspection,
    Job,
    JobCounts,
    JobDetail,
    JobEdit,
    JobHistory,
    JobPage,
    LiveJobs,
    LogRecord,
    Notices,
    Status,
    Submitted,
    Templates,
    TransferSummary,
    UsagePage,
    Why,
)


class JobsService(Protocol):
    """What the API needs of the jobs; every call checks the account's rights itself."""

    async def submit(self, account: Account, spec: JobSpec, origin: str, /) -> Submitted:
        """Take a job in; an array gives its parent."""

    async def page(
        self,
        account: Account,
        /,
        *,
        owner: str | None,
        state: str | None,
        name: str | None,
        array: int | None,
        group: str | None,
        kind: str | None,
        limit: int,
        before: int | None,
        order: str | None,
    ) -> JobPage:
        """A page of jobs, newest first."""

    async def counts(
        self, account: Account, owner: str | None, array: int | None, kind: str | None, /
    ) -> JobCounts:
        """Jobs by state."""

    async def show(self, account: Account, number: int, /) -> JobDetail:
        """One job."""

    async def live(self, account: Account, /) -> LiveJobs:
        """What running jobs take now."""

    async def why(self, account: Account, number: int, /) -> Why:
        """Why it is where it is."""

    async def history(self, account: Account, number: int, /) -> JobHistory:
        """Its changes."""

    async def transfer(self, account: Account, number: int, /) -> TransferSummary:
        """What a transfer did, or did so far."""

    def log(
        self,
        account: Account,
        number: int,
        /,
        *,
        after: int,
        follow: bool,
        attempt: int | None,
        tail: int | None,
    ) -> AsyncIterator[LogRecord]:
        """Its log; the last record has `end`."""

    async def cancel(self, account: Account, number: int, origin: str, /) -> Job:
        """End it, politely first."""

    async def kill(self, account: Account, number: int, origin: str, /) -> Job:
        """End it at once."""

    async def hold(self, account: Account, number: int, origin: str, /) -> Job:
        """Keep it from starting."""

    async def release(self, account: Account, number: int, origin: str, /) -> Job:
        """Let it start."""

    async def pause(self, account: Account, number: int, origin: str, /) -> Job:
        """Freeze it."""

    async def resume(self, account: Account, number: int, origin: str, /) -> Job:
        """Let it go on."""

    async def retry(self, account: Account, number: int, origin: str, /) -> Job:
        """Queue a new attempt."""

    async def rerun(self, account: Account, number: int, edit: JobEdit, origin: str, /) -> Submitted:
        """Make a new job of it."""

    async def edit(self, account: Account, number: int, edit: JobEdit, origin: str, /) -> Job:
        """Change it while it waits."""

    async def input(self, account: Account, number: int, body: InputBody, /) -> None:
        """Write to its standard input."""

    async def shell(self, account: Account, number: int, rows: int, columns: int, /) -> Terminal:
        """A terminal in its container."""

    async def groups(self, account: Account, owner: str | None, /) -> Groups:
        """Somebody's groups of jobs; None: everybody's."""

    async def set_group(
        self, account: Account, owner: str, name: str, parallel: int | None, origin: str, /
    ) -> Group:
        """Say how many of a group's jobs run at once."""

    async def remove_group(self, account: Account, owner: str, name: str, origin: str, /) -> None:
        """Forget a group and its limit."""

    async def inspect(self, account: Account, body: InspectBody, /) -> Inspection:
        """Look at a project folder."""

    def templates(self) -> Templates:
        """The languages of the box."""

    async def usage(self, account: Account, owner: str | None, /) -> UsagePage:
        """What people used."""

    async def last_event(self) -> int:
        """The cursor of the newest event."""

    def events(
        self, account: Account, /, *, after: int | None, follow: bool, mine: bool
    ) -> AsyncGenerator[Event, None]:
        """What changes, in order."""

    async def notices(self, account: Account, everything: bool, /) -> Notices:
        """What the account has not looked at; with `everything` all that is kept."""

    async def notices_seen(self, account: Account, up_to: int, /) -> None:
        """The account has looked at these."""


@dataclass(frozen=True, slots=True)
class Services:
    """What the handlers reach; `login_of` says what the gate knows of a process, None for no login of its."""

    people: People
    jobs: JobsService
    status: Callable[[], Awaitable[Status]]
    login_of: Callable[[int], Login | None]
    address: Callable[[], tuple[str, int]] = lambda: ("", 0)  # where the gate listens, once it does
    external_editor: bool = False  # may the screens start an editor of the person's own
    shells: OpenShells = field(default_factory=OpenShells)
