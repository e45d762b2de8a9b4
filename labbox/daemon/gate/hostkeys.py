"""The box's own keys: made at the first start, kept for ever, readable by the box alone."""

from __future__ import annotations

import os
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import asyncssh

from labbox.daemon.gate.algorithms import HOST_SIGNATURES
from labbox.errors import LabboxError

_KINDS: Final = {"ed25519": {}, "rsa": {"key_size": 3072}}  # RSA for clients that know nothing newer


def load(secrets: Path) -> list[asyncssh.SSHKey]:
    """The host keys in the folder, made where missing.

    A key that is there but cannot be read is an error: a new one would look to everybody like an attack.
    """
    secrets.mkdir(mode=0o700, parents=True, exist_ok=True)
    return [_one(secrets / f"host_{kind}_key", kind, options) for kind, options in _KINDS.items()]


def modern(pairs: Mapping[bytes, asyncssh.SSHKeyPair]) -> OrderedDict[bytes, asyncssh.SSHKeyPair]:
    """The keys by the signature algorithms that are offered; asyncssh would sign with SHA-1 too."""
    return OrderedDict((name, pair) for name, pair in pairs.items() if name in HOST_SIGNATURES)


def _one(path: Path, kind: str, options: dict[str, int]) -> asyncssh.SSHKey:
    if not path.exists():
        key = asyncssh.generate_private_key(f"ssh-{kind}", comment="labbox", **options)
        _write(path, key.export_private_key())
        _write(path.with_suffix(".pub"), key.export_public_key())
    try:
        return asyncssh.read_private_key(path)
    except (OSError, asyncssh.KeyImportError) as error:
        raise LabboxError(
            "unavailable",
            f"cannot read the host key {path}: {error}",
            "restore it from a backup; if you remove it, everybody is warned that the box has changed",
        ) from error


def _write(path: Path, data: bytes) -> None:
    """Whole or not at all, and on the disk."""
    made = path.with_name(f".{path.name}.new")
    descriptor = os.open(made, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        os.write(descriptor, data)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    made.rename(path)
