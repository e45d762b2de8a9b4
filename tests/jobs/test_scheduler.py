"""The scheduler: rules by example, and as a model with random boxes and queues."""

from __future__ import annotations

import time

import msgspec
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from labbox.daemon.jobs.queue import Queue, Waiting
from labbox.daemon.jobs.reasons import all_reasons, decisive
from labbox.daemon.jobs.scheduler import Amount, Box, Plan, Running, Share, position, schedule
from labbox.model import GIB, Limits, ReasonCode, Resources

TOTAL = Resources(cpus=8.0, memory=32 * GIB, gpus=2)
NOTHING = Resources(cpus=0.0, memory=0, gpus=0)


def need(cpus: float = 1.0, memory: int = GIB, gpus: int = 0) -> Resources:
    return Resources(cpus=cpus, memory=memory, gpus=gpus)


def job(number: int, owner: str = "ada", **more: object) -> Waiting:
    return Waiting(**{"id": number, "owner": owner, "need": need(), **more})  # type: ignore[arg-type]  # by keyword


def box(**more: object) -> Box:
    return Box(**{"now": 0.0, "total": TOTAL, **more})  # type: ignore[arg-type]  # by keyword


def test_the_user_with_the_least_recent_use_goes_first() -> None:
    queue = Queue([job(1, "ada", need=need(8)), job(2, "grace", need=need(8))])
    shares = {"ada": Share(recent=100.0), "grace": Share(recent=10.0)}
    assert schedule(box(shares=shares), queue).starts == (2,)
    heavy = {"ada": Share(recent=100.0, weight=20.0), "grace": Share(recent=10.0)}
    assert schedule(box(shares=heavy), queue).starts == (1,)


def test_room_is_shared_out_within_one_pass() -> None:
    queue = Queue([job(n, "ada") for n in range(1, 11)] + [job(n, "grace") for n in range(11, 21)])
    starts = schedule(box(), queue).starts
    assert sorted(starts) == [1, 2, 3, 4, 11, 12, 13, 14]


def test_priority_counts_in_ones_own_queue_only() -> None:
    queue = Queue([job(1, need=need(8)), job(2, need=need(8), priority=5), job(3, "grace", need=need(8))])
    assert schedule(box(shares={"grace": Share(recent=1.0)}), queue).starts == (2,)
    assert schedule(box(shares={"ada": Share(recent=1.0)}), queue).starts == (3,)


def test_backfill_only_where_it_ends_before_the_reservation() -> None:
    running = (Running(job=90, owner="eve", need=need(6), ends_at=100.0),)
    waiting = [job(1, need=need(8)), job(2, time_limit=99.0), job(3, time_limit=101.0), job(4)]
    plan = schedule(box(running=running), Queue(waiting))
    assert plan.starts == (2,)
    assert plan.reservation is not None
    assert (plan.reservation.job, plan.reservation.at) == (1, 100.0)
    beside = [job(1, need=need(7)), job(2), job(3)]
    assert schedule(box(running=running), Queue(beside)).starts == (2,)  # one CPU is left beside job 1


def test_without_time_limits_nobody_takes_what_the_first_one_lacks() -> None:
    running = (Running(job=90, owner="eve", need=need(6)),)
    assert schedule(box(running=running), Queue([job(1, need=need(8)), job(2)])).starts == ()
    gpus = (Running(job=90, owner="eve", need=need(1, gpus=2)),)
    waiting = [
        job(1, need=need(4, gpus=1)),
        job(2, need=need(3)),
        job(3, need=need(3)),
        job(4, need=need(1, gpus=1)),
    ]
    assert schedule(box(running=gpus), Queue(waiting)).starts == (2,)


def test_what_can_never_run_holds_nobody_up() -> None:
    plan = schedule(box(), Queue([job(1, need=need(100)), job(2)]))
    assert plan.starts == (2,)
    assert plan.reservation is None


def test_limits_hold_up_their_owner_only() -> None:
    shares = {"ada": Share(limits=Limits(running_jobs=1, gpus=0))}
    waiting = [
        job(1, "ada", need=need(gpus=1)),
        job(2, "ada"),
        job(3, "ada"),
        job(4, "grace", need=need(8, gpus=2)),
    ]
    plan = schedule(box(shares=shares), Queue(waiting))
    assert plan.starts == (2,)
    array = [job(n, array=7, parallel=2) for n in range(1, 6)]
    assert len(schedule(box(), Queue(array)).starts) == 2
    running = (Running(job=9, owner="ada", need=need(), array=7),)
    assert len(schedule(box(running=running), Queue(array)).starts) == 1


