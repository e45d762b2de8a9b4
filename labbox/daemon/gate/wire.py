"""The gate's side of an SSH connection: `labbox.files.sshpackets` as a server, and what only that does."""

from __future__ import annotations

import asyncio
import socket
from contextlib import suppress
from typing import Final

import asyncssh
from asyncssh.channel import SSHServerChannel
from asyncssh.connection import SSHServerConnection
from asyncssh.constants import EXTENDED_DATA_STDERR

from labbox.files.sshpackets import BUFFER_BYTES, PacketChannel, Packets, check_library

__all__ = ["Channel", "Connection", "check_library"]

_BUFFER: Final = bytearray(BUFFER_BYTES)  # of all connections: what is left over in it belongs to none


class Connection(Packets, SSHServerConnection):
    """A connection of one client."""

    _view = memoryview(_BUFFER)

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
        """As asyncssh's own, with a channel of this module; all are of bytes and without a line editor."""
        max_pktsize = max_pktsize or self._max_pktsize
        self._update_recv_pktlen(max_pktsize)
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
            window or self._window,
            max_pktsize,
        )
        check_library(self, channel)
        return channel


def _acknowledge_now(transport: asyncio.Transport | None) -> None:
    sock = None if transport is None else transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        with suppress(OSError):  # it may have been closed
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)


class Channel(PacketChannel, SSHServerChannel[bytes]):
    """A session's channel."""

    def write_error(self, data: memoryview) -> None:
        """Send on the error stream."""
        self.write(data, EXTENDED_DATA_STDERR)
