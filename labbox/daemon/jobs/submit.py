"""Taking jobs in: what was asked, what the folder says, what the box allows; then rows, all or none."""

from __future__ import annotations

import math
import re
from datetime import datetime
from typing import TYPE_CHECKING, Final

import msgspec

from labbox.custom import JobSettings
from labbox.daemon.jobs import expand
from labbox.daemon.jobs.asking import (
    check_transfer,
    check_transfer_in_turns,
    hosts_named,
    jobs_named,
    transfer_name,
)
from labbox.daemon.jobs.handed import Handed, Project, decode_spec, encode
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import dependencies, events, former, groups, jobs, usage
from labbox.daemon.store.jobs import JobRow, NewJob
from labbox.daemon.store.times import stamp
from labbox.errors import LabboxError
from labbox.groups import TRANSFERS, parse_group
from labbox.locations import Kind, elsewhere, parse
from labbox.model import (
    FINAL,
    MIB,
    Conflict,
    JobKind,
    JobSpec,
    JobState,
    Limits,
    Resources,
    TransferSpec,
    TransferVerb,
    Value,
    narrower,
)
from labbox.protocol import Finding, Inspection
from labbox.text import counted, format_bytes, format_duration, visible_line

if TYPE_CHECKING:
    from sqlite3 import Connection

_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_LONGEST_NAME: Final = 100
_MOST_RETRIES: Final = 100
_MOST_AFTER: Final = 1_000
_MOST_ELEMENTS: Final = 1_000_000
_MOST_WORDS: Final = 10_000  # of a command
_MOST_VARIABLES: Final = 1_000
_MOST_DELIVERED: Final = 1_000  # elements
_HIGHEST_PRIORITY: Final = 1_000_000
_LARGEST_ENVIRONMENT: Final = 128 * 1024  # bytes of one variable, as the kernel has it (MAX_ARG_STRLEN)
_LEAST_MEMORY: Final = 6 * MIB  # the engine takes no less
PATIENCE: Final = 3 * 86400.0  # seconds for which a machine that sleeps is tried again: over a weekend
_NO_LOGINS: Final = (
    "cannot submit with a token what logs in to other machines: a token has none of your stored logins",
    "log in with a key or a password for that",
)
_ASK_FOR_LESS: Final = "ask for less; `labbox status` shows what the box has"
_WITHIN_LIMITS: Final = "ask for less; `labbox user limits` shows yours, an administrator can raise them"


class Order(Value):
    """A submission, ready to be stored."""

    spec: JobSpec
    handed: Handed
    name: str
    resources: Resources
    time_limit: float | None
    retries: int
    elements: tuple[expand.Element, ...] = ()
    kind: JobKind = JobKind.CONTAINER
    arrives: bool = False  # its folder is fetched first
    added: int = 0  # bytes that the snapshot took
    warnings: tuple[Finding, ...] = ()  # what the person should know of the folder
    alone: expand.Element | None = None  # one element of an array that is run again by itself


async def understand(parts: Parts, account: Account, spec: JobSpec) -> Order:
    """Check a spec, hand in its folder, and fill in what it leaves open."""
    check_spec(spec)
    if spec.transfer is not None:
        return transfer_order(parts, spec, await check_transfer_in_turns(spec))
    await parts.storage.check(account)
    if spec.path is None:
        return complete(parts, account, spec, without_folder(spec))
    return complete(parts, account, spec, await _hand_in(parts, account, spec.path, spec))


async def _hand_in(parts: Parts, account: Account, path: str, spec: JobSpec) -> Project:
    """Hand a folder in; where there is too little room for it, inputs of ended jobs yield."""
    if full := parts.storage.full():
        raise LabboxError("limit", f"cannot submit: {full}", "delete what you no longer need")
    room = await parts.storage.room(account)
    try:
        return await parts.folders.hand_in(account, path, spec, room=room)
    except LabboxError as error:
        if error.code != "limit" or room is None:
            raise
        await parts.storage.make_room(account)
        more = await parts.storage.room(account)
        if more is None or more <= room:
            raise
        return await parts.folders.hand_in(account, path, spec, room=more)


