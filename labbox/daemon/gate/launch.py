"""How each wish is started as the user: which program, with what around it, and what a token allows of it."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, Protocol

from labbox.daemon.gate.repositories import Repositories
from labbox.daemon.gate.sessions import SessionInfo, Sessions
from labbox.daemon.gate.words import Copy, Git, Nothing, Refused, Screens, Secluded, Sftp, Verb, Wish
from labbox.daemon.people.accounts import Account
from labbox.daemon.processes import Process, Processes
from labbox.daemon.state import SCOPED_SOCKETS
from labbox.errors import LabboxError
from labbox.model import GIB, Scope
from labbox.spawning import Mount

MEMORY: Final = 2 * GIB  # of one login, with the pages of files that it reads and writes
PROCESSES: Final = 128  # of one login, threads included

PATH: Final = "/usr/local/bin:/usr/bin:/bin"
SFTP_SERVERS: Final = (
    "/usr/lib/openssh/sftp-server",
    "/usr/libexec/openssh/sftp-server",
    "/usr/lib/ssh/sftp-server",
    "/usr/libexec/sftp-server",
)


Watch = Callable[[Account], Awaitable[str]]
"""Returns once a person has stored more than they may."""


class Taken(Protocol):
    """What one login puts into shared folders, and gives to their people."""

    async def attend(self) -> None:
        """Look now and then; ends when cancelled."""

    async def finish(self) -> None:
        """Look for the last time."""


class Taking(Protocol):
    """Whoever gives to their people what logins put into shared folders."""

    def begin(self, account: Account, targets: tuple[str, ...], log: int | None) -> Taken:
        """A login begins to copy to `targets`, or as its server's `log` will tell."""


@dataclass(slots=True)
class Launch:
    """One process for a login, ready to be started; `done` ends its registration."""

    processes: Processes
    sessions: Sessions
    info: SessionInfo
    kind: Literal["tui", "command", "exec"]
    argv: tuple[str, ...]
    env: dict[str, str]
    bulk: bool = False  # moves files: large pipes are worth it
    wildcards: bool = False
    mounts: tuple[Mount, ...] = ()
    watch: Watch | None = None
    no_room: Callable[[], str] = lambda: ""
    taking: Taking | None = None
    targets: tuple[str, ...] = ()  # where it puts files, if it says so
    logs: bool = False  # it writes a log of what it does, where others have their standard error
    _log: int | None = field(default=None, init=False)
    _taken: Taken | None = field(default=None, init=False)
    _pid: int | None = field(default=None, init=False)

    @property
    def uid(self) -> int:
        """The user's."""
        return self.info.account.uid

    @property
    def gid(self) -> int:
        """The user's."""
        return self.info.account.gid

    async def start(self, descriptors: tuple[int, ...], *, pty: bool) -> Process:
        """Fork it and register it, before it can have asked the API anything that matters."""
        account = self.info.account
        if self.taking is not None and (self.logs or self.targets):
            if self.logs:
                self._log = os.memfd_create("deeds", os.MFD_CLOEXEC)
                descriptors = (*descriptors[:2], self._log)
            self._taken = self.taking.begin(account, self.targets, self._log)
        process = await self.processes.spawn(
            kind=self.kind, name=account.name, uid=account.uid, gid=account.gid, groups=account.groups,
            home=str(account.home), results=str(account.results),
            argv=self.argv, env=self.env, fds=descriptors, pty=pty,
            mounts=(*account_mounts(account), *self.mounts), memory=MEMORY, processes=PROCESSES,
            wildcards=self.wildcards, sealed=self.info.scope is Scope.READ, storage=account.limits.storage,
        )  # fmt: skip
        self._pid = process.pid
        self.sessions.add(process.pid, self.info, process.first)
        return process

    async def until_too_much(self) -> str:
        """Wait until the person has stored more than they may, or than there is room for; says which."""
        if self.watch is None or not self._writes:
            never: asyncio.Future[str] = asyncio.get_running_loop().create_future()
            return await never
        return await self.watch(self.info.account)

    def full(self) -> str:
        """Where the disk has no room for what it writes: a sentence; else nothing."""
        return self.no_room() if self._writes else ""

    @property
    def _writes(self) -> bool:
        return self.bulk and self.info.scope is not Scope.READ

    async def attend(self) -> None:
        """Give to others what it puts into shared folders, for as long as it runs."""
        if self._taken is not None:
            await self._taken.attend()

    async def finish(self) -> None:
        """It has ended: the last of that."""
        if self._taken is not None:
            taken, self._taken = self._taken, None
            await taken.finish()

    def done(self) -> None:
        """It has ended."""
        if self._log is not None:
            os.close(self._log)
        if self._pid is not None:
            self.sessions.remove(self._pid)


