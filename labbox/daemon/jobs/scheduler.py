"""Who starts next: a pure function from the box and the queue to starts and a reservation.

The rule, exactly:

*Cost.* A job costs, per second in which it holds its resources, the largest of: its CPUs;
its part of the box's memory times the box's CPUs; its part of the box's GPUs times the box's CPUs. So the
unit is CPU-seconds.

*Recent use.* R(u) is the sum of all that user u's jobs cost so far, each second's cost halved once per
half-life since (`JobSettings.half_life_hours`). See `shares.py`.

*Score.* S(u) = (R(u) + LOOKAHEAD × cost per second of u's jobs that run or start in this pass) / weight(u).
The user with the smallest score goes next, at equal scores the one whose first job is oldest. So while
everybody has something waiting, recent use tends to be in proportion to the weights, and what somebody leaves
unused goes to the others by the same rule.

*Within a user.* Higher priority first, then the order of submission. A priority never counts against other
users.

*Limits.* A job that would exceed a limit of its owner, its array's `parallel`, or the limit of its group, is
passed over and holds nobody up.

*Barred.* Nothing of somebody whose account is suspended or has expired starts, transfers included, and it
holds nobody up.

*Transfers* are done by processes of their owners, beside the containers: they cost nothing, take no room,
count against no limit but that of their group, and wait neither for the engine nor for disk, which a deletion
is to make free. The group of those that were put into none has a limit by itself (`groups.default_parallel`).

*Room.* The first job in this order for which there is no room gets the one reservation (EASY): the earliest
time at which it surely has room, from the time limits of what runs. A later job may start before it only
where that surely does not move the reservation: it ends by its time limit before that, or it fits beside the
reserved job. Where the reservation has no time, because something without a time limit must end first, a
later job may take only what the reserved job does not lack: it takes nothing of a resource unless enough of
it for the reserved job stays free. So large jobs do not starve, and jobs with a time limit start sooner.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from labbox.daemon.jobs.queue import Key, Queue, Shape, Waiting, shape_of
from labbox.groups import default_parallel
from labbox.model import Limits, Resources, Value

LOOKAHEAD: Final = 60.0  # seconds: how much of its future a running job is charged in advance


class Running(Value):
    """A job that holds resources; `ends_at` by its time limit, in seconds on the clock of `Box.now`."""

    job: int
    owner: str
    need: Resources
    ends_at: float | None = None
    array: int | None = None
    group: str | None = None
    transfer: bool = False


class Share(Value):
    """What the rule knows of a user; `recent` in CPU-seconds, decayed to `Box.now`."""

    recent: float = 0.0
    weight: float = 1.0
    limits: Limits = Limits()
    barred: str = ""  # why nothing of theirs starts, in a sentence


class Box(Value):
    """The box at one moment; `engine` and `disk` say in a sentence why no container may start, or are empty.

    `groups` says how many jobs of an owner's group run at once, None where it is said that any number may.
    """

    now: float
    total: Resources
    running: tuple[Running, ...] = ()
    shares: Mapping[str, Share] = {}
    groups: Mapping[tuple[str, str], int | None] = {}
    transfers: int | None = None  # of one owner at once, whatever their groups; None: no limit
    engine: str = ""
    disk: str = ""

    def limit_of(self, owner: str, group: str) -> int | None:
        """How many jobs of a group may run at once; None: no limit."""
        key = (owner, group)
        return self.groups[key] if key in self.groups else default_parallel(group)


class Reservation(Value):
    """The first job without room; `at` None where no time limits tell when it will have room."""

    job: int
    owner: str
    at: float | None


class Amount(NamedTuple):
    """Resources in whole units, so that sums are exact: thousandths of a CPU, bytes, GPUs."""

    cpus: int
    memory: int
    gpus: int

    @classmethod
    def of(cls, need: Resources) -> Amount:
        """These resources in whole units."""
        return cls(round(need.cpus * 1000), need.memory, need.gpus)

    def fits(self, room: Amount) -> bool:
        """Whether there is room for it."""
        return self.cpus <= room.cpus and self.memory <= room.memory and self.gpus <= room.gpus

    def plus(self, other: Amount) -> Amount:
        """Both together."""
        return Amount(self.cpus + other.cpus, self.memory + other.memory, self.gpus + other.gpus)

    def minus(self, other: Amount) -> Amount:
        """What is left of it."""
        return Amount(self.cpus - other.cpus, self.memory - other.memory, self.gpus - other.gpus)


NOTHING: Final = Amount(0, 0, 0)
ANY_GROUP: Final = ""  # under which an owner's transfers of all groups are counted


class Held(NamedTuple):
    """What one user's jobs hold."""

    jobs: int
    amount: Amount


