"""Jobs whose folder is elsewhere, or whose output goes elsewhere: a fetch, the run, a delivery, in a chain.

An array is fetched and handed in once, and each of its elements has a delivery of its own.

The fetch is a transfer into its own results. Once it has succeeded the folder is handed in for the run, as it
is then, and the fetched copy goes. The delivery copies the run's output once that has succeeded. They are
linked as any jobs are that come after one another; both transfers are tried again while the other machine
does not answer.
"""

from __future__ import annotations

import logging
import os
from pathlib import Path
from typing import TYPE_CHECKING, Final

import msgspec

from labbox.daemon.jobs import expand, results
from labbox.daemon.jobs import submit as submitting
from labbox.daemon.jobs.handed import Fetched, Handed, decode_handed, decode_spec, encode
from labbox.daemon.jobs.machine import Step, move
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import jobs
from labbox.errors import LabboxError
from labbox.groups import TRANSFERS
from labbox.locations import Location, elsewhere, parse
from labbox.model import (
    WAITING,
    JobSpec,
    JobState,
    Reason,
    ReasonCode,
    TransferSpec,
    TransferVerb,
)
from labbox.protocol import Finding, Inspection
from labbox.text import visible_line

if TYPE_CHECKING:
    from sqlite3 import Connection

_log = logging.getLogger(__name__)

_NAMELESS: Final = "project"


def look_elsewhere(parts: Parts, account: Account, spec: JobSpec) -> Inspection:
    """What can be said of a folder before it is fetched: that it will be."""
    source = elsewhere(spec.path)
    if source is None:
        raise AssertionError("only for folders elsewhere")
    order = _run_order(parts, account, spec, source)
    where = source.host.rpartition("@")[2] or source.kind.value
    said = [f"it is fetched from {where} first, and handed in as it is then"]
    if order.spec.deliver is not None:
        said.append(f"its output is delivered to {parse(order.spec.deliver).shown()}")
    return Inspection(
        path=source.shown(),
        name=order.name,
        entry=None,
        command=spec.command,
        template=spec.template,
        dependencies=(),
        code_files=0,
        code_bytes=0,
        input_files=0,
        input_bytes=0,
        resources=order.resources,
        time_limit=order.time_limit,
        network=bool(spec.network),
        findings=tuple(Finding(level="ok", text=text) for text in said),
    )


async def chain(
    parts: Parts,
    account: Account,
    spec: JobSpec,
    by: str,
    origin: str,
    *,
    alone: expand.Element | None = None,
) -> list[jobs.JobRow]:
    """Store a fetch, the run and, if asked for, the delivery; all or none, the run first.

    `alone`: the run is one element of an array, run again by itself.
    """
    source = elsewhere(spec.path)
    if source is None:
        raise AssertionError("only for folders elsewhere")
    run = msgspec.structs.replace(_run_order(parts, account, spec, source), alone=alone)
    await submitting.check_delivery(parts, account, run.spec)
    await parts.storage.check(account)
    at, day = parts.clock.now(), parts.clock.day()

    def write(connection: Connection) -> list[jobs.JobRow]:
        fetch = _fetch_order(parts, spec, source)
        first = submitting.store(connection, parts, account, fetch, by=by, origin=origin, at=at, day=day)[0]
        _aim(connection, first, fetch.spec, source)
        after = msgspec.structs.replace(
            run,
            spec=msgspec.structs.replace(run.spec, after=(first.id,), hold=False, start_at=None),
            handed=Handed(command=(), fetched=Fetched(job=first.id, name=source.name or _NAMELESS)),
        )
        rows = submitting.store(connection, parts, account, after, by=by, origin=origin, at=at, day=day)
        return [*rows, first]

    return await parts.store.write(write)


def _run_order(parts: Parts, account: Account, spec: JobSpec, source: Location) -> submitting.Order:
    """The run as far as it is known before its folder is there."""
    submitting.check_spec(spec)
    settings = parts.settings
    need = submitting.resources_of(spec, settings)
    submitting.check_resources(need, parts.dispatcher.total, account.limits)
    return submitting.Order(
        spec=submitting.with_delivery(spec),
        handed=Handed(command=()),
        name=submitting.job_name(spec.name or visible_line(source.name or source.host)),
        resources=need,
        time_limit=submitting.check_time(spec.time_limit, settings),
        retries=submitting.check_retries(spec.retries or 0),
        elements=expand.elements(spec, settings.max_array),
        arrives=True,
    )


def _fetch_order(parts: Parts, spec: JobSpec, source: Location) -> submitting.Order:
    asked = TransferSpec(
        verb=TransferVerb.COPY,
        sources=(str(source),),
        target="~/.fetched",
        exact=True,
        wait=submitting.PATIENCE,
    )
    whose = source.host.rpartition("@")[2] or source.kind.value
    fetch = JobSpec(
        name=f"fetch {visible_line(source.name or 'all')} from {whose}",
        transfer=asked,
        after=spec.after,
        hold=spec.hold,
        start_at=spec.start_at,
        priority=spec.priority,
        project=spec.project,
        group=TRANSFERS,
    )
    return submitting.transfer_order(parts, fetch)


def _aim(connection: Connection, row: jobs.JobRow, spec: JobSpec, source: Location) -> None:
    """Into its own results: known by number only once it is stored."""
    if spec.transfer is None:
        raise AssertionError("a fetch is a transfer")
    target = str(parse(f"job:{row.id}/output").joined(source.name or _NAMELESS))
    whole = msgspec.structs.replace(spec, transfer=msgspec.structs.replace(spec.transfer, target=target))
    _spec, handed = jobs.submission(connection, row.submission)
    jobs.set_submission(
        connection, row.id, jobs.add_submission(connection, spec=encode(whole), handed=handed)
    )


