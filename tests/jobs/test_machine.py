"""The state machine as a model: random moves on a real store never leave the arrows of the design."""

from __future__ import annotations

import asyncio
import tempfile
from itertools import pairwise
from pathlib import Path
from sqlite3 import Connection

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from labbox.daemon.jobs.machine import ARROWS, Step, derived, is_legal, move
from labbox.daemon.store import Store, events, jobs, pages
from labbox.errors import LabboxError
from labbox.model import ACTIVE, FINAL, WAITING, JobKind, JobState, Resources

S = JobState
_STATES = st.sampled_from(list(JobState))


def test_the_arrows_are_those_of_the_design() -> None:
    drawn = {
        (S.HELD, S.QUEUED),
        (S.QUEUED, S.HELD),
        (S.QUEUED, S.PREPARING),
        (S.PREPARING, S.RUNNING),
        (S.RUNNING, S.PAUSED),
        (S.PAUSED, S.RUNNING),
        *((state, S.COLLECTING) for state in (S.PREPARING, S.RUNNING, S.PAUSED)),
        *((S.COLLECTING, end) for end in FINAL),
        *((state, S.CANCELLED) for state in WAITING | ACTIVE),
        *((state, S.FAILED) for state in WAITING),  # a failed dependency fails it
        *((end, S.QUEUED) for end in FINAL - {S.SUCCEEDED}),  # a new attempt
    }
    assert {(old, new) for old, targets in ARROWS.items() for new in targets} == drawn


def test_an_array_follows_its_elements() -> None:
    assert derived({S.QUEUED: 3, S.RUNNING: 1, S.FAILED: 2}) is S.RUNNING
    assert derived({S.QUEUED: 1, S.HELD: 4, S.SUCCEEDED: 2}) is S.QUEUED
    assert derived({S.HELD: 4, S.SUCCEEDED: 2}) is S.HELD
    assert derived({S.SUCCEEDED: 5, S.FAILED: 1}) is S.FAILED
    assert derived({S.FAILED: 5, S.CANCELLED: 1}) is S.CANCELLED
    assert derived({S.SUCCEEDED: 5, S.FAILED: 0}) is S.SUCCEEDED


