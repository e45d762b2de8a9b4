"""Moments as the tables keep them: whole microseconds since 1970, UTC, which sort and compare as numbers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def stamp(moment: datetime) -> int:
    """A moment for a column; ValueError for one without a time zone."""
    if moment.tzinfo is None:
        raise ValueError("a moment without a time zone cannot be stored")
    return (moment - _EPOCH) // _MICROSECOND


def moment(stamp: int) -> datetime:
    """The moment that a column holds, in UTC."""
    return _EPOCH + stamp * _MICROSECOND


def moment_or_none(stamp: int | None) -> datetime | None:
    """The same for a column that may be NULL."""
    return None if stamp is None else moment(stamp)


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)
