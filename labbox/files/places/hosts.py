"""What other hosts may answer at a login besides yes; no SSH is imported here."""

from __future__ import annotations

from labbox.errors import LabboxError
from labbox.text import visible_line


class UnkeptHostError(LabboxError):
    """A host that nothing is kept for: its person is asked for a key or a password."""

    def __init__(self, host: str, message: str, hint: str) -> None:
        """`host` as its location names it."""
        super().__init__("not_found", message, hint)
        self.host = host


class LoginRefusedError(LabboxError):
    """A host that does not take the key or the password that is kept for it."""

    def __init__(self, host: str, message: str, hint: str) -> None:
        """`host` as `[user@]host[:port]`."""
        super().__init__("forbidden", message, hint)
        self.host = host


class UnknownHostError(LabboxError):
    """A host whose key nobody has confirmed yet: its person is asked, with the fingerprint before them."""

    def __init__(self, host: str, key: str, fingerprint: str) -> None:
        """`host` as `[user@]host[:port]`; `key` is "TYPE BASE64"."""
        super().__init__(
            "conflict",
            f"cannot talk to {visible_line(host)} yet: its key {fingerprint} has not been confirmed",
            f"compare it there (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), then:"
            f" labbox host trust sftp://{visible_line(host)} {fingerprint}",
        )
        self.host, self.key, self.fingerprint = host, key, fingerprint


class ChangedHostError(LabboxError):
    """A host that shows another key than the pinned one: it was set up anew, or it is somebody else."""

    def __init__(self, host: str, key: str, fingerprint: str, pinned: tuple[str, ...]) -> None:
        """`pinned`: the fingerprints that it should have shown one of."""
        known = " or ".join(pinned)
        super().__init__(
            "forbidden",
            f"cannot trust {visible_line(host)}: it shows the key {fingerprint}, and was known by {known}",
            f"somebody may be in between. If it was set up anew: labbox host trust"
            f" sftp://{visible_line(host)} {fingerprint}",
        )
        self.host, self.key, self.fingerprint, self.pinned = host, key, fingerprint, pinned


def lost(host: str, why: str = "it does not answer", hint: str = "") -> LabboxError:
    """A host that is asleep, off, or behind a broken line."""
    return LabboxError(
        "unavailable",
        f"cannot reach {visible_line(host)}: {why}",
        hint or "see that it is switched on and on the network, then try again",
    )
