"""A connection before its login begins: it is held, unread, until the porch lets it in."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, cast

from asyncssh.constants import MSG_DISCONNECT

from labbox.daemon.people.guessing import network_of

if TYPE_CHECKING:
    from labbox.daemon.gate.porch import Porch
    from labbox.daemon.gate.wire import Connection

_DRAIN_SECONDS: Final = 2.0  # for a client to read why it may not come in
_REASON: Final = 7  # SSH_DISCONNECT_SERVICE_NOT_AVAILABLE: of the reasons, clients show this one to everybody


class Knock(asyncio.Protocol):
    """What asyncio makes of a new connection; a `Newcomer` of the porch."""

    def __init__(
        self, porch: Porch, make: Callable[[Knock], Connection], version: str, refuse: Callable[[str], str]
    ) -> None:
        """`make` makes the connection that takes over; `refuse` says why an address may not log in, or ""."""
        self._porch = porch
        self._make = make
        self._version = version
        self._refuse = refuse
        self._transport: asyncio.Transport | None = None
        self._connection: Connection | None = None
        self._early = b""
        self.address = "unknown"
        self.source = "unknown"
        self.number = 0
        self.heard = 0.0
        self.greeted = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Somebody knocks."""
        self._transport = cast(asyncio.Transport, transport)
        self.address = str((transport.get_extra_info("peername") or ("unknown",))[0])
        self.source = network_of(self.address)
        # asyncio begins to read right after this, whatever is said here; so what follows comes after that.
        asyncio.get_running_loop().call_soon(self._arrived)

    def _arrived(self) -> None:
        if self._transport is None or self._transport.is_closing():
            return
        self._transport.pause_reading()
        if reason := self._refuse(self.address):
            self.end(reason)
        else:
            self._porch.knock(self)

    def data_received(self, data: bytes) -> None:
        """What came before it was held; it is no less a part of what the client says."""
        self._early += data

    def begin(self) -> None:
        """Its turn: the connection takes over."""
        if self._transport is None:
            return
        self._connection = self._make(self)
        self._transport.set_protocol(self._connection)
        self._connection.connection_made(self._transport)
        if self._early:
            self._connection.data_received(self._early)
        if not self._connection.waits_for_turn:
            self._transport.resume_reading()

    def end(self, sentence: str) -> None:
        """Send it away with a sentence."""
        if self._connection is not None:
            self._connection.end(sentence)
        elif self._transport is not None:
            transport, self._transport = self._transport, None
            transport.write(f"SSH-2.0-{self._version}\r\n".encode() + _goodbye(sentence))
            transport.set_protocol(_Drain(transport))
            transport.write_eof()
            transport.resume_reading()  # closed with bytes unread, it would be reset before it is told

    def gone(self) -> None:
        """It has logged in, or its connection is closed."""
        self._porch.leave(self)

    def connection_lost(self, exc: Exception | None) -> None:
        """It has gone while it waited."""
        self._transport = None
        self._porch.leave(self)


class _Drain(asyncio.Protocol):
    """Reads what a client still sends, for a moment, and keeps nothing."""

    def __init__(self, transport: asyncio.Transport) -> None:
        self._timer = asyncio.get_running_loop().call_later(_DRAIN_SECONDS, transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()


def _goodbye(sentence: str) -> bytes:
    """A packet before any key exchange (RFC 4253, sections 6 and 11.1)."""
    text = sentence.encode()
    inside = bytes((MSG_DISCONNECT,)) + _REASON.to_bytes(4, "big")
    inside += len(text).to_bytes(4, "big") + text + (2).to_bytes(4, "big") + b"en"
    padding = -(5 + len(inside)) % 8
    if padding < 4:
        padding += 8
    return (1 + len(inside) + padding).to_bytes(4, "big") + bytes((padding,)) + inside + bytes(padding)
