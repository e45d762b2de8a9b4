"""The gate's side of an SSH connection: `labbox.files.sshpackets` as a server, and what only that does."""

from __future__ import annotations

import asyncio
import socket
import time
import zlib
from collections.abc import Awaitable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

import asyncssh
from asyncssh.channel import SSHServerChannel
from asyncssh.compression import Decompressor
from asyncssh.connection import SSHServerConnection
from asyncssh.constants import (
    EXTENDED_DATA_STDERR,
    MSG_CHANNEL_WINDOW_ADJUST,
    MSG_KEXINIT,
    MSG_NEWKEYS,
    MSG_USERAUTH_REQUEST,
)
from asyncssh.packet import SSHPacket, UInt32

from labbox.files.sshpackets import BUFFER_BYTES, PacketChannel, Packets, check_library

if TYPE_CHECKING:
    from labbox.daemon.gate.door import Door
    from labbox.daemon.gate.knock import Knock
    from labbox.daemon.gate.turns import Turns

__all__ = ["Channel", "Connection", "check_library"]

_BUFFER: Final = bytearray(BUFFER_BYTES)  # of all connections: what is left over in it belongs to none
_PACKET_BEFORE: Final = (
    16 * 1024
)  # bytes of a packet before the login; a certificate of OpenSSH's has under 4
_PACKET: Final = 256 * 1024  # bytes of a packet afterwards, as asyncssh has it; compressed ones too, inflated
_LISTS: Final = 8 * 1024  # bytes of a list of algorithms; those of known clients have under 3
_AUTH_REQUESTS: Final = 40  # of one login
_EXCHANGES: Final = 100  # of keys at once; ten more each second
MAX_OPENED: Final = 32  # channels of one connection at once, whether anything runs in them or not
_PROVEN_KEYS: Final = 8  # of the box's own, signed for one request
_LENGTH: Final = 4  # bytes of the length before a string (RFC 4251, 5)
_VARIABLES: Final = 64  # of one channel
_VARIABLE: Final = 1024  # bytes of one, with its name
_TERMINAL: Final = 256  # bytes of the name of a kind of terminal


class Connection(Packets, SSHServerConnection):
    """A connection of one client.

    What asyncssh does for whatever a client sends is bounded here: the size of a packet before the login and
    of one that is inflated, the requests of a login, exchanges of keys.
    """

    _view = memoryview(_BUFFER)

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        options: asyncssh.SSHServerConnectionOptions,
        turns: Turns,
        knock: Knock | None,
    ) -> None:
        """For a newcomer whose login begins; `knock` is None where a library is only looked at."""
        super().__init__(loop, options)
        self.knock = knock
        self._max_recv_pktlen = _PACKET_BEFORE
        self._requests = 0
        self._exchanges = float(_EXCHANGES)
        self._exchanged = time.monotonic()
        source = knock.source if knock is not None else ""
        self.take_turns = lambda work: turns.take(source, work)

    def _came_further(self) -> None:
        """The newcomer is not silent: it has made one of the few steps that a login has."""
        if self.knock is not None:
            self.knock.heard = time.monotonic()

    async def send_userauth_success(self) -> None:
        """The login is complete: packets may be as large as asyncssh has them."""
        if await cast("Door", self._owner).turned_away():
            return
        self._max_recv_pktlen = _PACKET
        await super().send_userauth_success()

    # What asyncssh does once for each packet of a kind.

    def _kexinit(self, kind: int, number: int, packet: SSHPacket) -> Awaitable[None]:
        """An exchange of keys begins; RFC 4253 lets clients ask for another whenever they like."""
        now = time.monotonic()
        self._came_further()
        self._exchanges = min(float(_EXCHANGES), self._exchanges + 10 * (now - self._exchanged)) - 1
        self._exchanged = now
        if self._exchanges < 0 or (self._session_id and not self._auth_complete):
            raise asyncssh.ProtocolError("cannot exchange keys that often")
        offered = packet.get_remaining_payload()
        if len(offered) > _LISTS:
            raise asyncssh.ProtocolError("cannot read that many names of algorithms")
        return self._begin_exchange(kind, number, packet, offered)

    async def _begin_exchange(self, kind: int, number: int, packet: SSHPacket, offered: bytes) -> None:
        await self._process_kexinit(kind, number, packet)
        kex, hosts, follows = _guess(SSHPacket(offered))
        if follows:  # as dropbear's client has it; asyncssh looks at half of the rule (RFC 4253, 7)
            ours = self._server_host_key_algs or [b""]
            self._ignore_first_kex = (kex, hosts) != (self._kex_algs[0], ours[0])

    def _newkeys(self, kind: int, number: int, packet: SSHPacket) -> None:
        """New keys are in use; what is compressed is inflated within bounds."""
        self._process_newkeys(kind, number, packet)
        self._came_further()
        if self.knock is not None:
            self.knock.greeted = True
        if self._decompressor is not None:
            self._decompressor = BoundedInflate()

    def _userauth_request(self, kind: int, number: int, packet: SSHPacket) -> Any:
        """A way to log in is tried."""
        self._came_further()
        self._requests += 1
        if self._requests > _AUTH_REQUESTS:
            raise asyncssh.DisconnectError(
                asyncssh.DISC_NO_MORE_AUTH_METHODS_AVAILABLE, "cannot let you in: too many tries"
            )
        return self._process_userauth_request(kind, number, packet)

    _packet_handlers = {  # noqa: RUF012 - asyncssh's way to say who handles which packet
        **SSHServerConnection._packet_handlers,  # noqa: SLF001 - and it is private
        MSG_KEXINIT: _kexinit,
        MSG_NEWKEYS: _newkeys,
        MSG_USERAUTH_REQUEST: _userauth_request,
    }

    async def _validate_client_certificate(self, _username: str, _key_data: bytes) -> None:
        """No certificate opens; asyncssh would look at the signatures in them all the same."""

    def _process_hostkeys_prove_00_at_openssh_dot_com_global_request(self, packet: SSHPacket) -> None:
        """Prove that the box has its keys, each once: a request can hold thousands."""
        data = packet.get_remaining_payload()
        names = SSHPacket(data)
        count = 0
        while names and count <= _PROVEN_KEYS:
            names.get_string()
            count += 1
        if count > _PROVEN_KEYS:
            self._report_global_response(False)
        else:
            super()._process_hostkeys_prove_00_at_openssh_dot_com_global_request(packet)

    def buffer_updated(self, count: int) -> None:
        """So many bytes have been read.

        A client that has two short packets to send during a login (its new keys, and what it asks for next)
        sends the second when the first is acknowledged (RFC 896), which the kernel may put off by 40 ms.
        """
        if not self._auth_complete:
            _acknowledge_now(self._transport)
        super().buffer_updated(count)

    async def reload_config(self) -> None:
        """There is no configuration that depends on the user; asyncssh would build it anew in a thread."""

    def end(self, sentence: str) -> None:
        """Close at once and say why; asyncssh's own way closes the channels first, and nobody reads on.

        Of the reasons for an end, clients show this one to everybody.
        """
        self._send_disconnect(asyncssh.DISC_SERVICE_NOT_AVAILABLE, sentence, "en")
        self._force_close(None)

    def create_server_channel(
        self, encoding: str | None = "", errors: str = "", window: int = 0, max_pktsize: int = 0
    ) -> SSHServerChannel[bytes]:
        """As asyncssh's own, with a channel of this module; all are of bytes and without a line editor.

        As with OpenSSH's server, nothing may be sent in it until `widen` says so.
        """
        max_pktsize = max_pktsize or self._max_pktsize
        self._update_recv_pktlen(max_pktsize)
        if len(self._channels) >= MAX_OPENED:
            raise asyncssh.ChannelOpenError(
                asyncssh.OPEN_RESOURCE_SHORTAGE, f"cannot open more than {MAX_OPENED} channels at once"
            )
        channel = Channel(
            self,
            self._loop,
            self._allow_pty,
            False,
            False,
            0,
            0,
            None,
            "strict",
            window,
            max_pktsize,
        )
        check_library(self, channel)
        return channel