def _waiting(connection: Connection, whole: int) -> list[jobs.JobRow]:
    """The job itself, or the elements of an array, where they still wait for their folder."""
    numbers = jobs.element_ids(connection, whole) or [whole]
    rows = [jobs.get(connection, number) for number in numbers]
    return [row for row in rows if row.arrives and row.state in WAITING]


class Arrivals:
    """Hands folders in that have arrived; one that is told of twice is taken once."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts
        self._taking: set[int] = set()

    async def take(self, job: int) -> None:
        """The folder of a waiting job is there: hand it in, and let the job stand in line, or fail.

        What arrives for one element of an array arrives for all.
        """
        array = (await self._parts.store.read(lambda c: jobs.get(c, job))).array
        whole = job if array is None else array
        if whole in self._taking:
            return
        self._taking.add(whole)
        try:
            rows = await self._take(whole)
        except LabboxError as error:
            rows = await self._refuse(whole, error)
        finally:
            self._taking.discard(whole)
        await self._parts.apply(rows)

    async def _take(self, whole: int) -> list[jobs.JobRow]:
        def read(connection: Connection) -> tuple[list[jobs.JobRow], str, str]:
            first = jobs.get(connection, whole)
            return _waiting(connection, whole), *jobs.submission(connection, first.submission)

        waiting, spec_text, handed_text = await self._parts.store.read(read)
        fetched, spec = decode_handed(handed_text).fetched, decode_spec(spec_text)
        account = await self._parts.people.account(waiting[0].owner) if waiting else None
        if fetched is None or account is None:
            return []
        account = msgspec.structs.replace(account, bound=decode_handed(handed_text).bound)
        folder = await self._folder(fetched)
        try:
            project = await self._parts.folders.hand_in(
                account,
                fetched.name,
                msgspec.structs.replace(spec, path=fetched.name),
                room=await self._parts.storage.room(account),
                folder=folder,
            )
        finally:
            os.close(folder)
        order = submitting.complete(self._parts, account, spec, project)
        await submitting.check_delivery(self._parts, account, order.spec)
        if order.elements != expand.elements(spec, self._parts.settings.max_array):
            raise LabboxError(
                "invalid",
                "cannot run it: its job.toml asks for an array, which must be known before it is fetched",
                "name the elements when you submit it, with --array or --sweep",
            )
        rows = await self._parts.store.write(lambda c: self._store(c, account, whole, order))
        await self._clear(account, fetched)
        return rows

    def _store(
        self, connection: Connection, account: Account, whole: int, order: submitting.Order
    ) -> list[jobs.JobRow]:
        waiting = _waiting(connection, whole)
        if not waiting:
            return []
        handed = msgspec.structs.replace(order.handed, bound=account.bound)
        number = jobs.add_submission(connection, spec=encode(order.spec), handed=encode(handed))
        first = jobs.get(connection, whole)
        rows: list[jobs.JobRow] = []
        for row in waiting if first.id == waiting[0].id else (first, *waiting):
            jobs.change(
                connection,
                row.id,
                submission=number,
                name=row.name if order.spec.name is None else order.name,
                resources=order.resources,
                priority=order.spec.priority,
                time_limit=order.time_limit,
                retries=order.retries,
                group=row.group or order.spec.group,
            )
            jobs.set_arrived(connection, row.id)
            rows.append(jobs.get(connection, row.id))
        at, day = self._parts.clock.now(), self._parts.clock.day()
        for row in waiting if order.spec.deliver is not None else ():
            if not submitting.has_delivery(connection, row.id):
                rows += submitting.store_delivery(
                    connection, self._parts, account, row, order.spec, by="box", origin="box", at=at, day=day
                )
        return rows

    async def _refuse(self, whole: int, error: LabboxError) -> list[jobs.JobRow]:
        text = visible_line(error.message) + (f" ({visible_line(error.hint)})" if error.hint else "")
        step = Step(
            to=JobState.FAILED,
            at=self._parts.clock.now(),
            reason=Reason(code=ReasonCode.FILES, text=text),
        )

        def write(connection: Connection) -> list[jobs.JobRow]:
            return [moved for row in _waiting(connection, whole) for moved in move(connection, row.id, step)]

        return await self._parts.persist(write)

    async def _folder(self, fetched: Fetched) -> int:
        """The fetched folder, opened: output/ is its owner's, so its name is not followed through a link."""

        def open_it(results_folder: Path) -> int:
            output = results.open_output(results_folder)
            try:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                return os.open(fetched.name, flags, dir_fd=output)
            finally:
                os.close(output)

        try:
            return await self._parts.in_thread(open_it, await self._results(fetched))
        except NotADirectoryError as error:
            raise LabboxError(
                "invalid",
                f"cannot run {visible_line(fetched.name)}: it is no folder",
                "name a study's folder",
            ) from error
        except OSError as error:
            raise LabboxError(
                "not_found",
                f"cannot find what job {fetched.job} has fetched: {error.strerror}",
                "labbox job rerun --fresh fetches it again",
            ) from error

    async def _clear(self, account: Account, fetched: Fetched) -> None:
        """The snapshot has all of it."""
        try:
            output = await self._parts.in_thread(results.open_output, await self._results(fetched))
            try:
                await self._parts.folders.remove(account, output, fetched.name)
            finally:
                os.close(output)
        except (LabboxError, OSError) as error:
            _log.info("what job %d fetched stays: %s", fetched.job, error)

    async def _results(self, fetched: Fetched) -> Path:
        row = await self._parts.store.read(lambda c: jobs.get(c, fetched.job))
        return results.place(self._parts.state, row.owner, row.results)
