"""What open screens hear while jobs go on: an array's bar, ends with their notices, others' silence."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from labbox.daemon.store import events, notices, users
from labbox.model import FINAL, JobState, Limits
from labbox.protocol import Event

if TYPE_CHECKING:
    from sqlite3 import Connection

Lab = Any  # conftest's; a fixture gives it

S = JobState


async def _known(lab: Lab) -> None:
    """The people of the fake are users of the store too: notices are kept for no others."""

    def insert(connection: Connection) -> None:
        for name in ("ada", "grace"):
            uid = users.allot(connection, name, 70000, ())
            users.insert(connection, name, uid, admin=False, password=None, limits=Limits())

    await lab.db.write(insert)


async def _heard(lab: Lab, name: str, enough: Callable[[list[Event]], bool]) -> list[Event]:
    """What this person hears from the beginning on, until it is enough."""
    heard: list[Event] = []
    async with asyncio.timeout(20):
        async for event in lab.jobs.events(lab.account(name), after=0, follow=True):
            heard.append(event)
            if enough(heard):
                return heard
    raise AssertionError("the events have come to an end")


async def test_each_end_of_an_element_moves_the_bar_of_its_array(lab: Lab) -> None:
    parent = await lab.submit("sleep", "9", array=(1, 2, 3, 4), parallel=1)
    bars: list[tuple[float, JobState]] = []
    follow = lab.jobs.events(lab.account("ada"), after=0, follow=True)
    finished = 0
    async with asyncio.timeout(20):
        async for event in follow:
            job = event.job
            if job is not None and job.id == parent.id and job.progress is not None:
                bars.append((job.progress.done, job.state))
                assert job.progress.total == 4
                if job.state in FINAL:
                    break
            if finished < len(lab.engine.created):
                lab.engine.finish(lab.engine.created[finished], 0)
                finished += 1
    assert {done for done, _ in bars} >= {0, 4}
    assert bars[-1] == (4, S.SUCCEEDED)
    stored = await lab.db.read(lambda db: events.after(db, 0, limit=1000))
    assert [one.job for one in stored].count(parent.id) >= 5  # its submission and one for each end


async def test_lists_without_elements_are_counted_without_them(lab: Lab) -> None:
    await lab.submit("sleep", "9", array=tuple(range(8)), parallel=2)
    await lab.submit("true", hold=True)
    await lab.engine.started(2)
    for owner in (None, "ada"):
        rows = await lab.jobs.counts(lab.account("ada"), owner, 0)
        page = await lab.jobs.page(lab.account("ada"), owner=owner, array=0)
        by_state: dict[JobState, int] = {}
        for job in page.jobs:
            by_state[job.state] = by_state.get(job.state, 0) + 1
        assert rows.by_state == by_state == {S.RUNNING: 1, S.HELD: 1}
        whole = await lab.jobs.counts(lab.account("ada"), owner)
        assert sum(whole.by_state.values()) == 9
    assert (await lab.jobs.counts(lab.account("ada"), "grace", 0)).by_state == {}


async def test_every_way_to_end_leaves_its_owner_one_notice(lab: Lab) -> None:
    await _known(lab)
    bad = await lab.submit("sh", "-c", "exit 3")
    doomed = await lab.submit("true", after=(bad.id,))
    array = await lab.submit("true", array=(1, 2, 3))
    mine = await lab.submit("true", hold=True)
    await lab.jobs.cancel(lab.account("ada"), mine.id, "test")
    theirs = await lab.submit("true", hold=True)
    await lab.jobs.cancel(lab.account("root"), theirs.id, "test")
    for job in (bad, doomed, array, theirs):
        await lab.ended(job.id)
    kept = await lab.db.read(lambda db: notices.of(db, "ada", seen=True))
    about = sorted(notice.job for notice in kept)
    assert about == sorted((bad.id, doomed.id, array.id, theirs.id))  # what one has cancelled, one knows
    by_job = {notice.job: notice.text for notice in kept}
    assert f"job {bad.id}" in by_job[doomed.id] and "failed" in by_job[doomed.id]


async def test_an_attempt_that_is_tried_again_is_no_end(lab: Lab) -> None:
    await _known(lab)
    job = await lab.submit("sh", "-c", "exit 3", retries=1)
    await lab.engine.started(1)
    lab.clock.extra = 60.0
    while (await lab.job(job.id)).attempt < 2:
        lab.jobs._parts.dispatcher.wake()
        await lab.jobs._parts.feed.next_change().wait()
    assert (await lab.ended(job.id)).state is S.FAILED
    kept = await lab.db.read(lambda db: notices.of(db, "ada", seen=True))
    assert [notice.job for notice in kept] == [job.id]


async def test_a_notice_is_heard_at_once_by_its_owner_alone(lab: Lab) -> None:
    await _known(lab)
    job = await lab.submit("true")
    heard = await _heard(lab, "ada", lambda all_of_it: all_of_it[-1].kind == "notice")
    assert heard[-1].text.startswith(f"job {job.id} ")
    await lab.jobs.set_group(lab.account("ada"), "ada", "sims", 3, "test")
    others = await _heard(lab, "grace", lambda all_of_it: all_of_it[-1].kind == "group")
    assert not [event for event in others if event.kind == "notice"]
    notice = (await lab.jobs.notices(lab.account("ada"))).notices[0]
    assert (await lab.jobs.notices(lab.account("ada"))).notices[0] == notice  # asking is no look
    await lab.jobs.notices_seen(lab.account("ada"), notice.id)
    assert (await lab.jobs.notices(lab.account("ada"))).notices == ()
    assert (await lab.jobs.notices(lab.account("ada"), True)).notices[0].seen
    await _heard(lab, "ada", lambda all_of_it: [one.kind for one in all_of_it].count("notice") == 2)
