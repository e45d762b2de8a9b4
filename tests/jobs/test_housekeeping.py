"""What people store, and what is cleared away: storage limits, snapshots, spools, environments."""

from __future__ import annotations

import asyncio
import ctypes
import os
from collections.abc import Callable
from typing import Any

import msgspec
import pytest

from labbox.daemon.jobs import dispatch, results, storage, watching
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import jobs, usage
from labbox.errors import LabboxError
from labbox.model import FINAL, GIB, MIB, JobSpec, JobState, Limits, ReasonCode, TransferSpec, TransferVerb
from labbox.protocol import JobEdit

Lab = Any  # conftest's; a fixture gives it

_OLD = 31 * 86400 * 1_000_000  # microseconds; longer ago than inputs are kept


async def test_what_is_stored_is_counted_and_held_against_the_limit(lab: Lab) -> None:
    lab.people.limit("ada", Limits(storage=GIB))
    lab.folders.stored = GIB
    with pytest.raises(LabboxError, match=r"cannot submit: your home and results take 1\.0 GiB") as caught:
        await lab.submit("true")
    assert caught.value.code == "limit"
    assert (await lab.db.read(lambda db: usage.get(db, "ada"))).storage == GIB
    lab.people.limit("ada", Limits(storage=2 * GIB))
    await lab.ended((await lab.submit("true")).id)


async def test_a_figure_is_measured_once_and_then_renewed_off_the_hot_path(lab: Lab) -> None:
    lab.people.limit("ada", Limits(storage=GIB))
    for _ in range(5):
        await lab.submit("true", hold=True)
    assert lab.folders.counted == 1
    await lab.submit("true", hold=True, owner="grace")  # without a limit nothing is counted
    assert lab.folders.counted == 1


async def test_what_is_left_of_the_limit_is_the_room_of_a_submission(lab: Lab) -> None:
    lab.people.limit("ada", Limits(storage=100 * MIB))
    lab.folders.stored = 60 * MIB
    big = msgspec.structs.replace(lab.folders.projects["study"], added=30 * MIB)
    lab.folders.projects["big"] = big
    await lab.jobs.submit(lab.account("ada"), JobSpec(path="big", hold=True), "test")
    assert (await lab.db.read(lambda db: usage.get(db, "ada"))).storage == 90 * MIB
    lab.folders.stored = 90 * MIB
    with pytest.raises(LabboxError, match="cannot hand in"):
        await lab.jobs.submit(lab.account("ada"), JobSpec(path="big", hold=True), "test")


async def test_inputs_of_ended_jobs_yield_to_a_new_one(lab: Lab) -> None:
    lab.folders.trees, lab.folders.trees_bytes = {"tree-1", "tree-2"}, 50 * MIB
    lab.folders.stored = 100 * MIB
    ended = await lab.jobs.submit(lab.account("ada"), JobSpec(path="study"), "test")
    await lab.ended(ended.id)
    lab.people.limit("ada", Limits(storage=100 * MIB))
    await lab.submit("true")
    assert lab.folders.pruned == {"tree-1", "tree-2"}
    with pytest.raises(LabboxError, match="what was handed in was cleared away"):
        await lab.jobs.rerun(lab.account("ada"), ended.id, JobEdit(), "test")


async def test_inputs_of_a_job_that_waits_stay(lab: Lab) -> None:
    await lab.jobs.submit(lab.account("ada"), JobSpec(path="study", hold=True), "test")
    lab.folders.trees, lab.folders.stored = {"tree-1", "tree-2", "tree-3"}, GIB
    lab.people.limit("ada", Limits(storage=GIB))
    with pytest.raises(LabboxError, match="cannot submit"):
        await lab.submit("true")
    assert lab.folders.trees == {"tree-1", "tree-2"}


async def test_a_round_prunes_what_only_old_jobs_used_and_counts_everybody(lab: Lab) -> None:
    for kind in ("snapshots", "homes"):
        (lab.state / kind / "ada").mkdir(parents=True)
        (lab.state / kind / "somebody removed").mkdir()
    lab.folders.trees, lab.folders.stored = {"tree-1", "tree-2"}, 7 * MIB
    old = await lab.jobs.submit(lab.account("ada"), JobSpec(path="study"), "test")
    await lab.ended(old.id)
    await lab.jobs._housekeeping.round()
    assert lab.folders.trees == {"tree-1", "tree-2"}, "it has just ended"
    await lab.db.write(lambda db: db.execute("UPDATE jobs SET ended_at = ended_at - ?", (_OLD,)))
    running = await lab.submit("sleep", "60")
    await lab.until(running.id, JobState.RUNNING)
    await lab.jobs._housekeeping.round()
    assert not lab.folders.trees
    assert lab.environments.kept[-1] == frozenset({"env-1", "sha256:digest"})
    assert (await lab.db.read(lambda db: usage.get(db, "ada"))).storage == 7 * MIB
    assert await lab.db.read(lambda db: jobs.trees_in_use(db, "grace", 0)) == []


