"""Who may begin a login, and who waits for their turn: caps before the login. Pure, with a clock.

A connection that has not logged in yet is a *newcomer*. So many may be inside at once, so many of them from
one address, and each address begins so many logins a second; the others wait, unread. Of one address they
are let in in the order in which they came. Of the addresses those come first from which somebody has logged
in before, then those with the fewest inside, then the newest: the old ones are those of whoever keeps the
queue long.

Where newcomers hold the places and say nothing, the one that has been silent longest goes when another wants
in: first those of the address that holds most. So no address, and no number of silent ones, keeps the others
out.

Addresses of IPv6 count by /64, which is what one household has.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from collections.abc import Callable
from typing import Final, Protocol

from labbox.text import counted

MAX_WAITING: Final = 2000  # connections that wait to begin; each holds a descriptor and nothing else
BURST: Final = 100  # logins of one address that begin at once, before its rate counts
PATIENCE: Final = 20.0  # seconds of silence before a newcomer makes way for one from the same address
PATIENCE_GREETED: Final = 30.0  # the same once keys are exchanged: a person is typing a password
PATIENCE_MOST: Final = (
    0.25  # seconds of silence before one of the most numerous makes way for another address
)
PATIENCE_FULL: Final = 0.5  # seconds of silence where every address has as few inside as the other
_REMEMBERED: Final = 20_000  # addresses whose rate is kept


class Newcomer(Protocol):
    """A connection before its login."""

    source: str
    number: int  # in the order in which they came, given by the porch
    heard: float  # when it last came a step further, on the porch's clock: bytes alone are none
    greeted: bool  # keys are exchanged

    def begin(self) -> None:
        """Its turn has come."""

    def end(self, sentence: str) -> None:
        """Send it away."""


class _Rate:
    """A bucket that fills with time."""

    __slots__ = ("level", "seen")

    def __init__(self, now: float) -> None:
        self.level = float(BURST)
        self.seen = now

    def fill(self, now: float, per_second: float) -> None:
        self.level = min(float(BURST), self.level + (now - self.seen) * per_second)
        self.seen = now


class Porch:
    """All newcomers of one gate."""

    def __init__(
        self,
        *,
        at_once: int,
        at_once_per_address: int,
        per_second: int,
        knows: Callable[[str], bool] = lambda _source: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`knows`: whether somebody has logged in from an address; `clock` counts seconds."""
        self._most = at_once
        self._most_of_one = at_once_per_address
        self._per_second = per_second
        self._knows = knows
        self._clock = clock
        self._numbers = 0
        self._inside: dict[str, list[Newcomer]] = {}
        self._count = 0
        self._waiting: OrderedDict[str, deque[Newcomer]] = OrderedDict()
        self._waiting_count = 0
        self._rates: OrderedDict[str, _Rate] = OrderedDict()
        self.turned_away: dict[str, int] = {}  # by source, since somebody last looked
        self.made_wait: dict[str, int] = {}
        self.on_wait: Callable[[], None] = lambda: None  # called when one has to wait, or was sent away

    @property
    def waiting(self) -> int:
        """How many wait to begin."""
        return self._waiting_count

    @property
    def to_tell(self) -> bool:
        """Whether a report has something to say."""
        return bool(self.made_wait or self.turned_away)

    @property
    def inside(self) -> int:
        """How many are logging in."""
        return self._count

    def knock(self, newcomer: Newcomer) -> None:
        """One has come: it begins now, or later, or (where too many wait) one of the most numerous goes."""
        self._numbers += 1
        newcomer.number = self._numbers
        these = self._waiting.setdefault(newcomer.source, deque())
        these.append(newcomer)
        self._waiting_count += 1
        if len(these) == 1:  # else those before it could not begin either
            now = self._clock()
            mine = self._inside.get(newcomer.source, [])
            if self._ready(newcomer.source, now) and self._make_place(mine, now):
                self._let_in(newcomer, now)
                return
        self.on_wait()
        if self._waiting_count > MAX_WAITING:
            source = max(self._waiting, key=lambda name: len(self._waiting[name]))
            last = self._waiting[source][-1]
            self._drop_waiting(last)
            self._count_up(self.turned_away, source)
            last.end("cannot let you in now: too many others from your address want in; try again later")
            if last is newcomer:
                return
        self._count_up(self.made_wait, newcomer.source)

    def leave(self, newcomer: Newcomer) -> None:
        """It has logged in, or has gone."""
        inside = self._inside.get(newcomer.source, [])
        if newcomer in inside:
            inside.remove(newcomer)
            self._count -= 1
            if not inside:
                del self._inside[newcomer.source]
            self.admit()
        else:
            self._drop_waiting(newcomer)

    def admit(self) -> None:
        """Let in whoever may begin now; to be asked again soon while some wait."""
        while self._waiting_count:
            now = self._clock()
            chosen = self._next(now)
            if chosen is None:
                return
            self._let_in(chosen, now)

    def _let_in(self, newcomer: Newcomer, now: float) -> None:
        self._drop_waiting(newcomer)
        self._inside.setdefault(newcomer.source, []).append(newcomer)
        self._count += 1
        self._rates[newcomer.source].level -= 1
        newcomer.heard = now
        newcomer.begin()

    def report(self) -> str:
        """What happened since the last report, in a sentence."""
        waited, away = self.made_wait, self.turned_away
        self.made_wait, self.turned_away = {}, {}
        found = [
            f"{counted(sum(counts.values()), 'connection')} {what}, most of them from {_most(counts)}"
            for counts, what in ((waited, "waited to begin a login"), (away, "sent away before a login"))
            if counts
        ]
        return "; ".join(found)

    def _next(self, now: float) -> Newcomer | None:
        """Whose turn it is; there is a place for it then."""
        order = sorted(self._waiting.items(), key=self._rank)
        for source, these in order:
            if not self._ready(source, now):
                continue
            mine = self._inside.get(source, [])
            if self._make_place(mine, now):
                return these[0]
            if self._count >= self._most and len(mine) < self._most_of_one and not self._knows(source):
                return None  # the ones behind have as many inside, or more
        return None

    def _rank(self, item: tuple[str, deque[Newcomer]]) -> tuple[bool, int, int]:
        source, these = item
        return not self._knows(source), len(self._inside.get(source, ())), -these[0].number

    def _ready(self, source: str, now: float) -> bool:
        """Whether the address has not begun too many logins just now."""
        rate = self._rates.get(source)
        if rate is None:
            rate = self._rates[source] = _Rate(now)
            if len(self._rates) > _REMEMBERED:
                self._rates.popitem(last=False)
        self._rates.move_to_end(source)
        rate.fill(now, self._per_second)
        return rate.level >= 1

    def _make_place(self, mine: list[Newcomer], now: float) -> bool:
        """Whether there is a place for one more of an address; where not, a silent one may make way."""
        if len(mine) >= self._most_of_one:
            loser = _silent(mine, now, PATIENCE, PATIENCE_GREETED)
        elif self._count >= self._most:
            loser = self._who_makes_way(len(mine), now)
        else:
            return True
        if loser is None:
            return False
        self._count_up(self.turned_away, loser.source)
        self.on_wait()
        self._forget(loser)
        loser.end("cannot wait for you any longer: others want to log in")
        return True

    def _who_makes_way(self, mine: int, now: float) -> Newcomer | None:
        """For one from an address that has so many inside already."""
        most = max(self._inside.values(), key=len)
        if len(most) > mine + 1:
            return _silent(most, now, PATIENCE_MOST, PATIENCE_MOST)
        everybody = [
            one for source, these in self._inside.items() if not self._knows(source) for one in these
        ]
        return _silent(everybody, now, PATIENCE_FULL, PATIENCE_FULL)

    def _forget(self, newcomer: Newcomer) -> None:
        self._inside[newcomer.source].remove(newcomer)
        self._count -= 1
        if not self._inside[newcomer.source]:
            del self._inside[newcomer.source]

    def _drop_waiting(self, newcomer: Newcomer) -> None:
        these = self._waiting.get(newcomer.source)
        if these is None or newcomer not in these:
            return
        these.remove(newcomer)
        self._waiting_count -= 1
        if not these:
            del self._waiting[newcomer.source]

    def _count_up(self, counts: dict[str, int], source: str) -> None:
        if source in counts or len(counts) < _REMEMBERED:
            counts[source] = counts.get(source, 0) + 1


def _silent(newcomers: list[Newcomer], now: float, patience: float, greeted: float) -> Newcomer | None:
    """Who has been silent longest, beyond the patience with them; those without keys before the others."""
    silent = [one for one in newcomers if now - one.heard >= (greeted if one.greeted else patience)]
    return min(silent, key=lambda one: (one.greeted, one.heard), default=None)


def _most(counts: dict[str, int]) -> str:
    return max(counts, key=counts.__getitem__)
