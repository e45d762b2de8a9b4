"""Who may begin a login, with a clock of the test's."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from labbox.daemon.gate import porch
from labbox.daemon.gate.porch import Porch


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class One:
    """A newcomer that notes what is done to it."""

    def __init__(self, source: str) -> None:
        self.source = source
        self.number = 0
        self.heard = 0.0
        self.greeted = False
        self.begun = False
        self.told = ""

    def begin(self) -> None:
        assert not self.begun
        self.begun = True

    def end(self, sentence: str) -> None:
        assert not self.told
        self.told = sentence


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def gate(clock: Clock) -> Porch:
    return Porch(at_once=20, at_once_per_address=8, per_second=10, clock=clock)


def knock(gate: Porch, source: str, count: int = 1) -> list[One]:
    ones = [One(source) for _ in range(count)]
    for one in ones:
        gate.knock(one)
    return ones


def test_those_beyond_an_addresses_places_wait_and_are_let_in_in_order(gate: Porch) -> None:
    ones = knock(gate, "a", 40)
    assert [one.begun for one in ones] == [True] * 8 + [False] * 32
    assert (gate.inside, gate.waiting) == (8, 32)
    for number in range(40):
        assert ones[number].begun
        gate.leave(ones[number])
    assert (gate.inside, gate.waiting) == (0, 0)
    assert not any(one.told for one in ones)


def test_an_address_begins_so_many_a_second(gate: Porch, clock: Clock) -> None:
    begun = []
    for _ in range(porch.BURST + 50):
        (one,) = knock(gate, "a")
        if one.begun:
            begun.append(one)
            gate.leave(one)
    assert len(begun) == porch.BURST
    (other,) = knock(gate, "b")
    assert other.begun
    before = gate.waiting
    clock.now += 1
    for _ in range(10):  # each that leaves lets the next one in
        gate.admit()
        for begun_now in list(gate._inside.get("a", [])):
            gate.leave(begun_now)
    assert before - gate.waiting == 10


def test_the_address_with_the_most_makes_room_for_another_at_once(gate: Porch, clock: Clock) -> None:
    silent = [*knock(gate, "a", 8), *knock(gate, "b", 8), *knock(gate, "c", 4)]
    assert gate.inside == 20
    clock.now += porch.PATIENCE_MOST
    silent[0].heard = clock.now
    (late,) = knock(gate, "d")
    assert late.begun
    assert [one for one in silent if one.told] == [silent[1]]
    assert "others want to log in" in silent[1].told


def test_silent_ones_of_many_addresses_make_way_after_a_second(gate: Porch, clock: Clock) -> None:
    silent = [one for number in range(20) for one in knock(gate, f"address {number}")]
    (late,) = knock(gate, "late")
    assert not late.begun
    clock.now += porch.PATIENCE_FULL
    gate.admit()
    assert late.begun
    assert sum(bool(one.told) for one in silent) == 1


@pytest.mark.attack("S7")
def test_a_known_addresss_newcomer_makes_way_for_no_flood(clock: Clock, tried: Callable[..., None]) -> None:
    gate = Porch(
        at_once=20, at_once_per_address=8, per_second=10, knows=lambda source: source == "known", clock=clock
    )
    (known,) = knock(gate, "known")  # the one that has been silent longest
    clock.now += 0.01
    flood = [one for number in range(19) for one in knock(gate, f"address {number}")]
    for number in range(40):
        clock.now += porch.PATIENCE_FULL
        tried()
        flood += knock(gate, f"late {number}")
        gate.admit()
    assert not known.told
    assert sum(bool(one.told) for one in flood) == 40


def test_who_types_a_password_is_waited_for(gate: Porch, clock: Clock) -> None:
    typing = knock(gate, "a", 8)
    for one in typing:
        one.greeted = True
    (late,) = knock(gate, "a")
    clock.now += porch.PATIENCE
    gate.admit()
    assert not late.begun
    clock.now += porch.PATIENCE_GREETED
    gate.admit()
    assert late.begun


def test_silent_ones_before_the_exchange_go_before_who_types(gate: Porch, clock: Clock) -> None:
    ones = knock(gate, "a", 8)
    for one in ones[:7]:
        one.greeted = True
    clock.now += 1000
    knock(gate, "a")
    assert [one for one in ones if one.told] == [ones[7]]


@pytest.mark.attack("S7")
def test_no_flood_keeps_another_address_out(gate: Porch, clock: Clock, tried: Callable[..., None]) -> None:
    tried(5 * porch.MAX_WAITING)
    for number in range(5 * porch.MAX_WAITING):
        knock(gate, f"flood {number % 300}")
        if number % 100 == 0:
            clock.now += 0.01
    assert gate.waiting <= porch.MAX_WAITING
    (late,) = knock(gate, "late")
    waited = 0.0
    while not late.begun:
        clock.now += 0.05
        waited += 0.05
        gate.admit()
        assert waited < 1.5
    assert not late.told


def test_of_too_many_that_wait_the_most_numerous_are_told_to_go(gate: Porch) -> None:
    many = knock(gate, "a", porch.MAX_WAITING + 8)
    few = knock(gate, "b", 8)
    few += knock(gate, "c", 8)
    assert not any(one.told for one in few)
    away = [one for one in many if one.told]
    assert away
    assert all("too many others from your address" in one.told for one in away)
    assert "2,0" in gate.report()
    assert gate.report() == ""


def test_one_that_goes_while_it_waits_is_forgotten(gate: Porch) -> None:
    ones = knock(gate, "a", 10)
    gate.leave(ones[8])
    gate.leave(ones[0])
    assert ones[9].begun
    assert not ones[8].begun
    assert gate.waiting == 0
