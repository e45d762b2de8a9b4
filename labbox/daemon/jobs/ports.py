"""What the jobs need of the other parts, and no more; tests put faithful stand-ins in their place."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import msgspec

from labbox.daemon.containers.cgroups import Consumed
from labbox.daemon.containers.environments import Context, EnvFile, EnvironmentPlan, Prepared, Report
from labbox.daemon.containers.run import RunSpec
from labbox.daemon.containers.states import ContainerState
from labbox.daemon.jobs.handed import Project
from labbox.daemon.people.accounts import Account
from labbox.files import work
from labbox.files.leavings import Leavings
from labbox.files.software.asked import Software
from labbox.model import JobSpec, Progress, Value
from labbox.protocol import HostSecret, Inspection, LogRecord, TransferSummary

if TYPE_CHECKING:
    from sqlite3 import Connection


class Terminal(Protocol):
    """Raw bytes to and from a pty inside a container."""

    async def read(self) -> bytes:
        """Some bytes; none at the end."""

    async def write(self, data: bytes) -> None:
        """Hand bytes to the pty."""

    async def resize(self, rows: int, columns: int) -> None:
        """Tell it the size of its window."""

    async def close(self) -> None:
        """Let go; the shell gets a hang-up."""


class Engine(Protocol):
    """The container engine. A container's name is its idempotency key."""

    @property
    def available(self) -> bool:
        """Whether it answers."""

    @property
    def reason(self) -> str:
        """Why it does not, in a sentence; empty while it does."""

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called whenever `available` or `reason` changes."""

    def on_event(self, listener: Callable[[str, ContainerState], None]) -> None:
        """Have `listener` called with every container's name and state when it starts, pauses, ends.

        After a reconnection it is called for every container of the box.
        """

    async def create_and_start(self, run: RunSpec) -> None:
        """Make the container and start it; one of that name that is there already is taken as it is."""

    def consumed(self, name: str) -> Consumed:
        """What a run has taken so far; quick, but of the disk's kind: call it in a thread."""

    def gpus_of(self, name: str) -> tuple[int, ...]:
        """The indexes of the devices that a run has."""

    async def inspect(self, name: str) -> ContainerState | None:
        """How a container stands; None where there is none."""

    async def list(self) -> dict[str, ContainerState]:
        """All containers of this box, by name."""

    async def stop(self, name: str, grace: float) -> None:
        """SIGTERM, and SIGKILL after `grace` seconds; returns when it has ended or is gone."""

    async def kill(self, name: str) -> None:
        """SIGKILL; returns when it has ended or is gone."""

    async def pause(self, name: str) -> None:
        """Freeze all its processes."""

    async def resume(self, name: str) -> None:
        """Let them go on."""

    async def remove(self, name: str) -> None:
        """Let go of a container; one that is gone is fine."""

    async def write_input(self, run: Path, data: bytes) -> None:
        """Write to the standard input of the run with this spool."""

    async def close_input(self, run: Path) -> None:
        """End the standard input of the run with this spool."""

    async def exec_pty(
        self,
        name: str,
        *,
        uid: int,
        gid: int,
        env: dict[str, str],
        command: tuple[str, ...] = (),
        rows: int = 24,
        columns: int = 80,
    ) -> Terminal:
        """A command, else a shell, on a pty in a running container, with its job's ids."""


class Environments(Protocol):
    """Makes the software of a run, once, whoever asks."""

    async def prepare(self, plan: EnvironmentPlan, report: Report) -> Prepared:
        """Find or make the environment; LabboxError where it cannot be made."""

    async def prune(self, unused_seconds: float, keep: frozenset[str]) -> int:
        """Remove what was not used for so long but those named; how many went."""


