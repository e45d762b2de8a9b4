"""All routes of the API, and the one that describes them."""

from __future__ import annotations

import functools
from typing import Final

import msgspec
from aiohttp import web

from labbox.daemon.api import box, groups, hosts, jobs, projects, shells, users
from labbox.daemon.api.call import Call, Route, reads
from labbox.daemon.api.openapi import document


async def openapi(call: Call) -> web.Response:
    """This description, as OpenAPI 3.1."""
    return web.Response(body=_document(), content_type="application/json")


ROUTES: Final[tuple[Route, ...]] = (
    *box.routes,
    *jobs.routes,
    *groups.routes,
    *hosts.routes,
    *projects.routes,
    *shells.routes,
    *users.routes,
    reads("/v1/openapi.json", openapi),
)


@functools.cache
def _document() -> bytes:
    return msgspec.json.encode(document(ROUTES))
