"""The values that people are spoken of with inside the daemon."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from labbox.errors import LabboxError
from labbox.model import Limits, Scope, Value


class Account(Value):
    """A user as the rest of the daemon needs one: whose ids a process gets, where home is, what they may.

    `bound`: the scope of the token that this is asked with, or was when a job was made; None where nothing
    limits it. It goes wherever the account goes: into workers, transfers and whatever is made later.
    """

    name: str
    uid: int
    gid: int
    groups: tuple[int, ...]
    admin: bool
    home: Path
    limits: Limits
    bound: Scope | None = None
    suspended: bool = False
    expires_at: datetime | None = None
    apart: tuple[str, ...] = ()  # shared folders that its processes see as disks of their own

    def barred(self, at: datetime) -> str:
        """Why the person may not come in, in a sentence; an empty text where they may."""
        if self.suspended:
            return f"the account {self.name} is suspended"
        if self.expires_at is not None and self.expires_at <= at:
            return f"the account {self.name} has expired"
        return ""

    def refuse_barred(self, action: str, at: datetime) -> None:
        """LabboxError "forbidden" where the person may not come in; `action` completes "cannot …"."""
        if why := self.barred(at):
            raise LabboxError("forbidden", f"cannot {action}: {why}", "ask an administrator of the box")

    @property
    def results(self) -> Path:
        """The folder that the results of their jobs stand in, which they see as `jobs` in their home."""
        return self.home.parent.parent / "results" / self.home.name


class Actor(Value):
    """Who asks for a change, for the rules and for the audit trail; `origin` as in AuditEntry."""

    name: str
    origin: str
    admin: bool = False


BOX = Actor(name="box", origin="box", admin=True)


class Login(Value):
    """A login that was let in by a secret.

    `scope`: None where nothing limits it. `invited`: they came with a one-time code, and must deposit a key
    or set a password before anything else.
    """

    account: Account
    scope: Scope | None = None
    invited: bool = False


class Removal(Value):
    """What is left of a removed user on the disk."""

    name: str
    uid: int
    left: tuple[Path, ...]
