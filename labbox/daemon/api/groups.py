"""Groups of jobs over the API. The rights of each call are checked by the jobs themselves."""

from __future__ import annotations

from typing import Final

from labbox.daemon.api.call import Call, reads, submits
from labbox.daemon.api.query import text
from labbox.errors import LabboxError
from labbox.protocol import Empty, Group, GroupBody, Groups

_WHOSE: Final = text("owner", "Whose; the caller's own where nothing is said, and all for root.")


async def list_groups(call: Call) -> Groups:
    """Somebody's groups: a person's own, and everybody's for root, unless another owner is named."""
    owner = call.text("owner") or (call.caller.account.name if call.caller.person else None)
    return await call.services.jobs.groups(call.caller.account, owner)


async def set_group(call: Call) -> Group:
    """Set how many of a group's jobs may run at once."""
    body = await call.body(GroupBody)
    return await call.services.jobs.set_group(
        call.caller.account, _owner(call), call.name, body.parallel, call.caller.origin
    )


async def remove_group(call: Call) -> Empty:
    """Forget a group and its limit."""
    await call.services.jobs.remove_group(call.caller.account, _owner(call), call.name, call.caller.origin)
    return Empty()


def _owner(call: Call) -> str:
    owner = call.text("owner") or (call.caller.account.name if call.caller.person else None)
    if owner is None:
        raise LabboxError(
            "invalid",
            f"cannot change a group of {call.caller.account.name}: that is not a user of the box",
            "say whose: --user NAME",
        )
    return owner


routes: Final = (
    reads("/v1/groups", list_groups, query=(_WHOSE,)),
    submits("/v1/groups/{name}", set_group, query=(_WHOSE,), body=GroupBody),
    submits("/v1/groups/{name}", remove_group, method="DELETE", query=(_WHOSE,)),
)
