"""People over the API: users, passwords, keys, limits, invitations, tokens."""

from __future__ import annotations

import asyncio
import socket
from typing import Final

import msgspec

from labbox.daemon.api.call import Call, changes
from labbox.daemon.api.query import text
from labbox.errors import LabboxError
from labbox.model import Limits
from labbox.protocol import (
    AdminBody,
    Empty,
    Invite,
    InviteBody,
    Key,
    KeyBody,
    Keys,
    NewToken,
    PasswordBody,
    SuspendBody,
    TokenBody,
    Tokens,
    User,
    UserAdd,
    UserEdit,
    UserPage,
)

_SSH_PORT: Final = 22


async def list_users(call: Call) -> UserPage:
    """All users."""
    call.caller.need_admin("list the users")
    return await call.services.people.list()


async def add(call: Call) -> User:
    """Make a user."""
    call.caller.need_admin("add a user")
    return await call.services.people.add(await call.body(UserAdd), call.caller.actor)


async def show(call: Call) -> User:
    """One user."""
    call.caller.need_self_or_admin(call.name, f"show {call.name}")
    return await call.services.people.show(call.name)


async def remove(call: Call) -> Empty:
    """Remove a user, after their jobs."""
    call.caller.need_admin(f"remove {call.name}")
    files = call.text("files") or "keep"
    if files not in ("keep", "delete"):
        raise LabboxError("invalid", f"cannot read files={files!r}", "it is keep or delete")
    await call.services.people.remove(call.name, delete_files=files == "delete", by=call.caller.actor)
    return Empty()


async def set_password(call: Call) -> Empty:
    """Set a password."""
    call.caller.need_self_or_admin(call.name, f"set the password of {call.name}")
    body = await call.body(PasswordBody)
    await call.services.people.set_password(call.name, body, call.caller.actor)
    return Empty()


async def list_keys(call: Call) -> Keys:
    """A person's keys."""
    call.caller.need_self_or_admin(call.name, f"list the keys of {call.name}")
    return await call.services.people.list_keys(call.name)


async def add_key(call: Call) -> Key:
    """Deposit a key."""
    call.caller.need_self_or_admin(call.name, f"add a key for {call.name}")
    body = await call.body(KeyBody)
    return await call.services.people.add_key(call.name, body.key, call.caller.actor)


async def remove_key(call: Call) -> Empty:
    """Remove a key."""
    call.caller.need_self_or_admin(call.name, f"remove a key of {call.name}")
    await call.services.people.remove_key(
        call.name, call.request.match_info["fingerprint"], call.caller.actor
    )
    return Empty()


async def set_limits(call: Call) -> User:
    """Replace a person's limits."""
    call.caller.need_admin(f"set the limits of {call.name}")
    return await call.services.people.set_limits(call.name, await call.body(Limits), call.caller.actor)


async def set_admin(call: Call) -> User:
    """Make an administrator, or no longer."""
    call.caller.need_admin(f"say whether {call.name} administers the box")
    body = await call.body(AdminBody)
    return await call.services.people.set_admin(call.name, body.admin, call.caller.actor)


async def invite(call: Call) -> Invite:
    """Make a one-time code."""
    call.caller.need_admin("invite somebody")
    made = await call.services.people.invite(await call.body(InviteBody), call.caller.actor)
    return msgspec.structs.replace(made, ssh=await _ssh_line(call, made.name))


async def _ssh_line(call: Call, name: str) -> str:
    """What the invited person types: the box as the one who asks reached it, else as it calls itself."""
    host, port = call.caller.reached
    listening, listening_port = call.services.address()
    if not host:
        host, port = listening, listening_port
    if host in ("", "0.0.0.0", "::"):  # noqa: S104 - compared with, not bound to
        host = await asyncio.to_thread(socket.getfqdn)
    host = host.removeprefix("::ffff:")
    return " ".join(["ssh", *(["-p", str(port)] if port not in (0, _SSH_PORT) else []), f"{name}@{host}"])


async def withdraw_invitation(call: Call) -> User:
    """Take a one-time code back."""
    call.caller.need_admin(f"withdraw the invitation of {call.name}")
    return await call.services.people.withdraw_invitation(call.name, call.caller.actor)


async def suspend(call: Call) -> User:
    """Shut a person out."""
    call.caller.need_admin(f"suspend {call.name}")
    body = await call.body(SuspendBody)
    return await call.services.people.suspend(
        call.name, cancel_running=body.cancel_running, by=call.caller.actor
    )


async def unsuspend(call: Call) -> User:
    """Let a person in again."""
    call.caller.need_admin(f"unsuspend {call.name}")
    return await call.services.people.unsuspend(call.name, call.caller.actor)


async def edit(call: Call) -> User:
    """Change a person's full name, or when the account ends."""
    body = await call.body(UserEdit)
    if body.forever or body.expires_at is not None:
        call.caller.need_admin(f"say when the account of {call.name} ends")
    call.caller.need_self_or_admin(call.name, f"change {call.name}")
    return await call.services.people.edit(call.name, body, call.caller.actor)


async def list_tokens(call: Call) -> Tokens:
    """A person's tokens."""
    call.caller.need_self_or_admin(call.name, f"list the tokens of {call.name}")
    return await call.services.people.list_tokens(call.name)


async def add_token(call: Call) -> NewToken:
    """Make a token."""
    call.caller.need_self_or_admin(call.name, f"make a token for {call.name}")
    body = await call.body(TokenBody)
    return await call.services.people.add_token(call.name, body, call.caller.actor)


async def revoke_token(call: Call) -> Empty:
    """End a token."""
    call.caller.need_self_or_admin(call.name, f"revoke a token of {call.name}")
    await call.services.people.revoke_token(call.name, call.id, call.caller.actor)
    return Empty()


routes: Final = (
    changes("/v1/users", list_users, method="GET", admin=True),
    changes("/v1/users", add, status=201, body=UserAdd, admin=True),
    changes("/v1/users/invite", invite, status=201, body=InviteBody, admin=True),
    changes("/v1/users/{name}", show, method="GET"),
    changes(
        "/v1/users/{name}",
        remove,
        method="DELETE",
        query=(text("files", "What becomes of the files: keep (as where nothing is said) or delete."),),
        admin=True,
    ),
    changes("/v1/users/{name}/password", set_password, body=PasswordBody),
    changes("/v1/users/{name}/keys", list_keys, method="GET"),
    changes("/v1/users/{name}/keys", add_key, status=201, body=KeyBody),
    changes("/v1/users/{name}/keys/{fingerprint}", remove_key, method="DELETE"),
    changes("/v1/users/{name}/invitation", withdraw_invitation, method="DELETE", admin=True),
    changes("/v1/users/{name}/suspend", suspend, body=SuspendBody, admin=True),
    changes("/v1/users/{name}/unsuspend", unsuspend, admin=True),
    changes("/v1/users/{name}/edit", edit, body=UserEdit),
    changes("/v1/users/{name}/limits", set_limits, body=Limits, admin=True),
    changes("/v1/users/{name}/admin", set_admin, body=AdminBody, admin=True),
    changes("/v1/users/{name}/tokens", list_tokens, method="GET"),
    changes("/v1/users/{name}/tokens", add_token, status=201, body=TokenBody),
    changes("/v1/users/{name}/tokens/{id}", revoke_token, method="DELETE"),
)
