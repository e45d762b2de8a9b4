"""Other machines over the API: each caller's own alone."""

from __future__ import annotations

from typing import Final

from labbox.daemon.api.call import Call, changes, reads
from labbox.errors import LabboxError
from labbox.protocol import Empty, Host, HostAdd, Hosts, HostSecret, HostTrust


async def list_hosts(call: Call) -> Hosts:
    """The caller's hosts."""
    return await call.services.people.hosts.list(_owner(call))


async def add_host(call: Call) -> Host:
    """Keep a key or a password; make a key where none is given."""
    return await call.services.people.hosts.add(_owner(call), await call.body(HostAdd), call.caller.actor)


async def trust_host(call: Call) -> Host:
    """Pin a host's key."""
    body = await call.body(HostTrust)
    return await call.services.people.hosts.trust(_owner(call), call.name, body.key, call.caller.actor)


async def remove_host(call: Call) -> Empty:
    """Forget a host."""
    await call.services.people.hosts.remove(_owner(call), call.name, call.caller.actor)
    return Empty()


async def host_secret(call: Call) -> HostSecret:
    """What the caller's own process logs in with."""
    return await call.services.people.hosts.secret(_owner(call), call.name)


def _owner(call: Call) -> str:
    if not call.caller.person:
        raise LabboxError(
            "invalid",
            f"cannot keep hosts for {call.caller.account.name}: that is not a user of the box",
            "say for whom: --as NAME",
        )
    return call.caller.account.name


routes: Final = (
    reads("/v1/hosts", list_hosts),
    changes("/v1/hosts", add_host, status=201, body=HostAdd),
    changes("/v1/hosts/{name}", remove_host, method="DELETE"),
    changes("/v1/hosts/{name}/trust", trust_host, body=HostTrust),
    changes("/v1/hosts/{name}/secret", host_secret, method="GET"),
)
