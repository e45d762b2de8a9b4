"""What people do to their jobs: cancel, kill, hold, release, pause, resume, retry, edit. Arrays too."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

import msgspec

from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs import results, submit
from labbox.daemon.jobs.handed import Handed, decode_handed, decode_spec, encode, trees
from labbox.daemon.jobs.machine import Step, move
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.transfers import read_summary
from labbox.daemon.jobs.trying import Try
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import attempts, dependencies, events, groups, jobs
from labbox.daemon.store.jobs import JobRow
from labbox.errors import LabboxError
from labbox.groups import TRANSFERS, parse_change
from labbox.model import ACTIVE, FINAL, WAITING, JobKind, JobSpec, JobState, Resources
from labbox.protocol import JobEdit

if TYPE_CHECKING:
    from sqlite3 import Connection

S = JobState

_STEERS = frozenset({"pause", "resume", "hold", "release", "cancel", "kill"})  # no use for what has ended
_STARTS = frozenset({"release", "resume", "retry", "edit"})  # what sets a job going, or changes what it does

Act = Callable[["Connection", JobRow], list[JobRow]]


def allowed(account: Account, row: JobRow, doing: str) -> None:
    """LabboxError "forbidden" where the job is somebody else's; administrators may do everything."""
    if row.owner != account.name and not account.admin:
        raise LabboxError("forbidden", f"cannot {doing} job {row.id}: it is {row.owner}'s")


