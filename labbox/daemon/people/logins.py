"""What people log in with: passwords, keys, invitations, tokens."""

from __future__ import annotations

import hmac
import math
from datetime import timedelta
from typing import TYPE_CHECKING, Final

from labbox.daemon.people import secrets
from labbox.daemon.people.accounts import Actor, Login
from labbox.daemon.people.directory import Directory
from labbox.daemon.people.keys import fingerprint_of, key_line, parse_key
from labbox.daemon.people.passwords import MAX_BYTES, check_password
from labbox.daemon.store import tokens, users
from labbox.daemon.store.times import now
from labbox.errors import LabboxError
from labbox.protocol import (
    Invite,
    Key,
    Keys,
    NewToken,
    PasswordBody,
    TokenBody,
    Tokens,
    User,
)
from labbox.text import format_duration, visible_line

if TYPE_CHECKING:
    from sqlite3 import Connection

_MAX_KEYS: Final = 100  # of one user
_MAX_TOKENS: Final = 100  # of one user
_MAX_LABEL: Final = 100  # characters
_MINUTE: Final = 60.0
_DAY: Final = 86400.0
_DEAD_TOKENS_SHOWN: Final = timedelta(days=30)


class Logins(Directory):
    """The directory with what opens it."""

    async def authenticate_password(self, name: str, secret: str, origin: str) -> Login | None:
        """Who this is, by password, one-time code or token; None where it opens nothing.

        It takes as long for a name that nobody has. `origin` goes into the audit trail with a code's use.
        """
        if not secret or len(secret) > MAX_BYTES:
            return None
        if secret.startswith(secrets.TOKEN_PREFIX):
            return await self._by_token(name, secret)
        kept = await self._store.read(lambda db: users.credentials(db, name))
        good = await self._passwords.matches(secret, kept.password if kept is not None else None)
        account = self._accounts.get(name)
        if kept is None or account is None:
            return None
        if good:
            return Login(account=account)
        code = secrets.hash_code(secret)
        if kept.invitation is None or not hmac.compare_digest(kept.invitation, code):
            return None
        by = Actor(name=name, origin=origin)
        await self._change(by, "invitation open", name, lambda db, _: users.open_invitation(db, name, code))
        return Login(account=account, invited=True)

    async def key_allowed(self, name: str, key: str) -> bool:
        """Whether the user deposited this key; `key` begins with its kind and base64."""
        line = key_line(key)
        return await self._store.read(lambda db: users.has_key(db, name, line))

    async def logged_in(self, name: str, origin: str, how: str, key: str | None = None) -> None:
        """Note a login that was let in: once for each, `how` in a word, `key` if it was by key."""
        fingerprint = None if key is None else fingerprint_of(key_line(key))

        def note(db: Connection) -> None:
            users.touch_login(db, name, fingerprint)
            detail = how if fingerprint is None else f"{how} {fingerprint}"
            self.trail.record(db, name, "login", name, origin, detail)

        await self._store.write(note)

    async def set_password(self, name: str, body: PasswordBody, by: Actor) -> None:
        """Set a password; who has one and is no administrator gives the old one, or came by invitation."""
        check_password(name, body.new)
        async with self.guessing.turn(person_source(by), person_source(by)):
            if not by.admin:
                await self._need_old(name, body.old, by)
            kept = await self._passwords.hash(body.new)

        def change(db: Connection, _user: User) -> None:
            users.set_password(db, name, kept)
            if by.name == name:
                users.consume_invitation(db, name)

        await self._change(by, "user passwd", name, change)

    async def add_key(self, name: str, line: str, by: Actor) -> Key:
        """Deposit a public key; LabboxError "conflict" where it is there already."""
        parsed = parse_key(line)
        key = Key(fingerprint=parsed.fingerprint, kind=parsed.kind, comment=parsed.comment, added_at=now())

        def change(db: Connection, user: User) -> None:
            if user.keys >= _MAX_KEYS:
                raise LabboxError(
                    "limit", f"cannot keep more than {_MAX_KEYS} keys of {name}", "remove old ones"
                )
            if not users.add_key(db, name, parsed.line, key):
                raise LabboxError("conflict", f"cannot add this key to {name}: it is there already")
            if by.name == name:
                users.consume_invitation(db, name)

        await self._change(by, "user key add", name, change, key.fingerprint)
        return key

    async def list_keys(self, name: str) -> Keys:
        """A user's keys, oldest first."""

        def query(db: Connection) -> Keys:
            self._required(db, name)
            return Keys(keys=users.keys(db, name))

        return await self._store.read(query)

    async def remove_key(self, name: str, fingerprint: str, by: Actor) -> None:
        """Take a key back."""
        shown = visible_line(fingerprint[:80])

        def change(db: Connection, _user: User) -> None:
            if not users.remove_key(db, name, fingerprint):
                raise LabboxError(
                    "not_found",
                    f"cannot find a key {shown} of {name}",
                    f"labbox user key list {name} shows all",
                )

        await self._change(by, "user key remove", name, change, shown)

    async def add_token(self, name: str, body: TokenBody, by: Actor) -> NewToken:
        """Make a token; its secret is in the answer and nowhere else."""
        label = visible_line(body.label.strip())
        if not label or len(label) > _MAX_LABEL:
            raise LabboxError("invalid", "cannot make a token without a short label", "say what it is for")
        expires_at = now() + check_span("a token", body.valid, 3650 * _DAY)
        secret = secrets.new_token()

        def change(db: Connection, _user: User) -> NewToken:
            tokens.drop_dead(db, name, now() - _DEAD_TOKENS_SHOWN)
            if len(tokens.of_user(db, name)) >= _MAX_TOKENS:
                raise LabboxError(
                    "limit", f"cannot keep more than {_MAX_TOKENS} tokens of {name}", "use fewer"
                )
            kept = secrets.hash_token(secret)
            return NewToken(token=tokens.insert(db, name, label, body.scope, kept, expires_at), secret=secret)

        token, _ = await self._change(by, "user token add", name, change, f"{body.scope}: {label}")
        return token

    async def list_tokens(self, name: str) -> Tokens:
        """A user's tokens, oldest first."""

        def query(db: Connection) -> Tokens:
            self._required(db, name)
            return Tokens(tokens=tokens.of_user(db, name))

        return await self._store.read(query)

    async def revoke_token(self, name: str, id: int, by: Actor) -> None:  # noqa: A002 - the API's word
        """End a token."""

        def change(db: Connection, _user: User) -> None:
            if tokens.revoke(db, name, id) is None:
                raise LabboxError(
                    "not_found",
                    f"cannot find a token {id} of {name}",
                    f"labbox user token list {name} shows all",
                )

        await self._change(by, "user token revoke", name, change, str(id))

    async def _invite_existing(self, name: str, valid: float, by: Actor) -> Invite:
        expires_at = now() + check_span("an invitation", valid, 90 * _DAY)
        code = secrets.new_code()
        kept = secrets.hash_code(code)
        await self._change(by, "user invite", name, lambda db, _: users.invite(db, name, kept, expires_at))
        return Invite(name=name, code=code, expires_at=expires_at)

    async def _by_token(self, name: str, secret: str) -> Login | None:
        kept = secrets.hash_token(secret)
        scope = await self._store.write(lambda db: tokens.use(db, name, kept))
        account = self._accounts.get(name)
        return None if scope is None or account is None else Login(account=account, scope=scope)

    async def _need_old(self, name: str, old: str | None, by: Actor) -> None:
        kept = await self._store.read(lambda db: users.credentials(db, name))
        if kept is None or kept.password is None:
            return  # a name that nobody has is refused by the change itself
        if await self._store.read(lambda db: users.invitation_opened(db, name)):
            return
        if old is None:
            raise LabboxError("forbidden", f"cannot change the password of {name} without the old one")
        if (wait := self.guessing.wait(person_source(by))) > 0:
            raise LabboxError(
                "limit",
                f"cannot look at another old password of {name} yet",
                f"wait {format_duration(wait + 1)}",
            )
        if len(old) > MAX_BYTES or not await self._passwords.matches(old, kept.password):
            self.guessing.failed(person_source(by), name)
            raise LabboxError("forbidden", f"cannot change the password of {name}: the old one is wrong")
        self.guessing.succeeded(person_source(by), name)


def person_source(by: Actor) -> str:
    """Somebody who is logged in, as a source of guesses."""
    return f"person {by.name}"


def check_span(what: str, seconds: float, most: float) -> timedelta:
    """How long something is to be good for; LabboxError "invalid" below a minute and above `most` seconds."""
    if not math.isfinite(seconds) or not _MINUTE <= seconds <= most:
        raise LabboxError(
            "invalid",
            f"cannot make {what} that is good for {seconds:g} seconds",
            f"choose from a minute to {most / _DAY:.0f} days",
        )
    return timedelta(seconds=seconds)