def account_mounts(account: Account) -> tuple[Mount, ...]:
    """The shared folders, each a disk of its own: a hard link leads neither in nor out."""
    return tuple(Mount(source=folder, target=folder, read_only=False) for folder in account.apart)


class Launcher:
    """Makes launches out of wishes."""

    def __init__(
        self, processes: Processes, sessions: Sessions, repositories: Repositories, socket: Path
    ) -> None:
        """`socket` is the API's."""
        self._processes = processes
        self._sessions = sessions
        self._repositories = repositories
        self._socket = socket
        self.watch: Watch | None = None
        self.full: Callable[[], str] = lambda: ""  # why nothing may be put on the disk, in a sentence
        self.taking: Taking | None = None

    def prepare(self, wish: Wish, info: SessionInfo, variables: Mapping[str, str]) -> Launch:
        """LabboxError where a token, or this machine, does not allow it."""
        self._check_scope(wish, info.scope)
        if _only_brings(wish) and (full := self.full()):
            raise LabboxError("limit", f"cannot take anything in: {full}", "delete what you no longer need")
        env = {
            "PATH": PATH,
            "SHELL": "/bin/sh",
            "TMPDIR": "/tmp",  # noqa: S108 - everybody's, with the sticky bit
            "LABBOX_SOCKET": str(self._socket),
            "LABBOX_ORIGIN": info.origin,
            **({"TZ": os.environ["TZ"]} if "TZ" in os.environ else {}),
            **variables,
        }
        launch = Launch(
            self._processes, self._sessions, info, "exec", (), env, watch=self.watch, no_room=self.full
        )
        if info.scope is not Scope.READ and os.geteuid() == 0:
            launch.taking = self.taking
        if info.scope is not None and os.geteuid() == 0:
            narrow = self._socket.with_name(SCOPED_SOCKETS[info.scope])
            launch.mounts = (Mount(source=str(narrow), target=str(self._socket)),)
        match wish:
            case Screens():
                if variables.get("TERM") == "dumb":
                    raise LabboxError(
                        "usage",
                        "cannot draw the screens: your terminal is of the type “dumb”",
                        "give another type, as in “TERM=xterm ssh …”, or use words: “ssh … job list”",
                    )
                launch.kind = "tui"
            case Verb(words):
                launch.kind, launch.argv = "command", words
            case Sftp():
                read_only = ("-R",) if info.scope is Scope.READ else ()
                launch.logs = launch.taking is not None
                log = ("-e", "-l", "INFO") if launch.logs else ()
                launch.argv, launch.bulk = (_sftp_server(), *read_only, *log), True
            case Copy(program, words, writes):
                launch.targets = words[-1:] if writes else ()
                launch.argv, launch.bulk, launch.wildcards = (_program(program), *words), True, True
            case Git():
                repository = self._repositories.open(info.account, wish)
                launch.argv = (_program("git"), wish.service, repository.path)
                launch.mounts, launch.bulk = (*launch.mounts, *repository.mounts), True
                env.update(repository.env)
            case Refused(sentence):
                raise LabboxError("forbidden", sentence)
            case Secluded() | Nothing():
                raise AssertionError("no program runs for these")
        return launch

    @staticmethod
    def _check_scope(wish: Wish, scope: Scope | None) -> None:
        writes = (isinstance(wish, Copy) and wish.writes) or (
            isinstance(wish, Git) and wish.service == "receive-pack"
        )
        if scope is Scope.READ and writes:
            raise LabboxError(
                "forbidden",
                "cannot write with this token: it is for reading",
                "use one with the scope “submit”",
            )


def _sftp_server() -> str:
    for path in SFTP_SERVERS:
        if Path(path).exists():
            return path
    raise LabboxError(
        "unavailable",
        "cannot start sftp: this box has no sftp-server",
        "ask its administrator to install openssh-sftp-server",
    )


def _program(name: str) -> str:
    path = shutil.which(name, path=PATH)
    if path is None:
        raise LabboxError(
            "unavailable", f"cannot start {name}: this box has none", "ask its administrator to install it"
        )
    return path


def _only_brings(wish: Wish) -> bool:
    """Whether all that it can do takes room: sftp, and rsync as it is told, can also delete."""
    match wish:
        case Copy(_, words, True):
            return not any(word.startswith("--delete") for word in words)
        case Git():
            return wish.service == "receive-pack"
    return False
