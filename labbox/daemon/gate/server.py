"""The gate: the SSH server that people log in to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import asyncssh

import labbox
from labbox.custom.schema import split_address
from labbox.daemon.gate import algorithms, hostkeys
from labbox.daemon.gate.channel import FIRST_WINDOW
from labbox.daemon.gate.door import PARTING_SECONDS, Door
from labbox.daemon.gate.knock import Knock
from labbox.daemon.gate.launch import Launcher
from labbox.daemon.gate.porch import Porch
from labbox.daemon.gate.repositories import Repositories
from labbox.daemon.gate.sessions import Sessions
from labbox.daemon.gate.shares import Channels, Connections, Seats, Windows
from labbox.daemon.gate.turns import Turns
from labbox.daemon.gate.wire import Connection, check_library
from labbox.errors import LabboxError

if TYPE_CHECKING:
    from labbox.custom import Settings
    from labbox.daemon.people import People
    from labbox.daemon.processes import Processes

log = logging.getLogger(__name__)

LOGIN_SECONDS: Final = 60.0  # for a login, from the first byte on
KEEPALIVE_SECONDS: Final = 30.0
KEEPALIVE_MISSES: Final = 4  # unanswered before a client counts as gone
PACKET: Final = 64 << 10  # bytes of one packet
REKEY_BYTES: Final = 32 << 30  # far below what AES-GCM bears under one key (RFC 5647 with a 64-bit counter)
STOP_SECONDS: Final = 10.0
_BACKLOG: Final = 1024
_VERSION: Final = f"labbox_{labbox.__version__}"
_LOOK: Final = 0.05  # seconds between looks at who waits to begin a login, while some do
_TELL: Final = 60.0  # seconds between lines in the log about them


class Gate:
    """The server, its connections and their sessions."""

    def __init__(
        self, people: People, processes: Processes, settings: Settings, state: Path, socket: Path
    ) -> None:
        """`state` is the state folder, `socket` the API's, for the sessions.

        `not_from` may be set to what says why nobody logs in from an address ("" where they may).
        """
        self.people = people
        self.settings = settings
        ssh = settings.ssh
        self.porch = Porch(
            at_once=ssh.logins_at_once,
            at_once_per_address=min(ssh.logins_at_once_per_address, ssh.logins_at_once),
            per_second=ssh.logins_per_second_per_address,
            knows=people.guessing.knows,
        )
        self._somebody_waits = asyncio.Event()
        self.porch.on_wait = self._somebody_waits.set
        self.connections = Connections(ssh.max_connections_per_user, ssh.max_connections_per_address)
        self.channels = Channels()
        self.seats = Seats(ssh.max_sessions_per_user)
        self.windows = Windows()
        self.not_from: Callable[[str], str] = lambda _address: ""
        self.sessions = Sessions()
        self.launcher = Launcher(processes, self.sessions, Repositories(state), socket)
        self.doors: set[Door] = set()
        self._state = state
        self._server: asyncio.Server | None = None
        self._group: asyncio.TaskGroup | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._stopping = asyncio.Event()
        self.left = asyncio.Event()  # a connection has ended

    async def start(self) -> tuple[str, int]:
        """Open the door and return where it is; LabboxError where address or keys cannot be used."""
        logging.getLogger("asyncssh").setLevel(logging.WARNING)
        loop = asyncio.get_running_loop()
        keys = await asyncio.to_thread(hostkeys.load, self._state / "secrets")
        options = await asyncssh.SSHServerConnectionOptions.construct(**self._options(keys))
        options.server_host_keys = hostkeys.modern(options.server_host_keys)
        turns = Turns(loop)
        check_library(Connection(loop, options, turns, None))
        ready = asyncio.Event()
        self._keeper = asyncio.create_task(self._keep(ready), name="gate")
        await ready.wait()
        host, port = split_address(self.settings.ssh.listen)
        try:
            self._server = await loop.create_server(
                lambda: Knock(
                    self.porch,
                    lambda knock: Connection(loop, options, turns, knock),
                    _VERSION,
                    lambda address: self.not_from(address),
                ),
                host or None,
                port,
                backlog=_BACKLOG,
            )
        except OSError as error:
            await self.stop()
            raise LabboxError(
                "unavailable",
                f"cannot listen on {self.settings.ssh.listen}: {error.strerror or error}",
                "choose another address with --ssh ADDRESS:PORT, or end what uses it",
            ) from error
        name = self._server.sockets[0].getsockname()
        return str(name[0]), int(name[1])

    async def stop(self) -> None:
        """Close the door, say goodbye, and end every session."""
        if self._server is not None:
            self._server.close()
            self._server = None
        for door in list(self.doors):
            door.disconnect("the box is being stopped")
        with suppress(TimeoutError):
            async with asyncio.timeout(PARTING_SECONDS):
                while self.doors:
                    self.left.clear()
                    await self.left.wait()
        for door in list(self.doors):
            door.end("the box is being stopped")
        self._stopping.set()
        if self._keeper is not None:
            with suppress(asyncio.CancelledError):
                await self._keeper
            self._keeper = None

    def send_away(self, name: str, sentence: str) -> None:
        """End all connections of somebody who is in; who is just coming is looked at when that is done."""
        for door in list(self.doors):
            if door.name == name and door.is_in:
                door.disconnect(sentence)
                door.kill()

    def send_away_invited(self, name: str) -> None:
        """End the connections of somebody whose one-time code opens nothing any more."""
        for door in list(self.doors):
            if door.name == name and door.invited:
                door.disconnect("this invitation is not good any more")

    def _options(self, keys: list[asyncssh.SSHKey]) -> dict[str, Any]:
        return {
            "server_factory": lambda: Door(self),
            "server_version": _VERSION,
            "config": None,
            "server_host_keys": keys,
            "gss_host": None,
            "kex_algs": algorithms.KEX,
            "encryption_algs": algorithms.CIPHERS,
            "mac_algs": algorithms.MACS,
            "compression_algs": algorithms.COMPRESSION,
            "signature_algs": algorithms.SIGNATURES,
            "host_based_auth": False,
            "public_key_auth": True,
            "password_auth": True,
            "kbdint_auth": True,
            "x11_forwarding": False,
            "agent_forwarding": False,
            "allow_scp": False,
            "line_editor": False,
            "encoding": None,
            "window": FIRST_WINDOW,
            "max_pktsize": PACKET,
            "rekey_bytes": REKEY_BYTES,
            "rekey_seconds": 0,
            "login_timeout": LOGIN_SECONDS,
            "keepalive_interval": KEEPALIVE_SECONDS,
            "keepalive_count_max": KEEPALIVE_MISSES,
            "rdns_lookup": False,
        }

    async def _keep(self, ready: asyncio.Event) -> None:
        """Own the tasks of all sessions until the gate is stopped."""
        async with asyncio.TaskGroup() as group:
            self._group = group
            ready.set()
            letting_in = group.create_task(self._let_in())
            await self._stopping.wait()
            letting_in.cancel()
            self._group = None

    def run(self, work: Coroutine[Any, Any, None]) -> None:
        """Run the work of a session as a task of the gate's."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(self._guarded(work))

    async def _guarded(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except LabboxError as error:
            self.complain(error.message)
        except Exception:  # one login's trouble is not the others'
            log.exception("cannot go on with a session")

    def complain(self, sentence: str) -> None:
        """Something for the box's log."""
        log.warning("%s", sentence)

    async def _let_in(self) -> None:
        """Let newcomers in who wait, as places come free with time; tell the log once a minute."""
        loop = asyncio.get_running_loop()
        porch, told = self.porch, loop.time() - _TELL
        while True:
            if porch.waiting:
                await asyncio.sleep(_LOOK)
                porch.admit()
            elif porch.to_tell:
                with suppress(TimeoutError):
                    async with asyncio.timeout_at(told + _TELL):
                        await self._somebody_waits.wait()
            else:
                await self._somebody_waits.wait()
            self._somebody_waits.clear()
            if porch.to_tell and loop.time() - told >= _TELL:
                told = loop.time()
                self.complain(porch.report())
