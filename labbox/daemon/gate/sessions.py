"""Which processes belong to which login: so that the API knows what a caller logged in with.

A login by token may do less than its person may. The API sees a peer's pid (SO_PEERCRED, in the daemon's own
pid namespace) and asks `Sessions.of_pid`. The registry is keyed by the pid of the process that the spawner
forked; as root that is the first process of the login's pid namespace, which adopts every orphan of it, so
that each process of a login has it among its ancestors whatever it forks. Nothing that a process says of
itself (environment, arguments) is believed.

For the API: ask when the connection is accepted, not later, and treat the LabboxError of a process that has
gone as a refusal: its pid may be somebody else's by then. None means: not from a login (root on the machine,
a cron job).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError

if TYPE_CHECKING:
    from labbox.daemon.people import Account
    from labbox.model import Scope

_DEPTH: Final = 64  # ancestors that are looked at


@dataclass(frozen=True, slots=True)
class SessionInfo:
    """One process that the gate started for a login."""

    account: Account
    scope: Scope | None  # None: everything that the person may do
    origin: str  # "ssh 192.0.2.7"
    reached: tuple[str, int] = ("", 0)  # the address and port of the box that the client has reached


class Sessions:
    """All sessions that run now."""

    def __init__(self) -> None:
        """Start with none."""
        self._by_pid: dict[int, SessionInfo] = {}
        self._by_first: dict[int, int] = {}  # pid of a namespace's first process -> that of the session in it

    def __len__(self) -> int:
        return len(self._by_pid)

    def add(self, pid: int, info: SessionInfo, first: int | None = None) -> None:
        """A process was forked for a login; orphans that it leaves become children of `first`."""
        self._by_pid[pid] = info
        if first is not None:
            self._by_first[first] = pid

    def remove(self, pid: int) -> None:
        """It has ended, and with it all that it had started."""
        self._by_pid.pop(pid, None)
        self._by_first = {first: of for first, of in self._by_first.items() if of != pid}

    def count(self, name: str) -> int:
        """How many sessions a user has."""
        return sum(1 for info in self._by_pid.values() if info.account.name == name)

    def of_pid(self, pid: int) -> SessionInfo | None:
        """The session that a process belongs to; None if it came another way.

        LabboxError("unauthenticated") if there is no such process any more.
        """
        if not self._by_pid:
            return None
        here = pid
        for _ in range(_DEPTH):
            if (info := self._by_pid.get(self._by_first.get(here, here))) is not None:
                return info
            parent = _parent(here)
            if parent is None:
                if here == pid:
                    raise LabboxError("unauthenticated", "cannot tell who asks: the process has ended")
                return None
            if parent <= 1:
                return None
            here = parent
        return None


def _parent(pid: int) -> int | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text.rpartition(")")[2].split()[1])  # the name in brackets may hold anything, brackets too
