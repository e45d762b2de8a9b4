"""The values that people are spoken of with inside the daemon."""

from __future__ import annotations

from pathlib import Path

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
