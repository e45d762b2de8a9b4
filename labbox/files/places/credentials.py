"""What a place on another host is opened with: who logs in, by which key or password, to which host."""

from __future__ import annotations

from typing import Final, NamedTuple, NoReturn, Protocol

from labbox.locations import SSH_PORT


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


class CredentialSource(Protocol):
    """Where the credentials of hosts come from."""

    async def credential(self, host: str) -> Credential:
        """How to reach `[user@]host[:port]`; LabboxError "not_found" with the way out where none is kept."""
        ...
