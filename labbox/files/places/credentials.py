"""What a place on another host is opened with: who logs in, by which key or password, to which host."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, NamedTuple, NoReturn, Protocol

from labbox.errors import LabboxError
from labbox.files.places.hosts import UnkeptHostError
from labbox.locations import SSH_PORT
from labbox.protocol import HostSecret


class Secret:
    """Text that no log, no `repr` and no message may hold; `reveal` gives it to what needs it."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        """Keep it."""
        self._text: Final = text

    def reveal(self) -> str:
        """The text itself."""
        return self._text

    def __bool__(self) -> bool:
        return bool(self._text)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other._text

    def __hash__(self) -> int:
        return hash(self._text)

    def __repr__(self) -> str:
        return "Secret(…)"

    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot pickle a secret")


class Credential(NamedTuple):
    """How to log in to one host; at least one of `private_key` and `password` is given."""

    user: str
    host: str
    port: int = SSH_PORT
    private_key: Secret | None = None  # as OpenSSH writes it, without a passphrase
    password: Secret | None = None
    host_keys: tuple[str, ...] = ()  # the pinned ones, each "TYPE BASE64"; no other host is talked to
    name: str = ""  # what its person calls it, in messages; empty: user, host and port
    guarded: bool = False  # of what listens on the box itself, nothing is told; see addresses.py


class CredentialSource(Protocol):
    """Where the credentials of hosts come from."""

    async def credential(self, host: str) -> Credential:
        """How to reach `[user@]host[:port]`; LabboxError "not_found" with the way out where none is kept."""
        ...


class AskedCredentials:
    """Credentials asked for when they are needed, as a client's `host_secret` gives them."""

    def __init__(self, ask: Callable[[str], HostSecret]) -> None:
        """`ask` may block: it is called in a thread."""
        self._ask = ask

    async def credential(self, host: str) -> Credential:
        """How to reach a host; UnkeptHostError where nothing is kept for it."""
        try:
            return credential_of(await asyncio.to_thread(self._ask, host))
        except LabboxError as error:
            if error.code != "not_found":
                raise
            raise UnkeptHostError(host, error.message, error.hint) from error


def credential_of(kept: HostSecret) -> Credential:
    """What the box keeps, as places take it."""
    return Credential(
        user=kept.user,
        host=kept.host,
        port=kept.port,
        private_key=None if kept.private_key is None else Secret(kept.private_key),
        password=None if kept.password is None else Secret(kept.password),
        host_keys=kept.host_keys,
        name=kept.name,
        guarded=True,
    )