def complete(parts: Parts, account: Account, spec: JobSpec, project: Project) -> Order:
    """What is to be stored; LabboxError with the first thing that stands against it."""
    inspection, asked, settings = project.inspection, project.asked, parts.settings
    if project.handed is None:
        raise _refused(inspection)
    network = bool(asked.network)
    if network and not settings.network:
        raise LabboxError(
            "forbidden", "cannot submit: this box gives jobs no network", "ask an administrator"
        )
    resources = resources_of(asked, settings)
    check_resources(resources, parts.dispatcher.total, account.limits)
    check_env(asked.env)
    retries = check_retries(asked.retries or 0)
    whole = msgspec.structs.replace(
        spec,
        priority=asked.priority,
        array=asked.array,
        sweep=asked.sweep,
        parallel=asked.parallel,
        group=None if asked.group is None else parse_group(asked.group),
        deliver=asked.deliver,
    )
    whole = with_delivery(whole)
    if whole.parallel is not None and whole.parallel < 1:
        raise LabboxError("invalid", "cannot run fewer than 1 element at a time")
    return Order(
        spec=whole,
        handed=msgspec.structs.replace(
            project.handed,
            image=asked.image,
            network=network,
            stdin=asked.stdin,
            env=asked.env,
        ),
        name=job_name(asked.name or inspection.name),
        resources=resources,
        time_limit=check_time(asked.time_limit, settings),
        retries=retries,
        elements=expand.elements(whole, settings.max_array),
        added=project.added,
        warnings=tuple(one for one in inspection.findings if one.level == "warning"),
    )


def transfer_order(parts: Parts, spec: JobSpec, checked: TransferSpec | None = None) -> Order:
    """What is to be stored of a transfer; `checked` where its check was made already.

    Storage limits do not hold it up: it may be what makes room.
    """
    asked = check_transfer(spec) if checked is None else checked
    return Order(
        spec=msgspec.structs.replace(
            spec,
            transfer=asked,
            group=TRANSFERS if spec.group is None else parse_group(spec.group),
        ),
        handed=Handed(command=()),
        name=job_name(spec.name or transfer_name(asked)),
        resources=Resources(cpus=0.0, memory=0, gpus=0),
        time_limit=None if spec.time_limit is None else check_time(spec.time_limit, parts.settings),
        retries=check_retries(spec.retries or 0),
        kind=JobKind.TRANSFER,
    )


def store(
    connection: Connection,
    parts: Parts,
    account: Account,
    order: Order,
    *,
    by: str,
    origin: str,
    at: int,
    day: str,
) -> list[JobRow]:
    """Store a submission in the caller's transaction; returns its jobs, an array's parent first.

    `by`: who asks, the owner or an administrator.
    """
    spec, handed = order.spec, order.handed
    former.refuse_gone(connection, account.name, account.uid)
    bound = narrower(account.bound, handed.bound)
    handed = msgspec.structs.replace(handed, bound=bound)
    if bound is not None and logs_in(spec):
        raise LabboxError("forbidden", *_NO_LOGINS)
    _check_waiting(connection, account, max(1, len(order.elements)), parts.settings.max_waiting)
    _check_after(connection, account, spec.after)
    if spec.transfer is not None:
        _check_jobs_of(connection, account, spec.transfer)
    if spec.group is not None and spec.group != TRANSFERS:
        groups.ensure(connection, account.name, spec.group)
    number = jobs.add_submission(connection, spec=encode(spec), handed=encode(handed))
    state = JobState.HELD if spec.hold else JobState.QUEUED
    new = NewJob(
        kind=JobKind.ARRAY if order.elements else order.kind,
        name=order.name,
        owner=account.name,
        project=spec.project,
        state=state,
        submitted_at=at,
        day=day,
        resources=order.resources,
        priority=spec.priority,
        time_limit=order.time_limit,
        retries=order.retries,
        not_before=None if spec.start_at is None else stamp(spec.start_at),
        parallel=spec.parallel,
        group=spec.group,
        arrives=order.arrives,
    )
    if order.alone is not None:
        new = msgspec.structs.replace(new, index=order.alone.index, parameters=order.alone.parameters)
    first = jobs.add(connection, new, number, spec.after)
    ids = [first]
    for element in order.elements:
        one = msgspec.structs.replace(
            new,
            kind=JobKind.CONTAINER,
            array=first,
            index=element.index,
            parameters=element.parameters,
        )
        ids.append(jobs.add(connection, one, number, spec.after))
    if order.elements:
        jobs.set_element_counts(connection, first, {state: len(order.elements)})
    for job in ids:
        events.append(connection, at=at, kind="job", owner=account.name, job=job)
    detail = counted(len(order.elements), "element") if order.elements else ""
    if order.added:
        usage.add_storage(connection, account.name, order.added)
    parts.people.trail.record(connection, by, "job submit", str(first), origin, detail)
    rows = [jobs.get(connection, job) for job in ids]
    if spec.deliver is not None:
        for row in rows[1:] if order.elements else rows[:1]:
            rows += store_delivery(
                connection, parts, account, row, spec, by=by, origin=origin, at=at, day=day
            )
    return rows


