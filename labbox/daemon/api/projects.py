"""Projects over the API."""

from __future__ import annotations

from typing import Final

from labbox.daemon.api.call import Call, changes, reads
from labbox.daemon.api.query import text
from labbox.errors import LabboxError
from labbox.protocol import Empty, Project, ProjectAdd, ProjectPage


async def list_projects(call: Call) -> ProjectPage:
    """The caller's projects; all of them for administrators."""
    return call.services.people.projects.page(call.caller.account)


async def add(call: Call) -> Project:
    """Make a project."""
    call.caller.need_admin("add a project")
    body = await call.body(ProjectAdd)
    return await call.services.people.projects.add(body.name, body.members, call.caller.actor)


async def remove(call: Call) -> Empty:
    """Forget a project."""
    call.caller.need_admin(f"remove the project {call.name}")
    files = call.text("files") or "keep"
    if files not in ("keep", "delete"):
        raise LabboxError("invalid", f"cannot read files={files!r}", "it is keep or delete")
    await call.services.people.projects.remove(
        call.name, delete_files=files == "delete", by=call.caller.actor
    )
    return Empty()


async def join(call: Call) -> Project:
    """Take somebody into a project."""
    call.caller.need_admin(f"change the project {call.name}")
    return await call.services.people.projects.join(call.name, _member(call), call.caller.actor)


async def leave(call: Call) -> Project:
    """Let somebody go."""
    call.caller.need_admin(f"change the project {call.name}")
    return await call.services.people.projects.leave(call.name, _member(call), call.caller.actor)


def _member(call: Call) -> str:
    return call.request.match_info["member"]


routes: Final = (
    reads("/v1/projects", list_projects),
    changes("/v1/projects", add, status=201, body=ProjectAdd, admin=True),
    changes(
        "/v1/projects/{name}",
        remove,
        method="DELETE",
        query=(text("files", "What becomes of the files: keep (as where nothing is said) or delete."),),
        admin=True,
    ),
    changes("/v1/projects/{name}/members/{member}", join, admin=True),
    changes("/v1/projects/{name}/members/{member}", leave, method="DELETE", admin=True),
)
