"""What is asked about jobs: pages, details, reasons, history, logs, use, notices."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from labbox.daemon.jobs import reasons, results
from labbox.daemon.jobs.discretion import told_to
from labbox.daemon.jobs.handed import decode_handed, decode_spec
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.scheduler import position
from labbox.daemon.jobs.transfers import read_summary
from labbox.daemon.jobs.views import Views, detail
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import attempts, dependencies, events, jobs, notices, pages, usage
from labbox.daemon.store.jobs import JobRow
from labbox.daemon.store.times import moment, now
from labbox.errors import LabboxError
from labbox.model import (
    ACTIVE,
    FILES,
    FINAL,
    RUNS,
    WAITING,
    JobKind,
    JobState,
    Reason,
    ReasonCode,
    Stream,
)
from labbox.protocol import (
    HistoryEntry,
    JobDetail,
    JobHistory,
    JobPage,
    LogRecord,
    Notices,
    TransferSummary,
    Usage,
    UsagePage,
    Why,
)

if TYPE_CHECKING:
    from sqlite3 import Connection

_LARGEST_PAGE: Final = 1_000
_GROUPS: Final = {"waiting": WAITING, "active": ACTIVE, "final": FINAL}


def parse_states(text: str | None) -> tuple[JobState, ...]:
    """States by name, separated by commas; "waiting", "active" and "final" stand for several. None: all."""
    found: set[JobState] = set()
    for word in (text or "").split(","):
        word = word.strip()
        if word in _GROUPS:
            found |= _GROUPS[word]
        elif word in set(JobState):
            found.add(JobState(word))
        elif word:
            known = ", ".join([*_GROUPS, *JobState])
            raise LabboxError("invalid", f"cannot list jobs in the state {word!r}", f"there are {known}")
    return () if len(found) == len(JobState) else tuple(state for state in JobState if state in found)


def only_files(kind: str | None) -> bool | None:
    """Whether "files" are asked for, or "runs"; None: both."""
    if kind not in (None, RUNS, FILES):
        raise LabboxError(
            "invalid", f"cannot list jobs of the kind {kind!r}", f"there are {RUNS} and {FILES}"
        )
    return None if kind is None else kind == FILES


async def page(
    parts: Parts,
    views: Views,
    account: Account,
    *,
    owner: str | None,
    state: str | None,
    name: str | None,
    array: int | None,
    group: str | None,
    kind: str | None,
    limit: int,
    before: int | None,
    order: str | None,
) -> JobPage:
    """A page of jobs by id, with the cursor from which events go on."""
    if order not in (None, "newest", "oldest"):
        raise LabboxError("invalid", f"cannot sort jobs by {order!r}", "there are newest and oldest")
    files = only_files(kind)
    states = parse_states(state)
    limit = min(max(limit, 1), _LARGEST_PAGE)

    def read(connection: Connection) -> tuple[int, list[JobRow]]:
        cursor = events.last(connection)
        rows = pages.page(
            connection,
            owner=owner,
            states=states,
            name=name,
            array=array,
            group=group,
            files=files,
            limit=limit + 1,
            before=before,
            oldest_first=order == "oldest",
            viewer=None if account.admin else account.name,
        )
        return cursor, rows

    cursor, rows = await parts.store.read(read)
    shown = rows[:limit]
    made = await views.jobs(shown)
    following = shown[-1].id if len(rows) > limit else None
    told = tuple(told_to(account, made[row.id]) for row in shown)
    return JobPage(jobs=told, next=following, cursor=cursor)


async def show(parts: Parts, views: Views, row: JobRow) -> JobDetail:
    """All that is known about a job."""

    def read(
        connection: Connection,
    ) -> tuple[str, str, list[attempts.AttemptRow], dict[JobState, int] | None, tuple[int, ...]]:
        counts = jobs.element_counts(connection, row.id) if row.kind is JobKind.ARRAY else None
        tries = attempts.of_job(connection, row.id)
        before = dependencies.before(connection, row.id)
        return *jobs.submission(connection, row.submission), tries, counts, before

    spec, handed, tries, counts, before = await parts.store.read(read)
    return detail(await views.job(row), row, decode_spec(spec), decode_handed(handed), tries, counts, before)


async def why(parts: Parts, views: Views, row: JobRow) -> Why:
    """Every reason that holds for a waiting job; for others what is known of where they are."""
    waiting = parts.dispatcher.queue.get(row.id)
    if row.state in WAITING and waiting is not None:
        box, plan = await parts.dispatcher.look()
        queue = parts.dispatcher.queue
        waiting = queue.get(row.id)
        if waiting is not None and row.id not in plan.starts:
            found = reasons.all_reasons(box, queue, plan, waiting)
            expected = None
            if plan.reservation is not None and plan.reservation.job == row.id:
                expected = plan.reservation.at
            elif len(found) == 1 and found[0].code in (ReasonCode.DELAYED, ReasonCode.RETRY):
                expected = waiting.not_before
            return Why(
                id=row.id,
                state=row.state,
                reasons=found,
                position=position(box, queue, waiting),
                expected_start=None if expected is None else datetime.fromtimestamp(expected, UTC),
            )
    reason = views.reason(row) or Reason(code=_code_of(row.state), text=_words_of(row.state))
    return Why(id=row.id, state=row.state, reasons=(reason,))


async def history(parts: Parts, row: JobRow) -> JobHistory:
    """A job's changes, oldest first; of an array also when its first and its last element came to a state."""

    def read(connection: Connection) -> list[HistoryEntry]:
        found = [
            HistoryEntry(
                at=moment(one.at), state=one.state, attempt=one.attempt, reason=one.reason, by=one.by
            )
            for one in jobs.transitions(connection, row.id)
        ]
        if row.kind is JobKind.ARRAY:
            for state, count, first, last in jobs.element_transitions(connection, row.id):
                for at, elements in {(first, 1 if first < last else count), (last, count)}:
                    found.append(HistoryEntry(at=moment(at), state=state, attempt=0, elements=elements))
        return sorted(found, key=lambda one: one.at)  # own changes stay in their order

    return JobHistory(entries=tuple(await parts.store.read(read)))


