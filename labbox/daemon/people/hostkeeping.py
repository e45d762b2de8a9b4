"""Other machines that a person reaches from the box: the key or password for each, and the key it showed.

Each person sees and uses their own and nobody else's; administrators are no exception.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from labbox.daemon.people.accounts import Actor
from labbox.daemon.people.keys import fingerprint_of, parse_key
from labbox.daemon.people.sealing import Seal
from labbox.daemon.store import Store, events, hosts
from labbox.daemon.store.audit import Trail
from labbox.daemon.store.times import now, stamp
from labbox.errors import LabboxError
from labbox.locations import SSH_PORT, Kind, parse
from labbox.protocol import Host, HostAdd, HostKey, Hosts, HostSecret
from labbox.text import visible_line

if TYPE_CHECKING:
    from sqlite3 import Connection

T = TypeVar("T")

MOST: Final = 200  # hosts of one person
_LONGEST_KEY: Final = 32 << 10  # characters of a private key
_LONGEST_PASSWORD: Final = 1024  # characters
_PURPOSE: Final = "host"


class _Given(NamedTuple):
    """A secret to keep."""

    kind: str
    secret: str
    public_key: str | None = None

    def __repr__(self) -> str:
        """Without the secret."""
        return f"_Given({self.kind!r}, …)"


class HostKeeping:
    """The hosts of all people; every change is audited in its transaction, never with the secret."""

    def __init__(self, store: Store, trail: Trail, seal: Seal, told: Callable[[], None]) -> None:
        """`seal` is the box's own; `told` is called when there are new events."""
        self._store, self._trail, self._seal, self._told = store, trail, seal, told

    async def list(self, owner: str) -> Hosts:
        """A person's hosts, without secrets."""
        rows = await self._store.read(lambda db: hosts.of_user(db, owner))
        return Hosts(hosts=tuple(map(_shown, rows)))

    async def add(self, owner: str, wish: HostAdd, by: Actor) -> Host:
        """Keep a key or a password for a host; with neither, a new pair of keys is made.

        A secret that is given replaces the one that is there; a pair is made only where nothing is.
        """
        name = host_name(wish.name)
        given = _given(owner, wish)
        sealed = self._seal.seal(given.secret, _PURPOSE, given.kind, owner, name)
        what = "password" if given.public_key is None else f"key {fingerprint_of(_bare(given.public_key))}"

        def change(db: Connection) -> hosts.HostRow:
            there = hosts.find(db, owner, name)
            if there is not None and wish.private_key is None and wish.password is None:
                raise LabboxError(
                    "conflict",
                    f"cannot make a key for {visible_line(name)}: one is kept already",
                    f"labbox host list shows it; labbox host remove sftp://{visible_line(name)} forgets it",
                )
            if there is None and len(hosts.of_user(db, owner)) >= MOST:
                raise LabboxError(
                    "limit", f"cannot keep more than {MOST} hosts", "labbox host remove forgets one"
                )
            row = hosts.put(db, owner, name, given.kind, sealed, given.public_key)
            self._trail.record(db, by.name, "host add", _target(owner, name), by.origin, what)
            return row

        return _shown(await self._change(owner, change))

    async def trust(self, owner: str, name: str, key: str, by: Actor) -> Host:
        """Pin the key that a host shows, in place of what was pinned."""
        name = host_name(name)
        line = parse_key(key)

        def change(db: Connection) -> hosts.HostRow:
            row = hosts.pin(db, owner, name, (line.line,))
            if row is None:
                raise _unknown(name)
            self._trail.record(db, by.name, "host trust", _target(owner, name), by.origin, line.fingerprint)
            return row

        return _shown(await self._change(owner, change))

    async def remove(self, owner: str, name: str, by: Actor) -> None:
        """Forget a host with its secret and its pinned key."""
        name = host_name(name)

        def change(db: Connection) -> None:
            if not hosts.remove(db, owner, name):
                raise _unknown(name)
            self._trail.record(db, by.name, "host remove", _target(owner, name), by.origin)

        await self._change(owner, change)

    async def _change(self, owner: str, change: Callable[[Connection], T]) -> T:
        """Make a change, and let the owner's screens know of it."""

        def write(db: Connection) -> T:
            result = change(db)
            events.append(db, at=stamp(now()), kind="host", owner=owner)
            return result

        result = await self._store.write(write)
        self._told()
        return result

    async def secret(self, owner: str, name: str) -> HostSecret:
        """How the person logs in to a host; LabboxError "not_found" where nothing is kept."""
        name = host_name(name)
        row = await self._store.read(lambda db: hosts.find(db, owner, name))
        if row is None:
            raise _unknown(name)
        secret = self._seal.open(row.sealed, _PURPOSE, row.kind, owner, name)
        user, host, port = _split(name, owner)
        return HostSecret(
            name=name,
            user=user,
            host=host,
            port=port,
            private_key=secret if row.kind == "key" else None,
            password=secret if row.kind == "password" else None,
            host_keys=row.host_keys,
        )


