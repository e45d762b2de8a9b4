"""The fair share on a simulated box: 20 users, 10,000 jobs, every share within 5 % of the rule."""

from __future__ import annotations

import heapq
import random

import pytest

from labbox.daemon.jobs import shares
from labbox.daemon.jobs.queue import Queue, Waiting
from labbox.daemon.jobs.scheduler import Box, Running, Share, cost_rate, schedule
from labbox.model import GIB, Resources

TOTAL = Resources(cpus=64.0, memory=256 * GIB)
HALF_LIFE = 6 * 3600.0
USERS = [f"user{n}" for n in range(20)]


class Simulator:
    """A box on which time passes from one job's end to the next; the daemon's own ledger keeps the use."""

    def __init__(self, waiting: list[Waiting], seconds: dict[int, float], weights: dict[str, float]) -> None:
        self.now = 1.0
        self.queue = Queue(waiting)
        self.jobs = {job.id: job for job in waiting}
        self.seconds, self.weights = seconds, weights
        self.running: dict[int, tuple[float, Running]] = {}
        self.ends: list[tuple[float, int]] = []
        self.accounts = {owner: shares.Account(at=1.0) for owner in USERS}
        self.cost = dict.fromkeys(USERS, 0.0)
        self.started: dict[int, float] = {}

    def recent(self, owner: str) -> float:
        account = self.accounts[owner]
        use = shares.decay(account.recent, self.now - account.at, HALF_LIFE)
        for begun, one in self.running.values():
            if one.owner == owner:
                use += shares.accrued(cost_rate(one.need, TOTAL), self.now - begun, HALF_LIFE)
        return use

    def box(self) -> Box:
        return Box(
            now=self.now,
            total=TOTAL,
            running=tuple(one for _, one in self.running.values()),
            shares={
                owner: Share(recent=self.recent(owner), weight=self.weights.get(owner, 1.0))
                for owner in USERS
            },
        )

    def step(self) -> None:
        """Start what may start, then go to the next end."""
        for number in schedule(self.box(), self.queue).starts:
            job = self.jobs[number]
            self.queue.remove(number)
            end = self.now + self.seconds[number]
            ends_at = None if job.time_limit is None else self.now + job.time_limit
            self.running[number] = (
                self.now,
                Running(job=number, owner=job.owner, need=job.need, ends_at=ends_at),
            )
            self.started[number] = self.now
            heapq.heappush(self.ends, (end, number))
        self.now, number = heapq.heappop(self.ends)
        begun, one = self.running.pop(number)
        rate, held = cost_rate(one.need, TOTAL), self.now - begun
        self.cost[one.owner] += rate * held
        self.accounts[one.owner] = shares.charged(self.accounts[one.owner], rate, held, self.now, HALF_LIFE)


def some_jobs(owner: str, numbers: range, dice: random.Random) -> tuple[list[Waiting], dict[int, float]]:
    waiting, seconds = [], {}
    for number in numbers:
        need = Resources(cpus=dice.choice([1.0, 1.0, 2.0, 4.0]), memory=dice.choice([1, 2, 8]) * GIB)
        seconds[number] = dice.uniform(120, 1800)
        waiting.append(Waiting(id=number, owner=owner, need=need, time_limit=1800.0))
    return waiting, seconds


def test_shares_are_within_five_percent_of_the_rule() -> None:
    dice = random.Random(2)
    weights = {owner: dice.choice([1.0, 1.0, 2.0]) for owner in USERS}
    waiting, seconds = [], dict[int, float]()
    for n, owner in enumerate(USERS):
        mine, lasts = some_jobs(owner, range(n * 500, (n + 1) * 500), dice)
        waiting += mine
        seconds |= lasts
    simulator = Simulator(waiting, seconds, weights)
    left = dict.fromkeys(USERS, 500)
    while min(left.values()) > 20:  # everybody still has something waiting
        simulator.step()
        for owner in USERS:
            left[owner] = 0
        for one in simulator.queue:
            left[one.owner] += 1
    recent = {owner: simulator.recent(owner) for owner in USERS}
    everything, weight = sum(recent.values()), sum(weights.values())
    for owner in USERS:
        assert recent[owner] / everything == pytest.approx(weights[owner] / weight, rel=0.05)
    assert len(simulator.started) > 4_000


def test_what_somebody_leaves_goes_to_the_others_by_the_same_rule() -> None:
    dice = random.Random(3)
    waiting, seconds = [], dict[int, float]()
    for n, owner in enumerate(USERS[:4]):
        mine, lasts = some_jobs(owner, range(n * 500, (n + 1) * 500), dice)
        waiting += mine
        seconds |= lasts
    simulator = Simulator(waiting, seconds, {})
    modest = Waiting(id=9_999, owner="user9", need=Resources(cpus=4.0, memory=GIB), time_limit=60.0)
    while len(simulator.queue) > 400:
        simulator.step()
        if modest.id not in simulator.jobs and len(simulator.started) > 300:
            simulator.jobs[modest.id], simulator.seconds[modest.id] = modest, 30.0
            simulator.queue.add(modest)
            came = simulator.now
    recent = [simulator.recent(owner) for owner in USERS[:4]]
    assert recent == pytest.approx([sum(recent) / 4] * 4, rel=0.05)
    assert simulator.started[modest.id] - came < 300  # who used nothing goes first as soon as there is room


def test_a_large_job_does_not_starve_among_small_ones() -> None:
    dice = random.Random(4)
    waiting, seconds = [], dict[int, float]()
    for n, owner in enumerate(USERS[:3]):
        mine, lasts = some_jobs(owner, range(n * 300, (n + 1) * 300), dice)
        waiting += mine
        seconds |= lasts
    large = Waiting(id=9_999, owner="user9", need=Resources(cpus=64.0, memory=GIB))
    seconds[large.id] = 60.0
    simulator = Simulator([*waiting, large], seconds, {})
    simulator.accounts["user9"] = shares.Account(recent=0.0, at=1.0)
    simulator.queue.remove(large.id)
    simulator.step()  # the small ones fill the box
    simulator.queue.add(large)
    while large.id not in simulator.started:
        simulator.step()
    assert simulator.started[large.id] <= 1.0 + 1800.0  # when the longest of the first ones has ended


def test_use_is_halved_once_per_half_life_and_survives_a_clock_set_back() -> None:
    account = shares.charged(shares.Account(), 2.0, 100.0, 1_000.0, HALF_LIFE)
    assert account.recent == pytest.approx(200.0, rel=0.01)
    assert shares.decay(account.recent, HALF_LIFE, HALF_LIFE) == pytest.approx(account.recent / 2)
    assert shares.decay(account.recent, -5_000.0, HALF_LIFE) == account.recent
    assert shares.charged(account, 0.0, 0.0, 500.0, HALF_LIFE) == account
    assert shares.accrued(1.0, 1e9, HALF_LIFE) == pytest.approx(HALF_LIFE / 0.6931471805599453)
