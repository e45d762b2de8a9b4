"""What scripts lean on: waiting, all pages, results as a folder, the same from asyncio."""

from __future__ import annotations

import asyncio
import inspect
import os
import runpy
import threading
import time
import typing
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from serving import Served

import labbox.client
from labbox.client import aio, results, waiting
from labbox.client.aio import AsyncClient
from labbox.errors import LabboxError
from labbox.model import JobState


def results_of(served: Served, number: int) -> Path:
    folder = served.folder / "results" / "ada" / "2026" / "11" / "21" / str(number)
    (folder / "output").mkdir(parents=True)
    (folder / "log.txt").write_text("done\n")
    (folder / "log.index").write_text("ours")
    (folder / "output" / "log.index").write_text("theirs")
    return folder


@pytest.fixture
def ended(served: Served, ada: labbox.client.Client) -> int:
    job = ada.submit_job(path="study")
    served.do(served.jobs.move(job.id, JobState.SUCCEEDED, exit_code=0))
    return job.id


# ── waiting ───────────────────────────────────────────────────────────────────────────────────────────────


def test_a_job_is_waited_for_over_a_restart(served: Served, ada: labbox.client.Client, ended: int) -> None:
    assert ada.wait_job(ended).state is JobState.SUCCEEDED
    job = ada.submit_job(path="study")
    found: list[JobState] = []
    waiter = threading.Thread(target=lambda: found.append(ada.wait_job(job.id, timeout=60).state))
    waiter.start()
    served.do(served.jobs.move(job.id, JobState.RUNNING))
    served.restart()
    served.do(served.jobs.move(job.id, JobState.FAILED, exit_code=3))
    waiter.join(30)
    assert found == [JobState.FAILED]


@pytest.mark.parametrize("timeout", [0, 0.3])
def test_a_wait_ends_in_time_and_the_job_goes_on(
    served: Served, ada: labbox.client.Client, timeout: float
) -> None:
    job = ada.submit_job(path="study")
    before = time.monotonic()
    with pytest.raises(TimeoutError) as caught:
        ada.wait_job(job.id, timeout=timeout)
    assert timeout <= time.monotonic() - before < 10
    assert isinstance(caught.value, LabboxError)
    assert caught.value.message.startswith(f"cannot wait for job {job.id} any longer")
    assert ada.show_job(job.id).job.state is JobState.QUEUED
    with pytest.raises(LabboxError, match="cannot find job 99"):
        ada.wait_job(99, timeout=5)


def test_a_wait_ends_in_time_where_much_happens(served: Served, ada: labbox.client.Client) -> None:
    job, other = ada.submit_job(path="study"), ada.submit_job(path="other")
    over = threading.Event()

    def stir() -> None:
        while not over.is_set():
            served.do(served.jobs.move(other.id, JobState.RUNNING))

    stirrer = threading.Thread(target=stir)
    stirrer.start()
    try:
        with pytest.raises(labbox.client.WaitTimeoutError):
            ada.wait_job(job.id, timeout=0.5)
    finally:
        over.set()
        stirrer.join()


def test_all_pages_come_one_after_the_other(
    served: Served, ada: labbox.client.Client, box: labbox.client.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "_PAGE", 3)
    numbers = [ada.submit_job(path="study", name=f"run {n % 2}").id for n in range(10)]
    assert [job.id for job in ada.iter_jobs()] == numbers[::-1]
    assert [job.id for job in ada.iter_jobs(name="run 1", before=9)] == [8, 6, 4, 2]
    assert list(ada.iter_jobs(kind="files")) == []
    assert [user.name for user in box.iter_users()] == ["ada", "boss", "grace"]
    whole = box.audit(limit=1000).entries
    assert len(whole) >= 3
    assert tuple(box.iter_audit()) == whole
    with pytest.raises(LabboxError, match="only administrators"):
        next(ada.iter_users())


def full(_folder: Path) -> tuple[str, ...]:
    raise OSError(28, "No space left on device")


# ── results ───────────────────────────────────────────────────────────────────────────────────────────────


def test_results_come_whole_under_safe_names(
    served: Served, ada: labbox.client.Client, ended: int, tmp_path: Path
) -> None:
    folder = results_of(served, ended) / "output"
    (folder / "table.csv").write_text("1")
    (folder / "again.csv").symlink_to("table.csv")
    (folder / "secret").symlink_to("/etc/passwd")
    (folder / "above").symlink_to("../../../elsewhere")
    (folder / "sub").mkdir()
    (folder / "sub" / "up").symlink_to("..")
    (folder / "sub" / "chain").symlink_to("up/../../..")
    (folder / "circle").symlink_to("circle")
    os.mkfifo(folder / "pipe")
    (folder / "new\nline").write_text("")
    fetched = ada.fetch_results(ended, tmp_path / "mine")
    assert fetched.folder == tmp_path / "mine"
    assert fetched.job.id == ended
    assert fetched.left_out == (
        "output/above", "output/circle", "output/pipe", "output/secret", "output/sub/chain",
    )  # fmt: skip
    found = {str(path.relative_to(fetched.folder)) for path in fetched.folder.rglob("*")}
    assert found == {
        "log.txt", "output", "output/log.index", "output/table.csv", "output/again.csv", "output/sub",
        "output/sub/up", "output/new\nline",
    }  # fmt: skip
    for path in fetched.folder.rglob("*"):
        assert path.resolve().is_relative_to(fetched.folder.resolve())


