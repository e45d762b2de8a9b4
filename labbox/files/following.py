"""How work on files tells how far it is, and learns that nobody wants it any more."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from labbox.model import Progress

REPORT_EVERY: Final = 0.1  # seconds
_SMOOTHING: Final = 2.0  # seconds over which the rate forgets

Tick = Callable[[], None]
"""Called now and then while something takes time; raises to end it."""


def no_tick() -> None:
    """For callers who want no progress and never cancel."""


class Meter:
    """Counts what is done and reports it at most ten times a second."""

    def __init__(self, report: Callable[[Progress], None] | None = None, tick: Tick = no_tick) -> None:
        """`report` takes each progress; `tick` is called as often, and may raise to end the work."""
        self._report = report
        self._tick = tick
        self._phase = ""
        self._unit = "bytes"
        self._total: float | None = None
        self._done = 0.0
        self._rate: float | None = None
        self._last = time.monotonic()
        self._last_done = 0.0

    def begin(self, phase: str, total: float | None = None, unit: str = "bytes") -> None:
        """Start a phase; what it has done starts at 0."""
        self._phase, self._total, self._unit = phase, total, unit
        self._done = self._last_done = 0.0
        self._rate = None

    def moved(self, count: int) -> None:
        """So much more is done."""
        self._done += count
        self.tick()

    def tick(self) -> None:
        """Report and look for a cancellation, if it is time."""
        now = time.monotonic()
        elapsed = now - self._last
        if elapsed < REPORT_EVERY:
            return
        self._tick()
        present = (self._done - self._last_done) / elapsed
        weight = min(1.0, elapsed / _SMOOTHING)
        self._rate = present if self._rate is None else self._rate + weight * (present - self._rate)
        self._last, self._last_done = now, self._done
        if self._report is not None and self._phase:
            self._report(self._progress())

    def _progress(self) -> Progress:
        remaining = None
        if self._total is not None and self._rate:
            remaining = max(0.0, self._total - self._done) / self._rate
        return Progress(
            phase=self._phase,
            done=self._done,
            total=self._total,
            unit=self._unit,
            rate=self._rate,
            remaining=remaining,
        )


class ProgressOfSteps:
    """Turns reports of the form "40 of 100" into progress with a rate."""

    def __init__(self, phase: str) -> None:
        """Begin with nothing known."""
        self._phase = phase
        self._first: tuple[float, float] | None = None  # moment and steps of the first report

    def at(self, done: float, total: float) -> Progress:
        """So much of so much is done now."""
        now = time.monotonic()
        if self._first is None or done < self._first[1]:
            self._first = (now, done)
        elapsed, steps = now - self._first[0], done - self._first[1]
        rate = steps / elapsed if elapsed > 0 and steps > 0 else None
        remaining = None if rate is None else max(0.0, total - done) / rate
        return Progress(
            phase=self._phase, done=done, total=total if total > 0 else None, rate=rate, remaining=remaining
        )
