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

_NUMBER: Final = r"(?:[0-9]+(?:[.,][0-9]{1,2}|\.[0-9]+)?|\.[0-9]+)"  # a comma too, but not one of thousands
_SIZE: Final = re.compile(rf"({_NUMBER})\s*(?:bytes?|b|([kmgtp])i?(?:b|bytes?)?)?", re.IGNORECASE | re.ASCII)
_NAMED: Final = {"kilo": "k", "kibi": "k", "mega": "m", "mebi": "m", "giga": "g", "gibi": "g"} | {
    "tera": "t", "tebi": "t", "peta": "p", "pebi": "p",
}  # fmt: skip
_LONG: Final = re.compile(rf"({_NUMBER})\s*({'|'.join(_NAMED)})bytes?", re.IGNORECASE | re.ASCII)
_POWERS: Final = {"": 0, "k": 1, "m": 2, "g": 3, "t": 4, "p": 5}
_SPAN: Final = re.compile(
    rf"({_NUMBER})\s*(weeks?|wks?|w|days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)(?![a-z])\s*(?:,|and)?\s*",
    re.IGNORECASE | re.ASCII,
)
_REST: Final = re.compile(r"[0-9]{1,2}", re.ASCII)  # 1h30: of the next smaller unit
_CLOCK: Final = re.compile(r"(?:([0-9]{1,4})-)?([0-9]{1,4}):([0-5][0-9]):([0-5][0-9])", re.ASCII)
_DAYS: Final = re.compile(
    r"([0-9]{1,4})-([01]?[0-9]|2[0-3])(?::([0-5][0-9]))?", re.ASCII
)  # as Slurm has them
_PERIOD: Final = re.compile(
    r"P(?:([0-9]+)W)?(?:([0-9]+)D)?(?:T(?:([0-9]+)H)?(?:([0-9]+)M)?(?:([0-9]+(?:\.[0-9]+)?)S)?)?",
    re.IGNORECASE | re.ASCII,
)  # ISO 8601
_SECONDS: Final = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
_SMALLER: Final = {"w": "d", "d": "h", "h": "m", "m": "s"}
_TIME_OF_DAY: Final = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])", re.ASCII)

_SIZE_HINT: Final = "write a number of bytes or a number with K, M, G or T: 512M, 2G, 4Gi, 1.5 TB"
_DURATION_HINT: Final = (
    "write seconds, numbers with s, min, h, d or w, or hours:minutes:seconds, days before them:"
    " 90, 15min, 1h30, 2d, 01:30:00, 1-00:00:00"
)
_WHEN_HINT: Final = "write a moment (2026-11-22T08:00), a time of day (08:00) or a delay (+2h)"


def parse_size(text: str) -> int:
    """Bytes from ``2G``, ``512 MiB``, ``4Gi``, ``1.5 TB``, ``2 gigabytes`` or ``1024``.

    Units are powers of 1024, however written.
    """
    number, unit = _size_parts(text.strip())
    if number is None:
        raise _refused(text, "a size", _SIZE_HINT)
    size = number * 1024 ** _POWERS[unit]
    if size > MAX_SIZE or (size != size.to_integral_value() and not unit):
        raise _refused(text, "a size", _SIZE_HINT)
    return int(size)


def parse_duration(text: str) -> float:
    """Seconds from ``90``, ``15m``, ``30 min``, ``1h30``, ``2 days``, ``1:30:00``, ``1-00:00:00``."""
    stripped = text.strip()
    if (clock := _CLOCK.fullmatch(stripped)) is not None:
        seconds = _of(clock[1], "d") + _of(clock[2], "h") + _of(clock[3], "m") + _of(clock[4], "s")
    elif (days := _DAYS.fullmatch(stripped)) is not None:
        seconds = _of(days[1], "d") + _of(days[2], "h") + _of(days[3], "m")
    elif re.fullmatch(_NUMBER, stripped, re.ASCII):
        seconds = _decimal(stripped)
    elif (period := _PERIOD.fullmatch(stripped)) is not None and any(period.groups()):
        seconds = sum(map(_of, period.groups(), "wdhms"), Decimal(0))
    else:
        seconds = _spans(text, stripped)
    if seconds > MAX_SECONDS:
        raise _refused(text, "a duration", _DURATION_HINT)
    return float(seconds)


def parse_cpus(text: str) -> float:
    """A number of CPUs, in hundredths, above 0: ``4``, ``0.5``."""
    stripped = text.strip()
    if not re.fullmatch(_NUMBER, stripped, re.ASCII) or not 0.01 <= float(_decimal(stripped)) <= 65536:
        raise _refused(text, "a number of CPUs", "write a number from 0.01 up: 4, 0.5")
    return round(float(_decimal(stripped)), 2)


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
    seconds, end, unit = Decimal(0), 0, ""
    for match in _SPAN.finditer(stripped):
        if match.start() != end:
            break
        unit = match[2][0].lower()
        seconds += _of(match[1], unit)
        end = match.end()
    rest = _REST.fullmatch(stripped[end:])
    if rest is not None and unit in _SMALLER and not stripped[end - 1].isspace():
        return seconds + _of(rest[0], _SMALLER[unit])
    if end == 0 or end != len(stripped) or stripped[-1] == "," or stripped.lower().endswith("and"):
        raise _refused(text, "a duration", _DURATION_HINT)
    return seconds


def _of(number: str | None, unit: str) -> Decimal:
    return Decimal(0) if number is None else _decimal(number) * _SECONDS[unit]


def _decimal(number: str) -> Decimal:
    return Decimal(number.replace(",", "."))


def _size_parts(text: str) -> tuple[Decimal | None, str]:
    """Number and unit (a letter, or nothing for bytes)."""
    if (long := _LONG.fullmatch(text)) is not None:
        return _decimal(long[1]), _NAMED[long[2].lower()]
    if (match := _SIZE.fullmatch(text)) is not None:
        return _decimal(match[1]), (match[2] or "").lower()
    return None, ""


def _next(now: datetime, hour: int, minute: int) -> datetime:
    local = now.astimezone().replace(tzinfo=None)  # naive: a day later is the same time of day through DST
    moment = local.replace(hour=hour, minute=minute, second=0, microsecond=0)
    if moment <= local:
        moment += timedelta(days=1)
    return moment.astimezone(UTC)


def _refused(text: str, what: str, hint: str) -> LabboxError:
    return LabboxError("invalid", f"cannot read “{visible_line(text)}” as {what}", hint)
