"""Recent use: what each user's jobs cost, halved once per half-life; the ledger behind the fair share."""

from __future__ import annotations

import math

from labbox.model import Value


class Account(Value):
    """A user's recent use in CPU-seconds as it stood at a time (seconds since 1970 UTC)."""

    recent: float = 0.0
    at: float = 0.0


def decay(recent: float, seconds: float, half_life: float) -> float:
    """What is left of a recent use after some seconds; a clock that was set back does not make it grow."""
    return recent * math.pow(0.5, max(0.0, seconds) / half_life)


def accrued(rate: float, seconds: float, half_life: float) -> float:
    """What a use at this rate for the last seconds counts now, each second decayed since: in CPU-seconds."""
    constant = half_life / math.log(2)
    return rate * constant * -math.expm1(-max(0.0, seconds) / constant)


def charged(account: Account, rate: float, seconds: float, now: float, half_life: float) -> Account:
    """The account after a job that cost `rate` for the last `seconds` has ended now."""
    left = decay(account.recent, now - account.at, half_life) if account.at else account.recent
    return Account(recent=left + accrued(rate, seconds, half_life), at=max(now, account.at))