def test_a_groups_limit_holds_up_its_own_jobs_only() -> None:
    sims = [job(n, group="sims") for n in range(1, 6)]
    others = [job(6), job(7, group="plots"), job(8, "grace", group="sims")]
    here = box(groups={("ada", "sims"): 2})
    plan = schedule(here, Queue([*sims, *others]))
    assert set(plan.starts) == {1, 2, 6, 7, 8}
    assert plan.grouped == {("ada", "sims"): 2, ("ada", "plots"): 1, ("grace", "sims"): 1}
    (reason,) = all_reasons(here, Queue(sims), plan, sims[4])
    assert (reason.code, reason.text) == (
        ReasonCode.LIMIT,
        "2 of group sims run already, its limit is 2",
    )
    running = tuple(Running(job=-n, owner="ada", need=need(), group="sims") for n in range(3))
    lowered = msgspec.structs.replace(here, running=running)
    assert schedule(lowered, Queue(sims)).starts == ()
    raised = msgspec.structs.replace(lowered, groups={("ada", "sims"): 4})
    assert schedule(raised, Queue(sims)).starts == (1,)
    without = msgspec.structs.replace(lowered, groups={})
    assert schedule(without, Queue(sims)).starts == (1, 2, 3, 4, 5)


def copy(number: int, owner: str = "ada", **more: object) -> Waiting:
    return job(number, owner, **{"need": NOTHING, "group": "transfers", "transfer": True, **more})


def test_transfers_need_neither_engine_nor_disk_nor_room_and_two_run_at_once() -> None:
    full = (Running(job=90, owner="eve", need=need(8)),)
    here = box(running=full, engine="it is stopped", disk="the disk is full")
    queue = Queue([job(1), *(copy(n) for n in range(2, 6)), copy(6, "grace"), copy(7, priority=9)])
    plan = schedule(here, queue)
    assert set(plan.starts) == {7, 2, 6}
    assert plan.held == {"eve": plan.held["eve"]}
    (reason,) = all_reasons(here, queue, plan, copy(5))
    assert (reason.code, reason.text) == (
        ReasonCode.LIMIT,
        "2 of group transfers run already, its limit is 2",
    )
    limited = {"ada": Share(limits=Limits(running_jobs=0, cpus=0.0, memory=0))}
    assert schedule(box(shares=limited), Queue([copy(1)])).starts == (1,)
    for limit, starts in ((None, 4), (3, 3), (1, 1)):
        there = box(groups={("ada", "transfers"): limit})
        assert len(schedule(there, Queue([copy(n) for n in range(1, 5)])).starts) == starts
    assert len(schedule(box(), Queue([copy(n, group="sims") for n in range(1, 5)])).starts) == 4


def test_a_transfer_takes_nothing_from_the_runs_of_its_owner() -> None:
    copies = tuple(Running(job=-n, owner="ada", need=NOTHING, transfer=True) for n in range(50))
    queue = Queue([job(1, "ada", need=need(8)), job(2, "grace", need=need(8))])
    shares = {"ada": Share(limits=Limits(running_jobs=1)), "grace": Share(recent=1.0)}
    assert schedule(box(running=copies, shares=shares), queue).starts == (1,)


def test_the_queue_stands_jobs_aside_until_their_time() -> None:
    queue = Queue([job(1, not_before=10.0), job(2, held=True), job(3, after=frozenset({1}))])
    assert schedule(box(), queue).starts == ()
    assert queue.next_due() == 10.0
    queue.advance(10.0)
    assert queue.next_due() is None
    assert schedule(box(now=10.0), queue).starts == (1,)
    assert queue.dependants(1)[0].id == 3
    queue.remove(1)
    assert len(queue) == 2


def test_position_is_the_place_in_the_fair_order() -> None:
    waiting = [job(1), job(2), job(3, "grace"), job(4, "grace", held=True)]
    queue = Queue(waiting)
    assert [position(box(), queue, one) for one in waiting] == [1, 3, 2, None]


def test_a_pass_over_ten_thousand_jobs_costs_little_more_than_one_over_a_thousand() -> None:
    running = tuple(Running(job=-n, owner=f"user{n}", need=need(1)) for n in range(8))
    for crowd in ((), running):
        few, many = _cost_of_a_pass(1_000, crowd), _cost_of_a_pass(10_000, crowd)
        assert many < 4 * few


def _cost_of_a_pass(count: int, crowd: tuple[Running, ...]) -> float:
    """CPU seconds, the least of several."""
    waiting = [job(n, f"user{n % 20}", need=need(1 + n % 4, (1 + n % 7) * GIB)) for n in range(count)]
    queue = Queue(waiting)
    took = []
    for _ in range(9):
        began = time.process_time()
        schedule(box(running=crowd), queue)
        took.append(time.process_time() - began)
    return min(took)