class Control:
    """Changes to jobs, on behalf of people."""

    def __init__(self, parts: Parts, runs: Mapping[int, Try]) -> None:
        """`runs`: the attempts under way, by job."""
        self._parts = parts
        self._runs = runs

    async def stop(self, account: Account, job: int, origin: str, *, hard: bool) -> JobRow:
        """Cancel (`hard`: kill) a job: at once while it waits, else by ending its container."""
        verb = "kill" if hard else "cancel"
        at, by = self._parts.clock.now(), account.name

        def act(connection: Connection, row: JobRow) -> list[JobRow]:
            if row.state in WAITING:
                reason = outcomes.cancelled_reason(by)
                return move(connection, row.id, Step(to=S.CANCELLED, at=at, reason=reason, by=by))
            if row.state is S.COLLECTING:
                raise LabboxError(
                    "conflict", f"cannot {verb} job {row.id}: it has ended and is being put away"
                )
            jobs.set_stop(connection, row.id, "kill" if hard or row.stop == "kill" else "cancel", by)
            events.append(connection, at=at, kind="job", owner=row.owner, job=row.id)
            return [jobs.get(connection, row.id)]

        rows = await self._change(account, job, verb, origin, act, fits=frozenset(S) - FINAL - {S.COLLECTING})
        for row in rows:
            run = self._runs.get(row.id)
            if run is not None and row.stop is not None:
                run.stop(outcomes.cancelled(by), hard=hard)
        return rows[0]

    async def hold(self, account: Account, job: int, origin: str) -> JobRow:
        """Keep a waiting job from starting."""
        return await self._walk(account, job, "hold", origin, S.QUEUED, S.HELD)

    async def release(self, account: Account, job: int, origin: str) -> JobRow:
        """Let a held job stand in line."""
        return await self._walk(account, job, "release", origin, S.HELD, S.QUEUED)

    async def retry(self, account: Account, job: int, origin: str) -> JobRow:
        """A new attempt of a job that did not succeed."""
        at, by = self._parts.clock.now(), account.name
        failed = await self._failed_paths(job)

        def act(connection: Connection, row: JobRow) -> list[JobRow]:
            for other, state in dependencies.after(connection, row.id).items():
                if state in FINAL and state is not S.SUCCEEDED:
                    raise LabboxError(
                        "conflict",
                        f"cannot retry job {row.id}: job {other} before it has not succeeded",
                        f"labbox job retry {other} first",
                    )
            jobs.set_stop(connection, row.id, None, None)
            jobs.clear_back_off(connection, row.id)
            if row.kind is JobKind.TRANSFER:
                _narrow(connection, row, failed)
            return move(connection, row.id, Step(to=S.QUEUED, at=at, by=by))

        row = await self._find(job)
        owner = await self._parts.people.account(row.owner)
        if owner is not None and row.state in FINAL:
            _, handed = await self._parts.store.read(lambda c: jobs.submission(c, row.submission))
            await hold_trees(self._parts, owner, job, decode_handed(handed), "retry")
        rows = await self._change(account, job, "retry", origin, act, fits=FINAL - {S.SUCCEEDED})
        return rows[0]

    async def _failed_paths(self, job: int) -> tuple[str, ...]:
        """What a transfer could not do, if all of it is known: no more than that is tried again."""
        row = await self._find(job)
        if row.kind is not JobKind.TRANSFER or row.state is not S.FAILED:
            return ()
        folder = results.place(self._parts.state, row.owner, row.results)
        summary = await self._parts.in_thread(read_summary, folder)
        if summary is None or summary.failed > len(summary.failures):
            return ()
        return tuple(dict.fromkeys(one.path for one in summary.failures))

    async def pause(self, account: Account, job: int, origin: str) -> JobRow:
        """Freeze a running job; it keeps what it holds."""
        return await self._freeze(account, job, "pause", origin, S.RUNNING, S.PAUSED)

    async def resume(self, account: Account, job: int, origin: str) -> JobRow:
        """Let a frozen job go on."""
        return await self._freeze(account, job, "resume", origin, S.PAUSED, S.RUNNING)

    async def edit(self, account: Account, job: int, edit: JobEdit, origin: str) -> JobRow:
        """Change what a waiting job asks for."""
        owner = await self._parts.people.account((await self._find(job)).owner)
        limits = (owner or account).limits
        if edit.env is not None:
            submit.check_env(edit.env)

        def act(connection: Connection, row: JobRow) -> list[JobRow]:
            need = edited_resources(row.resources, edit)
            spec, handed = jobs.submission(connection, row.submission)
            number = row.submission
            if row.kind is JobKind.TRANSFER:
                edited_transfer(decode_spec(spec), row, edit, "edit")
            else:
                submit.check_resources(need, self._parts.dispatcher.total, limits)
            if edit.command is not None or edit.env is not None or edit.network is not None:
                new_spec, new_handed = edited(decode_spec(spec), decode_handed(handed), edit)
                number = jobs.add_submission(connection, spec=encode(new_spec), handed=encode(new_handed))
            group = new_group(row, edit)
            if group is not None and group != TRANSFERS:
                groups.ensure(connection, row.owner, group)
            jobs.change(
                connection,
                row.id,
                submission=number,
                name=row.name if edit.name is None else submit.job_name(edit.name),
                resources=need,
                priority=row.priority if edit.priority is None else edit.priority,
                time_limit=row.time_limit
                if edit.time_limit is None
                else submit.check_time(edit.time_limit, self._parts.settings),
                retries=row.retries if edit.retries is None else submit.check_retries(edit.retries),
                group=group,
            )
            events.append(connection, at=self._parts.clock.now(), kind="job", owner=row.owner, job=row.id)
            return [jobs.get(connection, row.id)]

        rows = await self._change(account, job, "edit", origin, act, fits=WAITING, parent_too=True)
        return rows[0]

    async def _find(self, job: int) -> JobRow:
        return await self._parts.store.read(lambda connection: jobs.get(connection, job))

    async def _walk(self, account: Account, job: int, verb: str, origin: str, old: S, new: S) -> JobRow:
        at, by = self._parts.clock.now(), account.name

        def act(connection: Connection, row: JobRow) -> list[JobRow]:
            return move(connection, row.id, Step(to=new, at=at, by=by))

        return (await self._change(account, job, verb, origin, act, fits=frozenset({old})))[0]

    async def _change(
        self,
        account: Account,
        job: int,
        verb: str,
        origin: str,
        act: Act,
        *,
        fits: frozenset[JobState],
        parent_too: bool = False,
    ) -> list[JobRow]:
        """Do it to a job, or to an array's elements that it fits, all or none; the job comes first."""

        def change(connection: Connection) -> list[JobRow]:
            row = jobs.get(connection, job)
            allowed(account, row, verb)
            if account.bound is not None and verb in _STARTS:
                _check_logins(connection, row, verb)
            wanted = [row]
            if row.kind is JobKind.ARRAY:
                elements = jobs.get_many(connection, jobs.element_ids(connection, job))
                wanted = [one for _, one in sorted(elements.items()) if one.state in fits]
            if not wanted or (row.kind is not JobKind.ARRAY and row.state not in fits):
                raise cannot(verb, row)
            changed: dict[int, JobRow] = {}
            for one in [*wanted, *([row] if parent_too and row.kind is JobKind.ARRAY else [])]:
                if one.id in changed and changed[one.id].state not in fits:
                    continue  # what was done to an earlier one has reached it
                changed.update({after.id: after for after in act(connection, one)})
            self._parts.people.trail.record(connection, account.name, f"job {verb}", str(job), origin)
            changed.pop(job, None)
            return [jobs.get(connection, job), *changed.values()]

        rows = await self._parts.store.write(change)
        await self._parts.apply(rows)
        return rows

    async def _freeze(self, account: Account, job: int, verb: str, origin: str, old: S, new: S) -> JobRow:
        row = await self._find(job)
        allowed(account, row, verb)
        if account.bound is not None and verb in _STARTS:
            await self._parts.store.read(lambda connection: _check_logins(connection, row, verb))
        wanted = await self._running(row, old)
        if not wanted:
            raise cannot(verb, row)
        for one in wanted:
            await self._freeze_one(account, one, verb, origin, new)
        return await self._find(job)

    async def _running(self, row: JobRow, state: S) -> Sequence[JobRow]:
        if row.kind is not JobKind.ARRAY:
            return [row] if row.state is state else []
        elements = await self._parts.store.read(
            lambda connection: jobs.get_many(connection, jobs.element_ids(connection, row.id))
        )
        return [one for _, one in sorted(elements.items()) if one.state is state]

    async def _freeze_one(self, account: Account, row: JobRow, verb: str, origin: str, new: S) -> None:
        run = self._runs.get(row.id)
        if run is None:
            raise LabboxError("conflict", f"cannot {verb} job {row.id}: it is just ending")
        clock = self._parts.clock
        try:
            await run.freeze(frozen=new is S.PAUSED)
        except TimeoutError as error:
            what = "worker" if row.kind is JobKind.TRANSFER else "engine"
            raise LabboxError(
                "unavailable", f"cannot {verb} job {row.id}: the {what} does not answer"
            ) from error
        at, seconds = clock.now(), clock.seconds()

        def note(connection: Connection) -> tuple[list[JobRow], attempts.AttemptRow]:
            rows = move(connection, row.id, Step(to=new, at=at, by=account.name), attempt=row.attempt)
            attempt = attempts.get(connection, row.id, row.attempt)
            paused, begun = attempt.paused, None
            if new is S.PAUSED:
                begun = seconds
            elif attempt.paused_boot is not None and attempt.boot == clock.boot:
                paused += max(0.0, seconds - attempt.paused_boot)
            attempts.set_paused(connection, row.id, row.attempt, seconds=paused, since=begun)
            self._parts.people.trail.record(connection, account.name, f"job {verb}", str(row.id), origin)
            return rows, attempts.get(connection, row.id, row.attempt)

        rows, attempt = await self._parts.store.write(note)
        run.follow(rows[0], attempt)
        self._parts.dispatcher.set_attempt(attempt)
        await self._parts.apply(rows)


