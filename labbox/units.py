"""Sizes, durations, CPUs and moments as people write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Final

from labbox.errors import LabboxError
from labbox.text import visible_line

MAX_SIZE: Final = (1 << 63) - 1  # bytes; what a column holds
MAX_SECONDS: Final = 100 * 366 * 86400  # a century: beyond it a typing error is likelier than a wish

_NUMBER: Final = r"[0-9]+(?:\.[0-9]+)?"
_SIZE: Final = re.compile(rf"({_NUMBER})\s*([kmgtp]?)(i?b|b)?", re.IGNORECASE | re.ASCII)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SPAN: Final = re.compile(rf"({_NUMBER})\s*(s|sec|m|min|h|d|w)\s*", re.IGNORECASE | re.ASCII)
_CLOCK: Final = re.compile(r"([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])", re.ASCII)
_SECONDS: Final = {"s": 1, "sec": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_TIME_OF_DAY: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)

_SIZE_HINT: Final = "write a number of bytes or a number with K, M, G or T: 512M, 2G, 1.5T"
_DURATION_HINT: Final = "write seconds, or numbers with s, m, h, d or w: 90, 15m, 1h30m, 2d; or 01:30:00"
_WHEN_HINT: Final = "write a moment (2026-11-22T08:00), a time of day (08:00) or a delay (+2h)"


def parse_size(text: str) -> int:
    """Bytes from ``2G``, ``512 MiB``, ``1.5T`` or ``1024``; units are powers of 1024, however written."""
    match = _SIZE.fullmatch(text.strip())
    if match is None:
        raise _refused(text, "a size", _SIZE_HINT)
    size = Decimal(match[1]) * 1024 ** _POWERS[match[2].lower()]
    if size > MAX_SIZE or (size != size.to_integral_value() and not match[2]):
        raise _refused(text, "a size", _SIZE_HINT)
    return int(size)


def parse_duration(text: str) -> float:
    """Seconds from ``90``, ``15m``, ``1h30m``, ``2d`` or ``1:30:00``."""
    stripped = text.strip()
    clock = _CLOCK.fullmatch(stripped)
    if clock is not None:
        seconds = Decimal(int(clock[1]) * 3600 + int(clock[2]) * 60 + int(clock[3]))
    elif re.fullmatch(_NUMBER, stripped, re.ASCII):
        seconds = Decimal(stripped)
    else:
        seconds = _spans(text, stripped)
    if seconds > MAX_SECONDS:
        raise _refused(text, "a duration", _DURATION_HINT)
    return float(seconds)


def parse_cpus(text: str) -> float:
    """A number of CPUs, in hundredths, above 0: ``4``, ``0.5``."""
    stripped = text.strip()
    if not re.fullmatch(_NUMBER, stripped, re.ASCII) or not 0.01 <= float(stripped) <= 65536:
        raise _refused(text, "a number of CPUs", "write a number from 0.01 up: 4, 0.5")
    return round(float(stripped), 2)


def parse_when(text: str, now: datetime | None = None) -> datetime:
    """A moment in UTC from RFC 3339 or ISO 8601 (without a zone: the box's local time), ``08:00`` or ``+2h``.

    A time of day is the next one of that name, today or tomorrow.
    """
    stripped = text.strip()
    now = datetime.now(UTC) if now is None else now
    if stripped.startswith("+"):
        return now.astimezone(UTC) + timedelta(seconds=parse_duration(stripped[1:]))
    of_day = _TIME_OF_DAY.fullmatch(stripped)
    if of_day is not None:
        return _next(now, int(of_day[1]), int(of_day[2]))
    try:
        moment = datetime.fromisoformat(stripped)
        return moment.astimezone(UTC)  # a naive moment is taken as local
    except (ValueError, OverflowError) as error:
        raise _refused(text, "a moment", _WHEN_HINT) from error


def _spans(text: str, stripped: str) -> Decimal:
    seconds, end = Decimal(0), 0
    for match in _SPAN.finditer(stripped):
        if match.start() != end:
            break
        seconds += Decimal(match[1]) * _SECONDS[match[2].lower()]
        end = match.end()
    if end == 0 or end != len(stripped):
        raise _refused(text, "a duration", _DURATION_HINT)
    return seconds


def _next(now: datetime, hour: int, minute: int) -> datetime:
    local = now.astimezone().replace(tzinfo=None)  # naive: a day later is the same time of day through DST
    moment = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment <= local:
        moment += timedelta(days=1)
    return moment.astimezone(UTC)


def _refused(text: str, what: str, hint: str) -> LabboxError:
    return LabboxError("invalid", f"cannot read “{visible_line(text)}” as {what}", hint)
