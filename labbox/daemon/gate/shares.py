"""What one person, and one address, may have open at once: connections, sessions, bytes under way."""

from __future__ import annotations

import asyncio
from collections import Counter, OrderedDict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

from labbox.errors import LabboxError

WINDOWS: Final = 64 << 20  # bytes that the clients of one person may have sent before they are taken
CHANNELS: Final = 1024  # that one person may have opened at once, over all connections
LEAST_WINDOW: Final = 256 * 1024  # bytes that each of them may in any case
_SAID_AFTER: Final = 1.0  # seconds of waiting before it is said
_WAITING: Final = 1000  # sessions of one person that wait


class Connections:
    """Logged-in connections by person and by address."""

    def __init__(self, most_of_one: int, most_from_one: int) -> None:
        """At most so many of one person, and so many from one address."""
        self._most_of_one = most_of_one
        self._most_from_one = most_from_one
        self._persons: Counter[str] = Counter()
        self._sources: Counter[str] = Counter()

    def add(self, person: str, source: str) -> None:
        """One more; LabboxError "limit" where it would be too many."""
        if self._persons[person] >= self._most_of_one:
            raise LabboxError(
                "limit",
                f"cannot keep more than {self._most_of_one} connections of {person}",
                "close some of the others",
            )
        if self._sources[source] >= self._most_from_one:
            raise LabboxError(
                "limit",
                f"cannot keep more than {self._most_from_one} connections from {source}",
                "close some of the others",
            )
        self._persons[person] += 1
        self._sources[source] += 1

    def remove(self, person: str, source: str) -> None:
        """One fewer."""
        for counts, name in ((self._persons, person), (self._sources, source)):
            counts[name] -= 1
            if counts[name] <= 0:
                del counts[name]


class Seats:
    """Sessions of each person: those beyond the most wait for another to end, in the order they came."""

    def __init__(self, most: int) -> None:
        """At most so many of one person run at once."""
        self._most = most
        self._taken: Counter[str] = Counter()
        self._waiting: OrderedDict[str, deque[asyncio.Future[None]]] = OrderedDict()

    def taken(self, person: str) -> int:
        """How many a person has, those that are just being started too."""
        return self._taken[person]

    def waiting(self, person: str) -> int:
        """How many wait for one."""
        return len(self._waiting.get(person, ()))

    async def take(self, person: str, seconds: float, waits: Callable[[], None]) -> None:
        """Take one, for `give_back` later; `waits` is called where it lasts.

        LabboxError "limit" where none comes free in time.
        """
        if self._taken[person] < self._most:
            self._taken[person] += 1
            return
        queue = self._waiting.setdefault(person, deque())
        if len(queue) >= _WAITING:
            raise self._too_many(person)
        mine: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        queue.append(mine)
        said = asyncio.get_running_loop().call_later(_SAID_AFTER, waits)
        try:
            async with asyncio.timeout(seconds):
                await mine  # whoever gives back hands its seat over
        except (TimeoutError, asyncio.CancelledError) as error:
            if mine.done() and not mine.cancelled():
                self.give_back(person)
            elif mine in queue:
                queue.remove(mine)
            if isinstance(error, TimeoutError):
                raise self._too_many(person) from error
            raise
        finally:
            said.cancel()
            if not queue and self._waiting.get(person) is queue:
                del self._waiting[person]

    def give_back(self, person: str) -> None:
        """One has ended."""
        queue = self._waiting.get(person, ())
        while queue:
            next_one = queue.popleft()
            if not next_one.done():
                next_one.set_result(None)
                return
        self._taken[person] -= 1
        if self._taken[person] <= 0:
            del self._taken[person]

    def _too_many(self, person: str) -> LabboxError:
        return LabboxError(
            "limit", f"cannot open more than {self._most} sessions of {person}", "close one of the others"
        )


class Channels:
    """Channels that each person has opened over all connections, whether anything runs in them or not."""

    def __init__(self) -> None:
        """Start with none."""
        self._opened: Counter[str] = Counter()

    def refuse_more(self, person: str) -> None:
        """LabboxError "limit" where one more would be too many."""
        if self._opened[person] >= CHANNELS:
            raise LabboxError(
                "limit", f"cannot open more than {CHANNELS} sessions of {person}", "close some of the others"
            )

    def add(self, person: str) -> None:
        """One more."""
        self._opened[person] += 1

    def remove(self, person: str) -> None:
        """One fewer."""
        self._opened[person] -= 1
        if self._opened[person] <= 0:
            del self._opened[person]


class Windows:
    """Bytes that clients may send before they are taken: a share for each person."""

    def __init__(self) -> None:
        """Start with none granted."""
        self._granted: Counter[str] = Counter()

    @contextmanager
    def take(self, person: str, wanted: int) -> Iterator[int]:
        """What is granted of `wanted`, for as long as it is used."""
        granted = max(min(wanted, WINDOWS - self._granted[person]), min(wanted, LEAST_WINDOW))
        self._granted[person] += granted
        try:
            yield granted
        finally:
            self._granted[person] -= granted
            if self._granted[person] <= 0:
                del self._granted[person]
