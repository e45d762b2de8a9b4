"""Transfers in real workers: done, steered, cut off, cancelled; one at a time on a folder."""

from __future__ import annotations

import asyncio
import fcntl
import os
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
from nursery import Nursery

from labbox.daemon.people.accounts import Account
from labbox.daemon.workers import Dedicated, Workers
from labbox.errors import LabboxError
from labbox.files import transferring, work
from labbox.model import Limits, Progress, TransferSpec, TransferVerb
from labbox.protocol import HostSecret, TransferSummary

LARGE = 96 << 20  # bytes: enough that a copy is seen under way


@pytest.fixture
def ada(tmp_path: Path) -> Account:
    (tmp_path / "home/tree/deep").mkdir(parents=True)
    for number in range(20):
        (tmp_path / f"home/tree/deep/{number}").write_text(str(number))
    (tmp_path / "job").mkdir()
    return Account(
        name="ada", uid=70_000, gid=70_000, groups=(), admin=False, home=tmp_path / "home", limits=Limits()
    )


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    nursery = Nursery()
    made = Workers(nursery)
    running = asyncio.create_task(made.run())
    yield made
    running.cancel()
    async with asyncio.timeout(20):
        for child in nursery.children:
            await child.wait()


class Job:
    """One transfer's folder, and what was told of it."""

    def __init__(self, workers: Workers, ada: Account) -> None:
        self.workers, self.ada = workers, ada
        self.folder = ada.home.parent / "job"
        self.told: list[Progress] = []
        self.so_far: list[TransferSummary] = []
        self.news = asyncio.Event()

    def _take(self, progress: Progress, summary: TransferSummary | None) -> None:
        self.told.append(progress)
        self.so_far.extend([] if summary is None else [summary])
        self.news.set()

    async def run(
        self, spec: TransferSpec, meanwhile: Callable[[Dedicated], object] | None = None, **more: object
    ) -> TransferSummary | None:
        request = work.Transfer(spec=spec, **more)  # type: ignore[arg-type]  # by keyword
        folder = os.open(self.folder, os.O_RDONLY)
        try:
            async with self.workers.dedicated(self.ada) as worker:
                working = asyncio.ensure_future(worker.transfer(request, (folder,), self._take))
                if meanwhile is not None:
                    result = meanwhile(worker)
                    if asyncio.iscoroutine(result):
                        await result
                async with asyncio.timeout(60):
                    return await working
        finally:
            os.close(folder)

    async def seen(self, fits: Callable[[Progress], bool]) -> Progress:
        """The first news from now on that fit."""
        at = len(self.told)
        async with asyncio.timeout(60):
            while not any(fits(one) for one in self.told[at:]):
                self.news.clear()
                await self.news.wait()
        return next(one for one in self.told[at:] if fits(one))


@pytest.fixture
def job(workers: Workers, ada: Account) -> Job:
    return Job(workers, ada)


def copy(source: str, target: str) -> TransferSpec:
    return TransferSpec(verb=TransferVerb.COPY, sources=(source,), target=target)


async def test_a_tree_is_copied_and_told_of(job: Job, ada: Account) -> None:
    done = await job.run(copy("~/tree", "~/there"))
    assert done is not None
    assert (done.files, done.failed) == (20, 0)
    assert {one.name for one in (ada.home / "there/tree/deep").iterdir()} == {str(n) for n in range(20)}
    assert {"journal", "report.jsonl", "undo.jsonl"} <= {one.name for one in job.folder.iterdir()}
    assert job.told


@pytest.mark.parametrize(
    ("place", "words"),
    [
        ("project:atlas", "you are in no project of that name"),
        ("job:7", "they are not yours to see"),
        ("sftp://me@my-pc", "cannot log in to me@my-pc: no key or password"),
    ],
)
async def test_places_that_are_not_there_are_named(job: Job, place: str, words: str) -> None:
    from_there = await job.run(copy(f"{place}/x", "~/there"))
    assert from_there is not None
    assert from_there.failed == 1
    assert words in from_there.failures[0].text
    with pytest.raises(LabboxError, match=words):
        await job.run(copy("~/tree", f"{place}/x"))


