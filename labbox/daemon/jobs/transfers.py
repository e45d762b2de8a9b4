"""One attempt at a transfer: a worker of its owner's, its journal, and what it did.

    preparing    results folder with the journal; a worker is forked with the owner's ids
    running      until the worker answers, or a person or the time limit ends it

A worker that was lost, with the daemon or by itself, is followed by another one on the same journal, which
goes on where that one stopped: after a restart in the same attempt, else in a new one. A host that does not
answer is tried again later for as long as the transfer asks for (`TransferSpec.wait`).
"""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs import results
from labbox.daemon.jobs.asking import hosts_named, jobs_named, needs_room
from labbox.daemon.jobs.clock import since
from labbox.daemon.jobs.handed import Handed, decode_spec
from labbox.daemon.jobs.outcome import FIRST_BACK_OFF, LONGEST_BACK_OFF, Outcome
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.ports import TransferWorker
from labbox.daemon.jobs.storage import NEARLY_FULL
from labbox.daemon.jobs.telling import could_not, did, sentences
from labbox.daemon.jobs.trying import Try, no_folder
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import attempts, jobs
from labbox.errors import LabboxError
from labbox.files import work
from labbox.model import JobSpec, JobState, Progress, Reason, ReasonCode, TransferSpec
from labbox.protocol import TransferSummary
from labbox.text import visible_line

if TYPE_CHECKING:
    from sqlite3 import Connection

_log = logging.getLogger(__name__)

SUMMARY: Final = "transfer.json"
_CLEANING: Final = 60.0  # seconds in which a cancelled transfer removes what is unfinished
_CHAIN: Final = 20  # undos of undos that are looked through
_AT_ONCE: Final = 5.0  # the same for one that is killed
_BEGINNING: Final = 10.0  # seconds in which a transfer that was adopted or started has a worker


