"""The daemon is killed wherever it waits for another part, and comes back: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import Any

import msgspec
import pytest

from labbox.daemon.containers.states import ContainerState
from labbox.model import FINAL, JobSpec, JobState

Lab = Any  # conftest's; a fixture gives it

S = JobState
_PARTS = {
    "store": ("write",),
    "engine": ("create_and_start", "inspect", "remove", "stop", "list"),
    "environments": ("prepare",),
    "folders": ("hand_in", "output_bytes"),
}


class Fuse:
    """Counts the points before and after each call of another part; at one of them the power is cut."""

    def __init__(self, at: int | None) -> None:
        self.count = 0
        self.at = at
        self.blown = asyncio.Event()

    async def point(self) -> None:
        self.count += 1
        if self.at is not None and self.count >= self.at:
            self.blown.set()
            await asyncio.Event().wait()  # nothing goes on from here

    def wrap(self, part: Any, names: tuple[str, ...]) -> Any:
        fuse = self

        class Wrapped:
            def __getattr__(self, name: str) -> Any:
                found = getattr(part, name)
                if name not in names:
                    return found

                async def call(*args: Any, **kwargs: Any) -> Any:
                    await fuse.point()
                    result = await found(*args, **kwargs)
                    await fuse.point()
                    return result

                return call

        return Wrapped()


async def _scenario(lab: Lab) -> None:
    """A job that ends at once, one that is ended from outside, one after it, one that is cancelled."""
    quick = await lab.submit("echo", "hello")
    slow = await lab.submit("sleep", "1000")
    await lab.jobs.submit(lab.account("ada"), JobSpec(path="study", after=(slow.id,)), "test")
    doomed = await lab.submit("sleep", "1000", name="doomed")
    await lab.ended(quick.id)
    await lab.until(slow.id, S.RUNNING)
    await lab.until(doomed.id, S.RUNNING)
    await lab.jobs.cancel(lab.account("ada"), doomed.id, "test")
    lab.engine.finish(f"labbox-box1-{slow.id}-1", 0)
    await _all_end(lab)


async def _all_end(lab: Lab) -> None:
    """Wait until every job has ended; what sleeps for ever is told to end well."""
    async with asyncio.timeout(20):
        while True:
            changed = lab.jobs._parts.feed.next_change()
            jobs = (await lab.jobs.page(lab.account("root"))).jobs
            if all(job.state in FINAL for job in jobs):
                return
            for name in list(lab.engine.containers):
                lab.engine.finish(name, 0)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(0.05):  # a container made just now is no stored event
                    await changed.wait()


async def _run(lab: Lab, at: int | None) -> int:
    """The scenario with a cut at a point; returns how many points there were until the end."""
    fuse = Fuse(at)
    await lab.up(
        wrap_store=lambda store: fuse.wrap(store, _PARTS["store"]),
        **{name: fuse.wrap(getattr(lab, name), calls) for name, calls in _PARTS.items() if name != "store"},
    )
    scenario = asyncio.create_task(_scenario(lab))
    blown = asyncio.create_task(fuse.blown.wait())
    await asyncio.wait({scenario, blown}, return_when=asyncio.FIRST_COMPLETED)
    if scenario.done():
        scenario.result()
    for task in (scenario, blown):
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
    await lab.down()
    return fuse.count


async def _check(lab: Lab) -> None:
    await lab.up()
    await _all_end(lab)
    jobs = (await lab.jobs.page(lab.account("root"), order="oldest")).jobs
    for job in jobs:
        assert job.state is (
            S.CANCELLED if job.name == "doomed" and job.state is S.CANCELLED else S.SUCCEEDED
        ), job
        folder = lab.folder(job)
        if job.attempt:
            assert job.attempt == 1
            assert json.loads((folder / "job.json").read_text())["state"] == job.state
        if job.name == "echo":
            assert (folder / "log.txt").read_text().count("hello\n") == 1
    assert len(lab.engine.created) == len(set(lab.engine.created)), "started twice"
    async with asyncio.timeout(20):
        while lab.engine.containers:  # the sweep of what a cut left over
            await asyncio.sleep(0.01)
    await lab.down()


async def test_a_cut_at_every_point(new_lab: Any) -> None:
    points = await _run(new_lab("whole"), None)
    assert points > 40
    for at in range(1, points + 1):
        lab = new_lab(f"cut-{at}")
        await _run(lab, at)
        await _check(lab)


async def test_what_runs_is_adopted_and_what_is_gone_is_run_again(new_lab: Any) -> None:
    lab = new_lab()
    await lab.up()
    runs, ended, gone = [await lab.submit("sleep", "9") for _ in range(3)]
    waiting = await lab.submit("true", hold=True)
    for job in (runs, ended, gone):
        await lab.until(job.id, S.RUNNING)
    await lab.down()
    lab.engine.finish(f"labbox-box1-{ended.id}-1", 3)
    lab.engine.lose(f"labbox-box1-{gone.id}-1")
    await lab.up()
    assert (await lab.ended(ended.id)).exit_code == 3
    await lab.engine.started(4)
    assert lab.engine.created[3] == f"labbox-box1-{gone.id}-2"
    assert (await lab.job(runs.id)).state is S.RUNNING
    for name in list(lab.engine.containers):
        lab.engine.finish(name, 0)
    assert (await lab.ended(runs.id)).state is S.SUCCEEDED
    assert (await lab.ended(gone.id)).attempt == 2
    await lab.jobs.release(lab.account("ada"), waiting.id, "test")
    assert (await lab.ended(waiting.id)).state is S.SUCCEEDED
    await lab.down()


async def test_a_restart_without_an_engine_waits_for_it(new_lab: Any) -> None:
    lab = new_lab()
    await lab.up()
    job = await lab.submit("sleep", "9")
    await lab.until(job.id, S.RUNNING)
    await lab.down()
    lab.engine.go_away()
    lab.engine.finish(f"labbox-box1-{job.id}-1", 0)
    await lab.up()
    assert (await lab.job(job.id)).state is S.RUNNING
    lab.engine.come_back()
    assert (await lab.ended(job.id)).state is S.SUCCEEDED
    await lab.down()


async def test_a_time_limit_counts_through_a_restart_and_a_clock_set_back(new_lab: Any) -> None:
    lab = new_lab()
    await lab.up()
    job = await lab.submit("sleep", "9", time_limit=600.0)
    await lab.until(job.id, S.RUNNING)
    await lab.down()
    lab.clock.wall_offset, lab.clock.extra = -7200_000_000, 590.0
    await lab.up()
    assert (await lab.job(job.id)).state is S.RUNNING
    assert lab.jobs._runs[job.id]._time_left() <= 10
    lab.clock.extra = 601.0
    lab.jobs._runs[job.id].engine_changed()
    assert (await lab.ended(job.id)).state is S.TIMED_OUT
    await lab.down()


def _prints(run: Any) -> None:
    (run.spool / "stdout").write_text("hello\n")


def _writes_output(run: Any) -> None:
    (run.output / "figure.png").write_text("half of it")


def _writes_code(run: Any) -> None:
    for layer in run.layers:
        layer.written.joinpath("lines.txt").write_text("1")


@pytest.mark.parametrize(
    ("did", "attempts"), [(_prints, 2), (_writes_output, 2), (_writes_code, 1), (lambda _: None, 1)]
)
async def test_a_start_that_box_and_engine_were_killed_over_leaves_nothing_to_the_next(
    new_lab: Any, did: Any, attempts: int
) -> None:
    """The engine says that the container was only made: its command may have begun all the same."""
    lab = new_lab()
    project = lab.folders.projects["study"]
    handed = msgspec.structs.replace(project.handed, command=("echo", "hello"))
    lab.folders.projects["study"] = msgspec.structs.replace(project, handed=handed)
    (lab.state / "snapshots/ada/tree-1").mkdir(parents=True)
    dead = asyncio.Event()

    def dies(run: Any) -> None:
        assert run.layers
        did(run)
        dead.set()

    lab.engine.dies = dies
    await lab.up()
    job = await lab.jobs.submit(lab.account("ada"), JobSpec(path="study"), "test")
    async with asyncio.timeout(20):
        await dead.wait()
    await lab.down()
    name = f"labbox-box1-{job.id}-1"
    assert lab.engine.containers[name].state.status == "created"
    remove = lab.engine.remove

    async def telling(which: str) -> None:
        """An engine tells of the end of what it removes, whatever it knows of it."""
        known = lab.engine.containers.get(which)
        if known is not None and known.state.status == "created":
            for listener in lab.engine._listeners:
                listener(which, ContainerState(status="exited", exit_code=7))
        await remove(which)

    lab.engine.remove = telling
    await lab.up()
    ended = await lab.ended(job.id)
    assert (ended.state, ended.attempt) == (S.SUCCEEDED, attempts)
    assert name in lab.engine.removed
    folder = lab.folder(ended)
    assert (folder / "log.txt").read_text().count("hello\n") == 1
    assert list((folder / "output").iterdir()) == []
    assert not (folder / "code").exists()
    await lab.down()
