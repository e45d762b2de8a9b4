"""Where a host's name leads: asked once, so that what was looked at is what is connected to.

Addresses of the box itself, of its containers and of its own link are *near*: what listens there is not for
everybody to find out. A login to a near one that does not come as far as a key of SSH fails with one sentence
and after one time, whatever was there: nothing, something else, or something that keeps silent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

_STAGGER: Final = 0.25  # seconds before the next address is tried beside the last one
_ROUTES: Final = Path("/proc/net/route")
_BRIDGES: Final = ("docker", "br-", "veth", "labbox", "podman", "cni", "virbr", "lxc")
_MAPPED: Final = (ipaddress.ip_network("64:ff9b::/96"), ipaddress.ip_network("2002::/16"))


class Address(NamedTuple):
    """One address of a host, as sockets take it."""

    family: socket.AddressFamily
    where: tuple[str | int | bytes, ...]

    @property
    def near(self) -> bool:
        """Whether it is the box itself, its containers, or of the link alone."""
        return is_near(str(self.where[0]))


async def addresses_of(host: str, port: int) -> tuple[Address, ...]:
    """What a name leads to now; socket.gaierror, UnicodeError as `getaddrinfo` raises them."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(Address(one[0], one[4]) for one in found))


def is_near(text: str) -> bool:
    """Whether an address (not a name) is one of those that say nothing of what listens there."""
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            address = address.ipv4_mapped
        elif any(address in network for network in _MAPPED):
            return True
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
        return True
    if str(address) == "255.255.255.255" or (address.version == 4 and int(address) >> 24 == 0):
        return True
    return _is_own(address) or _is_of_a_bridge(address)


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


def _is_own(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Only what is the machine's own can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False


def _is_of_a_bridge(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
    """Whether the way to it ends at a bridge of containers or virtual machines here."""
    if address.version != 4:
        return False
    try:
        lines = _ROUTES.read_text("ascii").splitlines()[1:]
    except OSError:
        return False
    for line in lines:
        name, target, _gateway, _flags, _, _, _, mask, *_ = line.split()
        network = socket.htonl(int(target, 16)), socket.htonl(int(mask, 16))
        if network[1] and int(address) & network[1] == network[0] and name.startswith(_BRIDGES):
            return True
    return False