def logs_in(spec: JobSpec) -> bool:
    """Whether a job, or one that stands with it, reaches other machines with its owner's stored logins."""
    if spec.transfer is not None and hosts_named(spec.transfer):
        return True
    places = (elsewhere(spec.path), None if spec.deliver is None else parse(spec.deliver))
    return any(one is not None and one.kind is Kind.SFTP for one in places)


def with_delivery(spec: JobSpec) -> JobSpec:
    """The spec with the location of its delivery in full; LabboxError where nothing can go there."""
    if spec.deliver is None:
        return spec
    many = max(1, len(spec.array)) * math.prod(len(sweep.values) for sweep in spec.sweep)
    if many > _MOST_DELIVERED:
        raise LabboxError(
            "limit",
            f"cannot deliver the output of {many} elements: each is a transfer of its own, and at most "
            f"{_MOST_DELIVERED} stand in line",
            "leave --deliver out, and get all with labbox job fetch when it has ended",
        )
    target = parse(spec.deliver)
    if target.inner is not None or target.kind is Kind.JOB:
        raise LabboxError("invalid", f"cannot deliver to {target.shown()}", "name a folder")
    return msgspec.structs.replace(spec, deliver=str(target))


async def check_delivery(parts: Parts, account: Account, spec: JobSpec) -> None:
    """LabboxError where the output would go into a project of others, or where all share and nobody does."""
    if spec.deliver is None:
        return
    target = parse(spec.deliver)
    reach = await parts.transfers.reach(account)
    if target.kind is Kind.PROJECT and target.host not in reach.projects:
        yours = ", ".join(sorted(reach.projects))
        raise LabboxError(
            "not_found",
            f"cannot deliver to {target.shown()}: you are in no project of that name",
            f"yours: {yours}" if yours else "ask whoever runs the box to let you into it",
        )
    if target.kind is Kind.SHARED and not reach.shared:
        raise LabboxError(
            "not_found",
            f"cannot deliver to {target.shown()}: this box has no shared folder",
            "whoever runs the box can set one up",
        )


def store_delivery(
    connection: Connection,
    parts: Parts,
    account: Account,
    run: JobRow,
    spec: JobSpec,
    *,
    by: str,
    origin: str,
    at: int,
    day: str,
) -> list[JobRow]:
    """Store the transfer that copies a run's output to where `spec.deliver` says, once it has succeeded.

    That of an element goes into a folder there, which has its index for a name.
    """
    if spec.deliver is None:
        raise AssertionError("only for what is delivered")
    target = parse(spec.deliver)
    if run.index is not None:
        target = target.joined(str(run.index))
    asked = TransferSpec(
        verb=TransferVerb.COPY,
        sources=(f"job:{run.id}/output",),
        target=str(target),
        exact=bool(target.name),
        conflict=Conflict.OVERWRITE,
        wait=PATIENCE,
    )
    order = transfer_order(
        parts,
        JobSpec(
            name=f"deliver the output of job {run.id} to {target.host.rpartition('@')[2] or target.shown()}",
            transfer=asked,
            after=(run.id,),
            priority=spec.priority,
            project=spec.project,
        ),
    )
    return store(connection, parts, account, order, by=by, origin=origin, at=at, day=day)


def has_delivery(connection: Connection, run: int) -> bool:
    """Whether a job that delivers a run's output has been stored with it."""
    source = (f"job:{run}/output",)
    for job in dependencies.before(connection, run):
        asked = decode_spec(jobs.submission(connection, jobs.get(connection, job).submission)[0]).transfer
        if asked is not None and asked.sources == source:
            return True
    return False


