"""Logging in to another host by SSH, with a key or a password, its key pinned; noticing when it is gone.

A host is gone when nothing came from it for a while although it was asked, and the kernel could not hand
over more of what is on its way either: so a slow line is not taken for a dead one, nor is a host whose kernel
still answers while its programs do not taken for a living one.
"""

from __future__ import annotations

import asyncio
import errno
import fcntl
import socket
import struct
import termios
import time
from collections.abc import Sequence
from typing import Any, Final

import asyncssh
from asyncssh.channel import SSHClientChannel
from asyncssh.connection import SSHClientConnection

from labbox.errors import LabboxError
from labbox.files.places import addresses
from labbox.files.places.credentials import Credential
from labbox.files.places.hosts import ChangedHostError, LoginRefusedError, UnknownHostError, lost
from labbox.files.places.sftpwire import MANY, Wire
from labbox.files.sshpackets import BUFFER_BYTES, PacketChannel, Packets, check_library
from labbox.locations import SSH_PORT
from labbox.text import visible_line

CONNECT_SECONDS: Final = 15.0  # until the line stands; and as long again until the login is through
_NEAR_SECONDS: Final = 5.0  # for an address of the box itself, whatever is there, until it shows a key
LOOK_SECONDS: Final = 2.5  # between two looks at the line
SILENT_LOOKS: Final = 8  # looks without any sign of life: 20 seconds
STUCK_LOOKS: Final = 120  # looks without an answer from a host that lives: its disk hangs
_ASK_SECONDS: Final = 5  # of silence, then it is asked whether it lives
_PACKET: Final = 32 << 10  # bytes of one packet that it may send
_WINDOW: Final = 16 << 20  # bytes that it may send before we say that we took some
_CIPHERS: Final = (  # the quickest first: both ends count AES in hardware
    "aes128-gcm@openssh.com",
    "aes256-gcm@openssh.com",
    "chacha20-poly1305@openssh.com",
    "aes256-ctr",
    "aes192-ctr",
    "aes128-ctr",
)
_HOST_KEYS: Final = (
    "ssh-ed25519",
    "ecdsa-sha2-nistp256",
    "ecdsa-sha2-nistp384",
    "ecdsa-sha2-nistp521",
    "rsa-sha2-512",
    "rsa-sha2-256",
)
_SPELL: Final = "see how its name is spelt, or give its address"
_LITTLE: Final = 4096  # bytes on their way: no more than asking whether it lives takes
_LITTLE_READ: Final = 8 << 10  # bytes that came at once
_GATHER_SECONDS: Final = 0.002
_U32: Final = struct.Struct("=I")
_ACKNOWLEDGED: Final = struct.Struct("=120xQ")  # of struct tcp_info: bytes that the other kernel has


def address_of(credential: Credential) -> str:
    """`[user@]host[:port]`, as locations have it: what its person calls it."""
    if credential.name:
        return credential.name
    port = f":{credential.port}" if credential.port != SSH_PORT else ""
    return f"{credential.user}@{credential.host}{port}" if credential.user else f"{credential.host}{port}"


async def shown_key(host: str, port: int, *, guarded: bool = False) -> str:
    """The key that a host shows, as "TYPE BASE64", without a login; LabboxError where it does not answer."""
    stranger = Credential("", host, port, guarded=guarded)
    try:
        connection = await _connect(stranger, _Client(stranger, address_of(stranger)))
    except UnknownHostError as error:
        return error.key
    connection.abort()
    raise lost(host, "it shows no key")


def fingerprint_of(line: str) -> str:
    """How a key is compared by people: "SHA256:…"."""
    try:
        return str(asyncssh.import_public_key(line).get_fingerprint())
    except (asyncssh.KeyImportError, ValueError):
        return "a key that cannot be read"


