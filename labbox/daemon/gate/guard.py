"""Who may knock, and how often: caps before the login, back-off after wrong passwords. Pure, with a clock.

Two rules keep one person's trouble from being another's. Wrong passwords lock an *address* for passwords
alone: keys from there still open. Wrong passwords for a *user* from anywhere slow the answer for that user,
and never refuse it, so nobody can lock somebody else out. Addresses of IPv6 count by /64, which is what one
household has.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

MAX_UNKNOWN: Final = 100  # connections that have not logged in yet
MAX_UNKNOWN_PER_ADDRESS: Final = 20
MAX_TRIES: Final = 6  # passwords and keys refused in one connection

FREE_FAILURES: Final = 5  # wrong passwords of one address before it waits
FIRST_WAIT: Final = 2.0  # seconds; doubles with each further one
LONGEST_WAIT: Final = 900.0  # seconds
FORGET_AFTER: Final = 3600.0  # seconds without a wrong password
SLOWEST_ANSWER: Final = 3.0  # seconds, for a user who is being guessed at
_REMEMBERED: Final = 20_000  # addresses and users; the longest untouched are forgotten first


def network_of(address: str) -> str:
    """What counts as one address: IPv4 whole, IPv6 by its first 64 bits."""
    try:
        parsed = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, ipaddress.IPv6Address):
        if parsed.ipv4_mapped:
            return str(parsed.ipv4_mapped)
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


class Guard:
    """Counts connections and failures; one per gate."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        """`clock` counts seconds and never goes back."""
        self._clock = clock
        self._unknown: dict[str, int] = {}
        self._addresses = _Memory()
        self._users = _Memory()

    def enter(self, address: str) -> bool:
        """Whether a new connection may begin its login; if so, `leave` must follow."""
        network = network_of(address)
        here = self._unknown.get(network, 0)
        if here >= MAX_UNKNOWN_PER_ADDRESS or sum(self._unknown.values()) >= MAX_UNKNOWN:
            return False
        self._unknown[network] = here + 1
        return True

    def leave(self, address: str) -> None:
        """The connection has logged in, or has gone."""
        network = network_of(address)
        left = self._unknown.get(network, 0) - 1
        if left > 0:
            self._unknown[network] = left
        else:
            self._unknown.pop(network, None)

    def wait(self, address: str) -> float:
        """Seconds before a password from this address is looked at again; 0 now."""
        now = self._clock()
        record = self._addresses.get(network_of(address), now)
        return max(0.0, record.until - now) if record else 0.0

    def slowness(self, user: str) -> float:
        """Seconds by which the answer to a wrong password for this user is held back."""
        record = self._users.get(user, self._clock())
        return min(SLOWEST_ANSWER, 0.1 * record.failures) if record else 0.0

    def failed(self, address: str, user: str) -> float:
        """Count a wrong password; the seconds that the address now has to wait."""
        now = self._clock()
        self._users.touch(user, now)
        record = self._addresses.touch(network_of(address), now)
        beyond = record.failures - FREE_FAILURES
        if beyond < 0:
            return 0.0
        pause = min(LONGEST_WAIT, FIRST_WAIT * 2.0 ** min(beyond, 16))
        record.until = now + pause
        return pause

    def succeeded(self, address: str, user: str) -> None:
        """A right password: this person is no guesser."""
        self._addresses.forget(network_of(address))
        self._users.forget(user)
