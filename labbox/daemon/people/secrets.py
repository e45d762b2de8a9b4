"""Secrets that labbox makes: tokens, one-time codes, the keys that are kept."""

from __future__ import annotations

import base64
import hashlib
import secrets
from pathlib import Path
from typing import Final

from labbox.daemon.people import ledger

TOKEN_PREFIX: Final = "lbx_"  # noqa: S105 - says that a token follows; programs that look for leaked ones know it
_CODE_BYTES: Final = 15  # 120 bits: 24 letters of base32
_KEY_BYTES: Final = 32


def new_token() -> str:
    """A token of 256 random bits."""
    return TOKEN_PREFIX + secrets.token_urlsafe(32)


def new_code() -> str:
    """A one-time code that can be read out on the telephone: six groups of four letters and digits."""
    letters = base64.b32encode(secrets.token_bytes(_CODE_BYTES)).decode().lower()
    return "-".join(letters[at : at + 4] for at in range(0, len(letters), 4))


def hash_token(token: str) -> str:
    """What is kept of a token. A fast hash is enough for 256 random bits."""
    return hashlib.sha256(b"token\0" + token.encode()).hexdigest()


def hash_code(code: str) -> str:
    """What is kept of a code; hyphens, spaces and upper case do not matter."""
    letters = code.replace("-", "").replace(" ", "").strip().lower()
    return hashlib.sha256(b"code\0" + letters.encode()).hexdigest()


def kept_key(folder: Path, name: str, cost: str, *, made: bool = False) -> bytes:
    """A key in the folder `secrets`, made at the first start and kept.

    `cost` and `made` as in `ledger.take`. LabboxError "unavailable" where it is damaged or has gone.
    """
    folder.mkdir(mode=0o700, exist_ok=True)
    path = folder / name
    ledger.take(path, lambda: ledger.write(path, secrets.token_bytes(_KEY_BYTES)), cost, made=made)
    key = path.read_bytes()
    if len(key) != _KEY_BYTES:
        raise ledger.refusal(path, f"it is damaged ({len(key)} bytes instead of {_KEY_BYTES})", cost)
    return key