_OWNERS = st.sampled_from(["ada", "grace", "eve"])
_NEEDS = st.builds(
    need,
    st.sampled_from([0.5, 1.0, 2.0, 4.0, 8.0]),
    st.integers(1, 16).map(lambda n: n * GIB),
    st.integers(0, 2),
)
_LIMITS = st.builds(
    Limits,
    running_jobs=st.none() | st.integers(1, 4),
    cpus=st.none() | st.sampled_from([1.0, 4.0]),
    memory=st.none() | st.just(8 * GIB),
    gpus=st.none() | st.integers(0, 1),
)
_GROUPS = st.sampled_from([None, "sims", "sims", "plots"])
_TRANSFER_GROUPS = st.sampled_from(["transfers", "transfers", "sims"])
_PARALLEL = st.sampled_from([None, None, 1, 2])
_SOME = st.sampled_from([False, False, True])
_TIMES = st.none() | st.sampled_from([10.0, 60.0, 600.0])


@st.composite
def worlds(draw: st.DrawFn) -> tuple[Box, list[Waiting]]:
    """A box that was filled by the scheduler's own rules, and jobs of all kinds that wait."""
    running: list[Running] = []
    left = Amount.of(TOTAL)
    for number in range(draw(st.integers(0, 6))):
        wanted = draw(_NEEDS)
        if Amount.of(wanted).fits(left):
            left = left.minus(Amount.of(wanted))
            array = draw(st.sampled_from([None, 500]))
            group = draw(_GROUPS)
            running.append(
                Running(
                    job=100 + number,
                    owner=draw(_OWNERS),
                    need=wanted,
                    ends_at=draw(_TIMES),
                    array=array,
                    group=group,
                )
            )
    shares = {
        owner: Share(
            recent=draw(st.sampled_from([0.0, 50.0, 5000.0])),
            weight=draw(st.sampled_from([0.5, 1.0, 3.0])),
            limits=draw(_LIMITS),
        )
        for owner in ("ada", "grace", "eve")
    }
    running += [
        Running(
            job=200 + number, owner=draw(_OWNERS), need=NOTHING, group=draw(_TRANSFER_GROUPS), transfer=True
        )
        for number in range(draw(st.integers(0, 3)))
    ]
    waiting = [
        Waiting(
            id=number,
            owner=draw(_OWNERS),
            need=NOTHING if (transfer := draw(_SOME)) else draw(_NEEDS),
            transfer=transfer,
            priority=draw(st.integers(-1, 1)),
            time_limit=draw(_TIMES),
            held=draw(st.sampled_from([False, False, False, True])),
            not_before=draw(st.sampled_from([None, None, None, 5.0])),
            after=draw(st.sampled_from([frozenset[int](), frozenset[int](), frozenset({999})])),
            array=500 if (parallel := None if transfer else draw(_PARALLEL)) else None,
            parallel=parallel,
            group=draw(_TRANSFER_GROUPS if transfer else _GROUPS),
        )
        for number in range(1, draw(st.integers(1, 10)) + 1)
    ]
    engine = draw(st.sampled_from(["", "", "", "it is stopped"]))
    disk = draw(st.sampled_from(["", "", "", "the disk is full"]))
    names = st.tuples(_OWNERS, st.sampled_from(["sims", "plots", "transfers"]))
    groups = draw(st.dictionaries(names, st.none() | st.integers(1, 2), min_size=3))
    return box(running=tuple(running), shares=shares, groups=groups, engine=engine, disk=disk), waiting


def after(plan: Plan, here: Box, waiting: list[Waiting]) -> tuple[Box, list[Waiting]]:
    """The world once the plan's starts are made."""
    started = [one for one in waiting if one.id in plan.starts]
    running = tuple(
        Running(
            job=one.id,
            owner=one.owner,
            need=one.need,
            ends_at=None if one.time_limit is None else here.now + one.time_limit,
            array=one.array,
            group=one.group,
            transfer=one.transfer,
        )
        for one in started
    )
    left = [one for one in waiting if one.id not in plan.starts]
    return msgspec.structs.replace(here, running=here.running + running), left


@settings(max_examples=300, deadline=None)
@given(worlds())
def test_never_more_than_there_is(world: tuple[Box, list[Waiting]]) -> None:
    here, waiting = world
    plan = schedule(here, Queue(waiting))
    by_id = {one.id: one for one in waiting}
    assert len(set(plan.starts)) == len(plan.starts)
    assert all(part >= 0 for part in plan.free)
    assert all(by_id[n].transfer for n in plan.starts) or not (here.engine or here.disk)
    for number in plan.starts:
        one = by_id[number]
        assert not one.held
        assert not one.after
        assert one.not_before is None
    for owner, held in plan.held.items():
        before = sum(1 for one in here.running if one.owner == owner and not one.transfer)
        limits = here.shares[owner].limits
        assert held.jobs == before or limits.running_jobs is None or held.jobs <= limits.running_jobs
    named = {(one.owner, one.group or "") for one in here.running}
    named |= {(one.owner, one.group or "") for one in waiting}
    named -= {(owner, "") for owner in ("ada", "grace", "eve")}
    for owner, name in named:
        limit = here.groups.get((owner, name), 2 if name == "transfers" else None)
        before = sum(1 for one in here.running if (one.owner, one.group) == (owner, name))
        started = sum((by_id[n].owner, by_id[n].group) == (owner, name) for n in plan.starts)
        assert started == 0 or limit is None or before + started <= limit
        assert plan.grouped.get((owner, name), 0) == before + started