class Plan(NamedTuple):
    """What a pass decided, and how the box stands once the starts are made."""

    starts: tuple[int, ...]
    reservation: Reservation | None
    free: Amount
    held: Mapping[str, Held]
    elements: Mapping[int, int]  # running elements of each array
    grouped: Mapping[tuple[str, str], int]  # running jobs of each owner's group


def cost_rate(need: Resources, total: Resources) -> float:
    """What a job costs per second, in CPUs; see the rule."""
    memory = need.memory / total.memory * total.cpus if total.memory else 0.0
    gpus = need.gpus / total.gpus * total.cpus if total.gpus else 0.0
    return max(need.cpus, memory, gpus)


def exceeds(limits: Limits, held: Held, need: Amount) -> bool:
    """Whether one more job of this size would be more than the user may have at once."""
    after = held.amount.plus(need)
    return (
        (limits.running_jobs is not None and held.jobs >= limits.running_jobs)
        or (limits.cpus is not None and after.cpus > round(limits.cpus * 1000))
        or (limits.memory is not None and after.memory > limits.memory)
        or (limits.gpus is not None and need.gpus > 0 and after.gpus > limits.gpus)
    )


def schedule(box: Box, queue: Queue) -> Plan:
    """Decide what starts now; `queue` must have been advanced to `box.now`."""
    return _Pass(box, queue, None).run()


def would_start(box: Box, queue: Queue, job: Waiting) -> bool:
    """Whether the job would start now if it stood in the queue as given here."""
    return job.id in _Pass(box, queue, job).run().starts


def position(box: Box, queue: Queue, job: Waiting) -> int | None:
    """The job's place in line, from 1, in the order in which jobs would start; None if it is not in line."""
    if not queue.is_ready(job):
        return None
    for place, other in enumerate(_Pass(box, queue, None).order(), start=1):
        if other == job.id:
            return place
    return None