def host_name(text: str) -> str:
    """`[user@]host[:port]` in the one form in which it is kept; with or without ``sftp://`` before it."""
    location = parse(text if text.startswith("sftp://") else f"sftp://{text}")
    if location.kind is not Kind.SFTP or len(location.host) > 300:
        raise LabboxError(
            "invalid", f"cannot use “{visible_line(text[:80])}” as a host", "as in sftp://me@my-pc"
        )
    return location.host


def _given(owner: str, wish: HostAdd) -> _Given:
    if wish.private_key is not None and wish.password is not None:
        raise LabboxError("invalid", "cannot keep a key and a password for one host", "give one of them")
    if wish.password is not None:
        if not 0 < len(wish.password) <= _LONGEST_PASSWORD:
            raise LabboxError("invalid", "cannot keep this password: it is empty or too long", "give another")
        return _Given("password", wish.password)
    if wish.private_key is not None:
        return _deposited(wish.private_key, owner)
    return _with_public(Ed25519PrivateKey.generate(), owner)


def _deposited(text: str, owner: str) -> _Given:
    hint = "give the file without .pub; take off a passphrase with ssh-keygen -p, on a copy"
    if len(text) > _LONGEST_KEY:
        raise LabboxError("invalid", "cannot keep this key: it is too long", hint)
    data = text.strip().encode("utf-8", "replace") + b"\n"
    load = (
        serialization.load_ssh_private_key
        if b"OPENSSH PRIVATE KEY" in data
        else serialization.load_pem_private_key
    )
    try:
        return _with_public(load(data, None), owner)
    except TypeError as error:  # the library's word for a key with a passphrase
        raise LabboxError("invalid", "cannot keep this key: it has a passphrase", hint) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        why = (
            "it has a passphrase"
            if b"ENCRYPTED" in data or "assword" in str(error)
            else "it is no private key"
        )
        raise LabboxError("invalid", f"cannot keep this key: {why}", hint) from error


def _with_public(key: object, owner: str) -> _Given:
    """Both halves as OpenSSH writes them; ValueError for a kind of key that SSH does not have."""
    if not hasattr(key, "private_bytes") or not hasattr(key, "public_key"):
        raise ValueError("no key of SSH")
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
    )
    public = key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)
    return _Given("key", private.decode(), f"{public.decode()} {owner}@labbox")


def _bare(line: str) -> str:
    return " ".join(line.split()[:2])


def _target(owner: str, name: str) -> str:
    return f"{owner} {name}"


def _split(name: str, owner: str) -> tuple[str, str, int]:
    """Who logs in, where, at which port; without a name it is the person's own."""
    user, _, rest = name.rpartition("@")
    host, colon, port = rest.rpartition(":")
    if colon and port.isdigit() and not host.endswith(":") and (host.startswith("[") or ":" not in host):
        return user or owner, host, int(port)
    return user or owner, rest, SSH_PORT


def _shown(row: hosts.HostRow) -> Host:
    user, host, port = _split(row.name, row.owner)
    return Host(
        name=row.name,
        user=user,
        host=host,
        port=port,
        kind=row.kind,
        public_key=row.public_key,
        trusted=tuple(
            HostKey(kind=line.partition(" ")[0], fingerprint=fingerprint_of(line) or "")
            for line in row.host_keys
        ),
        created_at=row.created_at,
    )


def _unknown(name: str) -> LabboxError:
    return LabboxError(
        "not_found",
        f"cannot log in to {visible_line(name)}: no key or password of yours is kept for it",
        f"labbox host add sftp://{visible_line(name)} keeps one",
    )