def _guess(offered: SSHPacket) -> tuple[bytes, bytes, bool]:
    """The first key exchange and host key that a client offers, and whether it goes on with these at once."""
    offered.get_bytes(16)
    lists = [offered.get_namelist() for _ in range(10)]
    return lists[0][0], lists[1][0], offered.get_boolean()


def _acknowledge_now(transport: asyncio.Transport | None) -> None:
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # it may have been closed
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Channel(PacketChannel, SSHServerChannel[bytes]):
    """A session's channel."""

    def widen(self, window: int) -> None:
        """Let the client send so much from now on before it is taken."""
        more = window - self._recv_window
        self._init_recv_window = window
        if more > 0 and self._send_state == "open":
            self._recv_window = window
            self.send_packet(MSG_CHANNEL_WINDOW_ADJUST, UInt32(more))

    def _process_env_request(self, packet: SSHPacket) -> bool:
        """A variable; of more than a few, or of long ones, none is kept."""
        size = len(packet.get_remaining_payload())
        return (
            len(self._env) < _VARIABLES
            and size <= _VARIABLE + 2 * _LENGTH
            and super()._process_env_request(packet)
        )

    def _process_pty_req_request(self, packet: SSHPacket) -> bool:
        """A terminal; its kind has a short name."""
        kind = SSHPacket(packet.get_remaining_payload()).get_string()
        return len(kind) <= _TERMINAL and super()._process_pty_req_request(packet)

    def _start_session(self, command: str | None = None, subsystem: str | None = None) -> bool:
        """Something is asked for: the session keeps of it what it needs, and nobody keeps it twice."""
        try:
            return super()._start_session(command, subsystem)
        finally:
            self._command = self._subsystem = None

    def write_error(self, data: memoryview) -> None:
        """Send on the error stream."""
        self.write(data, EXTENDED_DATA_STDERR)


class BoundedInflate(Decompressor):
    """Inflates packets (zlib, RFC 4253 section 6.2), none of them to more than a packet may be."""

    def __init__(self) -> None:
        """For one direction, from one exchange of keys on."""
        self._inflate = zlib.decompressobj()

    def decompress(self, data: bytes) -> bytes | None:
        """What was in it; None for what is damaged or too large, which ends the connection."""
        try:
            found = self._inflate.decompress(data, _PACKET + 1)
        except zlib.error:
            return None
        return None if len(found) > _PACKET or self._inflate.unconsumed_tail else found