async def test_what_an_earlier_daemon_left_in_the_spool_goes_at_the_start(lab: Lab) -> None:
    job = await lab.submit("sleep", "60")
    await lab.until(job.id, JobState.RUNNING)
    await lab.down()
    spool = lab.state / "spool"
    deep = spool / "commit-0123" / "files"
    deep.mkdir(parents=True)
    (spool / "99-1").mkdir()
    (spool / "99-1" / "stdout").write_text("left")
    await lab.up()
    await lab.ended((await lab.submit("true")).id)  # by then the sweep, which came first, is well under way
    await _until(lambda: not (spool / "99-1").exists() and not deep.parent.exists())
    assert (spool / f"{job.id}-1").is_dir()
    lab.engine.finish(f"labbox-box1-{job.id}-1", 0)
    assert (await lab.ended(job.id)).state is JobState.SUCCEEDED


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Outputs are looked at without pause."""
    for name in ("_PROGRESS", "_MEASURE"):
        monkeypatch.setattr(watching, name, 0.01)


@pytest.mark.usefixtures("impatient")
async def test_an_output_beyond_the_boxs_limit_ends_its_job_alone(new_lab: Callable[..., Lab]) -> None:
    lab = new_lab(disk=10 * MIB)
    await lab.up()
    job = await lab.submit("sleep", "60")
    await lab.until(job.id, JobState.RUNNING)
    lab.folders.size = 10 * MIB + 1
    ended = await lab.ended(job.id)
    assert ended.state is JobState.FAILED
    assert ended.reason.code is ReasonCode.DISK_LIMIT
    assert "beyond the limit of 10.0 MiB" in ended.reason.text
    lab.folders.size = 0
    assert (await lab.ended((await lab.submit("true")).id)).state is JobState.SUCCEEDED
    await lab.down()


@pytest.mark.usefixtures("impatient")
async def test_an_output_beyond_what_its_owner_may_store_ends_its_job(lab: Lab) -> None:
    lab.people.limit("ada", Limits(storage=30 * MIB))
    lab.folders.stored = 20 * MIB
    job = await lab.submit("sleep", "60")
    await lab.until(job.id, JobState.RUNNING)
    await _until(lambda: lab.folders.looks > 2)
    assert (await lab.job(job.id)).state is JobState.RUNNING
    lab.folders.size = 10 * MIB + 1
    ended = await lab.ended(job.id)
    assert ended.reason.code is ReasonCode.DISK_LIMIT
    assert "beyond the limit of 10.0 MiB" in ended.reason.text


@pytest.mark.usefixtures("impatient")
async def test_jobs_of_one_owner_that_write_at_once_share_what_may_be_stored(lab: Lab) -> None:
    lab.people.limit("ada", Limits(storage=30 * MIB))
    lab.folders.stored = 20 * MIB
    running = [await lab.submit("sleep", "60") for _ in range(2)]
    for job in running:
        await lab.until(job.id, JobState.RUNNING)
    await _until(lambda: lab.folders.looks > 4)
    lab.folders.size = 6 * MIB  # each alone is within the 10 MiB that were left, both are not
    async with asyncio.timeout(20):
        while not (ended := [one for job in running if (one := await lab.job(job.id)).state in FINAL]):
            await asyncio.sleep(0.01)
    first = ended[0]
    assert first.state is JobState.FAILED
    assert first.reason.code is ReasonCode.DISK_LIMIT
    assert "with the outputs of its owner's running jobs, more than the 30.0 MiB" in first.reason.text
    lab.folders.size = 0


@pytest.mark.usefixtures("impatient")
async def test_when_the_disk_is_nearly_full_the_job_that_writes_much_ends(
    new_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    lab = new_lab(free_floor=4 * MIB)
    await lab.up()
    writer = await lab.submit("sleep", "60")
    await lab.until(writer.id, JobState.RUNNING)
    await _until(lambda: lab.folders.looks > 2)
    assert (await lab.job(writer.id)).state is JobState.RUNNING
    lab.folders.size = 5 * MIB
    looks = lab.folders.looks
    await _until(lambda: lab.folders.looks > looks + 2)
    assert (await lab.job(writer.id)).state is JobState.RUNNING, "there is room"
    disk = os.statvfs(lab.state)
    left = os.statvfs_result((*disk[:4], 2 * MIB // disk.f_frsize - 1, *disk[5:], disk.f_fsid))
    monkeypatch.setattr(dispatch, "_TROUBLE", 0.05)
    with monkeypatch.context() as nearly_full:
        nearly_full.setattr(os, "statvfs", lambda _path: left)
        ended = await lab.ended(writer.id)
        assert ended.state is JobState.FAILED
        assert ended.reason.code is ReasonCode.DISK
        waiting = await lab.submit("true")
        why = await lab.jobs.why(lab.account("ada"), waiting.id)
        assert why.reasons[0].code is ReasonCode.DISK
    assert (await lab.ended(waiting.id)).state is JobState.SUCCEEDED
    await lab.down()


async def test_a_transfer_that_fills_the_disk_ends_and_one_that_stores_nothing_goes_on(
    new_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(storage, "_SECOND", 0.01)
    lab = new_lab(free_floor=4 * MIB)
    await lab.up()
    copy = TransferSpec(verb=TransferVerb.COPY, sources=("~/a",), target="~/b")
    spec = JobSpec(transfer=copy)
    job = await lab.jobs.submit(lab.account("ada"), spec, "test")
    await lab.until(job.id, JobState.RUNNING)
    disk = os.statvfs(lab.state)
    left = os.statvfs_result((*disk[:4], 2 * MIB // disk.f_frsize - 1, *disk[5:], disk.f_fsid))
    counted = _counting(lab, monkeypatch)
    with monkeypatch.context() as nearly_full:
        nearly_full.setattr(os, "statvfs", lambda _path: left)
        lab.folders.stored = 50 * MIB
        await _until(lambda: counted() > 5)
        assert (await lab.job(job.id)).state is JobState.RUNNING, "it stores nothing"
        late = await lab.jobs.submit(lab.account("ada"), spec, "test")
        ended = await lab.ended(late.id)
        assert (ended.state, ended.reason.code) == (JobState.FAILED, ReasonCode.DISK)
        assert "of disk left" in ended.reason.text
        lab.folders.stored -= 40 * MIB
        looks = counted()
        await _until(lambda: counted() > looks + 2)
        assert (await lab.job(job.id)).state is JobState.RUNNING, "its owner deletes"
        lab.folders.stored += 5 * MIB  # of what is left: what was deleted is no room to fill again
        ended = await lab.ended(job.id)
    assert (ended.state, ended.reason.code) == (JobState.FAILED, ReasonCode.DISK), ended
    assert "of disk left" in ended.reason.text
    await lab.down()


def _counting(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often somebody's files were counted."""
    times = 0
    count = lab.folders.stored_bytes

    async def counted(account: Account) -> int:
        nonlocal times
        times += 1
        return int(await count(account))

    monkeypatch.setattr(lab.folders, "stored_bytes", counted)
    return lambda: times


