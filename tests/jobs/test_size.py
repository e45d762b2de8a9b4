"""The jobs at size: 100,000 stored jobs, lists by every filter; a burst of submissions; an idle box."""

from __future__ import annotations

import asyncio
import math
import time
from pathlib import Path
from sqlite3 import Connection
from typing import Any

import pytest

from labbox.daemon.store import jobs
from labbox.model import JobState

Lab = Any  # conftest's; a fixture gives it

_COUNT = 100_000
_IDLE_SECONDS = 60.0
_TIMES_A_COUNT = 8  # a page against counting one column of all rows, in the same run: walks no table


def _fill(connection: Connection) -> None:
    number = jobs.add_submission(connection, spec="{}", handed='{"command":["true"]}')
    states = [JobState.SUCCEEDED] * 90 + [JobState.FAILED] * 8 + [JobState.CANCELLED] * 2
    connection.executemany(
        "INSERT INTO jobs (kind, submission, name, owner, state, submitted_at, results, cpus, memory, gpus,"
        " priority, retries, attempt, folded, job_group)"
        " VALUES ('container', ?, ?, ?, ?, ?, ?, 1, 1, 0, 0, 0, 1, ?, ?)",
        [
            (
                *(number, f"Study {n % 50}", f"user{n % 20}", states[n * 7 % 100]),
                *(n, f"2026/11/21/{n}", f"study {n % 50}", f"group{n % 7}" if n % 3 == 0 else None),
            )
            for n in range(_COUNT)
        ],
    )


@pytest.mark.parametrize(
    "asked",
    [
        {},
        {"owner": "user3"},
        {"state": "final"},
        {"state": "waiting"},
        {"state": "active,failed", "owner": "user3"},
        {"name": "STUDY 7"},
        {"name": "nothing is called so"},
        {"name": "nothing", "owner": "user3", "array": 0},
        {"owner": "nobody", "array": 0},
        {"array": 17},
        {"group": "group3"},
        {"group": "group3", "owner": "user3", "array": 0, "state": "waiting,active"},
        {"group": "group3", "name": "nothing is called so"},
        {"group": "there is none", "owner": "user3"},
        {"array": 0, "before": 50_000},
        {"order": "oldest", "before": 50_000},
    ],
    ids=str,
)
async def test_a_page_of_a_hundred_thousand_jobs(full: Lab, asked: dict[str, Any]) -> None:
    took, counted = [], []
    for _ in range(5):
        began = time.process_time()
        page = await full.jobs.page(full.account("ada"), limit=100, **asked)
        took.append(time.process_time() - began)
        began = time.process_time()
        await full.db.read(lambda db: db.execute("SELECT count(*) FROM jobs WHERE folded > ''").fetchone())
        counted.append(time.process_time() - began)
    assert min(took) < _TIMES_A_COUNT * min(counted)
    ids = [job.id for job in page.jobs]
    assert ids == sorted(ids, reverse=asked.get("order") != "oldest")


async def test_pages_follow_each_other_without_gap(full: Lab) -> None:
    seen: list[int] = []
    before = None
    while len(seen) < 2_500:
        page = await full.jobs.page(full.account("ada"), limit=1_000, before=before, state="final")
        seen += [job.id for job in page.jobs]
        before = page.next
    assert seen == list(range(_COUNT, _COUNT - len(seen), -1))


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with many jobs, made once."""
    from labbox.daemon.store import Store

    folder = tmp_path_factory.mktemp("full")

    async def fill() -> None:
        store = await Store.open(folder / "labbox.db")
        await store.write(_fill)
        await store.close()

    asyncio.run(fill())
    return folder / "labbox.db"


@pytest.fixture
async def full(new_lab: Any, filled: Path) -> Any:
    lab = new_lab()
    (lab.state / "labbox.db").write_bytes(filled.read_bytes())
    await lab.up()
    yield lab
    await lab.down()


async def test_twenty_people_submit_at_once(lab: Lab) -> None:
    lab.engine.go_away()

    async def person(count: int) -> None:
        for _ in range(count):
            await lab.submit("true")

    began = time.process_time()
    await asyncio.gather(*(person(20) for _ in range(20)))
    assert (time.process_time() - began) / 400 < 0.01  # CPU seconds of one; the benchmark has the latency
    assert (await lab.jobs.counts(lab.account("ada"))).by_state == {JobState.QUEUED: 400}


async def test_an_idle_box_does_nothing(lab: Lab) -> None:
    job = await lab.submit("true")
    await lab.ended(job.id)
    dispatcher = lab.jobs._parts.dispatcher
    async with asyncio.timeout(20):  # the last pass, the job's last look at its output
        while _next_timer() < _IDLE_SECONDS or dispatcher._dirty.is_set():
            await asyncio.sleep(0)
    assert dispatcher.queue.next_due() is None


def _next_timer() -> float:
    """Seconds until the loop has anything to do by itself; the test's own timer is not counted."""
    loop: Any = asyncio.get_running_loop()
    timers = [
        timer.when() - loop.time()
        for timer in loop._scheduled
        if not timer.cancelled()
        and not isinstance(getattr(timer._callback, "__self__", None), asyncio.Timeout)
    ]
    return min(timers, default=math.inf)
