"""The box's own keys: made at the first start, kept for ever, readable by the box alone."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncssh

from labbox.daemon.gate.algorithms import HOST_SIGNATURES
from labbox.daemon.people import ledger

_KINDS: Final = {"ed25519": {}, "rsa": {"key_size": 3072}}  # RSA for clients that know nothing newer
_COST: Final = "everybody is warned at their next login that the box has changed"


def load(secrets: Path) -> list[asyncssh.SSHKey]:
    """The host keys in the folder, made where missing.

    A key that was made before and is gone or cannot be read is an error: a new one would look to everybody
    like an attack.
    """
    secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [_one(secrets / f"host_{kind}_key", kind, options) for kind, options in _KINDS.items()]


def modern(pairs: Mapping[bytes, asyncssh.SSHKeyPair]) -> OrderedDict[bytes, asyncssh.SSHKeyPair]:
    """The keys by the signature algorithms that are offered; asyncssh would sign with SHA-1 too."""
    return OrderedDict((name, pair) for name, pair in pairs.items() if name in HOST_SIGNATURES)


def _one(path: Path, kind: str, options: dict[str, int]) -> asyncssh.SSHKey:
    def make() -> None:
        key = asyncssh.generate_private_key(f"ssh-{kind}", comment="labbox", **options)
        ledger.write(path, key.export_private_key())
        ledger.write(path.with_suffix(".pub"), key.export_public_key())

    ledger.take(path, make, _COST, made=path.with_suffix(".pub").exists())
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        raise ledger.refusal(path, str(error), _COST, "read the host key") from error