def resources_of(spec: JobSpec, settings: JobSettings) -> Resources:
    """What a run needs: what is asked for, and else the box's defaults."""
    return Resources(
        cpus=settings.default_cpus if spec.cpus is None else spec.cpus,
        memory=settings.default_memory if spec.memory is None else spec.memory,
        gpus=spec.gpus or 0,
    )


def check_resources(need: Resources, total: Resources, limits: Limits) -> None:
    """LabboxError where a job could never start: it is more than the box or its owner may have."""
    if not 0.01 <= need.cpus <= 1e6:
        raise LabboxError("invalid", f"cannot run on {need.cpus:g} CPUs", "give at least 0.01")
    if need.memory < _LEAST_MEMORY:
        raise LabboxError(
            "invalid",
            f"cannot run in {format_bytes(need.memory)}",
            f"give at least {format_bytes(_LEAST_MEMORY)}",
        )
    if need.gpus < 0:
        raise LabboxError("invalid", f"cannot run on {need.gpus} GPUs")
    for whose, cpus, memory, gpus, hint in (
        ("the box has", total.cpus, total.memory, total.gpus, _ASK_FOR_LESS),
        ("your limit is", limits.cpus, limits.memory, limits.gpus, _WITHIN_LIMITS),
    ):
        if cpus is not None and need.cpus > cpus:
            much = "1 CPU" if need.cpus == 1 else f"{need.cpus:g} CPUs"
            raise LabboxError("limit", f"cannot submit: it needs {much}, {whose} {cpus:g}", hint)
        if memory is not None and need.memory > memory:
            raise LabboxError(
                "limit",
                f"cannot submit: it needs {format_bytes(need.memory)} of memory,"
                f" {whose} {format_bytes(memory)}",
                hint,
            )
        if gpus is not None and need.gpus > gpus:
            raise LabboxError(
                "limit", f"cannot submit: it needs {counted(need.gpus, 'GPU')}, {whose} {gpus}", hint
            )


def _refused(inspection: Inspection) -> LabboxError:
    """Everything that stands against a folder, each with its file and line."""
    errors = [one for one in inspection.findings if one.level == "error"]
    lines = [
        (f"{one.file}, line {one.line}: " if one.line is not None else f"{one.file}: " if one.file else "")
        + one.text.removeprefix(f"cannot use {one.file}: ")
        + (f" ({one.hint})" if one.hint and len(errors) > 1 else "")
        for one in errors
    ]
    what = "\n  ".join(lines) if lines else "there is nothing to run"
    hint = errors[0].hint if len(errors) == 1 else ""
    return LabboxError("invalid", f"cannot submit {visible_line(inspection.path)}: {what}", hint)


def check_retries(retries: int) -> int:
    """How many new attempts a job's rule allows."""
    if not 0 <= retries <= _MOST_RETRIES:
        raise LabboxError("invalid", f"cannot retry {retries} times", f"from 0 to {_MOST_RETRIES}")
    return retries


def check_time(limit: float | None, settings: JobSettings) -> float | None:
    """A time limit in seconds, the box's default where none is given."""
    if limit is None:
        return settings.default_time if settings.default_time is not None else settings.max_time
    if not 0 < limit < float("inf"):
        raise LabboxError("invalid", f"cannot use a time limit of {limit:g} seconds")
    if settings.max_time is not None and limit > settings.max_time:
        raise LabboxError(
            "limit",
            f"cannot submit: {format_duration(limit)} is longer than the {format_duration(settings.max_time)}"
            " that this box allows",
        )
    return limit


def job_name(name: str) -> str:
    """A name as it is kept: one visible line."""
    return visible_line(name[: 2 * _LONGEST_NAME].strip())[:_LONGEST_NAME] or "job"


