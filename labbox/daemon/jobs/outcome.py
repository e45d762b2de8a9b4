"""How an attempt ended, what is said of it, and whether another one follows: pure rules."""

from __future__ import annotations

import signal
from typing import Final

from labbox.daemon.containers.states import ContainerState
from labbox.errors import LabboxError
from labbox.model import CANCELLED_EXIT, JobState, Reason, ReasonCode, Value
from labbox.text import format_bytes, format_duration, visible_line

FIRST_BACK_OFF: Final = 10.0  # seconds; doubled for each further attempt
LONGEST_BACK_OFF: Final = 600.0
_LESS: Final = "write less, or ask an administrator for more"
_MOST_LOST: Final = 5  # attempts that may vanish through no fault of the job's before it is given up


class Outcome(Value):
    """The end of an attempt; `ours`: through no fault of the job's, so the retry rule does not count it.

    `again`: seconds until another attempt, where something else than the retry rule says so.
    """

    state: JobState
    reason: Reason | None = None
    exit_code: int | None = None
    cpu_seconds: float | None = None
    peak_memory: int | None = None
    ours: bool = False
    again: float | None = None


def judge(ended: ContainerState, memory: int, asked: Outcome | None) -> Outcome:
    """What the end of a container means; `asked`: the outcome that labbox itself brought about, if it did."""
    code = ended.exit_code
    if asked is not None:
        found = asked
    elif ended.oom:
        found = _failed(
            ReasonCode.MEMORY,
            f"it needed more memory than the {format_bytes(memory)} asked for: ask for more (--memory)",
        )
    elif ended.error:
        found = _failed(ReasonCode.START, f"the command could not be started: {ended.error}")
    elif code == 0:
        found = Outcome(state=JobState.SUCCEEDED)
    elif code == 128 + signal.SIGXFSZ:
        found = _failed(
            ReasonCode.DISK_LIMIT,
            f"it wrote a file larger than the limit for output: {_LESS}",
        )
    elif code is not None and 128 < code <= 128 + 64:
        found = _failed(ReasonCode.SIGNAL, f"the command was ended by {_signal_name(code - 128)}")
    elif code in (126, 127):
        found = _failed(ReasonCode.EXIT, f"the command was not found or cannot be run (exit code {code})")
    else:
        found = _failed(ReasonCode.EXIT, f"the command ended with exit code {code}")
    return Outcome(
        state=found.state,
        reason=found.reason,
        exit_code=CANCELLED_EXIT if found.state is JobState.CANCELLED else code,
        cpu_seconds=ended.cpu_seconds,
        peak_memory=ended.peak_memory,
        ours=found.ours,
    )


def refused(error: LabboxError, *, code: ReasonCode) -> Outcome:
    """The outcome where a run could not be brought up; an engine that went away is no fault of the job's."""
    text = visible_line(error.message) + (f" ({visible_line(error.hint)})" if error.hint else "")
    if error.code == "unavailable" and code is ReasonCode.START:
        reason = Reason(code=ReasonCode.NO_ENGINE, text=text)
        return Outcome(state=JobState.LOST, reason=reason, ours=True)
    return Outcome(state=JobState.FAILED, reason=Reason(code=code, text=text))


def gone() -> Outcome:
    """The container has vanished."""
    reason = Reason(
        code=ReasonCode.GONE, text="its container vanished: was the engine cleaned or the box restarted?"
    )
    return Outcome(state=JobState.LOST, reason=reason, ours=True)


def begun() -> Outcome:
    """The box or its engine was killed over the start, and nobody can say how far the command has come."""
    reason = Reason(code=ReasonCode.GONE, text="the box or its engine was killed while it was being started")
    return Outcome(state=JobState.LOST, reason=reason, ours=True)


def cancelled(by: str) -> Outcome:
    """Somebody asked for the end."""
    return Outcome(state=JobState.CANCELLED, reason=cancelled_reason(by), exit_code=CANCELLED_EXIT)


def cancelled_reason(by: str) -> Reason:
    """Who asked for the end."""
    return Reason(code=ReasonCode.CANCELLED, text=f"cancelled by {by}" if by else "cancelled")


def timed_out(limit: float) -> Outcome:
    """The time limit has passed."""
    reason = Reason(
        code=ReasonCode.TIME_LIMIT,
        text=f"it ran longer than its time limit of {format_duration(limit)}: give it more (--time)",
    )
    return Outcome(state=JobState.TIMED_OUT, reason=reason)


def over_disk(limit: int) -> Outcome:
    """The output has grown too large."""
    return _failed(
        ReasonCode.DISK_LIMIT, f"its output grew beyond the limit of {format_bytes(limit)}: {_LESS}"
    )


def over_storage(limit: int) -> Outcome:
    """The owner's jobs together have written more than the owner may store."""
    return _failed(
        ReasonCode.DISK_LIMIT,
        f"with the outputs of its owner's running jobs, more than the {format_bytes(limit)} they may store",
    )


def over_limit(limit: int) -> Outcome:
    """A transfer has stored more than its owner may."""
    return _failed(ReasonCode.DISK_LIMIT, f"more than the {format_bytes(limit)} that its owner may store")


def disk_full() -> Outcome:
    """The box is about to have no disk left, and this job writes most."""
    return _failed(
        ReasonCode.DISK, "the box ran out of disk, and this job had written more than what is kept free"
    )


def no_room(why: str) -> Outcome:
    """A transfer would fill, or fills, what is left of the box's disk."""
    return _failed(ReasonCode.DISK, f"{why}: delete what is no longer needed, then try again")


def over_log(limit: int) -> Outcome:
    """The log has grown too large."""
    return _failed(ReasonCode.LOG_LIMIT, f"its log grew beyond the limit of {format_bytes(limit)}: {_LESS}")


def internal(error: Exception) -> Outcome:
    """A fault of labbox's own."""
    return _failed(ReasonCode.INTERNAL, f"labbox failed ({type(error).__name__}); the daemon's log has more")


def back_off(outcome: Outcome, *, attempt: int, retries: int, lost: int) -> float | None:
    """Seconds until another attempt; None where none follows.

    `retries`: how many the job's own rule still allows; `lost`: earlier attempts that ended through no fault
    of its. Times out, cancelled, too large an output or log: another attempt would end the same way.
    """
    if outcome.again is not None:
        return outcome.again
    if outcome.ours:
        if outcome.reason is not None and outcome.reason.code is ReasonCode.NO_ENGINE:
            return min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(lost, 10))
        return 0.0 if lost < _MOST_LOST else None
    if outcome.state is not JobState.FAILED or retries <= 0:
        return None
    if outcome.reason is not None and outcome.reason.code in (ReasonCode.DISK_LIMIT, ReasonCode.LOG_LIMIT):
        return None
    return min(LONGEST_BACK_OFF, FIRST_BACK_OFF * 2.0 ** min(attempt - 1, 10))


def _failed(code: ReasonCode, text: str) -> Outcome:
    return Outcome(state=JobState.FAILED, reason=Reason(code=code, text=text))


def _signal_name(number: int) -> str:
    try:
        return f"signal {number} ({signal.Signals(number).name})"
    except ValueError:
        return f"signal {number}"
