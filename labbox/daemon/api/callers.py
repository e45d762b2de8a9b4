"""Who calls: the peer of the Unix socket, as the kernel names it."""

from __future__ import annotations

import os
import pwd
import socket
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

from labbox.daemon.people import Account, Actor
from labbox.errors import LabboxError
from labbox.model import Limits, Role, Scope

_CREDENTIALS: Final = struct.Struct("3i")  # struct ucred of unix(7): pid, uid, gid


@dataclass(frozen=True, slots=True)
class Peer:
    """The process at the other end of a connection, when it connected."""

    pid: int
    uid: int

    @classmethod
    def of(cls, sock: socket.socket) -> Peer:
        """From SO_PEERCRED; nothing the other side sends can change it."""
        pid, uid, _gid = _CREDENTIALS.unpack(
            sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
        )
        return cls(pid, uid)

    @property
    def runs_the_box(self) -> bool:
        """Root, or the one who runs the daemon."""
        return self.uid in (0, os.geteuid())


class Login(Protocol):
    """What the gate knows about the login behind a process; `scope` None: everything its person may."""

    @property
    def scope(self) -> Scope | None:
        """What its token allows."""

    @property
    def origin(self) -> str:
        """Where it came from: "ssh 192.0.2.7"."""

    @property
    def reached(self) -> tuple[str, int]:
        """The address and port of the box that it came to; "" and 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class ApiCaller:
    """On whose behalf a request is answered."""

    account: Account
    scope: Scope | None
    origin: str
    person: bool  # False for root itself, who has no home and no jobs
    reached: tuple[str, int] = ("", 0)  # address and port of the box, for a login over SSH

    @property
    def role(self) -> Role:
        """What the caller may do beyond their own things."""
        return Role.ADMIN if self.account.admin else Role.USER

    @property
    def actor(self) -> Actor:
        """The caller as the people service and the audit trail know them."""
        return Actor(name=self.account.name, origin=self.origin, admin=self.account.admin)

    def need_admin(self, action: str) -> None:
        """Refuse everybody else; `action` completes "cannot …"."""
        if not self.account.admin:
            raise LabboxError("forbidden", f"cannot {action}: only administrators may", "ask one of them")

    def need_self_or_admin(self, name: str, action: str) -> None:
        """Refuse other people who do not administer the box."""
        if name != self.account.name:
            self.need_admin(action)

    def need_person(self) -> Account:
        """The account of somebody who can have jobs."""
        if not self.person:
            raise LabboxError(
                "invalid",
                f"cannot hand in a job as {self.account.name}: that is not a user of the box",
                "say for whom: --as NAME",
            )
        return self.account

    def may(self, needed: Scope | None) -> bool:
        """Whether the caller's token, if one was used, is enough."""
        if self.scope is None:
            return True
        return needed is Scope.READ or (needed is Scope.SUBMIT and self.scope is Scope.SUBMIT)


def superuser(uid: int) -> Account:
    """Whoever runs the box, without being one of its users."""
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = f"uid {uid}"
    return Account(
        name=name, uid=uid, gid=uid, groups=(), admin=True, home=Path("/nonexistent"), limits=Limits()
    )
