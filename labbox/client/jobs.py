"""The calls about jobs."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from typing import Any, overload

import msgspec

from labbox.client.transport import LONG_TIMEOUT, PATIENCE, Transport, segment
from labbox.errors import LabboxError
from labbox.model import JobSpec, TransferSpec
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
    SizeBody,
    Submitted,
    Templates,
    TransferSummary,
    UsagePage,
    Why,
)
from labbox.text import decode


class JobCalls:
    """Everything that can be asked about jobs and done with them."""

    _transport: Transport

    @overload
    def submit_job(self, spec: JobSpec) -> Submitted: ...
    @overload
    def submit_job(self, spec: None = None, **words: Any) -> Submitted: ...
    def submit_job(self, spec: JobSpec | None = None, **words: Any) -> Submitted:
        """Hand in a job; returns when it is stored, with its folder copied. An array gives its parent.

        Its `warnings` say what in the folder may not be meant so.

        Example:
            job = box.submit_job(path="study", name="first try", cpus=2, time_limit=3600)
        """
        return self._transport.send(
            "POST", "/v1/jobs", Submitted, spec or JobSpec(**words), timeout=LONG_TIMEOUT
        )

    def list_jobs(
        self,
        owner: str | None = None,
        state: str | None = None,
        name: str | None = None,
        array: int | None = None,
        limit: int = 100,
        before: int | None = None,
        order: str | None = None,
        group: str | None = None,
        kind: str | None = None,
    ) -> JobPage:
        """One page of jobs, newest first. Other people's jobs are shown too; `owner` narrows to one person.

        `state` is one or several states with commas between, or "waiting", "active", "final". `name` is a
        part of the name. `array` gives the elements of that array, 0 all but elements; `group` the jobs of
        groups of that name; `kind` is "runs", or "files": copies, deletions and the like. Pass a page's
        `next` as `before` for the one after it.

        Example:
            for job in box.list_jobs(owner="ada", state="waiting").jobs:
                print(job.id, job.name, job.reason)
        """
        query = {
            "owner": owner,
            "state": state,
            "name": name,
            "array": array,
            "group": group,
            "kind": kind,
            "limit": limit,
            "before": before,
            "order": order,
        }
        return self._transport.get("/v1/jobs", JobPage, query)

    def count_jobs(
        self, owner: str | None = None, array: int | None = None, kind: str | None = None
    ) -> JobCounts:
        """How many jobs there are in each state: of arrays the elements, with `array` 0 each array as one.

        `kind` as in `list_jobs`.

        Example:
            print(box.count_jobs(owner="ada").by_state)
        """
        return self._transport.get(
            "/v1/jobs/counts", JobCounts, {"owner": owner, "array": array, "kind": kind}
        )

    def live_jobs(self) -> LiveJobs:
        """What each of your running jobs takes now: CPUs, memory, GPUs, with the last few looks.

        Example:
            for job, live in box.live_jobs().jobs.items():
                print(job, live.cpus, live.memory)
        """
        return self._transport.get("/v1/jobs/live", LiveJobs)

    def show_job(self, id: int) -> JobDetail:  # noqa: A002 - the word that people use for it
        """All that is known about one job.

        Example:
            print(box.show_job(17).image)
        """
        return self._transport.get(f"/v1/jobs/{id}", JobDetail)

    def why_job(self, id: int) -> Why:  # noqa: A002 - the word that people use for it
        """Why a job waits, or ended as it did.

        Example:
            for reason in box.why_job(17).reasons:
                print(reason.text)
        """
        return self._transport.get(f"/v1/jobs/{id}/why", Why)

    def job_history(self, id: int) -> JobHistory:  # noqa: A002 - the word that people use for it
        """Every change of a job's state, oldest first.

        Example:
            for entry in box.job_history(17).entries:
                print(entry.at, entry.state, entry.by)
        """
        return self._transport.get(f"/v1/jobs/{id}/history", JobHistory)

    def job_log(
        self,
        id: int,  # noqa: A002 - the word that people use for it
        after: int = 0,
        follow: bool = False,
        attempt: int | None = None,
        tail: int | None = None,
    ) -> Iterator[LogRecord]:
        """A job's log, piece by piece; the last record has `end`.

        With `follow` it goes on until the job has ended, through lost connections and restarts of the box
        (nothing is given twice). `tail` starts so many lines before the end. Text is as the job wrote it:
        pass it through `labbox.text.visible` before it reaches a terminal; `text.encode("utf-8",
        "surrogateescape")` gives the bytes, whatever they were.

        Example:
            for record in box.job_log(17, follow=True):
                print(record.text, end="")
        """
        deadline = time.monotonic() + PATIENCE
        while True:
            query = {"after": after, "follow": follow, "attempt": attempt, "tail": tail}
            try:
                for line in self._transport.lines(f"/v1/jobs/{id}/log", {**query}):
                    record = _whole(msgspec.json.decode(line, type=LogRecord))
                    deadline = time.monotonic() + PATIENCE
                    if record.text or record.end:
                        after, tail = record.cursor, None
                        yield record
                    if record.end:
                        return
            except LabboxError as error:
                if not self._transport.pause_before_retry(error, deadline):
                    raise
            else:
                if not follow:
                    return
                time.sleep(0.1)  # the box ended the stream without saying that the log ended: it restarts

    def submit_transfer(self, **words: Any) -> Job:
        """Hand in a transfer: a job that copies, moves, deletes, compares or searches files.

        The words are those of `labbox.model.TransferSpec`; locations as on the command line, relative ones
        below the home.

        Example:
            job = box.submit_transfer(verb="copy", sources=("~/raw",), target="project:atlas/raw")
        """
        spec = msgspec.convert(words, TransferSpec)
        return self.submit_job(JobSpec(transfer=spec))

    def transfer_summary(self, id: int) -> TransferSummary:  # noqa: A002 - the word that people use for it
        """What a transfer did and did not, also while it runs.

        Example:
            for failure in box.transfer_summary(17).failures:
                print(failure.path, failure.text)
        """
        return self._transport.get(f"/v1/jobs/{id}/transfer", TransferSummary)

    def cancel_job(self, id: int) -> Job:  # noqa: A002 - the word that people use for it
        """End a job: asked politely, then by force after the box's grace time.

        Example:
            box.cancel_job(17)
        """
        return self._act(id, "cancel")

    def kill_job(self, id: int) -> Job:  # noqa: A002 - the word that people use for it
        """End a job by force, at once.

        Example:
            box.kill_job(17)
        """
        return self._act(id, "kill")

    def hold_job(self, id: int) -> Job:  # noqa: A002 - the word that people use for it
        """Keep a waiting job from starting until it is released.

        Example:
            box.hold_job(17)
        """
        return self._act(id, "hold")

    def release_job(self, id: int) -> Job:  # noqa: A002 - the word that people use for it
        """Let a held job go back into the queue.

        Example:
            box.release_job(17)
        """
        return self._act(id, "release")

    def pause_job(self, id: int) -> Job:  # noqa: A002 - the word that people use for it
        """Freeze a running job in memory.

        Example:
            box.pause_job(17)
        """
        return self._act(id, "pause")

    def resume_job(self, id: int) -> Job:  # noqa: A002 - the word that people use for it
        """Let a paused job go on.

        Example:
            box.resume_job(17)
        """
        return self._act(id, "resume")

    def retry_job(self, id: int) -> Job:  # noqa: A002 - the word that people use for it
        """Queue a new attempt of a job that has ended without success.

        Example:
            box.retry_job(17)
        """
        return self._act(id, "retry")

    def rerun_job(self, id: int, edit: JobEdit | None = None) -> Submitted:  # noqa: A002 - as above
        """Make a new job from an old one, with changes.

        Example:
            again = box.rerun_job(17, JobEdit(memory=4 << 30))
        """
        return self._transport.send(
            "POST", f"/v1/jobs/{id}/rerun", Submitted, edit or JobEdit(), timeout=LONG_TIMEOUT
        )

    def edit_job(self, id: int, edit: JobEdit) -> Job:  # noqa: A002 - the word that people use for it
        """Change a job that waits.

        Example:
            box.edit_job(17, JobEdit(priority=5))
        """
        return self._transport.send("POST", f"/v1/jobs/{id}/edit", Job, edit)

    def job_input(self, id: int, text: str = "", close: bool = False) -> None:  # noqa: A002 - as above
        r"""Write to a running job that was submitted with `stdin`; `close` ends its standard input.

        Example:
            box.job_input(17, "next trial\n")
        """
        self._transport.send("POST", f"/v1/jobs/{id}/input", Empty, InputBody(text=text, close=close))

    def open_shell(
        self,
        id: int,  # noqa: A002 - the word that people use for it
        rows: int = 24,
        columns: int = 80,
        name: str = "",
    ) -> socket.socket:
        r"""A shell inside a running job: a socket with the raw bytes of its terminal. Close it when done.

        `name` is yours to choose: `resize_shell` knows the shell by it.

        Example:
            with box.open_shell(17) as terminal:
                terminal.sendall(b"nvidia-smi; exit\n")
        """
        return self._transport.upgrade(
            f"/v1/jobs/{id}/shell", "labbox-shell", {"rows": rows, "columns": columns, "name": name or None}
        )

    def resize_shell(self, id: int, name: str, rows: int, columns: int) -> None:  # noqa: A002 - as above
        """Tell a shell that `open_shell` opened under this name how large its window is now.

        Example:
            box.resize_shell(17, "mine", rows=50, columns=132)
        """
        path = f"/v1/jobs/{id}/shell/{segment(name)}/size"
        self._transport.send("POST", path, Empty, SizeBody(rows=rows, columns=columns))

    def inspect(self, body: InspectBody | str) -> Inspection:
        """What a project folder holds, what would run, and what is wrong with it. A path is below the home.

        Example:
            for finding in box.inspect("study").findings:
                print(finding.level, finding.text)
        """
        body = InspectBody(path=body) if isinstance(body, str) else body
        return self._transport.send("POST", "/v1/inspect", Inspection, body, timeout=LONG_TIMEOUT)

    def templates(self) -> Templates:
        """The languages that the box can run.

        Example:
            print([template.title for template in box.templates().templates])
        """
        return self._transport.get("/v1/templates", Templates)

    def usage(self, owner: str | None = None) -> UsagePage:
        """What people used, all time and as the fair share counts it now.

        Example:
            for row in box.usage().rows:
                print(row.owner, row.cpu_seconds, row.share)
        """
        return self._transport.get("/v1/usage", UsagePage, {"owner": owner})

    def _act(self, id: int, verb: str) -> Job:  # noqa: A002 - the word that people use for it
        return self._transport.send("POST", f"/v1/jobs/{id}/{verb}", Job)


def _whole(record: LogRecord) -> LogRecord:
    """With its text as the job wrote it: what is not UTF-8 travels as bytes."""
    if record.raw is None:
        return record
    return msgspec.structs.replace(record, text=decode(record.raw), raw=None)
