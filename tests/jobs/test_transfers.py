"""Transfers in the queue: taken in, started beside the containers, steered, resumed, retried, told of."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labbox.errors import LabboxError
from labbox.model import (
    JobKind,
    JobSpec,
    JobState,
    Progress,
    ReasonCode,
    TransferSpec,
    TransferVerb,
)
from labbox.protocol import Failure, Job, JobEdit, TransferSummary

Lab = Any  # conftest's; a fixture gives it

S = JobState
V = TransferVerb


def copy(*sources: str, target: str | None = "~/x", **more: Any) -> TransferSpec:
    return TransferSpec(
        **{"verb": V.COPY, "sources": sources or ("~/a", "~/b", "~/c"), "target": target, **more}
    )


async def submit(lab: Lab, asked: TransferSpec | None = None, owner: str = "ada", **more: Any) -> Job:
    spec = JobSpec(transfer=asked or copy(), **more)
    job: Job = await lab.jobs.submit(lab.account(owner), spec, "test")
    return job


async def summary(lab: Lab, job: int, who: str = "ada") -> TransferSummary:
    found: TransferSummary = await lab.jobs.transfer(lab.account(who), job)
    return found


async def text(lab: Lab, job: int, **asked: Any) -> str:
    return "".join([record.text async for record in lab.jobs.log(lab.account("ada"), job, **asked)])


async def why(lab: Lab, job: int) -> list[tuple[ReasonCode, str]]:
    found = await lab.jobs.why(lab.account("root"), job)
    return [(reason.code, reason.text) for reason in found.reasons]


async def test_a_transfer_runs_as_its_owner_and_says_what_it_did(lab: Lab) -> None:
    job = await submit(lab, copy(exclude=("*.tmp",)))
    assert (job.kind, job.name, job.group) == (JobKind.TRANSFER, "copy 3 items to ~/x", "transfers")
    worker = await lab.transfers.worker(0)
    assert worker.account == lab.account("ada")
    assert worker.request.spec == copy(exclude=("*.tmp",))
    assert (worker.request.shared, worker.request.projects) == (
        "/lab/shared",
        {"atlas": "/lab/projects/atlas"},
    )
    await lab.until(job.id, S.RUNNING)
    worker.tell(Progress(phase="copying", done=10, total=40, unit="bytes", files=1, files_total=4))
    seen = await lab.job(job.id)
    assert (seen.progress.done, seen.progress.files_total) == (10, 4)
    assert (await summary(lab, job.id)).files == 1
    worker.end(files=4, folders=1, size=40, not_kept=("owners are not kept there",))
    done = await lab.ended(job.id)
    assert (done.state, done.exit_code, done.reason) == (S.SUCCEEDED, 0, None)
    assert not worker.alive
    kept = await summary(lab, job.id)
    assert (kept.files, kept.size) == (4, 40)
    folder = lab.folder(done)
    assert TransferSummary(**json.loads((folder / "transfer.json").read_text())).files == 4
    assert json.loads((folder / "job.json").read_text())["spec"]["transfer"]["verb"] == "copy"
    log = await text(lab, job.id)
    assert "copy 3 items to ~/x" in log
    assert "owners are not kept there" in log
    assert "4 files in 1 folder copied, 40 B" in log
    assert lab.engine.created == []


async def test_what_could_not_be_done_is_named_and_alone_is_tried_again(lab: Lab) -> None:
    job = await submit(lab)
    failures = tuple(Failure(path=f"a/{n}", code="forbidden", text=f"cannot read a/{n}") for n in range(3))
    (await lab.transfers.worker(0)).end(files=809, failed=3, failures=failures, size=1 << 20)
    done = await lab.ended(job.id)
    assert (done.state, done.exit_code) == (S.FAILED, 1)
    assert (done.reason.code, done.reason.text) == (
        ReasonCode.FILES,
        "3 of 812 files could not be copied",
    )
    assert "a/1: cannot read a/1" in await text(lab, job.id)
    marker = lab.folder(done) / "output" / "journal"
    marker.write_text("where it stopped")
    again = await lab.jobs.retry(lab.account("ada"), job.id, "test")
    assert again.state is S.QUEUED
    worker = await lab.transfers.worker(1)
    assert worker.request.spec.only == ("a/0", "a/1", "a/2")
    assert marker.read_text() == "where it stopped"  # a new attempt goes on with the journal
    worker.end(files=2, failed=1, failures=failures[:1])
    last = await lab.ended(job.id)
    assert last.reason.text == "1 of 3 files could not be copied: cannot read a/0"
    assert (await lab.jobs.show(lab.account("ada"), job.id)).spec.transfer.only == ()
    assert len((await lab.jobs.show(lab.account("ada"), job.id)).attempts) == 2
    await lab.jobs.retry(lab.account("ada"), job.id, "test")
    assert (await lab.transfers.worker(2)).request.spec.only == ("a/0",)
    fresh = await lab.jobs.rerun(lab.account("ada"), job.id, JobEdit(), "test")
    assert (fresh.name, fresh.kind, fresh.id != job.id) == (job.name, JobKind.TRANSFER, True)
    assert (await lab.transfers.worker(3)).request.spec.only == ()


async def test_more_failures_than_are_kept_are_all_tried_again(lab: Lab) -> None:
    job = await submit(lab)
    one = Failure(path="a/1", code="forbidden", text="cannot read a/1")
    (await lab.transfers.worker(0)).end(failed=5000, failures=(one,))
    await lab.ended(job.id)
    await lab.jobs.retry(lab.account("ada"), job.id, "test")
    assert (await lab.transfers.worker(1)).request.spec.only == ()


async def test_a_worker_that_cannot_begin_says_why(lab: Lab) -> None:
    job = await submit(lab)
    error = LabboxError("not_found", "cannot copy ~/a: there is no such file", "look at its folder")
    (await lab.transfers.worker(0)).fail(error)
    done = await lab.ended(job.id)
    assert (done.state, done.exit_code) == (S.FAILED, 1)
    assert done.reason.text == "cannot copy ~/a: there is no such file (look at its folder)"


@pytest.mark.parametrize("lost", [ConnectionError("gone"), TimeoutError()])
async def test_a_lost_worker_is_followed_by_another_on_the_same_journal(lab: Lab, lost: Exception) -> None:
    job = await submit(lab)
    worker = await lab.transfers.worker(0)
    running = await lab.until(job.id, S.RUNNING)
    (lab.folder(running) / "output" / "journal").write_text("where it stopped")
    worker.fail(lost)
    (await lab.transfers.worker(1)).end(files=4)
    done = await lab.ended(job.id)
    assert (done.state, done.attempt) == (S.SUCCEEDED, 2)
    assert (lab.folder(done) / "output" / "journal").read_text() == "where it stopped"
    first = (await lab.jobs.show(lab.account("ada"), job.id)).attempts[0]
    assert first.reason.code is ReasonCode.GONE


async def test_workers_that_are_lost_again_and_again_are_given_up(lab: Lab) -> None:
    job = await submit(lab)
    for number in range(6):
        (await lab.transfers.worker(number)).fail(ConnectionError("gone"))
    done = await lab.ended(job.id)
    assert (done.state, done.reason.code, done.attempt) == (S.LOST, ReasonCode.GONE, 6)


async def test_a_restart_goes_on_in_the_same_attempt(lab: Lab) -> None:
    job = await submit(lab)
    await lab.transfers.worker(0)
    await lab.until(job.id, S.RUNNING)
    await lab.restart()
    worker = await lab.transfers.worker(1)
    assert (await lab.job(job.id)).state is S.RUNNING
    worker.end(files=4)
    done = await lab.ended(job.id)
    assert (done.state, done.attempt) == (S.SUCCEEDED, 1)
    assert "the box was started again: going on where it stopped" in await text(lab, job.id)


async def test_pause_and_resume_reach_the_worker_also_after_a_restart(lab: Lab) -> None:
    job, ada = await submit(lab), lab.account("ada")
    worker = await lab.transfers.worker(0)
    await lab.until(job.id, S.RUNNING)
    assert (await lab.jobs.pause(ada, job.id, "test")).state is S.PAUSED
    assert worker.paused
    await lab.restart()
    # at once, while the worker is only being started
    assert (await lab.jobs.resume(lab.account("ada"), job.id, "test")).state is S.RUNNING
    worker = await lab.transfers.worker(1)
    assert worker.request.paused
    assert not worker.paused
    worker.end(files=4)
    assert (await lab.ended(job.id)).state is S.SUCCEEDED


@pytest.mark.parametrize("verb", ["cancel", "kill"])
async def test_cancel_lets_the_worker_clean_up(lab: Lab, verb: str) -> None:
    job = await submit(lab)
    worker = await lab.transfers.worker(0)
    await lab.until(job.id, S.RUNNING)
    await getattr(lab.jobs, verb)(lab.account("ada"), job.id, "test")
    done = await lab.ended(job.id)
    assert (done.state, done.reason.text) == (S.CANCELLED, "cancelled by ada")
    assert worker.cleaned


async def test_a_time_limit_ends_a_transfer(lab: Lab) -> None:
    job = await submit(lab, time_limit=0.2)
    worker = await lab.transfers.worker(0)
    done = await lab.ended(job.id)
    assert done.state is S.TIMED_OUT
    assert worker.cleaned


async def test_transfers_wait_for_each_other_and_not_for_the_box(lab: Lab) -> None:
    lab.engine.go_away()
    first, second, third = [await submit(lab) for _ in range(3)]
    theirs = await submit(lab, owner="grace")
    for job in (first, second, theirs):
        await lab.until(job.id, S.RUNNING)
    assert await why(lab, third.id) == [
        (ReasonCode.LIMIT, "2 of group transfers run already, its limit is 2")
    ]
    groups = (await lab.jobs.groups(lab.account("ada"), "ada")).groups
    assert [(one.name, one.parallel, one.waiting, one.active) for one in groups] == [("transfers", 2, 1, 2)]
    await lab.jobs.set_group(lab.account("ada"), "ada", "transfers", None, "test")
    await lab.until(third.id, S.RUNNING)
    fourth = await submit(lab)
    await lab.until(fourth.id, S.RUNNING)
    await lab.jobs.remove_group(lab.account("ada"), "ada", "transfers", "test")
    fifth = await submit(lab)
    assert await why(lab, fifth.id) == [
        (ReasonCode.LIMIT, "4 of group transfers run already, its limit is 2")
    ]
    moved = await lab.jobs.edit(lab.account("ada"), fifth.id, JobEdit(group="other"), "test")
    assert moved.group == "other"
    await lab.until(fifth.id, S.RUNNING)


async def test_a_group_without_limit_stays_so_through_a_restart(lab: Lab) -> None:
    await lab.jobs.set_group(lab.account("ada"), "ada", "transfers", None, "test")
    await lab.restart()
    for job in [await submit(lab) for _ in range(3)]:
        await lab.until(job.id, S.RUNNING)


async def test_a_full_disk_and_a_full_storage_keep_nobody_from_deleting(new_lab: Any) -> None:
    from labbox.model import Limits

    lab = new_lab(free_floor=1 << 60)
    lab.people.limit("ada", Limits(storage=1))
    lab.folders.stored = 5
    await lab.up()
    run = await lab.submit("true", owner="grace")
    job = await submit(lab, TransferSpec(verb=V.ERASE, sources=("~/big",)))
    (await lab.transfers.worker(0)).end(files=1)
    assert (await lab.ended(job.id)).state is S.SUCCEEDED
    assert [code for code, _ in await why(lab, run.id)] == [ReasonCode.DISK]
    with pytest.raises(LabboxError, match="you may store"):
        await lab.submit("true")
    await lab.down()


async def test_runs_and_transfers_wait_for_one_another(lab: Lab) -> None:
    fetch = await submit(lab)
    run = await lab.submit("sleep", "9", after=(fetch.id,))
    deliver = await submit(lab, after=(run.id,))
    other = await submit(lab, after=(deliver.id,))
    assert await why(lab, run.id) == [(ReasonCode.DEPENDENCY, f"starts when job {fetch.id} has succeeded")]
    (await lab.transfers.worker(0)).end(files=4)
    await lab.until(run.id, S.RUNNING)
    lab.engine.finish(f"labbox-box1-{run.id}-1", 0)
    (await lab.transfers.worker(1)).end(failed=1)
    assert (await lab.ended(deliver.id)).state is S.FAILED
    assert (await lab.ended(other.id)).reason.code is ReasonCode.DEPENDENCY_FAILED


async def test_hold_release_priority_and_what_cannot_be_edited(lab: Lab) -> None:
    ada = lab.account("ada")
    held = await submit(lab, hold=True)
    assert held.state is S.HELD
    changed = await lab.jobs.edit(ada, held.id, JobEdit(priority=5, name="later", group="none"), "test")
    assert (changed.priority, changed.name, changed.group) == (5, "later", "transfers")
    with pytest.raises(LabboxError, match="another cpus: it is a transfer"):
        await lab.jobs.edit(ada, held.id, JobEdit(cpus=2), "test")
    await lab.jobs.release(ada, held.id, "test")
    await lab.until(held.id, S.RUNNING)
    with pytest.raises(LabboxError, match="cannot hold"):
        await lab.jobs.hold(ada, held.id, "test")


async def test_transfers_cost_no_share(lab: Lab) -> None:
    job = await submit(lab)
    worker = await lab.transfers.worker(0)
    await lab.until(job.id, S.RUNNING)
    lab.clock.extra += 3600
    worker.end(files=4)
    await lab.ended(job.id)
    (row,) = (await lab.jobs.usage(lab.account("ada"))).rows
    assert (row.recent, row.cpu_seconds, row.running.cpus) == (0.0, 0.0, 0.0)


async def test_only_the_owner_and_administrators_see_what_was_transferred(lab: Lab) -> None:
    job = await submit(lab)
    (await lab.transfers.worker(0)).end(files=4)
    await lab.ended(job.id)
    assert (await summary(lab, job.id, "root")).files == 4
    with pytest.raises(LabboxError) as caught:
        await summary(lab, job.id, "grace")
    assert caught.value.code == "forbidden"
    run = await lab.submit("true")
    with pytest.raises(LabboxError, match="it is no transfer"):
        await summary(lab, run.id)


async def test_results_of_jobs_are_their_owners_alone(lab: Lab) -> None:
    run = await lab.submit("true")
    done = await lab.ended(run.id)
    await submit(lab, copy(f"job:{run.id}/output", target="~/x"))
    request = (await lab.transfers.worker(0)).request
    assert request.jobs == {run.id: str(lab.folder(done))}
    with pytest.raises(LabboxError, match=f"cannot use the results of job {run.id}: it is ada's"):
        await submit(lab, copy(f"job:{run.id}/output"), owner="grace")


async def test_an_undo_gets_the_folder_of_what_it_takes_back(lab: Lab) -> None:
    first = await submit(lab)
    undo = TransferSpec(verb=V.UNDO, sources=(), undo=first.id)
    with pytest.raises(LabboxError, match="it has not ended"):
        await submit(lab, undo)
    (await lab.transfers.worker(0)).end(files=4)
    await lab.ended(first.id)
    job = await submit(lab, undo)
    assert job.name == f"undo job {first.id}"
    (await lab.transfers.worker(1)).end(files=4)
    assert (await lab.ended(job.id)).state is S.SUCCEEDED
    with pytest.raises(LabboxError, match="it is ada's"):
        await submit(lab, undo, owner="grace")
    run = await lab.submit("true")
    await lab.ended(run.id)
    with pytest.raises(LabboxError, match="it is no transfer"):
        await submit(lab, TransferSpec(verb=V.UNDO, sources=(), undo=run.id))


async def test_an_undo_reaches_the_places_of_what_it_takes_back(lab: Lab) -> None:
    run = await lab.submit("true")
    results = str(lab.folder(await lab.ended(run.id)))
    first = await submit(lab, copy("~/data", target="sftp://me@my-pc/there"))
    (await lab.transfers.worker(0)).end(files=1)
    await lab.ended(first.id)
    second = await submit(lab, TransferSpec(verb=V.UNDO, sources=(), undo=first.id))
    worker = await lab.transfers.worker(1)
    assert [one.name for one in worker.request.logins] == ["me@my-pc"]
    worker.end(files=1)
    await lab.ended(second.id)
    third = await submit(lab, TransferSpec(verb=V.UNDO, sources=(), undo=second.id))
    worker = await lab.transfers.worker(2)
    assert [one.name for one in worker.request.logins] == ["me@my-pc"]
    worker.fail(LabboxError("unavailable", "cannot reach my-pc: no route to host"))
    assert "my-pc does not answer" in (await lab.ended(third.id)).reason.text
    moved = await submit(lab, copy(f"job:{run.id}/output", target="~/x"))
    (await lab.transfers.worker(3)).end(files=1)
    await lab.ended(moved.id)
    await submit(lab, TransferSpec(verb=V.UNDO, sources=(), undo=moved.id))
    assert (await lab.transfers.worker(4)).request.jobs == {run.id: results}


async def test_a_host_that_sleeps_is_tried_again_for_as_long_as_asked(lab: Lab) -> None:
    asked = copy("sftp://me@my-pc/data", wait=3600.0)
    job = await submit(lab, asked)
    away = LabboxError("unavailable", "cannot reach my-pc: no route to host")
    worker = await lab.transfers.worker(0)
    assert [one.name for one in worker.request.logins] == ["me@my-pc"]
    worker.fail(away)
    waiting = await lab.until(job.id, S.QUEUED)
    while "my-pc" not in waiting.reason.text:
        waiting = await lab.job(job.id)
    assert waiting.reason.code is ReasonCode.RETRY
    assert waiting.reason.text.startswith("my-pc does not answer, trying again at ")
    lab.clock.extra += 20
    lab.service._parts.dispatcher.wake()
    (await lab.transfers.worker(1)).end(
        failed=1, failures=(Failure(path="data", code="unavailable", text="x"),)
    )
    await lab.until(job.id, S.QUEUED)
    lab.clock.extra += 3600
    lab.service._parts.dispatcher.wake()
    (await lab.transfers.worker(2)).fail(away)
    done = await lab.ended(job.id)
    assert (done.state, done.reason.text) == (S.FAILED, "my-pc does not answer")
    assert done.exit_code == 1
    await lab.jobs.retry(lab.account("ada"), job.id, "test")
    (await lab.transfers.worker(3)).fail(away)
    await lab.until(job.id, S.QUEUED)


async def test_a_host_that_sleeps_fails_at_once_where_nobody_asked_to_wait(lab: Lab) -> None:
    job = await submit(lab, copy("sftp://me@my-pc/data"))
    (await lab.transfers.worker(0)).fail(LabboxError("unavailable", "cannot reach my-pc"))
    done = await lab.ended(job.id)
    assert (done.state, done.reason.code) == (S.FAILED, ReasonCode.HOST)


@pytest.mark.parametrize(
    ("asked", "words"),
    [
        (TransferSpec(verb=V.COPY, sources=("~/a",)), "no target is named"),
        (TransferSpec(verb=V.COPY, sources=(), target="~/x"), "cannot copy nothing"),
        (TransferSpec(verb=V.ERASE, sources=("~/a",), target="~/x"), "that has no target"),
        (copy("ftp:/x"), "there is no kind of place"),
        (copy("~/../x"), "cannot use the location"),
        (copy("sftp://-oProxyCommand=x/y"), "cannot use the location"),
        (copy("~/a", "~/b", exact=True), "2 sources to one name"),
        (TransferSpec(verb=V.TRASH, sources=("~/a.zip!/x",)), "it is inside the archive a.zip"),
        (TransferSpec(verb=V.ERASE, sources=("~/b", "~/a.tar.gz!/x/y")), "it is inside the archive a.tar.gz"),
        (TransferSpec(verb=V.MOVE, sources=("~/a.zip!/x",), target="~"), "cannot move “x”"),
        (TransferSpec(verb=V.COPY, sources=("~/a",), target="~/a.zip!/"), "can only be read"),
        (TransferSpec(verb=V.SYNC, sources=("~/a", "~/b"), target="~/x"), "2 sources to one name"),
        (TransferSpec(verb=V.PACK, sources=("~/a",), target="~/x"), "says no kind of archive"),
        (TransferSpec(verb=V.FIND, sources=("~/a",)), "cannot search for nothing"),
        (TransferSpec(verb=V.CHECKSUM, sources=("~/a",), algorithm="crc\x1b"), "cannot compute crc␛ sums"),
        (TransferSpec(verb=V.UNDO, sources=()), "cannot undo"),
        (copy(only=("../x",)), "cannot use the path"),
        (copy(only=("/x",)), "cannot use the path"),
        (copy(exclude=("a\0b",)), "cannot use the pattern"),
        (copy(wait=-1.0), "cannot wait"),
        (copy(wait=float("inf")), "cannot wait"),
        (copy(undo=3), "only an undo names a job"),
    ],
)
async def test_what_no_transfer_can_do_is_refused_in_words(lab: Lab, asked: TransferSpec, words: str) -> None:
    with pytest.raises(LabboxError, match=words) as caught:
        await submit(lab, asked)
    assert "\x1b" not in caught.value.message
    assert (await lab.jobs.page(lab.account("ada"))).jobs == ()


async def test_any_number_of_things_goes_into_one_archive(lab: Lab) -> None:
    sources = tuple(f"~/{number}" for number in range(500))
    job = await submit(lab, TransferSpec(verb=V.PACK, sources=sources, target="~/all.zip", exact=True))
    worker = await lab.transfers.worker(0)
    assert len(worker.request.spec.sources) == 500
    worker.end(files=500)
    assert (await lab.ended(job.id)).state is S.SUCCEEDED


@pytest.mark.parametrize("field", [{"path": "study"}, {"command": ("ls",)}, {"cpus": 2.0}, {"array": (1, 2)}])
async def test_a_transfer_is_nothing_else(lab: Lab, field: dict[str, Any]) -> None:
    with pytest.raises(LabboxError, match=f"a transfer has no {next(iter(field))}"):
        await submit(lab, **field)


async def test_names_of_transfers_show_no_controls(lab: Lab) -> None:
    job = await submit(lab, copy("~/a\x1b[31m\nb\udcff", target="~/ö"))
    assert job.name == "copy a␛[31m␊b\\xff to ~/ö"
    spec = (await lab.jobs.show(lab.account("ada"), job.id)).spec
    assert spec.transfer.sources == ("~/a\x1b[31m\nb\\xff",)