class _Pass:
    """One pass: its own counts, so that box and queue stay untouched."""

    def __init__(self, box: Box, queue: Queue, instead: Waiting | None) -> None:
        """`instead`: a job that is to be taken as given here, whatever the queue says of it."""
        self._box = box
        self._instead = instead
        self._groups = {owner: all_ for owner, all_ in queue.groups().items() if not self._is_barred(owner)}
        self._total = Amount.of(box.total)
        self._free = self._total
        self._held: dict[str, Held] = {}
        self._rates: dict[str, float] = {}
        self._elements: dict[int, int] = {}
        self._grouped: dict[tuple[str, str], int] = {}
        self._ends: list[tuple[float | None, Amount]] = []
        self._starts: list[int] = []
        self._refused: set[Shape] = set()  # by room: free only shrinks, so what is refused stays refused
        self._reservation: Reservation | None = None
        self._head = NOTHING
        self._beside: Amount | None = None  # what the reserved job leaves free at its time
        for running in box.running:
            self._take(
                running.owner,
                running.need,
                running.ends_at,
                running.array,
                running.group,
                transfer=running.transfer,
            )

    def run(self) -> Plan:
        self._start_all()
        return Plan(
            tuple(self._starts), self._reservation, self._free, self._held, self._elements, self._grouped
        )

    def order(self) -> Iterator[int]:
        """All ready jobs in fair order, as if there were room and limits for all."""
        candidates = self._candidates()
        line = [(self._score(owner), heads[0][0][1], owner) for owner, heads in candidates.items()]
        heapq.heapify(line)
        while line:
            _, _, owner = heapq.heappop(line)
            heads = candidates[owner]
            key, place, shape, keys = heapq.heappop(heads)
            yield key[1]
            self._charge(owner, _need(shape))
            _push_next(heads, shape, keys, place)
            if heads:
                heapq.heappush(line, (self._score(owner), heads[0][0][1], owner))

    def _is_barred(self, owner: str) -> bool:
        share = self._box.shares.get(owner)
        return share is not None and bool(share.barred)

    def _candidates(self) -> dict[str, list[_Head]]:
        found: dict[str, list[_Head]] = {}
        for owner, groups in self._groups.items():
            heads: list[_Head] = [(keys[0], 0, shape, keys) for shape, keys in groups.items()]
            heapq.heapify(heads)
            found[owner] = heads
        job = self._instead
        if job is not None and not self._is_barred(job.owner):
            heapq.heappush(found.setdefault(job.owner, []), (job.key, -1, shape_of(job), (job.key,)))
        return found

    def _start_all(self) -> None:
        candidates = self._candidates()
        line = [(self._score(owner), heads[0][0][1], owner) for owner, heads in candidates.items()]
        heapq.heapify(line)
        while line:
            score, _, owner = heapq.heappop(line)
            heads = candidates[owner]
            key, place, shape, keys = heapq.heappop(heads)
            if self._instead is not None and key[1] == self._instead.id and place >= 0:
                _push_next(heads, shape, keys, place)
            elif self._may_start(owner, key[1], shape):
                need = _need(shape)
                ends = None if shape.time_limit is None else self._box.now + shape.time_limit
                self._starts.append(key[1])
                self._take(owner, need, ends, shape.array, shape.group, transfer=shape.transfer)
                _push_next(heads, shape, keys, place)
                score = self._score(owner)
            if heads:
                heapq.heappush(line, (score, heads[0][0][1], owner))

    def _may_start(self, owner: str, job: int, shape: Shape) -> bool:
        if shape in self._refused or not (shape.transfer or self._containers_start):
            return False
        need = Amount.of(_need(shape))
        if shape.array is not None and shape.parallel is not None:
            if self._elements.get(shape.array, 0) >= shape.parallel:
                return False
        if shape.group is not None:
            limit = self._box.limit_of(owner, shape.group)
            if limit is not None and self._grouped.get((owner, shape.group), 0) >= limit:
                return False
        if shape.transfer:
            most = self._box.transfers
            return most is None or self._grouped.get((owner, ANY_GROUP), 0) < most
        share = self._box.shares.get(owner)
        if share is not None and exceeds(share.limits, self._held.get(owner, Held(0, NOTHING)), need):
            return False
        if need.fits(self._free) and self._delays_nobody(need, shape.time_limit):
            return True
        self._refused.add(shape)
        if self._reservation is None and need.fits(self._total):
            self._reserve(owner, job, need)
        return False

    @property
    def _containers_start(self) -> bool:
        """Whether any container could: without CPUs or memory left, none fits and none need be looked at."""
        box = self._box
        return not (box.engine or box.disk) and self._free.cpus > 0 and self._free.memory > 0

    def _reserve(self, owner: str, job: int, need: Amount) -> None:
        """Find the earliest time at which the job surely has room."""
        self._head = need
        room, at = self._free, None
        for end, amount in sorted((end, amount) for end, amount in self._ends if end is not None):
            if at is not None and end > at:
                break
            room = room.plus(amount)
            if at is None and need.fits(room):
                at = max(end, self._box.now)
        if at is not None:
            self._beside = room.minus(need)
        self._reservation = Reservation(job=job, owner=owner, at=at)

    def _delays_nobody(self, need: Amount, time_limit: float | None) -> bool:
        reserved = self._reservation
        if reserved is None:
            return True
        if all(
            wanted == 0 or free - wanted >= head
            for wanted, free, head in zip(need, self._free, self._head, strict=True)
        ):
            if self._beside is not None:
                self._beside = self._beside.minus(need)
            return True
        if reserved.at is None or self._beside is None:
            return False
        if time_limit is not None and self._box.now + time_limit <= reserved.at:
            return True
        if need.fits(self._beside):
            self._beside = self._beside.minus(need)
            return True
        return False

    def _take(
        self,
        owner: str,
        need: Resources,
        ends: float | None,
        array: int | None,
        group: str | None,
        *,
        transfer: bool,
    ) -> None:
        if group is not None:
            self._grouped[owner, group] = self._grouped.get((owner, group), 0) + 1
        if transfer:
            self._grouped[owner, ANY_GROUP] = self._grouped.get((owner, ANY_GROUP), 0) + 1
            return
        amount = Amount.of(need)
        self._free = self._free.minus(amount)
        held = self._held.get(owner, Held(0, NOTHING))
        self._held[owner] = Held(held.jobs + 1, held.amount.plus(amount))
        self._ends.append((ends, amount))
        if array is not None:
            self._elements[array] = self._elements.get(array, 0) + 1
        self._charge(owner, need)

    def _charge(self, owner: str, need: Resources) -> None:
        self._rates[owner] = self._rates.get(owner, 0.0) + cost_rate(need, self._box.total)

    def _score(self, owner: str) -> float:
        share = self._box.shares.get(owner) or Share()
        return (share.recent + LOOKAHEAD * self._rates.get(owner, 0.0)) / share.weight


_Head = tuple[Key, int, Shape, Sequence[Key]]  # a key, its place in its group, the group and its keys


def _push_next(heads: list[_Head], shape: Shape, keys: Sequence[Key], place: int) -> None:
    if 0 <= place < len(keys) - 1:
        heapq.heappush(heads, (keys[place + 1], place + 1, shape, keys))


def _need(shape: Shape) -> Resources:
    return Resources(cpus=shape.cpus, memory=shape.memory, gpus=shape.gpus)
