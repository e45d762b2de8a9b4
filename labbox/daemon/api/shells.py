"""Shells in running jobs: each a connection of raw bytes, and a name by which its window's size is told."""

from __future__ import annotations

from typing import Final

from aiohttp import web

from labbox.daemon.api.call import Call, submits
from labbox.daemon.api.query import number, text
from labbox.daemon.api.terminals import upgrade
from labbox.errors import LabboxError
from labbox.protocol import Empty, SizeBody

_LARGEST: Final = 1000  # rows and columns; a larger screen would only cost memory
_LONGEST_NAME: Final = 64


async def shell(call: Call) -> web.StreamResponse:
    """Turn the connection into the raw bytes of a terminal in the job's container."""
    if call.request.headers.get("Upgrade", "").lower() != "labbox-shell":
        raise LabboxError("usage", "cannot open a shell: the request has no `Upgrade: labbox-shell`")
    name = call.text("name") or ""
    if len(name) > _LONGEST_NAME:
        raise LabboxError(
            "invalid", "cannot open a shell: its name is too long", f"at most {_LONGEST_NAME} characters"
        )
    account = call.caller.account
    rows, columns = call.number("rows") or 24, call.number("columns") or 80
    terminal = await call.services.jobs.shell(account, call.id, rows, columns)
    try:
        with call.services.shells.known(account.name, call.id, name, terminal):
            return await upgrade(call.request, "labbox-shell", terminal)
    finally:
        await terminal.close()


async def resize(call: Call) -> Empty:
    """Tell an open shell the size of its window."""
    size = await call.body(SizeBody)
    if not (1 <= size.rows <= _LARGEST and 1 <= size.columns <= _LARGEST):
        raise LabboxError(
            "invalid",
            f"cannot use a window of {size.rows} × {size.columns}: both must be from 1 to {_LARGEST}",
        )
    terminal = call.services.shells.find(call.caller.account.name, call.id, call.name)
    if terminal is None:
        raise LabboxError(
            "not_found", f"cannot find that shell in job {call.id}: it has ended", "open another"
        )
    await terminal.resize(size.rows, size.columns)
    return Empty()


routes: Final = (
    submits(
        "/v1/jobs/{id}/shell",
        shell,
        query=(
            number("rows", "The window's height in characters; 24 where nothing is said.", 1, _LARGEST),
            number("columns", "Its width; 80 where nothing is said.", 1, _LARGEST),
            text("name", "A name of your choice, at most 64 characters, by which its size is changed."),
        ),
        upgrade="labbox-shell",
    ),
    submits("/v1/jobs/{id}/shell/{name}/size", resize, body=SizeBody),
)