async def test_shared_places_are_the_folders_that_were_named(job: Job, ada: Account) -> None:
    (ada.home.parent / "lab").mkdir()
    done = await job.run(copy("~/tree", "shared:/"), shared=str(ada.home.parent / "lab"))
    assert done is not None
    assert (ada.home.parent / "lab/tree/deep/7").read_text() == "7"


async def test_a_paused_transfer_moves_nothing_until_it_goes_on(job: Job, ada: Account) -> None:
    async def meanwhile(worker: Dedicated) -> None:
        for _ in range(2):  # alive, and nothing done
            await job.seen(lambda one: True)
        assert not (ada.home / "there").exists()
        await worker.pause(paused=False)

    done = await job.run(copy("~/tree", "~/there"), meanwhile, paused=True)
    assert done is not None
    assert len(list((ada.home / "there/tree/deep").iterdir())) == 20


async def test_cancelling_leaves_nothing_half_written(job: Job, ada: Account) -> None:
    (ada.home / "large").write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    (ada.home / "there").mkdir()

    async def meanwhile(worker: Dedicated) -> None:
        await worker.cancel()

    assert await job.run(copy("~/large", "~/there"), meanwhile, paused=True) is None
    assert list((ada.home / "there").iterdir()) == []


async def test_a_worker_whose_daemon_goes_leaves_a_journal_to_go_on_with(job: Job, ada: Account) -> None:
    (ada.home / "large").write_bytes(os.urandom(1 << 20) * (LARGE >> 20))
    folder = os.open(job.folder, os.O_RDONLY)
    try:
        async with job.workers.dedicated(ada) as worker:
            request = work.Transfer(spec=copy("~/large", "~/there"))
            working = asyncio.ensure_future(worker.transfer(request, (folder,), job._take))
            await job.seen(lambda one: True)
            working.cancel()
    finally:
        os.close(folder)
    done = await job.run(copy("~/large", "~/there"))
    assert done is not None
    assert done.failed == 0
    assert (ada.home / "there/large").read_bytes() == (ada.home / "large").read_bytes()
    assert [one.name for one in (ada.home / "there").iterdir()] == ["large"]


async def test_one_worker_at_a_time_writes_a_journal(job: Job, monkeypatch: pytest.MonkeyPatch) -> None:
    held = os.open(job.folder, os.O_RDONLY)
    fcntl.flock(held, fcntl.LOCK_EX)

    async def meanwhile(_worker: Dedicated) -> None:
        await job.seen(lambda one: one.phase == "starting")
        assert not list(job.folder.iterdir())
        os.close(held)

    done = await job.run(copy("~/tree", "~/there"), meanwhile)
    assert done is not None
    monkeypatch.setattr(transferring, "_OTHER_SECONDS", 0.1)
    first, second = os.open(job.folder, os.O_RDONLY), os.open(job.folder, os.O_RDONLY)
    try:
        fcntl.flock(first, fcntl.LOCK_EX)
        with pytest.raises(LabboxError, match="another process works on it"):
            await transferring._hold(second)
    finally:
        os.close(first)
        os.close(second)


async def test_logins_say_nothing_of_their_secrets() -> None:
    login = HostSecret(
        name="me@my-pc", user="me", host="my-pc", port=22, password="hunter2", private_key="KEY"
    )
    assert "hunter2" not in repr(login) + repr(work.Transfer(spec=copy("a", "b"), logins=(login,)))
    assert "KEY" not in repr(login)


async def test_what_was_done_and_not_is_told_under_way_and_after_a_cancellation(
    job: Job, ada: Account
) -> None:
    (ada.home / "tree/deep/pipe").unlink(missing_ok=True)
    os.mkfifo(ada.home / "tree/deep/pipe")
    done = await job.run(copy("~/tree", "~/there"))
    assert done is not None
    assert done.failed == 1
    assert job.so_far[-1] == done
    (ada.home / "large").write_bytes(b"x" * LARGE)

    async def meanwhile(worker: Dedicated) -> None:
        await job.seen(lambda one: True)
        await worker.cancel()

    job.so_far.clear()
    (job.folder / "journal").unlink()
    cancelled = await job.run(copy("~/large", "~/there"), meanwhile)
    assert cancelled is None or cancelled.files == 1
    assert job.so_far
