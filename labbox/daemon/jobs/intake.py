"""New jobs: submitted, or run again with what an earlier one was given."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from labbox.daemon.jobs import submit as submitting
from labbox.daemon.jobs.chaining import chain
from labbox.daemon.jobs.control import (
    allowed,
    edited,
    edited_resources,
    edited_transfer,
    hold_trees,
    new_group,
)
from labbox.daemon.jobs.expand import Element
from labbox.daemon.jobs.handed import Handed, Project, decode_handed, decode_spec
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import jobs
from labbox.errors import LabboxError
from labbox.locations import elsewhere
from labbox.model import JobKind, JobSpec, narrower
from labbox.protocol import Finding, JobEdit, TemplateInfo, Templates

if TYPE_CHECKING:
    from sqlite3 import Connection


class Taken(NamedTuple):
    """The row of a new job, and what the person should know of its folder."""

    row: jobs.JobRow
    warnings: tuple[Finding, ...] = ()


class Intake:
    """Takes jobs in: what is returned is on disk."""

    def __init__(self, parts: Parts) -> None:
        """Work with these parts."""
        self._parts = parts

    async def submit(self, account: Account, spec: JobSpec, origin: str) -> Taken:
        """A job of somebody's own."""
        if spec.transfer is None and elsewhere(spec.path) is not None:
            return await self._chain(account, spec, by=account.name, origin=origin)
        order = await submitting.understand(self._parts, account, spec)
        return await self._store(account, order, by=account.name, origin=origin)

    async def rerun(self, account: Account, job: int, edit: JobEdit, origin: str) -> Taken:
        """A new job for the one whose job it was, within their limits, whoever of the two asks."""
        row, spec_text, handed_text = await submission(self._parts, account, job, "rerun")
        owner = await self._parts.people.account(row.owner)
        if owner is None:
            raise LabboxError("conflict", f"cannot rerun job {job}: {row.owner} was removed from the box")
        bound = narrower(account.bound, decode_handed(handed_text).bound)
        owner = msgspec.structs.replace(owner, bound=bound)
        if row.kind is JobKind.TRANSFER:
            order = submitting.transfer_order(
                self._parts, edited_transfer(decode_spec(spec_text), row, edit, "rerun")
            )
            return await self._store(owner, order, by=account.name, origin=origin)
        spec, handed = edited(decode_spec(spec_text), decode_handed(handed_text), edit)
        need = edited_resources(row.resources, edit)
        spec = msgspec.structs.replace(
            spec,
            after=(),
            hold=False,
            start_at=None,
            name=edit.name or row.name,
            time_limit=row.time_limit if edit.time_limit is None else edit.time_limit,
            priority=row.priority if edit.priority is None else edit.priority,
            cpus=need.cpus,
            memory=need.memory,
            gpus=need.gpus,
            group=new_group(row, edit),
        )
        alone = None
        if row.kind is JobKind.CONTAINER:
            spec = msgspec.structs.replace(spec, array=(), sweep=(), parallel=None)
            if row.index is not None:
                alone = Element(index=row.index, parameters=row.parameters)
        if elsewhere(spec.path) is not None and (edit.fresh or row.arrives):
            return await self._chain(owner, spec, by=account.name, origin=origin, alone=alone)
        if edit.fresh and spec.path is not None:
            order = await submitting.understand(self._parts, owner, spec)
        else:
            retries = row.retries if edit.retries is None else edit.retries
            order = await self._as_handed_in(owner, job, spec, handed, retries)
        order = msgspec.structs.replace(order, alone=alone)
        return await self._store(owner, order, by=account.name, origin=origin)

    def templates(self) -> Templates:
        """The languages of this box."""
        configuration = self._parts.configuration
        return Templates(
            templates=tuple(
                TemplateInfo(
                    name=one.name,
                    title=one.title,
                    entries=one.entries,
                    image=one.image or configuration.settings.containers.base_image,
                )
                for one in configuration.templates
            )
        )

    async def _as_handed_in(
        self, owner: Account, job: int, spec: JobSpec, handed: Handed, retries: int
    ) -> submitting.Order:
        submitting.check_spec(spec)
        await self._parts.storage.check(owner)
        await hold_trees(self._parts, owner, job, handed, "rerun")
        asked = msgspec.structs.replace(
            spec,
            command=handed.command,
            env=handed.env,
            network=handed.network,
            image=handed.image,
            stdin=handed.stdin,
            retries=retries,
        )
        plain = submitting.without_folder(msgspec.structs.replace(asked, path=None))
        project = Project(inspection=plain.inspection, handed=handed, asked=asked)
        return submitting.complete(self._parts, owner, spec, project)

    async def _chain(
        self, owner: Account, spec: JobSpec, *, by: str, origin: str, alone: Element | None = None
    ) -> Taken:
        rows = await chain(self._parts, owner, spec, by, origin, alone=alone)
        await self._parts.apply(rows)
        return Taken(rows[0])

    async def _store(self, owner: Account, order: submitting.Order, *, by: str, origin: str) -> Taken:
        await submitting.check_delivery(self._parts, owner, order.spec)
        at, day = self._parts.clock.now(), self._parts.clock.day()
        rows = await self._parts.store.write(
            lambda connection: submitting.store(
                connection, self._parts, owner, order, by=by, origin=origin, at=at, day=day
            )
        )
        await self._parts.apply(rows)
        return Taken(rows[0], order.warnings)


async def submission(parts: Parts, account: Account, job: int, doing: str) -> tuple[jobs.JobRow, str, str]:
    """A job, its spec and what was handed in, both as JSON; LabboxError where it is not for the account."""

    def read(connection: Connection) -> tuple[jobs.JobRow, str, str]:
        row = jobs.get(connection, job)
        allowed(account, row, doing)
        return row, *jobs.submission(connection, row.submission)

    return await parts.store.read(read)
