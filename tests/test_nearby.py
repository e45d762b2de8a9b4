"""What an address is, however it is spelt: everybody who asks gets one answer."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labbox import nearby
from labbox.daemon.containers.guard import may_go_to
from labbox.daemon.people.guessing import network_of
from labbox.files.places.addresses import Address

NEAR = (
    "127.0.0.1", "127.255.0.9", "::1", "0.0.0.0", "::", "169.254.169.254", "fe80::1", "fe80::1%lo",
    "224.0.0.1", "255.255.255.255", "0.1.2.3", "ff02::1", "64:ff9b:1::7f00:1", "64:ff9b:1:808:8:800::",
)  # fmt: skip
BRIDGE = "172.31.9.7"
BRIDGE_6 = "2001:db8:9::7"


def spellings(address: str) -> Iterator[str]:
    """Every address of IPv6 that holds one of IPv4."""
    yield address
    plain = address.partition("%")[0]
    if "." not in plain:
        return
    number = int(ipaddress.IPv4Address(plain))
    for prefix in ("::ffff:0:0", "64:ff9b::", "::"):
        made = int(ipaddress.IPv6Address(prefix)) | number
        if made > 1:
            yield str(ipaddress.IPv6Address(made))
            yield f"{ipaddress.IPv6Address(made).exploded}%lo"
    yield str(ipaddress.IPv6Address(0x2002 << 112 | number << 80 | 1))
    yield str(ipaddress.IPv6Address(0x20010000 << 96 | 0x01020304 << 64 | (number ^ 0xFFFFFFFF)))


def near(address: str) -> bool:
    """As the places of a transfer ask."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return Address(family, (address, 22)).near


@pytest.fixture
def bridge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Networks of containers, as the kernel tells the ways to them."""
    routes = tmp_path / "route"
    routes.write_text(
        "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n"
        "eth0\t00000000\t0109000A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        "br-0123456789ab\t00091FAC\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n"
    )
    routes_6 = tmp_path / "ipv6_route"
    zero = "0" * 32
    routes_6.write_text(
        f"{zero} 00 {zero} 00 {zero} 00000400 00000001 00000000 00000001     eth0\n"
        f"20010db80009{'0' * 20} 40 {zero} 00 {zero} 00000100 00000001 00000000 00000001 br-0123456789ab\n"
    )
    monkeypatch.setattr(nearby, "_ROUTES", routes)
    monkeypatch.setattr(nearby, "_ROUTES_6", routes_6)


@pytest.mark.attack("S18")
@pytest.mark.parametrize("address", [*NEAR, BRIDGE, BRIDGE_6])
def test_no_spelling_leads_to_the_box_or_its_containers(
    address: str, bridge: None, tried: Callable[..., None]
) -> None:
    for spelt in spellings(address):
        tried()
        assert near(spelt), spelt
        assert not may_go_to(spelt), spelt
        assert not may_go_to(spelt, private=True), spelt


@pytest.mark.attack("S18")
def test_no_spelling_leads_to_the_machines_own_address(tried: Callable[..., None]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.7", 9))  # sends nothing: only the way is looked up
        except OSError:
            return  # no way out at all: there is no such address
        own = probe.getsockname()[0]
    for spelt in spellings(own):
        tried()
        assert near(spelt), spelt
        assert not may_go_to(spelt, private=True), spelt


@pytest.mark.parametrize(
    ("address", "public"),
    [("1.1.1.1", True), ("10.9.8.7", False), ("172.31.8.7", False), ("192.168.7.7", False),
     ("2606:4700::1111", True), ("fd00:7::1", False)],
)  # fmt: skip
def test_every_spelling_of_another_machine_is_that_machine(address: str, public: bool, bridge: None) -> None:
    for spelt in spellings(address):
        assert not near(spelt), spelt
        assert may_go_to(spelt) == public, spelt
        assert may_go_to(spelt, private=True), spelt


@pytest.mark.attack("S8")
def test_no_spelling_of_an_address_is_another_one_that_guesses(tried: Callable[..., None]) -> None:
    for spelt in spellings("198.51.100.7"):
        tried()
        assert network_of(spelt) == "198.51.100.7", spelt
        assert nearby.unwrapped(spelt) == ipaddress.IPv4Address("198.51.100.7")


@pytest.mark.parametrize("text", ["", "h.example", "1.2.3", "127.1", "0x7f.1", "[::1]", "1.2.3.4/32"])
def test_what_is_no_address_is_said(text: str) -> None:
    with pytest.raises(ValueError, match="address"):
        nearby.unwrapped(text)
