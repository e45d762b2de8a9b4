"""The one client of a box's API: what the screens, the command line and people's own scripts use.

    import labbox.client

    with labbox.client.connect() as box:  # on the box itself
        job = box.submit_job(path="study")
        for record in box.job_log(job.id, follow=True):
            print(record.text, end="")

    with labbox.client.connect("ssh://ada@box:2222") as box:  # from anywhere
        print(box.list_jobs(state="active").jobs)

Everything is synchronous and safe to use from several threads: each thread has a connection of its own.
`labbox.client.aio` has the same for asyncio.
What the box refuses is raised as `labbox.errors.LabboxError` with its code, sentence and hint.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from labbox.client.box import BoxCalls
from labbox.client.groups import GroupCalls
from labbox.client.hosts import HostCalls
from labbox.client.jobs import JobCalls
from labbox.client.people import PeopleCalls
from labbox.client.projects import ProjectCalls
from labbox.client.results import Fetched, ResultCalls
from labbox.client.transport import RefusedError, Route, SshRoute, Transport, UnixRoute
from labbox.client.waiting import WaitingCalls, WaitTimeoutError
from labbox.errors import LabboxError

__all__ = [
    "Client",
    "Fetched",
    "LabboxError",
    "RefusedError",
    "WaitTimeoutError",
    "connect",
    "default_socket",
    "default_state",
    "route_to",
]

_SYSTEM_STATE: Final = Path("/var/lib/labbox")


class Client(JobCalls, GroupCalls, HostCalls, PeopleCalls, ProjectCalls, BoxCalls, WaitingCalls, ResultCalls):
    """A box, as its callers see it; made by `connect`.

    Example:
        with labbox.client.connect() as box:
            print(box.status().ready)
    """

    def __init__(self, transport: Transport) -> None:
        """Take over the transport; `close` ends it."""
        self._transport = transport

    @property
    def where(self) -> str:
        """What this client talks to, for people: a socket's path or an ``ssh://`` address.

        Example:
            print(box.where)  # /var/lib/labbox/api.sock
        """
        return self._transport.route.where

    def close(self) -> None:
        """Close the connections of all threads, for good; whoever still waits for an answer gets an error.

        Example:
            box.close()
        """
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def connect(where: str | None = None, act_as: str | None = None) -> Client:
    """A client for the box at `where`; nothing is sent before the first call.

    `where` is the path of an API socket, ``unix:///path`` or ``ssh://user@host:port``; None takes
    ``LABBOX_SOCKET``, else the socket of this machine's box. `act_as` lets an administrator on the box itself
    (root) act for a user. Raises LabboxError "usage" for an address that cannot be understood.

    Example:
        box = labbox.client.connect("ssh://ada@box.example.org:2222")
    """
    return Client(Transport(route_to(where), act_as))


def default_state() -> Path:
    """The state folder of a box on this machine: ``LABBOX_STATE``, root's, or the caller's own.

    Example:
        print(labbox.client.default_state() / "homes")
    """
    if chosen := os.environ.get("LABBOX_STATE"):
        return Path(chosen)
    if os.geteuid() == 0:
        return _SYSTEM_STATE
    base = os.environ.get("XDG_STATE_HOME") or Path.home() / ".local" / "state"
    return Path(base) / "labbox"


def default_socket() -> Path:
    """The API socket of this machine's box: the caller's own box if there is one, else root's.

    Example:
        box = labbox.client.connect(str(labbox.client.default_socket()))
    """
    own = default_state() / "api.sock"
    system = _SYSTEM_STATE / "api.sock"
    return own if own.exists() or not system.exists() else system


def route_to(where: str | None = None) -> Route:
    """The way to a box, for those who carry raw bytes; `where` as for `connect`.

    Example:
        sock = labbox.client.route_to("ssh://ada@box:2222").open()
    """
    where = where or os.environ.get("LABBOX_SOCKET")
    if where is None:
        return UnixRoute(str(default_socket()))
    if where.startswith("ssh://"):
        return SshRoute.parse(where)
    if where.startswith("unix://"):
        return UnixRoute(where.removeprefix("unix://"))
    if "://" in where:
        raise LabboxError(
            "usage",
            f"cannot understand the address {where!r}",
            "give a socket's path or ssh://USER@HOST:PORT",
        )
    return UnixRoute(where)
