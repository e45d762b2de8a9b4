"""Where a host's name leads: asked once, so that what was looked at is what is connected to.

Addresses of the box itself, of its containers and of its own link are *near*: what listens there is not for
everybody to find out. A login to a near one that does not come as far as a key of SSH fails with one sentence
and after one time, whatever was there: nothing, something else, or something that keeps silent.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Sequence
from typing import Final, NamedTuple

from labbox.nearby import is_near, unwrapped

_STAGGER: Final = 0.25  # seconds before the next address is tried beside the last one


class Address(NamedTuple):
    """One address of a host, as sockets take it."""

    family: socket.AddressFamily
    where: tuple[str | int | bytes, ...]

    @property
    def near(self) -> bool:
        """Whether it is the box itself, its containers, or of the link alone."""
        return is_near(unwrapped(str(self.where[0])))


async def addresses_of(host: str, port: int) -> tuple[Address, ...]:
    """What a name leads to now; socket.gaierror, UnicodeError as `getaddrinfo` raises them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(Address(one[0], one[4]) for one in found))


async def connect(addresses: Sequence[Address]) -> socket.socket:
    """A connection to the first of these that answers; OSError of one of them where none does."""
    tries = [asyncio.create_task(_connect(one, at * _STAGGER)) for at, one in enumerate(addresses)]
    made: socket.socket | None = None
    failed: OSError | None = None
    try:
        for done in asyncio.as_completed(tries):
            try:
                made = await done
                return made
            except OSError as error:
                failed = error if failed is None or isinstance(error, ConnectionRefusedError) else failed
    finally:
        for one in tries:
            one.cancel()
        for late in await asyncio.gather(*tries, return_exceptions=True):
            if isinstance(late, socket.socket) and late is not made:
                late.close()
    raise failed or OSError("it has no address")


async def _connect(address: Address, after: float) -> socket.socket:
    await asyncio.sleep(after)
    sock = socket.socket(address.family, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        await asyncio.get_running_loop().sock_connect(sock, address.where)
    except BaseException:
        sock.close()
        raise
    return sock