@st.composite
def crowds(draw: st.DrawFn) -> tuple[Box, list[Waiting]]:
    """A box that is nearly full, all with time limits, and a large job in front of many small ones."""
    full = draw(st.lists(st.sampled_from([10.0, 60.0, 600.0]), min_size=1, max_size=7))
    running = tuple(Running(job=100 + n, owner="eve", need=need(), ends_at=end) for n, end in enumerate(full))
    large = job(1, "ada", need=need(draw(st.sampled_from([8.0 - len(full) + 1, 8.0]))))
    small = draw(st.lists(st.tuples(_NEEDS, _TIMES, _OWNERS), max_size=12))
    others = [
        job(n, owner, need=size, time_limit=time) for n, (size, time, owner) in enumerate(small, start=2)
    ]
    shares = {"ada": Share(recent=-1.0), "grace": Share(recent=draw(st.sampled_from([0.0, 500.0])))}
    return box(running=running, shares=shares), [large, *others]


@settings(max_examples=300, deadline=None)
@given(crowds())
def test_backfill_delays_nobody_with_a_reservation(world: tuple[Box, list[Waiting]]) -> None:
    here, waiting = world
    plan = schedule(here, Queue(waiting))
    assert plan.reservation is not None
    assert plan.reservation.at is not None
    first = next(one for one in waiting if one.id == plan.reservation.job)
    there, _ = after(plan, here, waiting)
    # even where everything runs as long as it may, there is room at the reserved time
    room = Amount.of(TOTAL)
    for one in there.running:
        if one.ends_at is None or max(one.ends_at, here.now) > plan.reservation.at:
            room = room.minus(Amount.of(one.need))
    assert Amount.of(first.need).fits(room)


@settings(max_examples=400, deadline=None)
@given(worlds(), st.data())
def test_every_reason_is_proved_by_removing_it(world: tuple[Box, list[Waiting]], data: st.DataObject) -> None:
    here, waiting = world
    plan = schedule(here, Queue(waiting))
    here, left = after(plan, here, waiting)
    plan = schedule(here, Queue(left))
    assume(not plan.starts and left)
    one = data.draw(st.sampled_from(left))
    queue = Queue(left)
    found = all_reasons(here, queue, plan, one)
    codes = [reason.code for reason in found]
    assert codes
    assert decisive(here, queue, plan, one) == found[0]
    assert _starts_without(here, left, one, set(codes)), "with all reasons removed it starts"
    for kept in set(codes):
        assert not _starts_without(here, left, one, set(codes) - {kept}), f"{kept} alone holds it"


def _starts_without(here: Box, left: list[Waiting], one: Waiting, removed: set[ReasonCode]) -> bool:
    """Whether the job starts once these reasons are removed, as people would remove them."""
    changed, others, total, shares = (
        one,
        [other for other in left if other is not one],
        here.total,
        dict(here.shares),
    )
    engine, disk, groups = here.engine, here.disk, dict(here.groups)
    if ReasonCode.HELD in removed:
        changed = msgspec.structs.replace(changed, held=False)
    if ReasonCode.DELAYED in removed:
        changed = msgspec.structs.replace(changed, not_before=None)
    if ReasonCode.DEPENDENCY in removed:
        changed = msgspec.structs.replace(changed, after=frozenset())
    if ReasonCode.NO_ENGINE in removed:
        engine = ""
    if ReasonCode.DISK in removed:
        disk = ""
    if ReasonCode.LIMIT in removed:
        changed = msgspec.structs.replace(changed, parallel=None)
        shares[one.owner] = msgspec.structs.replace(shares[one.owner], limits=Limits())
        groups[one.owner, one.group or ""] = None
    if ReasonCode.NO_ROOM in removed:
        total = Resources(
            cpus=total.cpus + one.need.cpus,
            memory=total.memory + one.need.memory,
            gpus=total.gpus + one.need.gpus,
        )
    if ReasonCode.SHARE in removed:
        others = []
    there = msgspec.structs.replace(here, total=total, shares=shares, groups=groups, engine=engine, disk=disk)
    return one.id in schedule(there, Queue([changed, *others])).starts
