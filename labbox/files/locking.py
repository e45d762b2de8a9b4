"""Locks between worker processes of one person, waited for with a time limit."""

from __future__ import annotations

import fcntl
import time
from typing import Final

from labbox.errors import LabboxError
from labbox.files.following import Tick

WAIT_SECONDS: Final = 300.0  # longer than removing a million files takes
_EVERY: Final = 0.02  # seconds between two tries


def try_exclusive_lock(descriptor: int) -> bool:
    """Lock alone if nobody else holds it."""
    return _try(descriptor, fcntl.LOCK_EX)


def exclusive_lock(descriptor: int, tick: Tick) -> None:
    """Lock alone, waiting for the others to finish."""
    _wait(descriptor, fcntl.LOCK_EX, tick)


def shared_lock(descriptor: int, tick: Tick) -> None:
    """Lock together with others."""
    _wait(descriptor, fcntl.LOCK_SH, tick)


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _wait(descriptor: int, how: int, tick: Tick) -> None:
    deadline = time.monotonic() + WAIT_SECONDS
    while not _try(descriptor, how):
        tick()
        if time.monotonic() > deadline:
            raise LabboxError(
                "unavailable",
                "cannot reach your snapshots: another task of yours holds them",
                "try again in some minutes",
            )
        time.sleep(_EVERY)
