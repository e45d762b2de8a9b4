"""Groups of jobs: their limits hold at once, live through restarts, and are their owner's alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from labbox.daemon.store import groups
from labbox.errors import LabboxError
from labbox.model import JobSpec, JobState, ReasonCode
from labbox.protocol import Group, JobEdit

Lab = Any  # conftest's; a fixture gives it

S = JobState


async def limit(lab: Lab, parallel: int | None, name: str = "sims", owner: str = "ada") -> Group:
    group: Group = await lab.jobs.set_group(lab.account(owner), owner, name, parallel, "test")
    return group


async def listed(lab: Lab, owner: str | None = "ada") -> list[tuple[str, str, int | None, int, int]]:
    page = await lab.jobs.groups(lab.account(owner or "root"), owner)
    return [(one.owner, one.name, one.parallel, one.waiting, one.active) for one in page.groups]


async def waits_for(lab: Lab, job: int) -> list[tuple[ReasonCode, str]]:
    why = await lab.jobs.why(lab.account("root"), job)
    assert why.state is S.QUEUED
    return [(reason.code, reason.text) for reason in why.reasons]


async def test_a_limit_holds_from_the_first_job_on_and_the_job_says_so(lab: Lab) -> None:
    assert await limit(lab, 1) == Group(owner="ada", name="sims", parallel=1)
    first, second = [await lab.submit("sleep", "9", group="sims") for _ in range(2)]
    other = await lab.submit("sleep", "9", owner="grace", group="sims")
    await lab.until(first.id, S.RUNNING)
    await lab.until(other.id, S.RUNNING)  # grace's group of the same name is another one
    assert first.group == "sims"
    reason = (ReasonCode.LIMIT, "1 of group sims run already, its limit is 1")
    assert await waits_for(lab, second.id) == [reason]
    shown = (await lab.job(second.id)).reason
    assert (shown.code, shown.text) == reason
    assert await listed(lab) == [("ada", "sims", 1, 1, 1)]
    lab.engine.finish(f"labbox-box1-{first.id}-1", 0)
    done = await lab.ended(first.id)
    assert json.loads((lab.folder(done) / "job.json").read_text())["group"] == "sims"
    await lab.until(second.id, S.RUNNING)


@pytest.mark.parametrize("how", ["raised", "lifted", "removed", "left"])
async def test_a_limit_that_goes_lets_waiting_jobs_start_at_once(lab: Lab, how: str) -> None:
    await limit(lab, 1)
    first, second = [await lab.submit("sleep", "9", group="sims") for _ in range(2)]
    await lab.until(first.id, S.RUNNING)
    assert [code for code, _ in await waits_for(lab, second.id)] == [ReasonCode.LIMIT]
    ada = lab.account("ada")
    match how:
        case "raised":
            await limit(lab, 2)
        case "lifted":
            await limit(lab, None)
        case "removed":
            await lab.jobs.remove_group(ada, "ada", "sims", "test")
        case _:
            edited = await lab.jobs.edit(ada, second.id, JobEdit(group="none"), "test")
            assert edited.group is None
    await lab.until(second.id, S.RUNNING)


async def test_a_lower_limit_ends_nothing_and_starts_nothing(lab: Lab) -> None:
    running = [await lab.submit("sleep", "9", group="sims") for _ in range(2)]
    for job in running:
        await lab.until(job.id, S.RUNNING)
    assert await listed(lab) == [("ada", "sims", None, 0, 2)]
    await limit(lab, 1)
    third = await lab.submit("true", group="sims")
    assert await waits_for(lab, third.id) == [
        (ReasonCode.LIMIT, "2 of group sims run already, its limit is 1")
    ]
    lab.engine.finish(f"labbox-box1-{running[0].id}-1", 0)
    await lab.ended(running[0].id)
    assert [code for code, _ in await waits_for(lab, third.id)] == [ReasonCode.LIMIT]
    assert (await lab.job(running[1].id)).state is S.RUNNING


async def test_limits_live_through_a_restart(lab: Lab) -> None:
    await limit(lab, 1)
    first, second = [await lab.submit("sleep", "9", group="sims") for _ in range(2)]
    await lab.until(first.id, S.RUNNING)
    await lab.restart()
    assert [code for code, _ in await waits_for(lab, second.id)] == [ReasonCode.LIMIT]
    assert await listed(lab) == [("ada", "sims", 1, 1, 1)]


async def test_an_array_is_limited_as_a_whole_and_with_others(lab: Lab) -> None:
    await limit(lab, 2)
    alone = await lab.submit("sleep", "9", group="sims")
    await lab.until(alone.id, S.RUNNING)
    parent = await lab.submit("sleep", "9", array=(1, 2, 3), group="sims")
    page = await lab.jobs.page(lab.account("ada"), array=parent.id, order="oldest")
    assert {job.group for job in page.jobs} == {parent.group} == {"sims"}
    await lab.until(page.jobs[0].id, S.RUNNING)
    assert [code for code, _ in await waits_for(lab, page.jobs[1].id)] == [ReasonCode.LIMIT]
    moved = await lab.jobs.edit(lab.account("ada"), parent.id, JobEdit(group="plots"), "test")
    assert moved.group == "plots"
    for element in page.jobs[1:]:
        assert (await lab.until(element.id, S.RUNNING)).group == "plots"
    assert await listed(lab) == [("ada", "plots", None, 0, 2), ("ada", "sims", 2, 0, 2)]


async def test_lists_are_narrowed_to_a_group(lab: Lab) -> None:
    root, job = lab.account("root"), await lab.submit("true", group="sims", hold=True)
    parent = await lab.submit("true", group="sims", array=(1, 2), hold=True)
    await lab.submit("true", group="plots", hold=True)
    theirs = await lab.submit("true", owner="grace", group="sims", hold=True)
    await lab.submit("true", hold=True)

    async def ids(**asked: Any) -> list[int]:
        return [one.id for one in (await lab.jobs.page(root, **asked)).jobs]

    assert await ids(group="sims", array=0) == [theirs.id, parent.id, job.id]
    assert await ids(group="sims", owner="ada", array=0) == [parent.id, job.id]
    assert await ids(group="sims", array=parent.id) == [parent.id + 2, parent.id + 1]
    assert await ids(group="sims", owner="ada", state="held", name="TRUE", limit=2) == [
        parent.id + 2,
        parent.id + 1,
    ]
    assert await ids(group="nothing") == []


async def test_another_run_stays_in_the_group_unless_it_is_told_to_leave(lab: Lab) -> None:
    ada = lab.account("ada")
    first = await lab.jobs.submit(ada, JobSpec(path="study", group="sims"), "test")
    await lab.ended(first.id)
    again = await lab.jobs.rerun(ada, first.id, JobEdit(), "test")
    fresh = await lab.jobs.rerun(ada, again.id, JobEdit(fresh=True), "test")
    other = await lab.jobs.rerun(ada, again.id, JobEdit(group="plots"), "test")
    out = await lab.jobs.rerun(ada, other.id, JobEdit(group=""), "test")
    assert [job.group for job in (again, fresh, other, out)] == ["sims", "sims", "plots", None]
    assert (await lab.jobs.show(ada, other.id)).spec.group == "plots"
    failed = await lab.submit("false", group="sims")
    await lab.ended(failed.id)
    assert (await lab.jobs.retry(ada, failed.id, "test")).group == "sims"


async def test_job_toml_can_name_the_group(lab: Lab) -> None:
    from labbox.files import jobtoml
    from labbox.files.project import merge

    job, found = jobtoml.read(b'group = "sims"')
    assert found == ()
    assert merge(JobSpec(), job).group == "sims"
    assert merge(JobSpec(group="plots"), job).group == "plots"


@pytest.mark.parametrize("name", ["", "a b", "-x", "a/b", "none", "x" * 41, "\x1b[1m", "größe"])
async def test_names_that_cannot_be_are_refused_everywhere(lab: Lab, name: str) -> None:
    ada, job = lab.account("ada"), await lab.submit("true", hold=True)
    words = "cannot use “.*” as the name of a group"
    for refused in (
        lab.submit("true", group=name),
        lab.jobs.set_group(ada, "ada", name, 1, "test"),
        lab.jobs.remove_group(ada, "ada", name, "test"),
        *([lab.jobs.edit(ada, job.id, JobEdit(group=name), "test")] if name not in ("", "none") else []),
    ):
        with pytest.raises(LabboxError, match=words) as caught:
            await refused
        assert "\x1b" not in caught.value.message
    assert len((await lab.jobs.page(ada)).jobs) == 1


async def test_limits_that_cannot_be_are_refused(lab: Lab) -> None:
    for parallel in (0, -1, 1_000_001):
        with pytest.raises(LabboxError, match=f"cannot run {parallel} jobs of a group at once"):
            await limit(lab, parallel)
    assert await listed(lab) == []


async def test_groups_are_their_owners_and_administrators(lab: Lab) -> None:
    await limit(lab, 3)
    ada, grace, root = (lab.account(name) for name in ("ada", "grace", "root"))
    for refused in (
        lab.jobs.set_group(grace, "ada", "sims", 9, "test"),
        lab.jobs.remove_group(grace, "ada", "sims", "test"),
        lab.jobs.groups(grace, "ada"),
        lab.jobs.groups(grace, None),
    ):
        with pytest.raises(LabboxError) as caught:
            await refused
        assert caught.value.code == "forbidden"
    await lab.jobs.set_group(root, "ada", "sims", 5, "test")
    await lab.jobs.set_group(root, "grace", "sims", None, "test")
    assert await listed(lab, None) == [("ada", "sims", 5, 0, 0), ("grace", "sims", None, 0, 0)]
    assert await listed(lab, "grace") == [("grace", "sims", None, 0, 0)]
    with pytest.raises(LabboxError, match="there is no user eve"):
        await lab.jobs.set_group(root, "eve", "sims", 5, "test")
    await lab.jobs.remove_group(ada, "ada", "sims", "test")
    with pytest.raises(LabboxError, match="cannot remove the group sims: ada has none of that name"):
        await lab.jobs.remove_group(ada, "ada", "sims", "test")
    trail = await lab.db.read(
        lambda db: [
            tuple(row) for row in db.execute("SELECT who, action, target, detail FROM audit ORDER BY id")
        ]
    )
    assert trail == [
        ("ada", "job group set", "ada/sims", "3 at once"),
        ("root", "job group set", "ada/sims", "5 at once"),
        ("root", "job group set", "grace/sims", "no limit"),
        ("ada", "job group remove", "ada/sims", ""),
    ]


async def test_a_removed_group_is_shown_while_jobs_of_it_are_open(lab: Lab) -> None:
    job = await lab.submit("true", group="sims", hold=True)
    await limit(lab, 1)
    await lab.jobs.remove_group(lab.account("ada"), "ada", "sims", "test")
    assert await listed(lab) == [("ada", "sims", None, 1, 0)]
    await lab.jobs.cancel(lab.account("ada"), job.id, "test")
    assert await listed(lab) == []


async def test_a_slip_in_a_script_cannot_fill_the_store(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(groups, "MOST", 2)
    for name in ("one", "two", "two"):
        await lab.submit("true", group=name, hold=True)
    with pytest.raises(LabboxError, match="cannot make the group three: ada has 2 groups already"):
        await lab.submit("true", group="three", hold=True)
    assert len((await lab.jobs.page(lab.account("ada"))).jobs) == 3
    await limit(lab, 1, name="one")


async def test_whoever_gets_a_name_later_has_no_limits_of_the_one_before(lab: Lab) -> None:
    await limit(lab, 1)
    await lab.jobs.forget("ada", "test")
    assert await listed(lab) == []
    jobs = [await lab.submit("sleep", "9", group="sims") for _ in range(2)]
    for job in jobs:
        await lab.until(job.id, S.RUNNING)