def check_spec(spec: JobSpec) -> None:
    """LabboxError for what no job can be asked for."""
    if abs(spec.priority) > _HIGHEST_PRIORITY:
        raise LabboxError("invalid", f"cannot use the priority {spec.priority}", f"up to {_HIGHEST_PRIORITY}")
    if len(spec.after) > _MOST_AFTER:
        raise LabboxError("limit", f"cannot submit: after {len(spec.after)} jobs, at most {_MOST_AFTER}")
    if isinstance(spec.start_at, datetime) and spec.start_at.tzinfo is None:
        raise LabboxError("invalid", "cannot use a start time without a time zone")
    if len(spec.array) > _MOST_ELEMENTS or sum(len(one.values) for one in spec.sweep) > _MOST_ELEMENTS:
        raise LabboxError("limit", f"cannot submit: more than {_MOST_ELEMENTS:,} values", "split the array")
    if len(spec.command) > _MOST_WORDS:
        raise LabboxError("limit", f"cannot submit: the command has more than {_MOST_WORDS:,} words")
    check_env(spec.env)
    if any("\0" in word for word in spec.command):
        raise LabboxError("invalid", "cannot submit: the command has a NUL in it")


def check_env(env: dict[str, str]) -> None:
    """LabboxError for variables that no process can have."""
    if len(env) > _MOST_VARIABLES:
        raise LabboxError("limit", f"cannot set more than {_MOST_VARIABLES:,} variables")
    for name, value in env.items():
        if not _VARIABLE.fullmatch(name):
            raise LabboxError(
                "invalid", f"cannot set the variable {visible_line(name)!r}", "as in --env MODE=fast"
            )
        if "\0" in value or len(value.encode("utf-8", "surrogateescape")) > _LARGEST_ENVIRONMENT:
            raise LabboxError("invalid", f"cannot set {name}: its value is too long or has a NUL in it")


def _check_waiting(connection: Connection, account: Account, more: int, most: int) -> None:
    """LabboxError "limit" where too many jobs of one person would wait; each element of an array is one."""
    waiting = jobs.count_waiting(connection, account.name)
    if waiting + more > most:
        raise LabboxError(
            "limit",
            f"cannot submit {counted(more, 'job')}: {waiting:,} of {account.name} wait already, "
            f"at most {most:,} may",
            "come back when some have run, or cancel some: labbox job list --state waiting",
        )


def _check_after(connection: Connection, account: Account, after: tuple[int, ...]) -> None:
    for job in after:
        row = jobs.get(connection, job)
        if row.owner != account.name and not account.admin:
            raise LabboxError("forbidden", f"cannot submit after job {job}: it is {row.owner}'s")
        if row.state in FINAL and row.state is not JobState.SUCCEEDED:
            raise LabboxError(
                "conflict",
                f"cannot submit after job {job}: it has ended as {row.state.replace('_', ' ')}",
                f"labbox job retry {job} first",
            )


def _check_jobs_of(connection: Connection, account: Account, asked: TransferSpec) -> None:
    """A transfer reads results, and undoes other transfers, with its owner's rights alone."""
    for job in sorted(jobs_named(asked)):
        row = jobs.get(connection, job)
        if row.owner != account.name:
            raise LabboxError("forbidden", f"cannot use the results of job {job}: it is {row.owner}'s")
    if asked.undo is not None:
        row = jobs.get(connection, asked.undo)
        undone = decode_spec(jobs.submission(connection, row.submission)[0])
        if account.bound is not None and logs_in(undone):
            raise LabboxError("forbidden", *_NO_LOGINS)
        if row.owner != account.name:
            raise LabboxError("forbidden", f"cannot undo job {row.id}: it is {row.owner}'s")
        if row.kind is not JobKind.TRANSFER:
            raise LabboxError("invalid", f"cannot undo job {row.id}: it is no transfer")
        if row.state not in FINAL:
            raise LabboxError(
                "conflict", f"cannot undo job {row.id}: it has not ended", f"labbox job cancel {row.id} first"
            )


def without_folder(spec: JobSpec) -> Project:
    """The project of a command that needs no files."""
    if not spec.command:
        raise LabboxError(
            "invalid",
            "cannot submit: there is no folder and no command",
            "labbox job submit FOLDER, or -- COMMAND",
        )
    inspection = Inspection(
        path="",
        name=spec.command[0].rpartition("/")[2],
        entry=None,
        command=spec.command,
        template=spec.template,
        dependencies=(),
        code_files=0,
        code_bytes=0,
        input_files=0,
        input_bytes=0,
        resources=Resources(),
        time_limit=None,
        network=False,
        findings=(),
    )
    return Project(
        inspection=inspection, handed=Handed(command=spec.command, template=spec.template), asked=spec
    )
