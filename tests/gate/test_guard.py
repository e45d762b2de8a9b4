"""Caps and back-off, with a clock of the test's."""

from __future__ import annotations

import pytest

from labbox.daemon.gate import guard
from labbox.daemon.gate.guard import Guard, network_of


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Guard:
    return Guard(clock)


def test_wait_doubles_ends_and_is_forgotten(watch: Guard, clock: Clock) -> None:
    waits = [watch.failed("192.0.2.1", "ada") for _ in range(guard.FREE_FAILURES + 2)]
    assert waits == [0, 0, 0, 0, 2, 4, 8]
    assert watch.wait("192.0.2.1") == 8
    clock.now += 8
    assert watch.wait("192.0.2.1") == 0
    clock.now += guard.FORGET_AFTER
    assert watch.failed("192.0.2.1", "ada") == 0


def test_wait_has_an_end(watch: Guard) -> None:
    for _ in range(100):
        wait = watch.failed("192.0.2.1", "ada")
    assert wait == guard.LONGEST_WAIT


def test_one_address_locks_no_other(watch: Guard) -> None:
    for _ in range(50):
        watch.failed("192.0.2.1", "ada")
    assert watch.wait("192.0.2.1") > 0
    assert watch.wait("192.0.2.2") == 0
    assert 0 < watch.slowness("ada") <= guard.SLOWEST_ANSWER
    assert watch.slowness("grace") == 0


def test_success_clears(watch: Guard) -> None:
    for _ in range(guard.FREE_FAILURES):
        watch.failed("192.0.2.1", "ada")
    watch.succeeded("192.0.2.1", "ada")
    assert (watch.wait("192.0.2.1"), watch.slowness("ada")) == (0, 0)


def test_connections_are_capped_by_address_and_whole(watch: Guard) -> None:
    assert all(watch.enter("192.0.2.1") for _ in range(guard.MAX_UNKNOWN_PER_ADDRESS))
    assert not watch.enter("192.0.2.1")
    assert watch.enter("192.0.2.2")
    watch.leave("192.0.2.1")
    assert watch.enter("192.0.2.1")
    entered = sum(watch.enter(f"198.51.100.{n}") for n in range(200))
    assert entered == guard.MAX_UNKNOWN - guard.MAX_UNKNOWN_PER_ADDRESS - 1


def test_networks() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("unknown") == "unknown"


def test_memory_is_bounded(watch: Guard) -> None:
    for number in range(30_000):
        watch.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "ada")
    assert len(watch._addresses._records) == guard._REMEMBERED