class TransferRun(Try):
    """A transfer in a worker of its own."""

    moved = tuple(name for name in (*results.MOVED, SUMMARY) if name != "output")  # the journal stays

    def __init__(
        self, parts: Parts, row: jobs.JobRow, attempt: attempts.AttemptRow, *, adopted: bool
    ) -> None:
        """As for every attempt."""
        super().__init__(parts, row, attempt, adopted=adopted)
        self._worker: TransferWorker | None = None
        self._steerable = asyncio.Event()  # set with the worker, and for good when there will be none
        self._summary = TransferSummary()
        self._hosts: tuple[str, ...] = ()

    @property
    def summary(self) -> TransferSummary:
        """What it did so far."""
        return self._summary

    async def freeze(self, *, frozen: bool) -> None:
        """Have the worker wait at the next block, or go on; TimeoutError where none begins."""
        async with asyncio.timeout(_BEGINNING):
            await self._steerable.wait()
        if self._worker is None:
            raise LabboxError("conflict", f"cannot steer job {self.row.id}: it is just ending", "try again")
        await self._worker.pause(paused=frozen)

    async def _end_now(self) -> None:
        """The worker ends with the context that it was forked in."""

    async def _clean_up(self) -> None:
        """Nothing is left: the journal belongs to the results."""

    async def _size(self, account: Account, folder: Path) -> int | None:
        """The journal is counted with everything else that its owner stores."""
        return None

    def _lost(self, tries: Sequence[attempts.AttemptRow]) -> int:
        return sum(1 for one in tries if one.reason is not None and one.reason.code is ReasonCode.GONE)

    def _judged(self, outcome: Outcome, spec: JobSpec, tries: Sequence[attempts.AttemptRow]) -> Outcome:
        """A host that does not answer is tried again, until the time that was asked for has passed."""
        reason = outcome.reason
        if reason is None or reason.code is not ReasonCode.HOST or spec.transfer is None:
            return outcome
        in_vain = [one for one in tries if one.number <= self.attempt.number]
        count, began = 0, self.attempt
        for one in reversed(in_vain[:-1]):
            if one.state is not JobState.LOST or one.reason is None or one.reason.code is not ReasonCode.HOST:
                break
            count, began = count + 1, one
        waited = since(self._parts.clock, began.boot, began.begun_boot, began.begun_at)
        if waited >= spec.transfer.wait:
            return msgspec.structs.replace(outcome, state=JobState.FAILED, exit_code=1)
        pause = min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(count, 10))
        again = min(pause, spec.transfer.wait - waited)
        return msgspec.structs.replace(outcome, state=JobState.LOST, ours=True, again=max(1.0, again))

    # ── living ──

    async def _live(self, account: Account, spec: JobSpec, handed: Handed) -> Outcome:
        asked = spec.transfer
        if asked is None:
            raise AssertionError("a transfer has a transfer")
        try:
            folder = await self._make_folder(account)
        except OSError as error:
            return outcomes.refused(no_folder(error), code=ReasonCode.DISK)
        self._log = self._open_log(folder, lambda _: None, lambda: None)
        if self._asked is not None and self.row.state is JobState.PREPARING:
            return self._asked
        if self._adopted and self.row.state is not JobState.PREPARING:
            self._log.say("the box was started again: going on where it stopped")
        else:
            self._log.say(visible_line(self.row.name))
        async with self._followed(self._log):
            outcome = await self._transfer(account, asked, handed, folder)
        await self._keep_summary(account, folder)
        for line in sentences(self._summary):
            self._log.say(line)
        self._log.say(did(asked.verb, self._summary))
        if outcome.reason is not None:
            self._log.say(outcome.reason.text)
        return outcome

    async def _transfer(self, account: Account, asked: TransferSpec, handed: Handed, folder: Path) -> Outcome:
        full = self._parts.storage.full()
        if full and needs_room(asked):
            return outcomes.no_room(full)
        try:
            request = await self._request(account, asked, handed)
            async with (
                self._folders(asked, folder) as descriptors,
                self._parts.transfers.dedicated(account) as worker,
            ):
                self._worker = worker
                self._steerable.set()
                if self.row.state is JobState.PREPARING:
                    await self._note_running()
                return await self._watch(account, asked, worker, request, descriptors)
        except LabboxError as error:
            return self._refused(error, asked)
        except (ConnectionError, TimeoutError) as error:
            _log.warning("job %d: its worker was lost: %s", self.row.id, error)
            if self._asked is not None:
                return self._asked
            why = "did not answer any more" if isinstance(error, TimeoutError) else "ended"
            reason = Reason(code=ReasonCode.GONE, text=f"the process that worked on it {why}")
            return Outcome(state=JobState.LOST, reason=reason, ours=True)
        finally:
            self._worker = None
            self._steerable.set()

    async def _request(self, account: Account, asked: TransferSpec, handed: Handed) -> work.Transfer:
        transfers = self._parts.transfers
        reach = await transfers.reach(account)
        meant = await self._meant(asked)
        self._hosts = tuple(dict.fromkeys(host for one in meant for host in hosts_named(one)))
        return work.Transfer(
            spec=msgspec.structs.replace(asked, only=handed.only or asked.only),
            shared=reach.shared,
            projects=reach.projects,
            jobs=await self._job_folders(frozenset[int]().union(*map(jobs_named, meant))),
            logins=await transfers.logins(account, self._hosts),
            paused=self.row.state is JobState.PAUSED,
        )

    async def _meant(self, asked: TransferSpec) -> tuple[TransferSpec, ...]:
        """What is asked for; of an undo also what it takes back, which names the places."""

        def read(connection: Connection) -> tuple[TransferSpec, ...]:
            found, one = [asked], asked
            while one.undo is not None and len(found) < _CHAIN:
                row = jobs.get(connection, one.undo)
                text, _ = jobs.submission(connection, row.submission)
                undone = decode_spec(text).transfer
                if undone is None or not self._is_mine(row):
                    break
                found.append(one := undone)
            return tuple(found)

        return await self._parts.store.read(read)

    async def _job_folders(self, named: frozenset[int]) -> dict[int, str]:
        """The results that are named, as far as they are its owner's."""
        wanted = sorted(named)

        def read(connection: Connection) -> dict[int, jobs.JobRow]:
            return jobs.get_many(connection, wanted) if wanted else {}

        rows = await self._parts.store.read(read)
        return {number: str(self._folder_of(row)) for number, row in rows.items() if self._is_mine(row)}

    def _is_mine(self, row: jobs.JobRow) -> bool:
        return row.owner == self.row.owner

    def _folder_of(self, row: jobs.JobRow) -> Path:
        return results.place(self._parts.state, row.owner, row.results)

    @asynccontextmanager
    async def _folders(self, asked: TransferSpec, folder: Path) -> AsyncIterator[tuple[int, ...]]:
        """The open output of this job, and of the one that it undoes."""
        places = [folder]
        if asked.undo is not None:
            undone = asked.undo
            row = await self._parts.store.read(lambda c: jobs.get(c, undone))
            if not self._is_mine(row):
                raise LabboxError("forbidden", f"cannot undo job {undone}: it is {row.owner}'s")
            places.append(self._folder_of(row))
        with ExitStack() as opened:
            descriptors: tuple[int, ...] = ()
            for place in places:
                try:
                    descriptor = await self._parts.in_thread(results.open_output, place)
                except OSError as error:
                    text = f"cannot work in {place.name}/output: {error.strerror}"
                    raise LabboxError("not_found", text, "what a job left may have been removed") from error
                opened.callback(os.close, descriptor)
                descriptors = (*descriptors, descriptor)
            yield descriptors

    # ── running ──

    async def _watch(
        self,
        account: Account,
        asked: TransferSpec,
        worker: TransferWorker,
        request: work.Transfer,
        descriptors: Sequence[int],
    ) -> Outcome:
        """Wait for the worker's answer, and have it end early where somebody or the time limit says so."""
        working = asyncio.ensure_future(worker.transfer(request, descriptors, self._take))
        guarding = [
            asyncio.ensure_future(one) for one in (self._guard_storage(account), self._guard_disk(account))
        ]
        try:
            while not working.done():
                self._stirred.clear()
                if self._asked is not None:
                    return await self._cancelled(worker, working)
                if await self._pause_until_stirred(working):
                    self.stop(outcomes.timed_out(self.row.time_limit or 0.0), hard=False)
            summary = working.result()
        finally:
            for one in (working, *guarding):
                one.cancel()
            await asyncio.gather(working, *guarding, return_exceptions=True)
        if summary is None:
            return self._asked or outcomes.cancelled("")
        self._summary = summary
        return self._judge(summary, asked)

    async def _guard_storage(self, account: Account) -> None:
        """Have it end where it stores more than its owner may; one that deletes only makes that less."""
        await self._parts.storage.until_over(account)
        self.stop(outcomes.over_limit(account.limits.storage or 0), hard=False)

    async def _guard_disk(self, account: Account) -> None:
        """Have it end where the box's disk is nearly full and what its owner stores grows."""
        storage = self._parts.storage
        await storage.until_full(account)
        self.stop(outcomes.no_room(storage.full() or NEARLY_FULL), hard=False)

    async def _pause_until_stirred(self, working: asyncio.Future[TransferSummary | None]) -> bool:
        """Wait for the end or for something to do; True where the time limit has passed."""
        stirred: asyncio.Future[Any] = asyncio.ensure_future(self._stirred.wait())
        ended: asyncio.Future[Any] = working
        try:
            await asyncio.wait(
                {stirred, ended}, timeout=self._time_left(), return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            stirred.cancel()
        left = self._time_left()
        return not working.done() and self._asked is None and left is not None and left <= 0.0

    async def _cancelled(
        self, worker: TransferWorker, working: asyncio.Future[TransferSummary | None]
    ) -> Outcome:
        """Let it remove what is unfinished; where that takes too long, it ends with its worker."""
        await worker.cancel()
        async with asyncio.timeout(None) as patience:
            loop = asyncio.get_running_loop()
            patience.reschedule(loop.time() + (_AT_ONCE if self._hard else _CLEANING))
            waiting = asyncio.ensure_future(self._until_hard(working, patience))
            try:
                await asyncio.shield(working)
            except (LabboxError, ConnectionError):
                pass  # it ends all the same
            finally:
                waiting.cancel()
        if self._asked is None:
            raise AssertionError("somebody asked for the end")
        return self._asked

    async def _until_hard(
        self, working: asyncio.Future[TransferSummary | None], patience: asyncio.Timeout
    ) -> None:
        """Once it is killed, there is less patience."""
        while not working.done() and not self._hard:
            self._stirred.clear()
            await self._stirred.wait()
        if not patience.expired():
            patience.reschedule(asyncio.get_running_loop().time() + _AT_ONCE)

    def _take(self, progress: Progress, summary: TransferSummary | None) -> None:
        if summary is not None:
            self._summary = summary
        else:
            done = int(progress.done) if progress.unit == "bytes" else self._summary.size
            files = max(progress.files or 0, self._summary.files)
            self._summary = msgspec.structs.replace(
                self._summary, files=files, size=max(done, self._summary.size)
            )
        self._report(progress)

    def _judge(self, summary: TransferSummary, asked: TransferSpec) -> Outcome:
        if not summary.failed:
            return Outcome(state=JobState.SUCCEEDED, exit_code=0)
        hosts = self._hosts or hosts_named(asked)
        if hosts and all(one.code == "unavailable" for one in summary.failures):
            return _no_answer(hosts, summary.failures[0].text)
        reason = Reason(code=ReasonCode.FILES, text=could_not(asked.verb, summary))
        return Outcome(state=JobState.FAILED, reason=reason, exit_code=1)

    def _refused(self, error: LabboxError, asked: TransferSpec) -> Outcome:
        if self._asked is not None:
            return self._asked
        text = visible_line(error.message) + (f" ({visible_line(error.hint)})" if error.hint else "")
        hosts = self._hosts or hosts_named(asked)
        if error.code == "unavailable" and hosts:
            return _no_answer(hosts, text)
        return Outcome(state=JobState.FAILED, reason=Reason(code=ReasonCode.FILES, text=text), exit_code=1)

    async def _keep_summary(self, account: Account, folder: Path) -> None:
        content = msgspec.json.encode(self._summary)
        try:
            await self._parts.in_thread(results.write_whole, folder / SUMMARY, content, 0o640, account.gid)
        except OSError as error:  # a full disk: the job's own end is in the store
            _log.warning("job %d: what it did cannot be kept: %s", self.row.id, error)


def read_summary(folder: Path) -> TransferSummary | None:
    """What an ended transfer did; None where nothing was kept."""
    try:
        return msgspec.json.decode((folder / SUMMARY).read_bytes(), type=TransferSummary)
    except (FileNotFoundError, msgspec.DecodeError):
        return None


def _no_answer(hosts: Sequence[str], text: str) -> Outcome:
    """A host is asleep or away."""
    named = " or ".join(host.rpartition("@")[2] for host in hosts)
    reason = Reason(code=ReasonCode.HOST, text=f"{visible_line(named)} does not answer")
    _log.info("%s: %s", reason.text, text)
    return Outcome(state=JobState.FAILED, reason=reason, exit_code=1)
