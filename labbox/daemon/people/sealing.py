"""Secrets of people that the box must be able to read again, unlike passwords: sealed before they are stored.

AES-256-GCM with a key in the folder `secrets`, beside the store and not in it, so that a copy of the store
alone gives nothing away. What a secret is for is bound into the seal: in another row it does not open.
"""

from __future__ import annotations

import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from labbox.errors import LabboxError

_NONCE: Final = 12  # bytes; random, which is safe for far more secrets than a box will ever keep


class Seal:
    """Seals and opens with one key of 32 bytes."""

    def __init__(self, key: bytes) -> None:
        """Take the key."""
        self._cipher: Final = AESGCM(key)

    def seal(self, secret: str, *bound: str) -> bytes:
        """What can be stored; it opens only with the same `bound`."""
        nonce = secrets.token_bytes(_NONCE)
        return nonce + self._cipher.encrypt(nonce, secret.encode(), _joined(bound))

    def open(self, sealed: bytes, *bound: str) -> str:
        """The secret; LabboxError where it was sealed with another key, for something else, or changed."""
        try:
            return self._cipher.decrypt(sealed[:_NONCE], sealed[_NONCE:], _joined(bound)).decode()
        except (InvalidTag, ValueError) as error:
            raise LabboxError(
                "unavailable",
                f"cannot open the secret kept for {bound[-1]}: it was sealed with another key, or changed",
                f"was the folder secrets of the box replaced? Keep it anew: labbox host add sftp://{bound[-1]}",
            ) from error


def _joined(bound: tuple[str, ...]) -> bytes:
    """Parts of their own lengths, so that no two lists make the same bytes."""
    return b"".join(len(part).to_bytes(4, "big") + part for part in (one.encode() for one in bound))
