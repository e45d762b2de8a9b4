"""Why a job waits: every reason that holds, the decisive one first, each in a sentence.

A reason holds if the job would still wait with all its other reasons removed. What stands in its way by
itself (held, delayed, after a job, no engine, disk, a limit, no room) is read off the plan; whether others go
first is found by running the pass again with everything else removed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime

import msgspec

from labbox.daemon.jobs.queue import Queue, Waiting
from labbox.daemon.jobs.scheduler import ANY_GROUP, NOTHING, Amount, Box, Held, Plan, Share, would_start
from labbox.model import Limits, Reason, ReasonCode, Resources
from labbox.text import counted, format_bytes


def decisive(box: Box, queue: Queue, plan: Plan, job: Waiting) -> Reason:
    """The reason that a list shows; cheap, and the same as the first one of `all_reasons`."""
    for reason in _own_reasons(box, queue, plan, job):
        return reason
    return _share(plan, job)


def all_reasons(box: Box, queue: Queue, plan: Plan, job: Waiting) -> tuple[Reason, ...]:
    """Every reason that holds; never empty for a job that the plan did not start."""
    reasons = list(_own_reasons(box, queue, plan, job))
    own = frozenset(reason.code for reason in reasons)
    lifted = msgspec.structs.replace(job, held=False, not_before=None, after=frozenset(), arriving=False)
    if ReasonCode.LIMIT in own:
        lifted = msgspec.structs.replace(lifted, array=None, parallel=None)
    if not would_start(_unhindered(box, job, own), queue, lifted):
        reasons.append(_share(plan, job))
    return tuple(reasons)


def _unhindered(box: Box, job: Waiting, own: frozenset[ReasonCode]) -> Box:
    """The box without what keeps this job by itself; the others that wait are still there."""
    total, shares, groups, transfers = box.total, box.shares, box.groups, box.transfers
    if ReasonCode.NO_ROOM in own:
        total = Resources(
            cpus=total.cpus + job.need.cpus,
            memory=total.memory + job.need.memory,
            gpus=total.gpus + job.need.gpus,
        )
    if ReasonCode.LIMIT in own:
        share = msgspec.structs.replace(shares.get(job.owner, Share()), limits=Limits())
        shares = {**shares, job.owner: share}
        groups = {**groups, (job.owner, job.group or ""): None}
        transfers = None
    if ReasonCode.SUSPENDED in own:
        share = msgspec.structs.replace(shares.get(job.owner, Share()), barred="")
        shares = {**shares, job.owner: share}
    return msgspec.structs.replace(
        box, total=total, engine="", disk="", shares=shares, groups=groups, transfers=transfers
    )


def _own_reasons(box: Box, queue: Queue, plan: Plan, job: Waiting) -> Iterator[Reason]:
    if barred := box.shares.get(job.owner, Share()).barred:
        yield _reason(ReasonCode.SUSPENDED, barred)
    if job.held:
        yield _reason(ReasonCode.HELD, "held until someone releases it")
    if job.not_before is not None and job.not_before > box.now:
        when = datetime.fromtimestamp(job.not_before, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
        if job.retry:
            text = (
                f"{job.because}, trying again at {when}"
                if job.because
                else f"the next attempt starts at {when}"
            )
            yield _reason(ReasonCode.RETRY, text)
        else:
            yield _reason(ReasonCode.DELAYED, f"to start at {when}")
    if job.after:
        names = ", ".join(str(other) for other in sorted(job.after)[:5])
        more = f" and {len(job.after) - 5} more" if len(job.after) > 5 else ""
        yield _reason(ReasonCode.DEPENDENCY, f"starts when job {names}{more} has succeeded")
    elif job.arriving:
        yield _reason(ReasonCode.DEPENDENCY, "its folder has arrived and is being handed in")
    if job.transfer:
        yield from _group_limit(box, plan, job)
        return
    if box.engine:
        yield _reason(ReasonCode.NO_ENGINE, f"the container engine does not answer: {box.engine}")
    if box.disk:
        yield _reason(ReasonCode.DISK, box.disk)
    yield from _limits(box, plan, job)
    need = Amount.of(job.need)
    if not need.fits(plan.free):
        yield _reason(ReasonCode.NO_ROOM, _room_text(need, plan.free, Amount.of(box.total)))


def _limits(box: Box, plan: Plan, job: Waiting) -> Iterator[Reason]:
    limits = box.shares.get(job.owner, Share()).limits
    held = plan.held.get(job.owner, Held(0, NOTHING))
    after = held.amount.plus(Amount.of(job.need))
    texts = []
    if limits.running_jobs is not None and held.jobs >= limits.running_jobs:
        texts.append(counted(limits.running_jobs, "running job"))
    if limits.cpus is not None and after.cpus > round(limits.cpus * 1000):
        texts.append(_cpus(round(limits.cpus * 1000)))
    if limits.memory is not None and after.memory > limits.memory:
        texts.append(f"{format_bytes(limits.memory)} of memory")
    if limits.gpus is not None and job.need.gpus > 0 and after.gpus > limits.gpus:
        texts.append(counted(limits.gpus, "GPU"))
    if texts:
        yield _reason(ReasonCode.LIMIT, f"{job.owner}'s limit of {' and '.join(texts)} is reached")
    if job.array is not None and job.parallel is not None:
        if plan.elements.get(job.array, 0) >= job.parallel:
            yield _reason(ReasonCode.LIMIT, f"{job.parallel} of array {job.array} run already")
    yield from _group_limit(box, plan, job)


def _group_limit(box: Box, plan: Plan, job: Waiting) -> Iterator[Reason]:
    if job.transfer and box.transfers is not None:
        running = plan.grouped.get((job.owner, ANY_GROUP), 0)
        if running >= box.transfers:
            yield _reason(ReasonCode.LIMIT, f"{counted(running, 'transfer')} of {job.owner} run already")
    if job.group is not None:
        limit, running = box.limit_of(job.owner, job.group), plan.grouped.get((job.owner, job.group), 0)
        if limit is not None and running >= limit:
            text = f"{running} of group {job.group} run already, its limit is {limit}"
            yield _reason(ReasonCode.LIMIT, text)


def _share(plan: Plan, job: Waiting) -> Reason:
    first = plan.reservation
    if first is None or first.job == job.id:
        return _reason(ReasonCode.SHARE, "others go first")
    whose = "an earlier job of one's own" if first.owner == job.owner else f"a job of {first.owner}"
    if first.at is None:
        return _reason(ReasonCode.SHARE, f"{whose} ({first.job}) goes first and waits for room")
    when = datetime.fromtimestamp(first.at, UTC).strftime("%H:%M UTC")
    return _reason(ReasonCode.SHARE, f"{whose} ({first.job}) goes first, at {when} or earlier")


def _room_text(need: Amount, free: Amount, total: Amount) -> str:
    """Names what is lacking, and says where the whole box would not do."""
    parts, room = [], free if need.fits(total) else total
    if need.cpus > room.cpus:
        parts.append((_cpus(need.cpus), _cpus(max(0, room.cpus))))
    if need.memory > room.memory:
        parts.append((f"{format_bytes(need.memory)} of memory", format_bytes(max(0, room.memory))))
    if need.gpus > room.gpus:
        parts.append((f"{need.gpus} GPU{'s' if need.gpus != 1 else ''}", str(max(0, room.gpus))))
    wanted = " and ".join(wanted for wanted, _ in parts)
    there = " and ".join(there for _, there in parts)
    return f"needs {wanted}; {'free' if room is free else 'the whole box has'}: {there}"


def _cpus(thousandths: int) -> str:
    return f"{thousandths / 1000:g} CPU{'' if thousandths == 1000 else 's'}"


def _reason(code: ReasonCode, text: str) -> Reason:
    return Reason(code=code, text=text)