class Folders(Protocol):
    """Work on people's files, done by processes with their ids."""

    async def inspect(self, account: Account, path: str, spec: JobSpec) -> Inspection:
        """Look at a project folder."""

    async def hand_in(
        self,
        account: Account,
        path: str,
        spec: JobSpec,
        *,
        room: int | None = None,
        report: Callable[[Progress], None] | None = None,
        folder: int | None = None,
    ) -> Project:
        """Look at a project folder and, where it can run, snapshot its code and input.

        `folder`: the open folder itself, where `path` is no path of the person's.
        `room`: bytes that may be added; LabboxError "limit" where they are too few.
        """

    async def understand(self, account: Account, files: Sequence[EnvFile]) -> Software:
        """What files ask for that an earlier version of labbox handed in."""

    def context(self, account: Account, code: str) -> Context:
        """A snapshot's code, to be packed for its Dockerfile."""

    async def remove(self, account: Account, folder: int, name: str) -> None:
        """Remove what stands in an open folder, with everything below it."""

    async def hold(self, account: Account, trees: Sequence[str]) -> bool:
        """Keep snapshots that a new job is to use from being removed; False where one is gone."""

    async def prune(self, account: Account, keep: Sequence[str], unused_since: float) -> int:
        """Remove the other snapshots if not used since the moment (seconds of the epoch); how many went."""

    async def stored_bytes(self, account: Account) -> int:
        """The bytes on disk below home, results and snapshots."""

    async def output_bytes(self, account: Account, *folders: int) -> int:
        """The bytes on disk below open folders."""

    async def copy_tree(self, account: Account, snapshot: int, target: int, *, most_bytes: int) -> int:
        """Copy an open snapshot into an empty folder; the bytes. LabboxError "limit" where it is larger."""

    async def bring_back(
        self,
        account: Account,
        folders: tuple[int, int, int],
        *,
        most_bytes: int,
        most_files: int,
        below: str = "",
    ) -> Leavings:
        """Move what a run wrote into the first folder and the second, a snapshot, has not, to the third ."""


class Reach(Value):
    """The folders that somebody shares with others, as their processes see them; "" where there is none."""

    shared: str = ""
    projects: dict[str, str] = msgspec.field(default_factory=dict)


class TransferWorker(Protocol):
    """A process with a person's ids that does one transfer."""

    async def transfer(
        self,
        request: work.Transfer,
        descriptors: Sequence[int],
        told: Callable[[Progress, TransferSummary | None], None],
    ) -> TransferSummary | None:
        """Do it; None where it was cancelled. ConnectionError or TimeoutError where the process is lost."""

    async def pause(self, *, paused: bool) -> None:
        """Have it wait at the next block, or go on."""

    async def cancel(self) -> None:
        """Have it remove what is unfinished and end."""


class Transfers(Protocol):
    """What transfers need of the rest of the box."""

    def dedicated(self, account: Account) -> AbstractAsyncContextManager[TransferWorker]:
        """A worker with the person's ids for one transfer; it ends with the context."""

    async def reach(self, account: Account) -> Reach:
        """The shared folders of a person."""

    async def logins(self, account: Account, hosts: Sequence[str]) -> tuple[HostSecret, ...]:
        """How the person logs in to these hosts; those that nothing is kept for are left out."""


class RunLog(Protocol):
    """The log of one attempt, from spool to results; going on after a crash loses and doubles nothing."""

    async def follow(self) -> None:
        """Append what the run writes, until cancelled; the task that was told `ended` returns at the end."""

    async def finish(self) -> None:
        """The run has ended: append all that is left."""

    def say(self, text: str) -> None:
        """A line of labbox's own."""

    def begins(self) -> None:
        """The run has just been started: its first words are waited for closely."""


class Logs(Protocol):
    """Logs of attempts."""

    def open(
        self,
        *,
        results: Path,
        spool: Path,
        limit: int,
        progress: Callable[[Progress], None],
        full: Callable[[], None],
    ) -> RunLog:
        """Begin or go on with an attempt's log; `full` is called once when it has reached `limit` bytes."""

    def read(
        self,
        results: Path,
        *,
        attempt: int,
        after: int,
        follow: Callable[[], Awaitable[bool]] | None,
        tail: int | None,
    ) -> AsyncIterator[LogRecord]:
        """The records after an offset; `follow` waits for more and says whether more can come."""


class Trail(Protocol):
    """The audit trail."""

    def record(
        self, connection: Connection, who: str, action: str, target: str, origin: str, detail: str = ""
    ) -> None:
        """Append an entry in the caller's transaction."""


class People(Protocol):
    """Who is who."""

    @property
    def trail(self) -> Trail:
        """The audit trail."""

    async def account(self, name: str) -> Account | None:
        """A user by name."""