def test_results_come_whole_or_not_at_all(
    served: Served, ada: labbox.client.Client, ended: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    target = tmp_path / "there"
    with pytest.raises(LabboxError, match="there are none yet"):
        ada.fetch_results(ended, target)
    folder = results_of(served, ended)
    for name in ("1", "2"):
        (folder / "output" / name).write_text(name)
    with monkeypatch.context() as patched:
        patched.setattr(results, "_without_traps", full)
        with pytest.raises(LabboxError, match="No space left on device"):
            ada.fetch_results(ended, target)
    assert not target.exists()
    assert not list(tmp_path.glob(".labbox-fetch-*"))
    target.mkdir()
    (target / "mine").write_text("")
    with pytest.raises(LabboxError, match="it is not empty"):
        ada.fetch_results(ended, target)
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(LabboxError, match="it is not empty"):
        ada.fetch_results(ended, tmp_path / "link")
    with pytest.raises(LabboxError, match="there is no folder"):
        ada.fetch_results(ended, tmp_path / "no" / "where")
    (target / "mine").unlink()
    assert (ada.fetch_results(ended, target).folder / "output" / "2").read_text() == "2"


# ── asyncio ───────────────────────────────────────────────────────────────────────────────────────────────


def test_asyncio_has_every_call_with_its_types(served: Served) -> None:
    box = aio.connect(str(served.socket), act_as="ada")
    names = {"Client": labbox.client.Client}
    for name, call in vars_of(labbox.client.Client):
        if name in {"close", "where"}:
            continue
        mine = getattr(AsyncClient, name)
        assert mine.__doc__ == call.__doc__
        wanted, found = typing.get_type_hints(call, localns=names), typing.get_type_hints(mine)
        wanted.pop("self", None)
        if typing.get_origin(wanted["return"]) is Iterator:
            wanted["return"] = AsyncIterator[typing.get_args(wanted["return"])[0]]  # type: ignore[misc]
        assert found == wanted, name
        assert inspect.iscoroutinefunction(mine) is (typing.get_origin(found["return"]) is not AsyncIterator)
        theirs = list(inspect.signature(call).parameters.values())
        assert [(one.name, one.default) for one in theirs] == [
            (one.name, one.default) for one in inspect.signature(mine).parameters.values()
        ]
    with pytest.raises(AttributeError, match="no attribute 'submit'"):
        _ = box.submit  # type: ignore[attr-defined]


def test_the_awaited_calls_are_as_the_program_writes_them() -> None:
    written = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "write_aio.py"))
    there = Path(labbox.client.__file__).with_name("awaited.py").read_text(encoding="utf-8")
    assert there == written["text"](), "run: python docs/write_aio.py"


def vars_of(kind: type) -> Iterator[tuple[str, typing.Any]]:
    for name in dir(kind):
        if not name.startswith("_"):
            yield name, getattr(kind, name)


def test_asyncio_asks_many_things_at_once(served: Served) -> None:
    async def main() -> None:
        async with aio.connect(str(served.socket), act_as="ada") as box:
            jobs = await asyncio.gather(*(box.submit_job(path=f"study {n}") for n in range(40)))
            assert sorted(job.id for job in jobs) == list(range(1, 41))
            assert [job.id async for job in box.iter_jobs()] == list(range(40, 0, -1))
            with pytest.raises(LabboxError, match="cannot find job 99") as caught:
                await box.show_job(99)
            assert caught.value.code == "not_found"
            await asyncio.to_thread(served.do, served.jobs.move(1, JobState.SUCCEEDED))
            assert (await box.wait_job(1)).state is JobState.SUCCEEDED
            with pytest.raises(TimeoutError):
                await box.wait_job(2, timeout=0.1)

    asyncio.run(main())
    assert threads() == []


def test_what_is_cancelled_ends_and_the_rest_goes_on(served: Served) -> None:
    async def main() -> None:
        async with aio.connect(str(served.socket), act_as="ada") as box:
            job = await box.submit_job(path="study")
            waits = [asyncio.create_task(box.wait_job(job.id)) for _ in range(3)]
            follower = asyncio.create_task(first_record(box, job.id))
            await running(box, 4)
            for task in (*waits[:2], follower):
                task.cancel()
            done = await asyncio.gather(*waits[:2], follower, return_exceptions=True)
            assert [type(one) for one in done] == [asyncio.CancelledError] * 3
            async with asyncio.timeout(10):
                while len(threads()) > 2:  # the one that waits, and an idle one at most
                    await asyncio.sleep(0.01)
            await asyncio.to_thread(served.do, served.jobs.move(job.id, JobState.FAILED))
            assert (await waits[2]).state is JobState.FAILED
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.2):
                    async for _ in box.events(follow=True):
                        pass
            assert (await box.status()).box == "lab"

    asyncio.run(main())
    assert threads() == []


async def first_record(box: AsyncClient, number: int) -> None:
    async for _ in box.job_log(number, follow=True):
        return


async def running(box: AsyncClient, calls: int) -> None:
    async with asyncio.timeout(10):
        while len(box._busy) < calls:
            await asyncio.sleep(0.01)


def threads() -> list[str]:
    deadline = time.monotonic() + 10
    while True:
        names = [one.name for one in threading.enumerate() if one.name.startswith("labbox call")]
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            if names and time.monotonic() < deadline:
                for one in threading.enumerate():
                    if one.name.startswith("labbox call"):
                        one.join(1)
                continue
        return names
