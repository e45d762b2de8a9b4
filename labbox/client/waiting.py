"""What scripts do with several calls: wait for the end of a job, go through all pages."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import TYPE_CHECKING

from labbox.errors import LabboxError
from labbox.model import FINAL
from labbox.protocol import AuditEntry, Job, User

if TYPE_CHECKING:
    from labbox.client import Client

_PAGE = 1000  # rows asked for at once, the most that the box gives


class WaitTimeoutError(LabboxError, TimeoutError):
    """A job did not end in time; it goes on."""


class WaitingCalls:
    """Waiting, and all pages."""

    def wait_job(self: Client, id: int, timeout: float | None = None) -> Job:  # type: ignore[misc]  # noqa: A002 - as in show_job
        """The job once it has ended, however it did; an array once all its elements have.

        `timeout` in seconds: after them WaitTimeoutError, which is a TimeoutError too; the job goes on.
        Lost connections and restarts of the box are lived through.

        Example:
            job = box.wait_job(17, timeout=3600)
            print(job.state, job.exit_code)
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        cursor = self.list_jobs(limit=1).cursor
        job = self.show_job(id).job
        if job.state in FINAL:
            return job
        try:
            for event in self.events(after=cursor, follow=True, until=deadline):
                if event.job is not None and event.job.id == id and event.job.state in FINAL:
                    return event.job
                if event.kind == "alive":
                    job = self.show_job(id).job
                    if job.state in FINAL:
                        return job
        except TimeoutError as error:
            if isinstance(error, LabboxError):
                raise
            raise WaitTimeoutError(
                "unavailable",
                f"cannot wait for job {id} any longer: it did not end within {timeout:g} s",
                f"it goes on; `labbox job why {id}` says where it stands",
            ) from error
        raise LabboxError("unavailable", f"cannot follow job {id} any longer: the box closed the stream")

    def iter_jobs(  # type: ignore[misc]
        self: Client,
        owner: str | None = None,
        state: str | None = None,
        name: str | None = None,
        array: int | None = None,
        before: int | None = None,
        order: str | None = None,
        group: str | None = None,
        kind: str | None = None,
    ) -> Iterator[Job]:
        """All jobs that `list_jobs` would give, page after page as they are asked for; words as there.

        Example:
            for job in box.iter_jobs(owner="ada", kind="runs"):
                print(job.id, job.state)
        """
        while True:
            page = self.list_jobs(
                owner=owner, state=state, name=name, array=array, limit=_PAGE, before=before,
                order=order, group=group, kind=kind,
            )  # fmt: skip
            yield from page.jobs
            if page.next is None:
                return
            before = page.next

    def iter_audit(self: Client, before: int | None = None) -> Iterator[AuditEntry]:  # type: ignore[misc]
        """The whole trail of who did what, newest first; for administrators.

        Example:
            for entry in box.iter_audit():
                print(entry.at, entry.who, entry.action)
        """
        while True:
            page = self.audit(limit=_PAGE, before=before)
            yield from page.entries
            if page.next is None:
                return
            before = page.next

    def iter_users(self: Client) -> Iterator[User]:  # type: ignore[misc]
        """All users, by name; for administrators. The box gives them in one page.

        Example:
            print([user.name for user in box.iter_users()])
        """
        yield from self.list_users().users
