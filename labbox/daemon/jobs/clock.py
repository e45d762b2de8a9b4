"""The clocks: the wall clock says when, the boot clock says how long.

A person or a time server may set the wall clock back; the boot clock (CLOCK_BOOTTIME) goes on, through
suspends and through restarts of the daemon, until the machine starts anew, which `boot` tells apart. So every
duration and every time limit is counted on it, and rows are ordered by their ids, never by their times.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path

from labbox.daemon.store.times import stamp

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")


class Clock:
    """The machine's clocks; tests put their own in its place."""

    def __init__(self) -> None:
        """Learn which boot this is."""
        self.boot = _BOOT_ID.read_text().strip()

    def now(self) -> int:
        """The present moment as a stamp."""
        return stamp(datetime.now(UTC))

    def day(self) -> str:
        """The box's local date, as the path of results has it: YYYY/MM/DD."""
        return datetime.now().astimezone().strftime("%Y/%m/%d")

    def seconds(self) -> float:
        """Seconds on the boot clock."""
        return time.clock_gettime(time.CLOCK_BOOTTIME)


def since(clock: Clock, boot: str, seconds: float, at: int) -> float:
    """Seconds from a moment noted on both clocks until now; never negative.

    After a new boot only the wall clock is left to tell.
    """
    if boot == clock.boot:
        return max(0.0, clock.seconds() - seconds)
    return max(0.0, (clock.now() - at) / 1e6)
