"""A hundred thousand jobs in the store: a page over the API, and the view of a login."""

from __future__ import annotations

import argparse
import asyncio
import time
from functools import partial
from sqlite3 import Connection

from harness import Box, Table, Terminal, median, percentile, temporary_box

from labbox.daemon.jobs.machine import Step, move
from labbox.daemon.store import Store, events, jobs
from labbox.model import GIB, JobKind, JobState, Resources

_COUNT = 100_000
_AT_ONCE = 2_000  # jobs of one transaction
_STEP = 1_000_000  # microseconds between two submissions
_ENDS = (JobState.SUCCEEDED,) * 90 + (JobState.FAILED,) * 8 + (JobState.CANCELLED,) * 2
_TIMES = 30
_QUESTIONS: dict[str, dict[str, object]] = {
    "the newest": {},
    "without elements": {"array": 0},
    "one owner's": {"owner": "grace"},
    "one owner's that failed": {"owner": "grace", "state": "failed"},
    "those that wait": {"state": "waiting"},
    "by name": {"name": "study 7"},
    "by a name that no job has": {"name": "nothing is called so"},
    "far down": {"before": 500},
}


def measure(table: Table, _options: argparse.Namespace) -> None:
    with temporary_box() as box:
        box.stop()
        asyncio.run(_fill(box))
        box.start()
        _page(table, box)
        _view(table, box)


async def _fill(box: Box) -> None:
    store = await Store.open(box.state / "labbox.db")
    for first in range(0, _COUNT, _AT_ONCE):
        await store.write(partial(_add, first=first))
    await store.close()


def _add(connection: Connection, first: int) -> None:
    number = jobs.add_submission(connection, spec="{}", handed='{"command":["true"]}')
    begin = 1_700_000_000_000_000
    for n in range(first, first + _AT_ONCE):
        at = begin + n * _STEP
        new = jobs.NewJob(
            kind=JobKind.CONTAINER,
            name=f"Study {n % 50}",
            owner=("ada", "grace")[n % 10 == 0],
            project=None,
            state=JobState.QUEUED,
            submitted_at=at,
            day="2023/11/14",
            resources=Resources(cpus=1.0, memory=GIB, gpus=0),
            priority=0,
            time_limit=None,
            retries=0,
        )
        job = jobs.add(connection, new, number)
        end = _ENDS[n * 7 % 100]
        if end is JobState.CANCELLED:
            move(connection, job, Step(to=end, at=at + _STEP))
        else:
            way = (JobState.PREPARING, JobState.RUNNING, JobState.COLLECTING, end)
            move(connection, job, *(Step(to=state, at=at + _STEP) for state in way))
        events.append(connection, at=at, kind="job", owner=new.owner, job=job)


def _page(table: Table, box: Box) -> None:
    client = box.client()
    assert sum(client.count_jobs().by_state.values()) == _COUNT
    slowest, of_it = 0.0, ""
    for name, asked in _QUESTIONS.items():
        took = []
        for _ in range(_TIMES):
            started = time.perf_counter()
            client.list_jobs(limit=100, **asked)  # type: ignore[arg-type]
            took.append(time.perf_counter() - started)
        print(
            f"      a page, {name}: {median(took) * 1000:.1f} ms, p95 {percentile(took, 0.95) * 1000:.1f} ms"
        )
        if median(took) > slowest:
            slowest, of_it = median(took), name
    table.add(
        "one page of 100,000 jobs over the API, the slowest of eight filters",
        "–",
        "≤ 5 ms",
        f"{slowest * 1000:.1f} ms ({of_it})",
        slowest <= 0.005,
    )


def _view(table: Table, box: Box) -> None:
    """From the key until the newest job is on the screen; and all of it from starting ssh."""
    logins, views = [], []
    for _ in range(9):
        terminal = Terminal(box.ssh("ada", tty=True))
        try:
            logins.append(terminal.wait_for("Modified", "Quit"))
            terminal.drain()
            views.append(terminal.reach(b"\x0f", f"{_COUNT}"))
        finally:
            terminal.close()
    opening = median(views)
    table.add(
        "opening the job view with 100,000 jobs, from the key to the rows",
        "–",
        "< 150 ms",
        f"{opening * 1000:.0f} ms",
        opening < 0.15,
    )
    whole = median([login + view for login, view in zip(logins, views, strict=True)])
    print(f"      from starting ssh to the files, and by that key to the job view: {whole * 1000:.0f} ms")
