"""The states of a job, the arrows between them, and the one function that moves a job along one.

    held ⇄ queued → preparing → running ⇄ paused       each of these → cancelled
            ▲            │          │
            │            └──────────┴→ collecting → succeeded · failed · timed_out · lost
            └── new attempt, if the retry rule or a person says so ── failed · lost · timed_out · cancelled

A waiting job whose dependency failed fails without an attempt. An array's parent has no life of its own: its
state is derived from its elements by `derived`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Final

from labbox.daemon.store import dependencies, events, jobs, notices
from labbox.errors import LabboxError
from labbox.model import ACTIVE, CANCELLED_EXIT, FINAL, WAITING, JobKind, JobState, Reason, ReasonCode, Value
from labbox.text import counted

if TYPE_CHECKING:
    from sqlite3 import Connection

S = JobState

ARROWS: Final[Mapping[JobState, frozenset[JobState]]] = {
    S.HELD: frozenset({S.QUEUED, S.CANCELLED, S.FAILED}),
    S.QUEUED: frozenset({S.HELD, S.PREPARING, S.CANCELLED, S.FAILED}),
    S.PREPARING: frozenset({S.RUNNING, S.COLLECTING, S.CANCELLED}),
    S.RUNNING: frozenset({S.PAUSED, S.COLLECTING, S.CANCELLED}),
    S.PAUSED: frozenset({S.RUNNING, S.COLLECTING, S.CANCELLED}),
    S.COLLECTING: frozenset({S.SUCCEEDED, S.FAILED, S.TIMED_OUT, S.LOST, S.CANCELLED}),
    S.SUCCEEDED: frozenset(),
    S.FAILED: frozenset({S.QUEUED}),
    S.TIMED_OUT: frozenset({S.QUEUED}),
    S.CANCELLED: frozenset({S.QUEUED}),
    S.LOST: frozenset({S.QUEUED}),
}


def is_legal(old: JobState, new: JobState) -> bool:
    """Whether a container job may go from the one state to the other in one step."""
    return new in ARROWS[old]


def derived(counts: Mapping[JobState, int]) -> JobState:
    """The state of an array's parent, from its elements' states.

    Something runs: running. Nothing runs, something waits: queued, or held where all that waits is held.
    All ended: succeeded if all are; cancelled if any is, else failed, else timed out, else lost.
    """
    if any(counts.get(state) for state in ACTIVE):
        return S.RUNNING
    if counts.get(S.QUEUED):
        return S.QUEUED
    if counts.get(S.HELD):
        return S.HELD
    for state in (S.CANCELLED, S.FAILED, S.TIMED_OUT, S.LOST):
        if counts.get(state):
            return state
    return S.SUCCEEDED


class Step(Value):
    """Where a job is to go; `at` is a stamp, `by` the person who asked, empty for the box itself."""

    to: JobState
    at: int
    reason: Reason | None = None
    exit_code: int | None = None
    by: str = ""


def move(connection: Connection, job: int, *steps: Step, attempt: int | None = None) -> list[jobs.JobRow]:
    """Bring a job along some arrows, with its history and its events, in the caller's transaction.

    What follows from where it ends is done too: its array's parent is derived anew, and the jobs that were to
    run after one that did not succeed fail. Returns every job that changed, as it now is, this one first.
    `attempt`: the attempt that asks for it; one that is no longer the job's current attempt is refused, so
    that nothing a stale attempt reports is ever accepted.

    Raises:
        LabboxError: "conflict" where no arrow leads there, "not_found" where there is no such job.
    """
    before = jobs.get(connection, job)
    if before.kind is JobKind.ARRAY:
        raise LabboxError("conflict", f"cannot move job {job}: an array follows its elements")
    if attempt is not None and attempt != before.attempt:
        raise LabboxError(
            "conflict", f"cannot accept attempt {attempt} of job {job}, it is at {before.attempt}"
        )
    row = before
    for step in steps:
        row = _go(connection, row, step)
    changed = [row]
    if row.array is not None:
        changed += _follow_elements(connection, row.array, before.state, row, at=steps[-1].at)
    for end in tuple(changed):
        if end.state in FINAL:
            _tell(connection, end, by=steps[-1].by)
        if end.state in FINAL and end.state is not S.SUCCEEDED:
            changed += _fail_dependants(connection, end, at=steps[-1].at)
    return changed


def _tell(connection: Connection, end: jobs.JobRow, *, by: str) -> None:
    """Leave a notice of an end for the owner, whichever way it came about; of an array one, at its end."""
    if end.array is not None or by == end.owner:
        return  # who has just cancelled what waited knows
    if end.kind is JobKind.TRANSFER and end.state is S.SUCCEEDED:
        return  # a copy is no run: of it is told what went wrong
    state = end.state.replace("_", " ")
    text = f"job {end.id} ({end.name}) {state}" + (f": {end.reason.text}" if end.reason else "")
    notices.add(connection, end.owner, text, end.id)


def _go(connection: Connection, row: jobs.JobRow, step: Step) -> jobs.JobRow:
    new = step.to
    if not is_legal(row.state, new):
        raise LabboxError("conflict", f"cannot bring job {row.id} from {row.state} to {new}")
    started = step.at if row.state is S.PREPARING and new is S.RUNNING else row.started_at
    if new in (S.QUEUED, S.PREPARING):
        started = None
    number = row.attempt + 1 if new is S.PREPARING else row.attempt
    jobs.set_state(
        connection,
        row.id,
        state=new,
        reason=step.reason,
        attempt=number,
        exit_code=CANCELLED_EXIT if new is S.CANCELLED else step.exit_code,
        started_at=started,
        ended_at=max(step.at, started or step.at) if new in FINAL else None,
    )
    jobs.append_transition(
        connection, row.id, at=step.at, state=new, attempt=number, reason=step.reason, by=step.by
    )
    events.append(connection, at=step.at, kind="job", owner=row.owner, job=row.id)
    return jobs.get(connection, row.id)


def _follow_elements(
    connection: Connection, parent: int, old: JobState, element: jobs.JobRow, *, at: int
) -> list[jobs.JobRow]:
    counts = jobs.count_element(connection, parent, old=old, new=element.state)
    row = jobs.get(connection, parent)
    state = derived(counts)
    if state is row.state:
        if (old in FINAL) is not (
            element.state in FINAL
        ):  # as many more, or fewer, have ended: its bar moves
            events.append(connection, at=at, kind="job", owner=row.owner, job=parent)
        return []
    ended = state in FINAL
    reason, exit_code = None, None
    if ended:
        total, good = sum(counts.values()), counts.get(S.SUCCEEDED, 0)
        exit_code = 0 if good == total else CANCELLED_EXIT if state is S.CANCELLED else element.exit_code or 1
        if good < total:
            code = ReasonCode.CANCELLED if state is S.CANCELLED else ReasonCode.EXIT
            reason = Reason(code=code, text=f"{total - good} of {counted(total, 'element')} did not succeed")
    jobs.set_state(
        connection,
        parent,
        state=state,
        reason=reason,
        attempt=0,
        exit_code=exit_code,
        started_at=row.started_at or (at if state is S.RUNNING else None),
        ended_at=at if ended else None,
    )
    jobs.append_transition(connection, parent, at=at, state=state, attempt=0, reason=reason, by="")
    events.append(connection, at=at, kind="job", owner=row.owner, job=parent)
    return [jobs.get(connection, parent)]


def _fail_dependants(connection: Connection, end: jobs.JobRow, *, at: int) -> list[jobs.JobRow]:
    text = f"job {end.id}, after which it was to run, ended as {end.state.replace('_', ' ')}"
    reason = Reason(code=ReasonCode.DEPENDENCY_FAILED, text=text)
    changed: list[jobs.JobRow] = []
    for job in dependencies.waiting_dependants(connection, end.id):
        if jobs.get(connection, job).state in WAITING:  # an earlier one's failure may have reached it
            changed += move(connection, job, Step(to=S.FAILED, at=at, reason=reason))
    return changed
