"""Which addresses are this machine's own, its containers' or its link's: what an address is, however spelt.

What listens there is for nobody to find out or to reach through the box. An address of IPv6 may hold one of
IPv4, and lead there: whoever asks what an address is asks about the one inside.
"""

from __future__ import annotations

import ipaddress
import socket
from contextlib import suppress
from pathlib import Path
from typing import Final, TypeAlias

Address: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")  # RFC 6052
_LOCAL_NAT64: Final = ipaddress.ip_network("64:ff9b:1::/48")  # RFC 8215: it holds one somewhere
_COMPATIBLE: Final = ipaddress.ip_network("::/96")  # RFC 4291, 2.5.5.1
_THIS_NETWORK: Final = ipaddress.ip_network("0.0.0.0/8")
_BROADCAST: Final = ipaddress.ip_address("255.255.255.255")
_ROUTES: Final = Path("/proc/net/route")
_ROUTES_6: Final = Path("/proc/net/ipv6_route")
_BRIDGES: Final = ("docker", "br-", "veth", "labbox", "podman", "cni", "virbr", "lxc")


def unwrapped(text: str) -> Address:
    """The address that a text leads to: of IPv4 where one of IPv6 holds it. ValueError for no address.

    Those that hold one: mapped, compatible, NAT64, 6to4 (RFC 3056) and Teredo (RFC 4380) addresses.
    """
    address = ipaddress.ip_address(text.partition("%")[0])
    if isinstance(address, ipaddress.IPv4Address):
        return address
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 1):  # not :: and ::1
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.teredo is not None:
        return address.teredo[1]
    return address.ipv4_mapped or address.sixtofour or address


def is_near(address: Address) -> bool:
    """Whether an unwrapped address is the machine's own, of its containers, or of the link alone."""
    if address.is_loopback or address.is_link_local or address.is_unspecified or address.is_multicast:
        return True
    if address in _THIS_NETWORK or address == _BROADCAST or address in _LOCAL_NAT64:
        return True
    return _is_own(address) or _is_of_a_bridge(address)


def _is_own(address: Address) -> bool:
    """Only what is the machine's own can be bound to."""
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
        probe.bind((str(address), 0))
        return True
    return False


def _is_of_a_bridge(address: Address) -> bool:
    """Whether the way to it ends at a bridge of containers or virtual machines here."""
    return any(
        address in network and name.startswith(_BRIDGES)
        for network, name in (_routes() if address.version == 4 else _routes_6())
    )


def _routes() -> list[tuple[ipaddress.IPv4Network, str]]:
    """Networks and the names of the devices that lead there, without the way to everywhere."""
    found = []
    for line in _lines(_ROUTES)[1:]:
        name, target, _gateway, _flags, _, _, _, mask, *_ = line.split()
        if length := int(mask, 16).bit_count():
            found.append((ipaddress.IPv4Network((socket.htonl(int(target, 16)), length)), name))
    return found


def _routes_6() -> list[tuple[ipaddress.IPv6Network, str]]:
    """The same for IPv6."""
    found = []
    for line in _lines(_ROUTES_6):
        target, length, *_, name = line.split()
        if int(length, 16):
            found.append((ipaddress.IPv6Network((int(target, 16), int(length, 16))), name))
    return found


def _lines(path: Path) -> list[str]:
    with suppress(OSError):  # a machine without that family, or without /proc
        return path.read_text("ascii").splitlines()
    return []
