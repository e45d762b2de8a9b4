"""What the queue shows of other people's jobs: that they are there, how they stand, and what room they take.

Whoever waits has to see what stands before them. Not which files are copied whereto, nor what went wrong
with others' work, nor how they call their groups: a sentence is replaced by what its code alone says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec

from labbox.daemon.people.accounts import Account
from labbox.model import JobKind, Reason, ReasonCode
from labbox.protocol import Job

TRANSFER: Final = "transfer"  # what somebody else's transfer is called
# Sentences that speak of room, turns and the box itself stay as they are.
_OPEN: Final = frozenset(
    {ReasonCode.HELD, ReasonCode.NO_ROOM, ReasonCode.SHARE, ReasonCode.DISK, ReasonCode.CLAIM}
)
_WORDS: Final[Mapping[ReasonCode, str]] = {
    ReasonCode.DELAYED: "to start later",
    ReasonCode.DEPENDENCY: "starts after another job",
    ReasonCode.NO_ENGINE: "the container engine does not answer",
    ReasonCode.SUSPENDED: "its owner's account is not open",
    ReasonCode.LIMIT: "a limit of its owner's is reached",
    ReasonCode.PREPARING: "being prepared",
    ReasonCode.RETRY: "waits for another attempt",
    ReasonCode.CANCELLED: "cancelled",
    ReasonCode.TIME_LIMIT: "it ran longer than its time limit",
}
_ENDED: Final = "it did not end well"


def may_know(account: Account, owner: str) -> bool:
    """Whether all of a job of this owner's may be told to somebody."""
    return account.admin or owner == account.name


def told_to(account: Account, job: Job) -> Job:
    """A job as this person may see it in a list or among events."""
    if may_know(account, job.owner):
        return job
    progress = job.progress
    return msgspec.structs.replace(
        job,
        name=TRANSFER if job.kind is JobKind.TRANSFER else job.name,
        project=None,
        reason=_reason(job.reason),
        exit_code=None,
        progress=None if progress is None else msgspec.structs.replace(progress, current=""),
        group=None,
    )


def _reason(reason: Reason | None) -> Reason | None:
    if reason is None or reason.code in _OPEN:
        return reason
    return Reason(code=reason.code, text=_WORDS.get(reason.code, _ENDED))