class Machine(RuleBasedStateMachine):
    """Single jobs, an array, and dependants; every move is tried on the store and on a model."""

    @initialize()
    def open(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.folder = tempfile.TemporaryDirectory()
        self.store = self.loop.run_until_complete(Store.open(Path(self.folder.name) / "test.db"))
        self.model: dict[int, JobState] = {}
        self.attempts: dict[int, int] = {}
        self.after: dict[int, int] = {}
        self.clock = 1_000_000
        self.array = 0
        self.events = 0

    def teardown(self) -> None:
        self.loop.run_until_complete(self.store.close())
        self.loop.close()
        self.folder.cleanup()

    def _add(self, *, array: int | None = None, after: int | None = None, kind: JobKind) -> int:
        new = jobs.NewJob(
            kind=kind,
            name="x",
            owner="ada",
            project=None,
            state=S.QUEUED,
            submitted_at=self.clock,
            day="2026/11/21",
            resources=Resources(),
            priority=0,
            time_limit=None,
            retries=0,
            array=array,
        )

        def add(connection: Connection) -> int:
            number = jobs.add_submission(connection, spec="{}", handed="{}")
            return jobs.add(connection, new, number, () if after is None else (after,))

        job = self.loop.run_until_complete(self.store.write(add))
        if kind is JobKind.CONTAINER:
            self.model[job], self.attempts[job] = S.QUEUED, 0
        return job

    @rule()
    def submit(self) -> None:
        self._add(kind=JobKind.CONTAINER)

    @precondition(lambda self: any(state not in FINAL for state in self.model.values()))
    @rule(data=st.data())
    def submit_after(self, data: st.DataObject) -> None:
        pending = sorted(job for job, state in self.model.items() if state not in FINAL)
        other = data.draw(st.sampled_from(pending))
        self.after[self._add(kind=JobKind.CONTAINER, after=other)] = other

    @precondition(lambda self: not self.array)
    @rule(count=st.integers(1, 4))
    def submit_array(self, count: int) -> None:
        self.array = self._add(kind=JobKind.ARRAY)
        for _ in range(count):
            self._add(kind=JobKind.CONTAINER, array=self.array)
        array = self.array
        self.loop.run_until_complete(
            self.store.write(lambda c: jobs.set_element_counts(c, array, {S.QUEUED: count}))
        )

    @precondition(lambda self: self.model)
    @rule(data=st.data(), new=_STATES, stale=st.booleans(), step=st.integers(-3, 3))
    def try_to_move(self, data: st.DataObject, new: JobState, stale: bool, step: int) -> None:
        job = data.draw(st.sampled_from(sorted(self.model)))
        old, self.clock = self.model[job], max(1, self.clock + step)
        attempt = self.attempts[job] - 1 if stale else self.attempts[job]
        at = self.clock
        try:
            rows = self.loop.run_until_complete(
                self.store.write(lambda c: move(c, job, Step(to=new, at=at), attempt=attempt))
            )
        except LabboxError as error:
            assert error.code == "conflict"
            assert stale or not is_legal(old, new)
            return
        assert not stale
        assert is_legal(old, new)
        assert rows[0].id == job
        self._follow(job, new)

    def _follow(self, job: int, new: JobState) -> None:
        self.model[job] = new
        if new is S.PREPARING:
            self.attempts[job] += 1
        if new in FINAL and new is not S.SUCCEEDED:
            for other in [one for one, before in self.after.items() if before == job]:
                if self.model[other] in WAITING:
                    self._follow(other, S.FAILED)

    @invariant()
    def the_store_says_the_same(self) -> None:
        def read(connection: Connection) -> None:
            for job, state in self.model.items():
                row = jobs.get(connection, job)
                history = jobs.transitions(connection, job)
                assert row.state is state
                assert row.attempt == self.attempts[job]
                assert history[-1].state is state
                assert all(is_legal(a.state, b.state) for a, b in pairwise(history))
                assert (row.ended_at is not None) == (state in FINAL)
                assert row.started_at is None or row.ended_at is None or row.ended_at >= row.started_at
            moved = sum(len(jobs.transitions(connection, job)) - 1 for job in self.model)
            if self.array:
                elements = [
                    jobs.get(connection, one).state for one in jobs.element_ids(connection, self.array)
                ]
                counts = {state: elements.count(state) for state in set(elements)}
                assert jobs.element_counts(connection, self.array) == counts
                assert jobs.get(connection, self.array).state is derived(counts)
                assert pages.count_by_state(connection, array=0).get(derived(counts), 0) >= 1
                ends = sum(
                    (before.state in FINAL) is not (then.state in FINAL)
                    for one in jobs.element_ids(connection, self.array)
                    for before, then in pairwise(jobs.transitions(connection, one))
                )
                own = len(jobs.transitions(connection, self.array)) - 1
                told = [each for each in events.after(connection, 0, limit=10_000) if each.job == self.array]
                assert max(own, ends) <= len(told) <= own + ends  # each time that its bar or its state moves
            others = [each for each in events.after(connection, 0, limit=10_000) if each.job != self.array]
            assert len(others) == moved
            assert sum(pages.count_by_state(connection).values()) == len(self.model)

        self.loop.run_until_complete(self.store.read(read))


Machine.TestCase.settings = settings(
    max_examples=25,
    stateful_step_count=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)
TestMachine = Machine.TestCase


async def test_moving_an_array_itself_is_refused(tmp_path: Path) -> None:
    store = await Store.open(tmp_path / "test.db")
    new = jobs.NewJob(
        kind=JobKind.ARRAY,
        name="x",
        owner="ada",
        project=None,
        state=S.QUEUED,
        submitted_at=1,
        day="2026/11/21",
        resources=Resources(),
        priority=0,
        time_limit=None,
        retries=0,
    )
    number = await store.write(lambda c: jobs.add_submission(c, spec="{}", handed="{}"))
    job = await store.write(lambda c: jobs.add(c, new, number))
    with pytest.raises(LabboxError, match="an array follows its elements"):
        await store.write(lambda c: move(c, job, Step(to=S.CANCELLED, at=1)))
    await store.close()
