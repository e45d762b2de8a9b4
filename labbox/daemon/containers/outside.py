"""The bridge of what is people's own and may reach outside: jobs with a network, builds.

They reach neither each other, nor the box's own ports, nor what answers on the link alone (where a machine is
rented, its keys are handed out there).
"""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from typing import TYPE_CHECKING, Any, Final

from labbox.daemon.containers.chores import Chores, output
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.run import NETWORK
from labbox.nearby import unwrapped

if TYPE_CHECKING:
    import docker

_log = logging.getLogger(__name__)

ENGINES_OWN: Final = "bridge"  # what the engine calls the network that it made for itself
_WALL_SECONDS: Final = 120.0  # two dozen commands, each of which may have to wait for a lock


class Outside:
    """The bridge with its wall, made when the first one needs it."""

    def __init__(self, connection: Connection, chores: Chores) -> None:
        """`chores` raises the wall, which wants more of root than this process has."""
        self.trouble = ""  # why those on it reach more than they should, in a sentence
        self._connection, self._chores = connection, chores
        self._made = False
        self._making = asyncio.Lock()
        self._subnets: tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...] = ()

    async def network(self) -> str:
        """Its name; LabboxError where the engine makes none."""
        async with self._making:
            if not self._made:
                await self._make()
        return NETWORK

    async def instead_of(self, configured: str) -> str:
        """The network of a person's build where the box's own get `configured`."""
        if configured == "host":
            return "none"  # nothing of this machine's own
        return await self.network() if configured == ENGINES_OWN else configured

    async def see(self) -> None:
        """Know it anew where the engine has it already, and raise its wall: runs may be on it."""
        self._made = False

        def work(api: docker.APIClient) -> bool:
            return bool(api.networks(filters={"name": f"^{NETWORK}$"}))

        if await self._connection.call(work):
            await self.network()

    def has(self, address: str) -> bool:
        """Whether an address is one of those on it."""
        if not self._subnets:
            return False
        try:
            parsed = unwrapped(address)
        except ValueError:
            return False
        return any(parsed in network for network in self._subnets)

    async def _make(self) -> None:
        def work(api: docker.APIClient) -> dict[str, Any]:
            if not api.networks(filters={"name": f"^{NETWORK}$"}):
                api.create_network(
                    NETWORK, driver="bridge", options={"com.docker.network.bridge.enable_icc": "false"}
                )
            found: dict[str, Any] = api.inspect_network(NETWORK)
            return found

        network = await self._connection.call(work)
        self._subnets = _subnets(network)
        if os.geteuid() == 0:
            self.trouble = await self._raise_wall(_bridge(network))
            if self.trouble:
                _log.warning("%s", self.trouble)
        self._made = True

    async def _raise_wall(self, bridge: str) -> str:
        try:
            async with (
                asyncio.timeout(_WALL_SECONDS),
                output(self._chores, "wall", (bridge,)) as (said, wall),
            ):
                sentence = (await said.read()).decode(errors="replace")
                code = await wall.wait()
        except TimeoutError:
            sentence, code = "", 124
        return sentence or (f"jobs with a network may reach the box's own ports: code {code}" if code else "")


def _subnets(network: dict[str, Any]) -> tuple[ipaddress.IPv4Network | ipaddress.IPv6Network, ...]:
    configured = (network.get("IPAM") or {}).get("Config") or []
    return tuple(ipaddress.ip_network(one["Subnet"]) for one in configured if one.get("Subnet"))


def _bridge(network: dict[str, Any]) -> str:
    """The name of its device: as the engine names it, where nobody has said otherwise."""
    options = network.get("Options") or {}
    return str(options.get("com.docker.network.bridge.name") or f"br-{str(network['Id'])[:12]}")