@pytest.mark.parametrize("fills", [True, False])
async def test_a_run_that_fills_the_disk_is_looked_at_every_second(
    new_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch, fills: bool
) -> None:
    """Its output is measured at the next look, not ten seconds later."""
    monkeypatch.setattr(watching, "_PROGRESS", 0.01)
    monkeypatch.setattr(watching, "_MEASURE", 3600.0)
    lab = new_lab(disk=10 * MIB)
    await lab.up()
    disk = os.statvfs(lab.state)
    blocks = [disk.f_bavail]

    def statvfs(_path: object) -> os.statvfs_result:
        if fills:
            blocks[0] -= watching._FILLING // disk.f_frsize + 1
        return os.statvfs_result((*disk[:4], max(0, blocks[0]), *disk[5:], disk.f_fsid))

    monkeypatch.setattr(os, "statvfs", statvfs)
    job = await lab.submit("sleep", "60")
    await lab.until(job.id, JobState.RUNNING)
    lab.folders.size = 10 * MIB + 1
    if fills:
        assert (await lab.ended(job.id)).reason.code is ReasonCode.DISK_LIMIT
    else:
        read = _progress_reads(monkeypatch)
        await _until(lambda: read() > 20)
        assert (await lab.job(job.id)).state is JobState.RUNNING
    await lab.down()


@pytest.mark.attack("S10")
async def test_a_run_that_takes_the_disk_behind_the_end_of_what_it_printed_is_ended(
    new_lab: Callable[..., Lab], monkeypatch: pytest.MonkeyPatch, tried: Callable[..., None]
) -> None:
    """Neither the limit of a file's size nor its size tells of such bytes."""
    monkeypatch.setattr(watching, "_PROGRESS", 0.01)
    monkeypatch.setattr(watching, "_BEHIND", 8 * MIB)
    lab = new_lab(log=MIB)
    await lab.up()
    tried()
    job = await lab.submit("sleep", "60")
    await lab.until(job.id, JobState.RUNNING)
    (printed,) = (lab.state / "spool").glob(f"{job.id}-*/stdout")
    with printed.open("ab") as file:
        library = ctypes.CDLL(None, use_errno=True)
        keep_size, size = 1, 16 * MIB
        done = library.fallocate(file.fileno(), keep_size, ctypes.c_long(0), ctypes.c_long(size))
        assert done == 0
    assert printed.stat().st_size < MIB
    assert (await lab.ended(job.id)).reason.code is ReasonCode.LOG_LIMIT
    await lab.down()


def _progress_reads(monkeypatch: pytest.MonkeyPatch) -> Callable[[], int]:
    """How often a running job was looked at."""
    times = 0

    def read_progress(_output: int) -> None:
        nonlocal times
        times += 1

    monkeypatch.setattr(results, "read_progress", read_progress)
    return lambda: times


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not true():
            await asyncio.sleep(0.01)
