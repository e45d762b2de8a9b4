"""Back-off after wrong passwords, and whose turn it is, with a clock of the test's."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable

import pytest

from labbox.daemon.people import guessing
from labbox.daemon.people.guessing import Guessing, network_of
from labbox.errors import LabboxError

_MOST = 20  # seconds of a test whose turns never come


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def watch(clock: Clock) -> Guessing:
    return Guessing(clock)


def test_wait_doubles_ends_and_is_forgotten(watch: Guessing, clock: Clock) -> None:
    waits = [watch.failed("192.0.2.1", "ada") for _ in range(guessing.FREE_FAILURES + 2)]
    assert waits == [0, 0, 0, 0, 2, 4, 8]
    assert watch.wait("192.0.2.1") == 8
    clock.now += 8
    assert watch.wait("192.0.2.1") == 0
    clock.now += guessing.FORGET_AFTER
    assert watch.failed("192.0.2.1", "ada") == 0


def test_wait_has_an_end(watch: Guessing) -> None:
    for _ in range(100):
        wait = watch.failed("192.0.2.1", "ada")
    assert wait == guessing.LONGEST_WAIT


def test_one_address_locks_no_other(watch: Guessing) -> None:
    for _ in range(50):
        watch.failed("192.0.2.1", "ada")
    assert watch.wait("192.0.2.1") > 0
    assert watch.wait("192.0.2.2") == 0
    assert 0 < watch.slowness("ada") <= guessing.SLOWEST_ANSWER
    assert watch.slowness("grace") == 0


def test_success_clears(watch: Guessing) -> None:
    for _ in range(guessing.FREE_FAILURES):
        watch.failed("192.0.2.1", "ada")
    watch.succeeded("192.0.2.1", "ada")
    assert (watch.wait("192.0.2.1"), watch.slowness("ada")) == (0, 0)


def test_networks() -> None:
    assert network_of("192.0.2.1") == "192.0.2.1"
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("fe80::1%eth0") == network_of("fe80::2")
    assert network_of("unknown") == "unknown"


def test_memory_is_bounded(watch: Guessing) -> None:
    for number in range(30_000):
        watch.failed(f"10.{number >> 16}.{number >> 8 & 255}.{number & 255}", "ada")
    assert len(watch._sources) == guessing._REMEMBERED


async def served(watch: Guessing, asked: list[tuple[str, str]]) -> list[tuple[str, str]]:
    """The order in which passwords are looked at that were asked for in this one."""
    order: list[tuple[str, str]] = []
    go_on = asyncio.Event()

    async def ask(source: str, person: str) -> None:
        async with watch.turn(source, person):
            order.append((source, person))
            if len(order) <= guessing.AT_ONCE:
                await go_on.wait()

    async with asyncio.timeout(_MOST), asyncio.TaskGroup() as tasks:
        for source, person in asked:
            tasks.create_task(ask(source, person))
            await asyncio.sleep(0)
        go_on.set()
    return order


@pytest.mark.attack("S8")
async def test_many_addresses_that_guess_at_one_person_keep_no_other_waiting(
    watch: Guessing, tried: Callable[..., None]
) -> None:
    guesses = [(f"192.0.2.{n}", "grace") for n in range(90)]
    tried(len(guesses))
    order = await served(watch, [*guesses, ("198.51.100.1", "ada")])
    assert order.index(("198.51.100.1", "ada")) <= 1


@pytest.mark.attack("S8")
async def test_a_person_who_is_guessed_at_comes_first_from_where_she_was(
    watch: Guessing, tried: Callable[..., None]
) -> None:
    watch.met("198.51.100.1", "ada")
    guesses = [(f"192.0.2.{n}", "ada") for n in range(90)]
    tried(len(guesses))
    order = await served(watch, [*guesses[:45], ("198.51.100.1", "ada"), *guesses[45:]])
    assert order.index(("198.51.100.1", "ada")) <= 2


@pytest.mark.attack("S8")
async def test_who_was_wrong_comes_after_who_was_not(watch: Guessing, tried: Callable[..., None]) -> None:
    guesses = [(f"192.0.2.{n}", f"person {n}") for n in range(90)]
    for source, person in guesses:
        watch.failed(source, person)
    tried(len(guesses))
    order = await served(watch, [*guesses, ("198.51.100.1", "ada")])
    assert order.index(("198.51.100.1", "ada")) <= guessing.AT_ONCE


async def test_persons_take_turns_and_an_address_has_one_at_a_time(watch: Guessing) -> None:
    asked = [(f"a{n}", person) for person in ("ada", "grace") for n in range(3)]
    order = await served(watch, asked)
    assert {person for _, person in order[:2]} == {"ada", "grace"}
    inside: Counter[str] = Counter()

    async def ask(source: str) -> None:
        async with watch.turn(source, "eve"):
            inside[source] += 1
            assert inside[source] == 1
            await asyncio.sleep(0)
            inside[source] -= 1

    async with asyncio.timeout(_MOST):
        await asyncio.gather(*(ask(f"b{n % 2}") for n in range(10)))


async def test_too_many_are_refused(watch: Guessing) -> None:
    async with asyncio.timeout(_MOST), asyncio.TaskGroup() as tasks:
        waiting = [
            tasks.create_task(_hold(watch, "same", f"p{n}")) for n in range(guessing.MAX_WAITING_OF_ONE + 1)
        ]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        with pytest.raises(LabboxError, match="too many wait"):
            async with watch.turn("same", "ada"):
                pass
        async with watch.turn("other", "ada"):
            pass
        for task in waiting:
            task.cancel()
    assert not watch._waiting
    assert not watch._in_work


async def _hold(watch: Guessing, source: str, person: str) -> None:
    async with watch.turn(source, person):
        await asyncio.Event().wait()
