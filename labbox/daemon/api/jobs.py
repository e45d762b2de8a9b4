"""Jobs over the API. The rights of each call are checked by the jobs themselves."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final

from aiohttp import web

from labbox.daemon.api.call import Call, Route, reads, submits
from labbox.daemon.api.query import BEFORE, LIMIT, flag, number, text
from labbox.daemon.api.services import JobsService
from labbox.daemon.api.streams import stream_lines
from labbox.daemon.people import Account
from labbox.model import JobSpec, Stream
from labbox.protocol import (
    Empty,
    InputBody,
    InspectBody,
    Inspection,
    Job,
    JobCounts,
    JobDetail,
    JobEdit,
    JobHistory,
    JobPage,
    LiveJobs,
    LogRecord,
    Submitted,
    Templates,
    TransferSummary,
    UsagePage,
    Why,
)


async def submit(call: Call) -> Submitted:
    """Take a job in."""
    account = call.caller.need_person()
    return await call.services.jobs.submit(account, await call.body(JobSpec), call.caller.origin)


async def list_page(call: Call) -> JobPage:
    """A page of jobs."""
    return await call.services.jobs.page(
        call.caller.account,
        owner=call.text("owner"),
        state=call.text("state"),
        name=call.text("name"),
        array=call.number("array"),
        group=call.text("group"),
        kind=call.text("kind"),
        limit=call.limit(),
        before=call.number("before"),
        order=call.text("order"),
    )


async def live(call: Call) -> LiveJobs:
    """What running jobs take."""
    return await call.services.jobs.live(call.caller.account)


async def counts(call: Call) -> JobCounts:
    """Jobs by state."""
    return await call.services.jobs.counts(
        call.caller.account, call.text("owner"), call.number("array"), call.text("kind")
    )


async def show(call: Call) -> JobDetail:
    """One job."""
    return await call.services.jobs.show(call.caller.account, call.id)


async def why(call: Call) -> Why:
    """Why a job is where it is."""
    return await call.services.jobs.why(call.caller.account, call.id)


async def history(call: Call) -> JobHistory:
    """A job's changes."""
    return await call.services.jobs.history(call.caller.account, call.id)


async def transfer(call: Call) -> TransferSummary:
    """What a transfer did."""
    return await call.services.jobs.transfer(call.caller.account, call.id)


async def log(call: Call) -> web.StreamResponse:
    """A job's log as a stream."""
    after = call.number("after") or 0
    records = call.services.jobs.log(
        call.caller.account,
        call.id,
        after=after,
        follow=call.flag("follow"),
        attempt=call.number("attempt"),
        tail=call.number("tail"),
    )

    def alive() -> LogRecord:
        return LogRecord(cursor=after, at=datetime.now(UTC), stream=Stream.BOX)

    return await stream_lines(call.request, records, alive)


Act = Callable[[JobsService], Callable[[Account, int, str], Awaitable[Job]]]


def _act(verb: str, purpose: str, pick: Act) -> Route:
    """A verb that needs nothing but the job's number."""

    async def act(call: Call) -> Job:
        return await pick(call.services.jobs)(call.caller.account, call.id, call.caller.origin)

    act.__name__, act.__doc__ = verb, purpose
    return submits(f"/v1/jobs/{{id}}/{verb}", act)


async def rerun(call: Call) -> Submitted:
    """Make a new job from an old one."""
    edit = await call.body(JobEdit)
    return await call.services.jobs.rerun(call.caller.need_person(), call.id, edit, call.caller.origin)


async def edit(call: Call) -> Job:
    """Change a waiting job."""
    change = await call.body(JobEdit)
    return await call.services.jobs.edit(call.caller.account, call.id, change, call.caller.origin)


async def write_input(call: Call) -> Empty:
    """Write to a job's standard input."""
    await call.services.jobs.input(call.caller.account, call.id, await call.body(InputBody))
    return Empty()


async def inspect(call: Call) -> Inspection:
    """Look at a project folder."""
    return await call.services.jobs.inspect(call.caller.need_person(), await call.body(InspectBody))


async def templates(call: Call) -> Templates:
    """The languages of the box."""
    return call.services.jobs.templates()


async def usage(call: Call) -> UsagePage:
    """What people used."""
    return await call.services.jobs.usage(call.caller.account, call.text("owner"))


_OWNER: Final = text("owner", "One person's; everybody's where nothing is said.")
_ARRAY: Final = number("array", "The elements of this array; 0: all jobs but elements of arrays.")
_KIND: Final = text("kind", "runs, or files: copies, deletions and the like.")

routes: Final = (
    submits("/v1/jobs", submit, status=201, body=JobSpec),
    reads(
        "/v1/jobs",
        list_page,
        query=(
            _OWNER,
            text("state", "States with commas between, or waiting, active, final."),
            text("name", "A part of the name."),
            _ARRAY,
            text("group", "The jobs of groups of this name."),
            _KIND,
            LIMIT,
            BEFORE,
            text("order", "newest (first, as where nothing is said) or oldest."),
        ),
    ),
    reads("/v1/jobs/counts", counts, query=(_OWNER, _ARRAY, _KIND)),
    reads("/v1/jobs/live", live),
    reads("/v1/jobs/{id}", show),
    reads("/v1/jobs/{id}/why", why),
    reads(
        "/v1/jobs/{id}/log",
        log,
        query=(
            number("after", "Give what came after this byte; 0 where nothing is said."),
            flag("follow", "Go on until the job has ended."),
            number("attempt", "Of this attempt alone.", 1),
            number("tail", "Begin so many lines before the end."),
        ),
        lines=LogRecord,
    ),
    reads("/v1/jobs/{id}/history", history),
    reads("/v1/jobs/{id}/transfer", transfer),
    _act("cancel", "End a job: asked politely, then by force.", lambda jobs: jobs.cancel),
    _act("kill", "End a job by force, at once.", lambda jobs: jobs.kill),
    _act("hold", "Keep a waiting job from starting.", lambda jobs: jobs.hold),
    _act("release", "Let a held job go back into the queue.", lambda jobs: jobs.release),
    _act("pause", "Freeze a running job in memory.", lambda jobs: jobs.pause),
    _act("resume", "Let a paused job go on.", lambda jobs: jobs.resume),
    _act("retry", "Queue a new attempt of a job that ended without success.", lambda jobs: jobs.retry),
    submits("/v1/jobs/{id}/rerun", rerun, status=201, body=JobEdit),
    submits("/v1/jobs/{id}/edit", edit, body=JobEdit),
    submits("/v1/jobs/{id}/input", write_input, body=InputBody),
    reads("/v1/inspect", inspect, method="POST", body=InspectBody),
    reads("/v1/templates", templates),
    reads("/v1/usage", usage, query=(_OWNER,)),
)
