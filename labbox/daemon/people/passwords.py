"""Passwords: what may be one, and the slow hash they are kept as (Argon2id, RFC 9106)."""

from __future__ import annotations

import asyncio
import base64
import secrets
import unicodedata
from concurrent.futures import ThreadPoolExecutor
from typing import Final

from cryptography.exceptions import InvalidKey
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from labbox.daemon.people.secrets import TOKEN_PREFIX
from labbox.errors import LabboxError

MIN_LENGTH: Final = 8  # NIST SP 800-63B
MAX_BYTES: Final = 1024  # a longer one is no password but an attempt to keep the box busy
_MEMORY_KIB: Final = 64 * 1024  # RFC 9106's second choice, with one lane: logins must not take all CPUs
_ITERATIONS: Final = 3
_THREADS: Final = 2


def check_password(name: str, password: str) -> None:
    """LabboxError "invalid" for what is too easily guessed or cannot be typed."""
    problem = ""
    if len(password) < MIN_LENGTH:
        problem = f"it has fewer than {MIN_LENGTH} characters"
    elif len(password.encode("utf-8", "surrogatepass")) > MAX_BYTES:
        problem = f"it has more than {MAX_BYTES} bytes"
    elif any(unicodedata.category(letter) in ("Cc", "Cs") for letter in password):
        problem = "it has control characters"
    elif password.startswith(TOKEN_PREFIX):
        problem = f"{TOKEN_PREFIX} is how tokens begin"
    elif password.lower() == name or len(set(password)) < 3:
        problem = "it is too easily guessed"
    if problem:
        raise LabboxError(
            "invalid", f"cannot take this password: {problem}", "a few words in a row make a good one"
        )


class Passwords:
    """Hashes and checks in threads of their own, so that logins wait for each other and for nobody else."""

    def __init__(self) -> None:
        """Make the threads, and a hash that stands in for that of unknown names."""
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="passwords")
        # Made up, not computed: a hash takes half a second, and one of nothing is as slow to check.
        salt, digest = (base64.b64encode(secrets.token_bytes(size)).decode().rstrip("=") for size in (16, 32))
        self._nobody = f"$argon2id$v=19$m={_MEMORY_KIB},t={_ITERATIONS},p=1${salt}${digest}"

    async def hash(self, password: str) -> str:
        """The password as a PHC string with its own salt."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._hash, password)

    async def matches(self, password: str, kept: str | None) -> bool:
        """Whether it is the password kept as `kept`; None takes as long and is never."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, self._matches, password, kept)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)

    @staticmethod
    def _hash(password: str) -> str:
        argon = Argon2id(
            salt=secrets.token_bytes(16), length=32, iterations=_ITERATIONS, lanes=1, memory_cost=_MEMORY_KIB
        )
        return argon.derive_phc_encoded(_bytes(password))

    def _matches(self, password: str, kept: str | None) -> bool:
        secret = _bytes(password)[: MAX_BYTES + 1]
        try:
            Argon2id.verify_phc_encoded(secret, kept if kept is not None else self._nobody)
        except InvalidKey:
            return False
        return kept is not None


def _bytes(password: str) -> bytes:
    # The same letters may be composed differently on a Mac and on a PC.
    return unicodedata.normalize("NFC", password).encode("utf-8", "surrogatepass")
