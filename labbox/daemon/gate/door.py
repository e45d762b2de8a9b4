"""One connection of a client: who it is, whether it may come in, and the sessions it opens."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Final, NoReturn, cast

import asyncssh
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from labbox.daemon.gate.algorithms import MIN_RSA_BITS
from labbox.daemon.gate.channel import Session
from labbox.daemon.gate.launch import Launch
from labbox.daemon.gate.sessions import SessionInfo
from labbox.daemon.gate.welcome import Lines, welcome
from labbox.daemon.gate.words import Wish
from labbox.daemon.people import Account, Login
from labbox.daemon.people.guessing import network_of
from labbox.daemon.store.times import now
from labbox.errors import LabboxError
from labbox.text import format_duration

if TYPE_CHECKING:
    from labbox.daemon.gate.knock import Knock
    from labbox.daemon.gate.server import Gate
    from labbox.daemon.gate.wire import Connection
    from labbox.daemon.processes import Process

MINUTE: Final = 60.0  # seconds
PARTING_SECONDS: Final = 1.0  # for a client to close what it was told the end of
MAX_TRIES: Final = 6  # passwords and keys refused in one connection
MAX_CHANNELS: Final = 16  # sessions of one connection at once
SESSION_SECONDS: Final = 120.0  # that a login waits for others of its person to end, where too many are open
_SENTENCES: Final = 20  # refusals that one connection adds to the audit trail


class Door(asyncssh.SSHServer):
    """What asyncssh asks about one connection."""

    def __init__(self, gate: Gate) -> None:
        """For a connection that has just come."""
        self._gate = gate
        self._connection: asyncssh.SSHServerConnection | None = None
        self._knock: Knock | None = None
        self._address = ""
        self._counted = False
        self._tries = 0
        self._candidate: tuple[Login, str, str | None] | None = None  # who, how, key
        self._login: Login | None = None
        self._sessions = 0
        self.open: set[Session] = set()  # those whose channel is there
        self._silent = 0  # sessions without a terminal: they may say nothing for long and be no less alive
        self._last_active = time.monotonic()
        self._idle_timer: asyncio.TimerHandle | None = None
        self._sentences = 0
        self.name = ""

    @property
    def origin(self) -> str:
        """Where the person comes from, as the audit trail has it."""
        return f"ssh {self._address}"

    @property
    def login(self) -> Login:
        """Who is in; there is one before the first session."""
        if self._login is None:  # asyncssh opens no session before the login is complete
            raise LabboxError("unauthenticated", "cannot open a session before the login")
        return self._login

    # The connection.

    def connection_made(self, conn: asyncssh.SSHServerConnection) -> None:
        """A newcomer's login begins."""
        self._connection = conn
        self._knock = cast("Connection", conn).knock
        if self._knock is not None:
            self._address = self._knock.address
        self._gate.doors.add(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """They have gone."""
        self._gate.doors.discard(self)
        self._gate.left.set()
        if self._idle_timer is not None:
            self._idle_timer.cancel()
        if self._counted:
            self._counted = False
            self._gate.connections.remove(self.name, self._source)
        for session in list(self.open):
            self.closed(session)
        self._leave()

    def _leave(self) -> None:
        if self._knock is not None:
            knock, self._knock = self._knock, None
            knock.gone()

    @property
    def _source(self) -> str:
        return network_of(self._address)

    @property
    def is_in(self) -> bool:
        """Whether the login is complete."""
        return self._login is not None

    @property
    def invited(self) -> bool:
        """Whether they came with a one-time code and have left neither key nor password yet."""
        return self._login is not None and self._login.invited

    @property
    def reached(self) -> tuple[str, int]:
        """Where they reached the box: address and port; without a connection "" and 0."""
        name = None if self._connection is None else self._connection.get_extra_info("sockname")
        return (str(name[0]), int(name[1])) if name else ("", 0)

    def disconnect(self, sentence: str) -> None:
        """Leave the terminals of its sessions as they were, close the connection and say why."""
        left = [session.leave(sentence) for session in list(self.open)]
        if any(left):
            asyncio.get_running_loop().call_later(PARTING_SECONDS, self.end, sentence)
        else:
            self.end(sentence)

    def kill(self) -> None:
        """End the processes of its sessions at once, whatever they do about it."""
        for session in self.open:
            session.kill()

    def end(self, sentence: str) -> None:
        """Close the connection now."""
        if self._connection is not None and self in self._gate.doors:
            cast("Connection", self._connection).end(sentence)

    # The login.

    def begin_auth(self, username: str) -> bool:
        """A name has been given; whatever it is, a proof is asked for."""
        self.name = username
        self._candidate = None
        if self._gate.settings.ssh.banner:
            self._say(self._gate.settings.ssh.banner)
        return True

    def public_key_auth_supported(self) -> bool:
        """Keys are welcome."""
        return True

    def password_auth_supported(self) -> bool:
        """So are passwords, codes and tokens."""
        return True

    async def validate_public_key(self, username: str, key: asyncssh.SSHKey) -> bool:
        """Whether this is a key of the user; asyncssh checks the signature afterwards."""
        self._candidate = None
        public = key.pyca_key
        line = key.export_public_key().decode("ascii", "replace").strip()
        strong = not isinstance(public, RSAPublicKey) or public.key_size >= MIN_RSA_BITS
        try:
            if strong and await self._gate.people.key_allowed(username, line):
                account = await self._gate.people.account(username)
                if account is not None:
                    self._candidate = (Login(account=account), "key", line)
                    return True
        except LabboxError as error:
            if error.code == "unavailable":
                self._say(error.message)
        self._count_try()
        return False

    async def validate_password(self, username: str, password: str) -> bool:
        """Whether this password, code or token opens; where somebody guesses, it is not looked at."""
        self._candidate = None
        guessing, source = self._gate.people.guessing, self._source
        person = username if await self._gate.people.account(username) is not None else ""
        if self._must_wait(source):
            return False
        try:
            async with guessing.turn(source, person):
                if self._must_wait(source):  # others from there have been wrong meanwhile
                    return False
                login = await self._gate.people.authenticate_password(username, password, self.origin)
                if login is not None:
                    guessing.succeeded(source, username)
                    how = "code" if login.invited else "token" if login.scope else "password"
                    self._candidate = (login, how, None)
                    return True
                slowness = guessing.slowness(username)
                pause = guessing.failed(source, username)
        except LabboxError as error:
            self._say(error.message)
            return False
        if pause:
            self._say(f"too many wrong passwords from {self._address}: wait {format_duration(pause)}")
            await self.audit(
                "login refused", f"wrong password; {self._address} waits {format_duration(pause)}"
            )
        await asyncio.sleep(slowness)
        self._count_try()
        return False

    def _must_wait(self, source: str) -> bool:
        """Whether passwords from there are not looked at now; it is said, and counts as a try."""
        wait = self._gate.people.guessing.wait(source)
        if wait > 0:
            self._say(f"cannot look at a password from {self._address} yet: wait {format_duration(wait + 1)}")
            self._count_try()
        return wait > 0

    def _count_try(self) -> None:
        self._tries += 1
        if self._tries >= MAX_TRIES:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "cannot let you in: too many tries"
            )

    def _say(self, sentence: str) -> None:
        if self._connection is not None:
            self._connection.send_auth_banner(f"{sentence.rstrip()}\r\n")

    async def turned_away(self) -> bool:
        """Whether they have proved who they are and may not come in all the same: then it is said, and ended.

        Asked before the client hears that it is in: what it sends then could keep it from hearing why not.
        """
        account = await self._gate.people.account(self.name)
        why = f"there is no {self.name} any more" if account is None else account.barred(now())
        if not why:
            return False
        await self.audit("login refused", why)
        self.end(f"cannot let you in: {why}; ask an administrator of the box")
        return True

    async def auth_completed(self) -> None:
        """They are who they say."""
        if self._candidate is None or self._candidate[0].account.name != self.name:
            raise asyncssh.DisconnectError(asyncssh.DISC_PROTOCOL_ERROR, "cannot tell who you are")
        login, how, key = self._candidate
        if login.account.barred(now()):
            raise asyncssh.DisconnectError(asyncssh.DISC_PROTOCOL_ERROR, "cannot let you in")
        self._login = login
        try:
            self._gate.connections.add(self.name, self._source)
        except LabboxError as error:
            self._gate.complain(error.message)
            self.disconnect(error.message)
            return
        self._counted = True
        self._gate.people.guessing.met(self._source, self.name)
        self._leave()
        self.active()
        if self._gate.settings.ssh.idle_minutes:
            self._watch_idleness()
        try:
            await self._gate.people.logged_in(self.name, self.origin, how, key)
        except LabboxError as error:  # a full disk must not keep people from making room
            self._gate.complain(f"cannot note a login of {self.name}: {error.message}")

    # Sessions.

    def session_requested(self) -> tuple[asyncssh.SSHServerChannel[bytes], Session]:
        """A session channel is opened; until something is asked for in it the client may send nothing."""
        connection = cast("Connection", self._connection)
        if self._sessions >= MAX_CHANNELS:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"cannot open more than {MAX_CHANNELS} sessions at once"
            )
        try:
            self._gate.channels.refuse_more(self.name)
        except LabboxError as error:
            raise asyncssh.ChannelOpenError(asyncssh.OPEN_RESOURCE_SHORTAGE, error.message) from error
        channel = connection.create_server_channel()
        self._gate.channels.add(self.name)
        session = Session(self)
        self.open.add(session)
        return channel, session

    def closed(self, session: Session) -> None:
        """The channel of a session is no more."""
        if session in self.open:
            self.open.discard(session)
            self._gate.channels.remove(self.name)

    def start(self, session: Session) -> None:
        """Run a session that the client has asked for."""
        self._gate.run(session.run())

    @asynccontextmanager
    async def launch(
        self, session: Session, wish: Wish, variables: Mapping[str, str], *, pty: bool
    ) -> AsyncIterator[Launch]:
        """What starts the process of a session, for as long as it lives."""
        gate, login = self._gate, self.login
        account = await self._check_open()
        await gate.seats.take(self.name, SESSION_SECONDS, session.waits)
        self._sessions += 1
        self._silent += not pty
        try:
            await self._check_open()  # it may have waited for long
            info = SessionInfo(account, login.scope, self.origin, self.reached)
            launch = gate.launcher.prepare(wish, info, variables)
            try:
                yield launch
            finally:
                launch.done()
        finally:
            gate.seats.give_back(self.name)
            self._sessions -= 1
            self._silent -= not pty
            self.active()

    async def _check_open(self) -> Account:
        """The account; LabboxError "forbidden" where it is gone, suspended or expired since the login."""
        account = await self._gate.people.account(self.name)
        if account is None or account.uid != self.login.account.uid:
            raise LabboxError("forbidden", f"cannot open a session: there is no {self.name} any more")
        account.refuse_barred("open a session", now())
        return account

    @contextmanager
    def room_for(self, window: int) -> Iterator[int]:
        """So many bytes, or fewer, that the client of a session may send before they are taken."""
        with self._gate.windows.take(self.name, window) as granted:
            yield granted

    async def welcome(self, lines: Lines) -> None:
        """The first login of an invited person; afterwards they are in as anybody else."""
        await welcome(self._gate.people, self.name, self._gate.settings.name, self.origin, lines)
        self._login = Login(account=self.login.account)

    def send_signal(self, process: Process, number: int) -> None:
        """Pass on a signal that the client has sent."""
        self._gate.run(process.signal(number))

    def kill_process(self, process: Process) -> None:
        """End a process of a session."""
        self._gate.run(process.kill())

    # Idleness.

    def active(self) -> None:
        """Something happened."""
        self._last_active = time.monotonic()

    def _watch_idleness(self) -> None:
        longest = self._gate.settings.ssh.idle_minutes * MINUTE
        left = longest - (time.monotonic() - self._last_active)
        if self._silent:
            left = longest
        if left <= 0:
            self.disconnect(f"closed after {format_duration(longest)} without a key pressed")
            return
        self._idle_timer = asyncio.get_running_loop().call_later(left, self._watch_idleness)

    # What is refused.

    async def audit(self, action: str, detail: str) -> None:
        """A row of the audit trail; a connection has only so many."""
        self._sentences += 1
        if self._sentences > _SENTENCES:
            return
        try:
            await self._gate.people.audit(self.name, action, "gate", self.origin, detail)
        except LabboxError as error:
            self._gate.complain(f"cannot note “{action}” of {self.name}: {error.message}")

    def _refuse(self, what: str) -> None:
        self._gate.run(self.audit("refused", what))

    def connection_requested(
        self, dest_host: str, dest_port: int, orig_host: str, orig_port: int
    ) -> NoReturn:
        """`ssh -L`, `-D`, `-W`, `-J`: the daemon opens no connection for anybody."""
        self._refuse("port forwarding")
        raise asyncssh.ChannelOpenError(
            asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "cannot forward ports: this box does not"
        )

    def unix_connection_requested(self, dest_path: str) -> NoReturn:
        """`ssh -L …:/socket`."""
        self._refuse("socket forwarding")
        raise asyncssh.ChannelOpenError(
            asyncssh.OPEN_ADMINISTRATIVELY_PROHIBITED, "cannot forward sockets: this box does not"
        )

    def server_requested(self, listen_host: str, listen_port: int) -> bool:
        """`ssh -R`."""
        self._refuse("remote port forwarding")
        return False

    def unix_server_requested(self, listen_path: str) -> bool:
        """`ssh -R /socket:…`."""
        self._refuse("remote socket forwarding")
        return False

    def tun_requested(self, unit: int | None) -> bool:
        """`ssh -w`."""
        self._refuse("tunnel")
        return False

    def tap_requested(self, unit: int | None) -> bool:
        """`ssh -w` with Ethernet frames."""
        self._refuse("tunnel")
        return False