async def log(
    parts: Parts, row: JobRow, *, after: int, follow: bool, attempt: int | None, tail: int | None
) -> AsyncIterator[LogRecord]:
    """The records of an attempt (None: the present one, with `follow` also those to come); then the end."""
    if row.kind is JobKind.ARRAY:
        raise LabboxError(
            "conflict",
            f"cannot show the log of job {row.id}: it is an array, each element has its own",
            f"labbox job list --array {row.id}",
        )
    folder = results.place(parts.state, row.owner, row.results)
    only = attempt is not None
    number = attempt if attempt is not None else max(1, row.attempt)
    if attempt is not None and not 1 <= attempt <= max(1, row.attempt):
        raise LabboxError("not_found", f"cannot find attempt {attempt} of job {row.id}")
    cursor = after
    while True:
        if row.attempt >= number:
            more = None if not follow else _more(parts, row.id, number)
            async for record in parts.logs.read(
                results.of_attempt(folder, number), attempt=number, after=cursor, tail=tail, follow=more
            ):
                cursor = record.cursor
                if not record.end:
                    yield record
        changed = parts.feed.next_change()
        row = await _row(parts, row.id)
        if not follow or only or (row.state in FINAL and row.attempt <= number):
            break
        if row.attempt > number:
            number, cursor, tail = row.attempt, 0, None
        else:
            await changed.wait()
            row = await _row(parts, row.id)
    yield LogRecord(cursor=cursor, at=now(), stream=Stream.BOX, attempt=number, end=True)


async def transfer(parts: Parts, row: JobRow, present: TransferSummary | None) -> TransferSummary:
    """What a transfer did: `present` while it runs, else what was kept."""
    if row.kind is not JobKind.TRANSFER:
        raise LabboxError(
            "conflict",
            f"cannot show what job {row.id} transferred: it is no transfer",
            f"labbox job show {row.id}",
        )
    if present is not None and row.state in ACTIVE:
        return present
    folder = results.place(parts.state, row.owner, row.results)
    return await parts.in_thread(read_summary, folder) or TransferSummary()


async def usage_page(parts: Parts, owner: str | None) -> UsagePage:
    """One row per user, with the shares as the scheduler sees them now."""
    rows = await parts.store.read(usage.all_rows)
    names = sorted(parts.dispatcher.owners())
    recent = {name: parts.dispatcher.recent(name) for name in names}
    everything = sum(recent.values())
    return UsagePage(
        rows=tuple(
            Usage(
                owner=name,
                jobs=rows[name].jobs if name in rows else 0,
                cpu_seconds=rows[name].cpu_seconds if name in rows else 0.0,
                memory_byte_seconds=rows[name].memory_byte_seconds if name in rows else 0.0,
                recent=recent[name],
                share=recent[name] / everything if everything else 0.0,
                running=parts.dispatcher.held(name),
                storage=rows[name].storage if name in rows else 0,
            )
            for name in names
            if owner in (None, name)
        ),
        half_life=parts.settings.half_life_hours * 3600.0,
    )


async def notices_of(parts: Parts, owner: str, *, everything: bool) -> Notices:
    """What the person has not looked at yet; `everything`: what they have, too."""
    return Notices(notices=await parts.store.read(lambda c: notices.of(c, owner, seen=everything)))


async def notices_seen(parts: Parts, owner: str, up_to: int) -> None:
    """The person has looked at all up to this one."""
    await parts.store.write(lambda connection: notices.mark_seen(connection, owner, up_to))
    parts.feed.wake()


def _more(parts: Parts, job: int, number: int) -> Callable[[], Awaitable[bool]]:
    """Waits until an attempt's log may have grown; False where the attempt is over."""

    async def more() -> bool:
        changed = parts.feed.next_change()
        row = await _row(parts, job)
        if row.state in FINAL or row.state in WAITING or row.attempt > number:
            return False
        await changed.wait()
        return True

    return more


async def _row(parts: Parts, job: int) -> JobRow:
    return await parts.store.read(lambda connection: jobs.get(connection, job))


def _code_of(state: JobState) -> ReasonCode:
    return ReasonCode.PREPARING if state is JobState.PREPARING else ReasonCode.EXIT


def _words_of(state: JobState) -> str:
    words = {
        JobState.PREPARING: "its image and environment are being made",
        JobState.RUNNING: "it runs",
        JobState.PAUSED: "it is paused: labbox job resume lets it go on",
        JobState.COLLECTING: "it has ended, its results are being put away",
        JobState.SUCCEEDED: "it succeeded",
        JobState.QUEUED: "it is about to start",
    }
    return words.get(state, f"it ended as {state.replace('_', ' ')}")
