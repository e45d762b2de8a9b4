"""Who guesses at passwords, and whose turn it is to have one looked at. With a clock.

Wrong passwords lock an *address* for passwords alone: keys from there still open. Wrong passwords for a
*user* from anywhere slow the answer for that user, and never refuse it, so nobody can lock somebody else out.
Addresses of IPv6 count by /64, which is what one household has.

Looking at a password is slow on purpose, and few are looked at at once. So there is a queue, and it is fair:
first who comes from where this person has logged in before; then the addresses with the fewest wrong ones;
among these, the persons in turn; and of one person's, the newest first, because old ones are those of whoever
keeps the queue long. One address has one password looked at at a time, and one person too.
"""

from __future__ import annotations

import asyncio
import ipaddress
import time
from collections import Counter, OrderedDict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

from labbox.errors import LabboxError
from labbox.nearby import unwrapped

FREE_FAILURES: Final = 5  # wrong passwords of one address before it waits
FIRST_WAIT: Final = 2.0  # seconds; doubles with each further one
LONGEST_WAIT: Final = 900.0  # seconds
FORGET_AFTER: Final = 3600.0  # seconds without a wrong password
SLOWEST_ANSWER: Final = 3.0  # seconds, for a user who is being guessed at
AT_ONCE: Final = 2  # passwords looked at: logins must not take all CPUs
MAX_WAITING: Final = 1000
MAX_WAITING_OF_ONE: Final = 64  # from one address
_REMEMBERED: Final = 20_000  # addresses and users; the longest untouched are forgotten first
_NAME: Final = 64  # characters of a name that are remembered


def network_of(address: str) -> str:
    """What counts as one address: IPv4 whole, in an address of IPv6 too; IPv6 by its first 64 bits."""
    try:
        parsed = unwrapped(address)
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, 64), strict=False))
    return str(parsed)


@dataclass(slots=True)
class _Record:
    failures: int = 0
    last: float = 0.0
    until: float = 0.0  # no password is looked at before


class _Memory:
    """Records by name, the least recently touched forgotten first."""

    def __init__(self) -> None:
        self._records: OrderedDict[str, _Record] = OrderedDict()

    def __len__(self) -> int:
        return len(self._records)

    def get(self, name: str, now: float) -> _Record | None:
        record = self._records.get(name)
        if record is not None and now - record.last > FORGET_AFTER:
            del self._records[name]
            return None
        return record

    def touch(self, name: str, now: float) -> _Record:
        record = self.get(name, now) or self._records.setdefault(name, _Record())
        self._records.move_to_end(name)
        if len(self._records) > _REMEMBERED:
            self._records.popitem(last=False)
        record.failures += 1
        record.last = now
        return record

    def forget(self, name: str) -> None:
        self._records.pop(name, None)


@dataclass(eq=False, slots=True)
class _Waiting:
    source: str
    person: str
    number: int
    turn: asyncio.Future[None] = field(repr=False)


class Guessing:
    """Failures by address and by user, and the queue; one for the box.

    A *source* is an address as `network_of` has it, or a person of the API's.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds and never goes back."""
        self._clock = clock
        self._sources = _Memory()
        self._users = _Memory()
        self._met: OrderedDict[tuple[str, str], None] = OrderedDict()
        self._places: OrderedDict[str, None] = OrderedDict()
        self._waiting: list[_Waiting] = []
        self._in_work: list[_Waiting] = []
        self._served: dict[str, int] = {}  # when each person's turn was last, for those who wait
        self._numbers = 0

    # Failures.

    def wait(self, source: str) -> float:
        """Seconds before a password from there is looked at again; 0 now."""
        now = self._clock()
        record = self._sources.get(source, now)
        return max(0.0, record.until - now) if record else 0.0

    def slowness(self, user: str) -> float:
        """Seconds by which the answer to a wrong password for this user is held back."""
        record = self._users.get(user[:_NAME], self._clock())
        return min(SLOWEST_ANSWER, 0.1 * record.failures) if record else 0.0

    def failed(self, source: str, user: str) -> float:
        """Count a wrong password; the seconds that the source now has to wait."""
        now = self._clock()
        self._users.touch(user[:_NAME], now)
        record = self._sources.touch(source, now)
        beyond = record.failures - FREE_FAILURES
        if beyond < 0:
            return 0.0
        pause = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(beyond, 16))
        record.until = now + pause
        return pause

    def succeeded(self, source: str, user: str) -> None:
        """A right password: this person is no guesser."""
        self._sources.forget(source)
        self._users.forget(user[:_NAME])
        self.met(source, user)

    def met(self, source: str, user: str) -> None:
        """This person logs in from there."""
        self._places[source] = None
        self._places.move_to_end(source)
        self._met[source, user] = None
        self._met.move_to_end((source, user))
        for memory in (self._places, self._met):
            if len(memory) > _REMEMBERED:
                memory.popitem(last=False)

    def knows(self, source: str) -> bool:
        """Whether somebody has logged in from there."""
        return source in self._places

    # The queue.

    @asynccontextmanager
    async def turn(self, source: str, person: str) -> AsyncIterator[None]:
        """Wait until a password of `person` ("" for nobody's) from `source` may be looked at.

        LabboxError "limit" where too many wait already.
        """
        mine = sum(one.source == source for one in self._waiting)
        if mine >= MAX_WAITING_OF_ONE or len(self._waiting) >= MAX_WAITING:
            raise LabboxError("limit", "cannot look at a password now: too many wait", "try again later")
        self._numbers += 1
        one = _Waiting(source, person, self._numbers, asyncio.get_running_loop().create_future())
        self._waiting.append(one)
        self._next()
        try:
            await one.turn
            yield
        finally:
            if one in self._in_work:
                self._in_work.remove(one)
            else:
                self._waiting.remove(one)
            self._next()

    def _next(self) -> None:
        while self._waiting and len(self._in_work) < AT_ONCE:
            sources = {one.source for one in self._in_work}
            persons = Counter(one.person for one in self._in_work)
            now = self._clock()
            ready = [
                one
                for one in self._waiting
                if one.source not in sources and (not persons[one.person] or self._has_met(one))
            ]
            if not ready:
                return
            chosen = min(ready, key=lambda one: self._rank(one, now))
            self._waiting.remove(chosen)
            self._in_work.append(chosen)
            self._numbers += 1
            self._served[chosen.person] = self._numbers
            if len(self._served) > 2 * MAX_WAITING:
                waiting = {one.person for one in self._waiting}
                self._served = {name: at for name, at in self._served.items() if name in waiting}
            if not chosen.turn.done():
                chosen.turn.set_result(None)

    def _has_met(self, one: _Waiting) -> bool:
        return (one.source, one.person) in self._met

    def _rank(self, one: _Waiting, now: float) -> tuple[bool, int, int, int]:
        record = self._sources.get(one.source, now)
        failures = record.failures if record else 0
        return not self._has_met(one), failures, self._served.get(one.person, 0), -one.number
