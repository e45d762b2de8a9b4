"""Jobs from submission to results, on an engine in memory."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from labbox.errors import LabboxError
from labbox.model import CANCELLED_EXIT, FINAL, GIB, JobKind, JobState, Limits, Progress, ReasonCode, Sweep
from labbox.protocol import JobEdit

Lab = Any  # conftest's; a fixture gives it

S = JobState


async def test_a_job_runs_and_its_results_come_back(lab: Lab) -> None:
    job = await lab.submit("echo", "hello", name="first")
    assert (job.state, job.attempt, job.owner) == (S.QUEUED, 0, "ada")
    done = await lab.ended(job.id)
    assert (done.state, done.exit_code, done.attempt) == (S.SUCCEEDED, 0, 1)
    assert done.started_at is not None
    assert done.ended_at is not None
    folder = lab.folder(done)
    assert (folder / "log.txt").read_text().endswith("hello\n")
    assert (folder / "output").is_dir()
    record = json.loads((folder / "job.json").read_text())
    assert record["command"] == ["echo", "hello"]
    assert record["image"] == "sha256:digest"
    assert record["exit_code"] == 0
    records = [one async for one in lab.jobs.log(lab.account("ada"), job.id)]
    assert records[-2].text == "hello\n"
    assert records[-1].end
    assert not lab.engine.containers
    assert not list((lab.state / "spool").iterdir())


async def test_an_exit_code_is_kept_and_said(lab: Lab) -> None:
    done = await lab.ended((await lab.submit("sh", "-c", "exit 3")).id)
    assert (done.state, done.exit_code) == (S.FAILED, 3)
    assert done.reason is not None
    assert "exit code 3" in done.reason.text


async def test_retries_with_reasons_and_earlier_attempts_are_kept(lab: Lab) -> None:
    job = await lab.submit("sh", "-c", "exit 3", retries=1)
    waiting = await lab.until(job.id, S.QUEUED)
    await lab.engine.started(1)
    async with asyncio.timeout(10):
        while waiting.attempt != 1 or waiting.state is not S.QUEUED:
            await lab.jobs._parts.feed.next_change().wait()
            waiting = await lab.job(job.id)
    why = await lab.jobs.why(lab.account("ada"), job.id)
    assert why.reasons[0].code is ReasonCode.RETRY
    lab.clock.extra = 30.0
    lab.jobs._parts.dispatcher.wake()
    done = await lab.ended(job.id)
    assert (done.state, done.attempt) == (S.FAILED, 2)
    folder = lab.folder(done)
    assert json.loads((folder / "attempts/1/job.json").read_text())["attempt"] == 1
    assert json.loads((folder / "job.json").read_text())["attempt"] == 2
    shown = await lab.jobs.show(lab.account("ada"), job.id)
    assert [one.state for one in shown.attempts] == [S.FAILED, S.FAILED]


async def test_cancel_gives_grace_and_kill_does_not(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    codes: dict[str, int] = {}
    finish = lab.engine.finish

    def finish_and_tell(name: str, code: int, **more: Any) -> None:
        codes[name] = code
        finish(name, code, **more)

    monkeypatch.setattr(lab.engine, "finish", finish_and_tell)
    first, second = await lab.submit("sleep", "1000"), await lab.submit("sleep", "1000")
    await lab.until(first.id, S.RUNNING)
    await lab.until(second.id, S.RUNNING)
    await lab.jobs.cancel(lab.account("ada"), first.id, "test")
    await lab.jobs.kill(lab.account("ada"), second.id, "test")
    one, two = await lab.ended(first.id), await lab.ended(second.id)
    assert codes == {"labbox-box1-1-1": 143, "labbox-box1-2-1": 137}
    for job in (one, two):  # the job's own code is the same, whatever the command ended with
        assert (job.state, job.exit_code) == (S.CANCELLED, CANCELLED_EXIT)
    with pytest.raises(LabboxError, match="cannot cancel job 1: it has ended already"):
        await lab.jobs.cancel(lab.account("ada"), first.id, "test")


async def test_cancel_while_the_environment_is_made(lab: Lab) -> None:
    lab.environments.open.clear()
    job = await lab.submit("true")
    await lab.until(job.id, S.PREPARING)
    await lab.jobs.cancel(lab.account("ada"), job.id, "test")
    assert (await lab.ended(job.id)).state is S.CANCELLED
    assert not lab.engine.created


async def test_an_environment_that_cannot_be_made_fails_the_job_in_words(lab: Lab) -> None:
    lab.environments.refuse = LabboxError("invalid", "cannot install nosuch: no such package", "correct it")
    done = await lab.ended((await lab.submit("true")).id)
    assert done.state is S.FAILED
    assert done.reason is not None
    assert done.reason.code is ReasonCode.ENVIRONMENT
    assert "no such package" in done.reason.text


async def test_time_limit_also_with_the_wall_clock_set_back(lab: Lab) -> None:
    job = await lab.submit("sleep", "1000", time_limit=600.0)
    await lab.until(job.id, S.RUNNING)
    lab.clock.wall_offset = -3600_000_000
    lab.clock.extra = 601.0
    lab.jobs._runs[job.id].engine_changed()
    done = await lab.ended(job.id)
    assert done.state is S.TIMED_OUT
    assert done.reason is not None
    assert done.reason.code is ReasonCode.TIME_LIMIT
    assert done.ended_at >= done.started_at


async def test_paused_time_does_not_count(lab: Lab) -> None:
    job = await lab.submit("sleep", "1000", time_limit=600.0)
    await lab.until(job.id, S.RUNNING)
    await lab.jobs.pause(lab.account("ada"), job.id, "test")
    lab.clock.extra = 10_000.0
    await lab.jobs.resume(lab.account("ada"), job.id, "test")
    run = lab.jobs._runs[job.id]
    assert 590 < run._time_left() <= 600
    await lab.jobs.kill(lab.account("ada"), job.id, "test")
    await lab.ended(job.id)


async def test_memory_and_vanished_containers_have_their_reasons(lab: Lab) -> None:
    job = await lab.submit("sleep", "1000")
    await lab.until(job.id, S.RUNNING)
    lab.engine.finish("labbox-box1-1-1", 137, oom=True)
    done = await lab.ended(job.id)
    assert done.reason is not None
    assert done.reason.code is ReasonCode.MEMORY
    other = await lab.submit("sleep", "1000")
    await lab.until(other.id, S.RUNNING)
    lab.engine.go_away()
    lab.engine.lose("labbox-box1-2-1")
    lab.engine.come_back()
    await lab.engine.started(3)  # a new attempt of what is gone, though no retry was asked for
    assert lab.engine.created[-1] == "labbox-box1-2-2"
    lab.engine.finish("labbox-box1-2-2", 0)
    done = await lab.ended(other.id)
    assert (done.state, done.attempt) == (S.SUCCEEDED, 2)


async def test_without_an_engine_jobs_wait_and_say_so(lab: Lab) -> None:
    lab.engine.go_away()
    job = await lab.submit("true")
    why = await lab.jobs.why(lab.account("ada"), job.id)
    assert why.reasons[0].code is ReasonCode.NO_ENGINE
    lab.engine.come_back()
    assert (await lab.ended(job.id)).state is S.SUCCEEDED


async def test_an_engine_that_goes_during_the_start_costs_no_retry(lab: Lab) -> None:
    lab.engine.refuse = LabboxError("unavailable", "cannot reach the container engine")
    job = await lab.submit("true")
    async with asyncio.timeout(10):
        while (await lab.job(job.id)).attempt != 1 or (await lab.job(job.id)).state is not S.QUEUED:
            await lab.jobs._parts.feed.next_change().wait()
    lab.engine.refuse = None
    lab.clock.extra = 60.0
    lab.jobs._parts.dispatcher.wake()
    assert (await lab.ended(job.id)).state is S.SUCCEEDED


async def test_dependencies_start_or_fail_what_comes_after(lab: Lab) -> None:
    first = await lab.submit("sleep", "1000")
    after = await lab.submit("true", after=(first.id,))
    last = await lab.submit("true", after=(after.id,))
    await lab.until(first.id, S.RUNNING)
    why = await lab.jobs.why(lab.account("ada"), after.id)
    assert [reason.code for reason in why.reasons] == [ReasonCode.DEPENDENCY]
    lab.engine.finish("labbox-box1-1-1", 0)
    assert (await lab.ended(last.id)).state is S.SUCCEEDED
    bad = await lab.submit("sleep", "1000")
    doomed = await lab.submit("true", after=(bad.id,))
    also = await lab.submit("true", after=(doomed.id,), hold=True)
    await lab.until(bad.id, S.RUNNING)
    lab.engine.finish(f"labbox-box1-{bad.id}-1", 1)
    for job in (await lab.ended(doomed.id), await lab.ended(also.id)):
        assert job.state is S.FAILED
        assert job.reason is not None
        assert job.reason.code is ReasonCode.DEPENDENCY_FAILED
    with pytest.raises(LabboxError, match="cannot submit after job"):
        await lab.submit("true", after=(bad.id,))
    with pytest.raises(LabboxError, match="before it has not succeeded"):
        await lab.jobs.retry(lab.account("ada"), doomed.id, "test")


async def test_arrays_and_sweeps(lab: Lab) -> None:
    parent = await lab.submit(
        "sleep",
        "9",
        array=(1, 2),
        sweep=(Sweep(name="lr", values=("0.1", "0.2")), Sweep(name="mode", values=("a",))),
        parallel=3,
    )
    assert parent.kind is JobKind.ARRAY
    await lab.engine.started(3)
    page = await lab.jobs.page(lab.account("ada"), array=parent.id, order="oldest")
    assert [job.index for job in page.jobs] == [1, 1, 2, 2]
    assert len((await lab.jobs.page(lab.account("ada"), array=0)).jobs) == 1
    fourth = page.jobs[3]
    why = await lab.jobs.why(lab.account("ada"), fourth.id)
    assert why.reasons[0].code is ReasonCode.LIMIT
    run = lab.engine.containers[f"labbox-box1-{page.jobs[1].id}-1"].run
    assert run.env["LABBOX_ARRAY_INDEX"] == "1"
    assert run.env["LABBOX_ARRAY_COUNT"] == "4"
    assert run.env["LABBOX_SWEEP_lr"] == "0.2"
    told = json.loads(run.mounts[0].source.read_text())
    assert told["parameters"] == {"lr": 0.2, "mode": "a"}
    assert run.mounts[0].target == "/labbox/params.json"
    for made in list(lab.engine.created):
        lab.engine.finish(made, 0)
    await lab.engine.started(4)
    lab.engine.finish(lab.engine.created[3], 5)
    done = await lab.ended(parent.id)
    assert (done.state, done.exit_code) == (S.FAILED, 5)
    assert done.progress is not None
    assert (done.progress.done, done.progress.total) == (4, 4)
    again = await lab.jobs.retry(lab.account("ada"), parent.id, "test")
    assert again.state in (S.QUEUED, S.RUNNING)
    await lab.engine.started(5)
    lab.engine.finish(lab.engine.created[4], 0)
    assert (await lab.ended(parent.id)).state is S.SUCCEEDED


async def test_cancelling_an_array_ends_all_of_it(lab: Lab) -> None:
    parent = await lab.submit("sleep", "9", array=tuple(range(20)))
    await lab.engine.started(4)
    await lab.jobs.cancel(lab.account("ada"), parent.id, "test")
    assert (await lab.ended(parent.id)).state is S.CANCELLED
    counts = await lab.jobs.counts(lab.account("ada"))
    assert counts.by_state == {S.CANCELLED: 20}


async def test_hold_edit_and_release(lab: Lab) -> None:
    job = await lab.submit("true", hold=True, priority=1)
    assert job.state is S.HELD
    edited = await lab.jobs.edit(
        lab.account("ada"), job.id, JobEdit(priority=7, cpus=2.0, command=("sh", "-c", "exit 9")), "test"
    )
    assert (edited.priority, edited.resources.cpus) == (7, 2.0)
    await lab.jobs.release(lab.account("ada"), job.id, "test")
    done = await lab.ended(job.id)
    assert done.exit_code == 9
    with pytest.raises(LabboxError, match="cannot edit job 1: it has ended"):
        await lab.jobs.edit(lab.account("ada"), job.id, JobEdit(priority=1), "test")


async def test_a_delayed_job_starts_when_it_is_time_and_by_itself(lab: Lab) -> None:
    ada = lab.account("ada")
    at = datetime.fromtimestamp(lab.clock.now() / 1e6, UTC)
    soon = await lab.submit("true", start_at=at + timedelta(seconds=1))
    tonight = await lab.submit("true", start_at=at + timedelta(hours=8))
    assert (tonight.reason.code, tonight.state) == (ReasonCode.DELAYED, S.QUEUED)
    why = await lab.jobs.why(ada, tonight.id)
    assert (why.reasons[0].code, why.expected_start) == (ReasonCode.DELAYED, at + timedelta(hours=8))
    with pytest.raises(LabboxError, match=f"cannot release job {tonight.id}: it waits") as caught:
        await lab.jobs.release(ada, tonight.id, "test")
    assert f"labbox job why {tonight.id}" in caught.value.hint
    done = await lab.ended(soon.id)  # nothing wakes the queue but the moment itself
    assert done.started_at >= at + timedelta(seconds=1)
    assert (await lab.job(tonight.id)).state is S.QUEUED
    lab.clock.extra = 8 * 3600.0
    lab.jobs._parts.dispatcher.wake()
    assert (await lab.ended(tonight.id)).state is S.SUCCEEDED


async def test_rerun_with_changes_is_a_new_job(lab: Lab) -> None:
    first = await lab.jobs.submit(lab.account("ada"), _spec("study"), "test")
    await lab.ended(first.id)
    again = await lab.jobs.rerun(
        lab.account("ada"),
        first.id,
        JobEdit(command=("sh", "-c", "exit 4"), env={"A": "b"}, cpus=2.0),
        "test",
    )
    assert again.id != first.id
    done = await lab.ended(again.id)
    assert (done.exit_code, done.resources.cpus) == (4, 2.0)
    shown = await lab.jobs.show(lab.account("ada"), again.id)
    assert (shown.code_hash, shown.command) == ("1", ("sh", "-c", "exit 4"))


async def test_an_administrator_reruns_somebody_elses_job_for_them(lab: Lab) -> None:
    first = await lab.jobs.submit(lab.account("ada"), _spec("study"), "test")
    await lab.ended(first.id)
    again = await lab.jobs.rerun(lab.account("root"), first.id, JobEdit(), "test")
    assert again.owner == "ada"
    assert (await lab.ended(again.id)).state is S.SUCCEEDED
    entry = await lab.db.read(
        lambda db: db.execute(
            "SELECT who, target FROM audit WHERE action = 'job submit' ORDER BY id DESC"
        ).fetchone()
    )
    assert tuple(entry) == ("root", str(again.id))
    lab.people.limit("ada", Limits(cpus=1.0))
    with pytest.raises(LabboxError, match="your limit is 1"):
        await lab.jobs.rerun(lab.account("root"), first.id, JobEdit(cpus=2.0), "test")
    del lab.people.accounts["ada"]
    with pytest.raises(LabboxError, match=f"cannot rerun job {first.id}: ada was removed"):
        await lab.jobs.rerun(lab.account("root"), first.id, JobEdit(), "test")


async def test_rights(lab: Lab) -> None:
    job = await lab.submit("sleep", "9")
    grace = lab.account("grace")
    assert [one.id for one in (await lab.jobs.page(grace)).jobs] == [job.id]
    for refused in (
        lab.jobs.show(grace, job.id),
        lab.jobs.why(grace, job.id),
        lab.jobs.history(grace, job.id),
        lab.jobs.cancel(grace, job.id, "test"),
        lab.jobs.rerun(grace, job.id, JobEdit(), "test"),
        lab.jobs.usage(grace, "ada"),
        anext(lab.jobs.log(grace, job.id)),
        lab.submit("true", owner="grace", after=(job.id,)),
    ):
        with pytest.raises(LabboxError) as caught:
            await refused
        assert caught.value.code == "forbidden"
    await lab.jobs.kill(lab.account("root"), job.id, "test")
    assert (await lab.ended(job.id)).state is S.CANCELLED


async def test_what_cannot_be_is_refused_in_words(lab: Lab) -> None:
    lab.people.limit("grace", Limits(memory=2 * GIB))
    for asked, owner, words in (
        ({"cpus": 8.0}, "ada", "it needs 8 CPUs, the box has 4"),
        ({"memory": 4 * GIB}, "grace", "your limit is 2.0 GiB"),
        ({"gpus": 2}, "ada", "2 GPUs"),
        ({"retries": -1}, "ada", "cannot retry"),
        ({"array": (1, 1)}, "ada", "indexes"),
        ({"array": tuple(range(10_001))}, "ada", "at most 10000"),
        ({"env": {"A B": "1"}}, "ada", "cannot set the variable"),
        ({"time_limit": 0.0}, "ada", "time limit"),
        ({"after": (99,)}, "ada", "cannot find job 99"),
    ):
        with pytest.raises(LabboxError, match=words):
            await lab.submit("true", owner=owner, **asked)
    assert not (await lab.jobs.page(lab.account("ada"))).jobs


async def test_what_does_not_fit_a_jobs_state_says_what_does(lab: Lab) -> None:
    ada = lab.account("ada")
    runs, over = await lab.submit("sleep", "1000"), await lab.submit("true")
    held, delayed = (
        await lab.submit("true", hold=True),
        await lab.submit("true", start_at=datetime.fromtimestamp(lab.clock.now() / 1e6 + 3600, UTC)),
    )
    await lab.ended(over.id)
    await lab.until(runs.id, S.RUNNING)
    await lab.jobs.pause(ada, runs.id, "test")
    for deed, said, way_out in (
        (lab.jobs.pause(ada, runs.id, "test"), "pause job 1: it is paused", "labbox job resume 1"),
        (lab.jobs.shell(ada, runs.id, 24, 80), "open a shell in job 1: it is paused", "labbox job resume 1"),
        (lab.jobs.hold(ada, runs.id, "test"), "hold job 1: it is paused", "labbox job cancel 1"),
        (lab.jobs.retry(ada, over.id, "test"), "retry job 2: it has ended already", "labbox job rerun 2"),
        (lab.jobs.shell(ada, over.id, 24, 80), "open a shell in job 2: it has ended", "labbox job rerun 2"),
        (lab.jobs.pause(ada, held.id, "test"), "pause job 3: it is held", "labbox job release 3"),
        (lab.jobs.shell(ada, delayed.id, 24, 80), "open a shell in job 4: it waits", "labbox job why 4"),
    ):
        with pytest.raises(LabboxError, match=f"cannot {said}") as caught:
            await deed
        assert (caught.value.code, way_out in caught.value.hint) == ("conflict", True)
    lab.people.limit("ada", Limits(cpus=0.5))
    with pytest.raises(LabboxError, match=r"it needs 1 CPU, your limit is 0\.5") as caught:
        await lab.submit("true")
    assert "labbox user limits" in caught.value.hint
    await lab.jobs.kill(ada, runs.id, "test")


async def test_a_shell_into_a_job_that_is_just_ending_is_a_sentence_about_the_job(
    lab: Lab, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def gone(*_: Any, **__: Any) -> None:
        raise LabboxError("conflict", "cannot do this in the container engine now: it is not running")

    job = await lab.submit("sleep", "1000")
    await lab.until(job.id, S.RUNNING)
    monkeypatch.setattr(lab.engine, "exec_pty", gone, raising=False)
    with pytest.raises(LabboxError, match=f"cannot open a shell in job {job.id}: it is ending"):
        await lab.jobs.shell(lab.account("ada"), job.id, 24, 80)
    await lab.jobs.kill(lab.account("ada"), job.id, "test")


async def test_events_miss_nothing_and_follow(lab: Lab) -> None:
    job = await lab.submit("true")
    await lab.ended(job.id)
    seen = [event async for event in lab.jobs.events(lab.account("ada"), after=0)]
    cursors = [event.cursor for event in seen]
    assert cursors == sorted(cursors)
    assert len(cursors) == 5  # queued, preparing, running, collecting, succeeded
    assert [event.job.state for event in seen if event.job is not None] == [
        S.QUEUED,
        S.PREPARING,
        S.RUNNING,
        S.COLLECTING,
        S.SUCCEEDED,
    ]
    assert [event.job.ended_at is not None for event in seen if event.job is not None] == [False] * 4 + [True]
    rest = [event async for event in lab.jobs.events(lab.account("ada"), after=cursors[2])]
    assert [event.cursor for event in rest] == cursors[3:]
    assert not [event async for event in lab.jobs.events(lab.account("grace"), after=0, mine=True)]


async def test_who_acts_on_an_end_acts_once_for_each(lab: Lab) -> None:
    """Of a job that failed, was tried again and cancelled, and of an array: live, late, and with progress."""
    ada = lab.account("ada")

    async def ends(follow: bool) -> list[tuple[int, S, int]]:
        found: list[tuple[int, S, int]] = []
        async for event in lab.jobs.events(ada, after=0, follow=follow):
            if event.job is not None and event.job.state in FINAL:
                found.append((event.job.id, event.job.state, event.job.attempt))
            if (array.id, S.SUCCEEDED, 0) in found:
                break
        return found

    job = await lab.submit("false")
    await lab.ended(job.id)
    await lab.jobs.retry(ada, job.id, "local")
    async with asyncio.timeout(20):
        while (await lab.jobs.show(ada, job.id)).job.state is not S.FAILED:
            await asyncio.sleep(0.01)
    array = await lab.submit("true", array=(1, 2))
    live = asyncio.create_task(ends(follow=True))
    await lab.ended(array.id)
    lab.jobs._parts.feed.report(job.id, Progress(phase="running", done=1.0, total=2.0))  # late
    expected = [
        (job.id, S.FAILED, 1), (job.id, S.FAILED, 2), (array.id + 1, S.SUCCEEDED, 1),
        (array.id + 2, S.SUCCEEDED, 1), (array.id, S.SUCCEEDED, 0),
    ]  # fmt: skip
    assert sorted(await asyncio.wait_for(live, 20)) == sorted(expected)
    assert sorted(await ends(follow=False)) == sorted(expected)


async def test_history_usage_and_progress(lab: Lab) -> None:
    job = await lab.submit("sleep", "9")
    await lab.until(job.id, S.RUNNING)
    (lab.folder(job) / "output" / ".progress").write_text("40/100\n")
    async with asyncio.timeout(10):
        async for event in lab.jobs.events(lab.account("ada"), after=0, follow=True):
            if event.kind == "progress" and event.job.progress.total == 100:
                break
    lab.clock.extra = 100.0
    lab.engine.finish("labbox-box1-1-1", 0)
    await lab.ended(job.id)
    history = await lab.jobs.history(lab.account("ada"), job.id)
    assert [one.state for one in history.entries] == [
        S.QUEUED,
        S.PREPARING,
        S.RUNNING,
        S.COLLECTING,
        S.SUCCEEDED,
    ]
    (row,) = (await lab.jobs.usage(lab.account("ada"))).rows
    assert (row.jobs, row.cpu_seconds, row.share) == (1, 0.5, 1.0)
    assert 99 < row.recent < 110


async def test_what_was_prepared_is_no_progress_of_the_run(lab: Lab) -> None:
    lab.environments.open.clear()
    job = await lab.submit("sleep", "9")
    async with asyncio.timeout(10):
        async for event in lab.jobs.events(lab.account("ada"), after=0, follow=True):
            if event.job is not None and event.job.progress is not None:
                assert (event.job.state, event.job.progress.phase) == (S.PREPARING, "environment")
                lab.environments.open.set()
            if event.job is not None and event.job.state is S.RUNNING:
                assert event.job.progress is None
                break
    assert (await lab.job(job.id)).progress is None
    (lab.folder(job) / "output" / ".progress").write_text("40/100\n")
    async with asyncio.timeout(10):
        async for event in lab.jobs.events(lab.account("ada"), after=0, follow=True):
            if event.kind == "progress":
                assert event.job.progress.total == 100
                break
    lab.engine.finish("labbox-box1-1-1", 0)
    await lab.ended(job.id)


async def test_the_history_of_an_array_adds_its_elements_up(lab: Lab) -> None:
    parent = await lab.submit("sleep", "9", array=(1, 2, 3))
    numbers = range(parent.id + 1, parent.id + 4)
    for number in numbers:
        await lab.until(number, S.RUNNING)
        lab.engine.finish(f"labbox-box1-{number}-1", 0)
        await lab.ended(number)
    history = await lab.jobs.history(lab.account("ada"), parent.id)
    assert [one.at for one in history.entries] == sorted(one.at for one in history.entries)
    ended = [one.elements for one in history.entries if one.elements and one.state is S.SUCCEEDED]
    assert ended == [1, 3]
    running = [one.elements for one in history.entries if one.elements and one.state is S.RUNNING]
    assert running[-1] == 3
    assert next(one.state for one in history.entries if not one.elements) is S.QUEUED


async def test_input_goes_to_a_job_that_wants_it(lab: Lab) -> None:
    from labbox.protocol import InputBody

    job, deaf = await lab.submit("sleep", "9", stdin=True), await lab.submit("sleep", "9")
    await lab.until(job.id, S.RUNNING)
    await lab.until(deaf.id, S.RUNNING)
    await lab.jobs.input(lab.account("ada"), job.id, InputBody(text="hi", close=True))
    assert (lab.state / "spool" / f"{job.id}-1" / "input").read_text() == "hi"
    with pytest.raises(LabboxError, match="no open input"):
        await lab.jobs.input(lab.account("ada"), deaf.id, InputBody(text="hi"))


async def test_a_full_log_ends_the_job(new_lab: Any) -> None:
    lab = new_lab(log=2048)
    await lab.up()
    job = await lab.submit("sleep", "9")
    await lab.until(job.id, S.RUNNING)
    with (lab.state / "spool/1-1/stdout").open("w") as out:
        out.write("x" * 3000)
    done = await lab.ended(job.id)
    assert done.reason is not None
    assert done.reason.code is ReasonCode.LOG_LIMIT
    await lab.down()


async def test_removing_somebody_ends_their_jobs(lab: Lab) -> None:
    running, waiting = await lab.submit("sleep", "9"), await lab.submit("true", hold=True)
    await lab.until(running.id, S.RUNNING)
    await lab.jobs.forget("ada", "test")
    assert (await lab.ended(running.id)).state is S.CANCELLED
    assert (await lab.ended(waiting.id)).state is S.CANCELLED


def _spec(path: str) -> Any:
    from labbox.model import JobSpec

    return JobSpec(path=path)