def _check_logins(connection: Connection, row: JobRow, verb: str) -> None:
    """A token does not set going what logs in elsewhere with what its owner has stored."""
    while True:
        spec = decode_spec(jobs.submission(connection, row.submission)[0])
        if submit.logs_in(spec):
            raise LabboxError(
                "forbidden",
                f"cannot {verb} job {row.id} with a token: it logs in to other machines as you",
                "log in with a key or a password for that",
            )
        if spec.transfer is None or spec.transfer.undo is None:
            return
        row = jobs.get(connection, spec.transfer.undo)  # older each time, so this ends


def _narrow(connection: Connection, row: JobRow, failed: tuple[str, ...]) -> None:
    """Let the next attempt try what failed, and nothing else; all of it where that is not known."""
    spec, handed = jobs.submission(connection, row.submission)
    now = decode_handed(handed)
    if now.only != failed:
        handed = encode(msgspec.structs.replace(now, only=failed))
        number = jobs.add_submission(connection, spec=spec, handed=handed)
        jobs.set_submission(connection, row.id, number)


async def hold_trees(parts: Parts, owner: Account, job: int, handed: Handed, verb: str) -> None:
    """Keep what was handed in for another run; LabboxError "not_found" where it was cleared away."""
    if not await parts.folders.hold(owner, trees(handed)):
        raise LabboxError(
            "not_found",
            f"cannot {verb} job {job}: what was handed in was cleared away long after its end",
            "labbox job submit the folder again",
        )


