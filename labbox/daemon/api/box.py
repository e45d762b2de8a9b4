"""The box as a whole over the API: status, caller, changes, notices, trail."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from labbox.daemon.api.call import Call, changes, reads, submits
from labbox.daemon.api.query import BEFORE, LIMIT, flag, number
from labbox.daemon.api.streams import stream_lines
from labbox.protocol import AuditPage, Caller, Empty, Event, Notices, Seen, Status


async def status(call: Call) -> Status:
    """The box at a glance."""
    return await call.services.status()


async def whoami(call: Call) -> Caller:
    """Who the caller is taken for."""
    caller = call.caller
    account = caller.account
    return Caller(
        name=account.name,
        uid=account.uid,
        role=caller.role,
        scope=caller.scope,
        home=str(account.home) if caller.person else "",
        shared=call.services.people.projects.shared_folder() if caller.person else "",
        projects=call.services.people.projects.folders(account.name) if caller.person else {},
        external_editor=call.services.external_editor,
    )


async def events(call: Call) -> web.StreamResponse:
    """What changes, as a stream."""
    jobs, after, follow = call.services.jobs, call.number("after"), call.flag("follow")
    cursor = await jobs.last_event() if after is None else after

    def alive() -> Event:
        return Event(cursor=cursor, at=datetime.now(UTC), kind="alive")

    async def changed() -> AsyncIterator[Event]:
        nonlocal cursor
        if after is None and follow:
            yield alive()  # whoever is cut off before anything has happened knows where to go on
        start = cursor if follow else after  # what is stored since it was told, too
        events = jobs.events(call.caller.account, after=start, follow=follow, mine=call.flag("mine"))
        async with aclosing(events):
            async for event in events:
                cursor = event.cursor
                yield event

    return await stream_lines(call.request, changed(), alive)


async def notices(call: Call) -> Notices:
    """What the caller has not looked at yet; with `all` what they have, too."""
    return await call.services.jobs.notices(call.caller.account, call.flag("all"))


async def notices_seen(call: Call) -> Empty:
    """The caller has looked at some."""
    await call.services.jobs.notices_seen(call.caller.account, (await call.body(Seen)).up_to)
    return Empty()


async def audit(call: Call) -> AuditPage:
    """The trail of who did what."""
    call.caller.need_admin("read the audit trail")
    return await call.services.people.audit_page(limit=call.limit(), before=call.number("before"))


routes: Final = (
    reads("/v1/status", status),
    reads("/v1/whoami", whoami),
    reads(
        "/v1/events",
        events,
        query=(
            number("after", "Give what came after this cursor; without it, what happens from now on."),
            flag("follow", "Go on with what comes; else the answer ends with what is there."),
            flag("mine", "Leave out other people's jobs."),
        ),
        lines=Event,
    ),
    reads("/v1/notices", notices, query=(flag("all", "Also what was looked at, as far as it is kept."),)),
    submits("/v1/notices/seen", notices_seen, body=Seen),
    changes("/v1/audit", audit, method="GET", query=(LIMIT, BEFORE), admin=True),
)