class _Client(asyncssh.SSHClient):
    """What asyncssh asks about one connection."""

    def __init__(self, credential: Credential, label: str) -> None:
        self._credential, self.label = credential, label
        self.refused: LabboxError | None = None
        self.shown: asyncio.Event = asyncio.Event()  # a key: so there is a server of SSH

    def validate_host_public_key(self, _host: str, _addr: str, _port: int, key: asyncssh.SSHKey) -> bool:
        self.shown.set()
        line = " ".join(key.export_public_key().decode("ascii").split()[:2])
        pinned = self._credential.host_keys
        if line in pinned:
            return True
        shown = key.get_fingerprint()
        if not pinned:
            self.refused = UnknownHostError(self.label, line, shown)
        else:
            self.refused = ChangedHostError(self.label, line, shown, tuple(map(fingerprint_of, pinned)))
        return False


class Connection(Packets, SSHClientConnection):
    """A connection to another host; `received` counts what came."""

    def __init__(self, *arguments: Any, **words: Any) -> None:
        """As asyncssh's own."""
        super().__init__(*arguments, **words)
        self._view = memoryview(bytearray(BUFFER_BYTES))
        self.received = 0
        self._wire: Wire | None = None

    def buffer_updated(self, count: int) -> None:
        """So many bytes have been read.

        A server answers many small requests one by one: reading each for itself would take most of the time.
        """
        self.received += count
        super().buffer_updated(count)
        transport, wire = self._transport, self._wire
        if count < _LITTLE_READ and wire is not None and wire.asked >= MANY and transport is not None:
            transport.pause_reading()
            self._loop.call_later(_GATHER_SECONDS, self._read_on)

    def _read_on(self) -> None:
        if self._transport is not None:
            self._transport.resume_reading()

    def acknowledged(self) -> int | None:
        """Bytes that the other kernel has taken while much more waits here; None where it does not."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return None
        sock = transport.get_extra_info("socket")
        try:
            waiting = _U32.unpack(fcntl.ioctl(sock.fileno(), termios.TIOCOUTQ, bytes(_U32.size)))[0]
            if not transport.get_write_buffer_size() and waiting < _LITTLE:
                return None
            told = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _ACKNOWLEDGED.size)
        except OSError:
            return None
        return int(_ACKNOWLEDGED.unpack(told)[0]) if len(told) == _ACKNOWLEDGED.size else None

    async def open_sftp(self, wire: Wire) -> None:
        """Have the host serve SFTP to `wire`."""
        self._wire = wire
        self._update_recv_pktlen(_PACKET)
        channel = _Channel(self, self._loop, "strict", None, "strict", _WINDOW, _PACKET)
        check_library(self, channel)
        await channel.create(
            lambda: wire, None, "sftp", {}, False, None, (0, 0, 0, 0), {}, False, None, None, False, False
        )


class _Channel(PacketChannel, SSHClientChannel[bytes]):
    """The channel that SFTP goes through."""


class Line:
    """A connection with SFTP on it, watched; `wire` is what requests go through."""

    def __init__(self, credential: Credential) -> None:
        """`open` does the rest."""
        self.label: Final = address_of(credential)
        self.version = ""
        self._credential: Final = credential
        self._connection: Connection | None = None
        self._reason = ""
        self._closed = False
        self._timer: asyncio.TimerHandle | None = None
        self._silent = self._stuck = 0
        self._seen: tuple[int, int | None, int] = (0, None, 0)
        self.wire: Wire

    async def open(self) -> None:
        """Log in and begin; LabboxError in words for whatever stands in the way."""
        client = _Client(self._credential, self.label)
        connection = await _connect(self._credential, client)
        self.version = str(connection.get_extra_info("server_version") or "")
        self._connection = connection
        self.wire = Wire(self._why)
        try:
            async with asyncio.timeout(CONNECT_SECONDS):
                await connection.open_sftp(self.wire)
                await self.wire.begin()
        except BaseException as error:
            connection.abort()
            if isinstance(error, asyncssh.ChannelOpenError | asyncssh.ProtocolError):
                raise _no_sftp(self.label) from error
            if isinstance(error, TimeoutError):
                raise lost(self.label) from error
            if isinstance(error, LabboxError) and not self._reason:  # it ended as soon as it began
                raise _no_sftp(self.label) from error
            raise
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)

    async def close(self) -> None:
        """Hang up, politely as long as the other side listens."""
        if self._closed:
            return
        self._closed = True
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self.wire.close()
            self._connection.close()
            try:
                async with asyncio.timeout(1.0):
                    await self._connection.wait_closed()
            except TimeoutError:
                self._connection.abort()

    def _why(self) -> LabboxError:
        if self._closed:
            return LabboxError(
                "unavailable", f"cannot use {visible_line(self.label)}: it is closed", "open it again"
            )
        return lost(
            self.label,
            self._reason or "the connection broke",
            "try again in a moment" if not self._reason else "",
        )

    def _look(self) -> None:
        """Whether anything came, or went; counted in looks, since this process may have slept itself."""
        connection = self._connection
        if connection is None or self._closed:
            return
        self._timer = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._look)
        now = (connection.received, connection.acknowledged(), self.wire.answers)
        before, self._seen = self._seen, now
        moved = now[1] is not None and now[1] != before[1]
        self._silent = 0 if now[0] != before[0] or moved else self._silent + 1
        self._stuck = 0 if now[2] != before[2] or moved or not self.wire.asked else self._stuck + 1
        if self._silent >= SILENT_LOOKS:
            self._give_up("it does not answer")
        elif self._stuck >= STUCK_LOOKS:
            self._give_up("its disk does not answer")

    def _give_up(self, reason: str) -> None:
        self._reason = reason
        if self._timer is not None:
            self._timer.cancel()
        if self._connection is not None:
            self._connection.abort()
        self.wire.connection_lost(None)


async def _connect(credential: Credential, client: _Client) -> Connection:
    if not credential.guarded:
        return await _reach(credential, client)
    label, began = client.label, time.monotonic()
    host = credential.host.removeprefix("[").removesuffix("]")
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            found = await addresses.addresses_of(host, credential.port)
    except socket.gaierror as error:
        raise lost(label, "nothing of that name is known", _SPELL) from error
    except UnicodeError as error:
        raise lost(label, "that is no name of a host", _SPELL) from error
    except TimeoutError as error:
        raise lost(label) from error
    if not any(one.near for one in found):
        return await _reach(credential, client, found)
    reaching = asyncio.create_task(_reach(credential, client, found))
    shown = asyncio.create_task(client.shown.wait())
    try:
        await asyncio.wait({reaching, shown}, timeout=_NEAR_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        if client.shown.is_set():
            return await reaching
        await asyncio.sleep(max(0.0, began + _NEAR_SECONDS - time.monotonic()))
    finally:
        shown.cancel()
        reaching.cancel()
        await asyncio.gather(reaching, shown, return_exceptions=True)
    raise _nothing_answers(label, credential.port)


async def _reach(
    credential: Credential, client: _Client, found: Sequence[addresses.Address] | None = None
) -> Connection:
    """Connect to one of the addresses (None: whatever the name leads to) and log in."""
    label = client.label
    try:
        async with asyncio.timeout(2 * CONNECT_SECONDS):
            return await _log_in(await _options(credential, client), credential, label, found)
    except LabboxError:
        raise
    except TimeoutError as error:
        raise lost(label) from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise client.refused or lost(label, "its key cannot be read") from error
    except asyncssh.PermissionDenied as error:
        raise _not_let_in(label, credential) from error
    except asyncssh.KeyExchangeFailed as error:
        raise LabboxError(
            "unavailable",
            f"cannot talk to {visible_line(label)}: it knows no way of SSH that is safe today",
            "bring its SSH server up to date",
        ) from error
    except (asyncssh.Error, OSError) as error:
        raise lost(
            label, "it hung up before the login", "see that an SSH server answers on this port"
        ) from error


async def _options(credential: Credential, client: _Client) -> asyncssh.SSHClientConnectionOptions:
    keys = []
    if credential.private_key:
        try:
            keys.append(asyncssh.import_private_key(credential.private_key.reveal()))
        except (asyncssh.KeyImportError, ValueError) as error:
            raise LabboxError(
                "invalid",
                f"cannot use the key for {visible_line(client.label)}: it is damaged or has a passphrase",
                "deposit another one: labbox host add",
            ) from error
    pinned = [line.partition(" ")[0] for line in credential.host_keys]
    wanted = [name for name in _HOST_KEYS if name in pinned or ("rsa-" in name and "ssh-rsa" in pinned)]
    host = credential.host.removeprefix("[").removesuffix("]")
    options: asyncssh.SSHClientConnectionOptions = await asyncssh.SSHClientConnectionOptions.construct(
        host=host,
        port=credential.port,
        username=credential.user or "nobody",
        client_factory=lambda: client,
        client_keys=keys or None,
        password=credential.password.reveal() if credential.password else None,
        known_hosts=([], [], []),
        server_host_key_algs=[*wanted, *(name for name in _HOST_KEYS if name not in wanted)],
        config=None,
        agent_path=None,
        gss_host=None,
        x509_trusted_certs=None,
        x509_trusted_cert_paths=(),
        compression_algs=["none"],
        encryption_algs=list(_CIPHERS),
        login_timeout=0,  # ours is around all of it
        keepalive_interval=_ASK_SECONDS,
        keepalive_count_max=1 << 30,  # whether it is gone is judged here
        rekey_bytes=1 << 30,
        rekey_seconds=0,  # by bytes alone, as the quick way of packets wants it
    )
    return options


async def _log_in(
    options: asyncssh.SSHClientConnectionOptions,
    credential: Credential,
    label: str,
    found: Sequence[addresses.Address] | None,
) -> Connection:
    """Connect to the first address that answers, and wait until we are in."""
    loop = asyncio.get_running_loop()
    options.waiter = loop.create_future()
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            if found is None:
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, options, wait="auth"),
                    options.host,
                    credential.port,
                    happy_eyeballs_delay=0.25,
                )
            else:
                sock = await addresses.connect(found)
                _, connection = await loop.create_connection(
                    lambda: Connection(loop, options, wait="auth"), sock=sock
                )
    except socket.gaierror as error:
        raise lost(label, "nothing of that name is known", _SPELL) from error
    except UnicodeError as error:
        raise lost(label, "that is no name of a host", _SPELL) from error
    except OSError as error:  # a TimeoutError too
        raise _unreachable(label, credential.port, error) from error
    try:
        await options.waiter
    except BaseException:
        connection.abort()
        raise
    return connection


def _unreachable(label: str, port: int, error: OSError) -> LabboxError:
    """Where several addresses failed, asyncio joins their errors to one text."""
    if error.errno == errno.ECONNREFUSED or f"[Errno {errno.ECONNREFUSED}]" in str(error):
        return _nothing_answers(label, port)
    if isinstance(error, ConnectionError):
        return lost(label, "the connection broke")
    return lost(label)


def _nothing_answers(label: str, port: int) -> LabboxError:
    hint = "start its SSH server, or give the right port: HOST:PORT"
    return lost(label, f"nothing answers on port {port}", hint)


def _not_let_in(label: str, credential: Credential) -> LoginRefusedError:
    name = visible_line(label)
    if credential.private_key is not None:
        hint = (
            f"put the public key into ~/.ssh/authorized_keys there; labbox host list sftp://{name} shows it"
        )
        return LoginRefusedError(label, f"cannot log in to {name}: it does not take the key", hint)
    if credential.password is not None:
        hint = f"deposit the right one: labbox host add sftp://{name} --password-stdin"
        return LoginRefusedError(label, f"cannot log in to {name}: it does not take the password", hint)
    return LoginRefusedError(
        label,
        f"cannot log in to {name}: no key and no password is kept for it",
        f"labbox host add sftp://{name}",
    )


def _no_sftp(label: str) -> LabboxError:
    return LabboxError(
        "invalid",
        f"cannot open files on {visible_line(label)}: it serves no SFTP",
        "switch on its SFTP subsystem; nothing may be printed by the shell's start-up files there",
    )