def edited_resources(need: Resources, edit: JobEdit) -> Resources:
    """The resources after an edit."""
    return Resources(
        cpus=need.cpus if edit.cpus is None else edit.cpus,
        memory=need.memory if edit.memory is None else edit.memory,
        gpus=need.gpus if edit.gpus is None else edit.gpus,
    )


def new_group(row: JobRow, edit: JobEdit) -> str | None:
    """The group after an edit; a transfer that is put into none stands in that of transfers."""
    nothing = TRANSFERS if row.kind is JobKind.TRANSFER else None
    return row.group if edit.group is None else parse_change(edit.group) or nothing


def edited_transfer(spec: JobSpec, row: JobRow, edit: JobEdit, verb: str) -> JobSpec:
    """The spec of a transfer after an edit; LabboxError for what only runs have."""
    for name in ("command", "cpus", "memory", "gpus", "env", "network"):
        if getattr(edit, name) is not None:
            raise LabboxError("invalid", f"cannot {verb} job {row.id} with another {name}: it is a transfer")
    return msgspec.structs.replace(
        spec,
        after=(),
        hold=False,
        start_at=None,
        name=edit.name or row.name,
        time_limit=row.time_limit if edit.time_limit is None else edit.time_limit,
        priority=row.priority if edit.priority is None else edit.priority,
        retries=(spec.retries or 0) if edit.retries is None else edit.retries,
        group=new_group(row, edit),
    )


def edited(spec: JobSpec, handed: Handed, edit: JobEdit) -> tuple[JobSpec, Handed]:
    """Spec and submission after an edit; what it leaves None stays."""
    changes = {
        name: value
        for name, value in msgspec.structs.asdict(edit).items()
        if value is not None and name not in ("fresh", "group")  # the job itself says its group
    }
    new_spec = msgspec.structs.replace(spec, **changes)
    new_handed = msgspec.structs.replace(
        handed,
        command=handed.command if edit.command is None else edit.command,
        env=handed.env if edit.env is None else {**handed.env, **edit.env},
        network=handed.network if edit.network is None else edit.network,
    )
    return new_spec, new_handed


def _state_words(row: JobRow) -> str:
    words = {
        S.HELD: "it is held",
        S.QUEUED: "it waits",
        S.PREPARING: "it is being prepared",
        S.RUNNING: "it runs",
        S.PAUSED: "it is paused",
        S.COLLECTING: "it has ended and is being put away",
    }
    return words.get(row.state, f"it has ended already: {row.state.replace('_', ' ')}")


def _hint(row: JobRow, verb: str) -> str:
    if row.state in FINAL:  # only one that succeeded cannot be tried again
        if verb in _STEERS:
            return ""
        return f"labbox job rerun {row.id} runs it again"
    if row.state is S.HELD:
        return f"labbox job release {row.id} lets it start"
    if row.state is S.QUEUED:
        return f"labbox job why {row.id} says for what"
    if row.state is S.PAUSED and verb not in ("hold", "edit"):
        return f"labbox job resume {row.id} lets it go on"
    if row.state in ACTIVE and verb in ("hold", "edit"):
        return f"labbox job cancel {row.id} ends it"
    return ""


def cannot(verb: str, row: JobRow) -> LabboxError:
    """The refusal of a change that does not fit the job's state, with what fits."""
    return LabboxError("conflict", f"cannot {verb} job {row.id}: {_state_words(row)}", _hint(row, verb))
