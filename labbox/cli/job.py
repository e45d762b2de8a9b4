"""`labbox job`: everything about jobs."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Mapping
from typing import Any, Final, TypeVar

import click
import msgspec

from labbox import transfers
from labbox.cli import check, fetch, group, submit
from labbox.cli.completion import complete_jobs
from labbox.cli.follow import exit_code, follow
from labbox.cli.nouns import Noun
from labbox.cli.output import (
    format_elapsed,
    format_resources,
    format_time,
    format_why,
    live_facts,
    print_facts,
    print_jobs,
    print_table,
    write_log,
)
from labbox.cli.session import Session, shared_options
from labbox.cli.values import GROUP, JOB
from labbox.client import Client
from labbox.errors import LabboxError
from labbox.logtext import LogText
from labbox.model import ACTIVE, FILES, RUNS, WAITING, JobKind, Role, Stream, state_clause
from labbox.protocol import Job, JobDetail, Live
from labbox.text import duration_text, elements_text, format_bytes, format_duration, visible_line

_PAGE = 500
Command = TypeVar("Command", bound=Callable[..., Any])
_WIDE = 120  # columns from which a list has room for what jobs take


@click.group(cls=Noun)
def job() -> None:
    """Hand in jobs, watch them, steer them."""


job.add_command(submit.submit)
job.add_command(check.check)
job.add_command(submit.rerun)
job.add_command(submit.edit)
job.add_command(fetch.fetch)
job.add_command(group.group)

_id = click.argument("number", metavar="ID", type=JOB, shell_complete=complete_jobs)
_ids = click.argument("ids", type=JOB, nargs=-1, required=True, shell_complete=complete_jobs)
_some_ids = click.argument("ids", type=JOB, nargs=-1, shell_complete=complete_jobs)


@job.command("list")
@click.option("--all", "everybody", is_flag=True, help="Everybody's jobs; the default for root.")
@click.option("--mine", is_flag=True, help="Your jobs only; the default for everybody else.")
@click.option("--user", metavar="NAME", help="This person's jobs.")
@click.option("--state", metavar="S", help="waiting, active, final, or states such as running,failed.")
@click.option("--name", metavar="PART", help="Jobs with this in their name.")
@click.option("--array", type=JOB, metavar="ID", help="The jobs of this array.")
@click.option("--group", "of_group", type=GROUP, metavar="NAME", help="The jobs of this group.")
@click.option(
    "--limit", type=click.IntRange(1), default=100, show_default=True, help="At most so many, newest first."
)
@click.option("--files", is_flag=True, help="Operations on files in place of runs.")
@click.option("--any-kind", is_flag=True, help="Runs and operations on files.")
@click.option(
    "--kind",
    "wanted",
    type=click.Choice([RUNS, FILES, "any"]),
    help=f"The same in one word: {RUNS} is the default.",
)
@click.option("--before", type=JOB, metavar="ID", help="Jobs older than this one: the next page.")
@shared_options
def list_jobs(
    session: Session,
    everybody: bool,
    mine: bool,
    user: str | None,
    state: str | None,
    name: str | None,
    array: int | None,
    of_group: str | None,
    limit: int,
    files: bool,
    any_kind: bool,
    wanted: str | None,
    before: int | None,
) -> None:
    """List runs, newest first; --files lists copies, deletions and the like. --json gives them as `jobs`."""
    if files + any_kind + (wanted is not None) > 1:
        raise LabboxError("usage", "cannot combine --kind, --files and --any-kind", "use one of them")
    any_kind = any_kind or wanted == "any"
    unsaid = None if array is not None or of_group is not None else RUNS
    kind = FILES if files else None if any_kind else wanted or unsaid
    if everybody + mine + (user is not None) > 1:
        raise LabboxError("usage", "cannot combine --all, --mine and --user", "use one of them")
    owner = user
    if not everybody and user is None:
        caller = session.box.whoami()
        owner = None if caller.role is Role.ADMIN and caller.uid == 0 and not mine else caller.name
    jobs: list[Job] = []
    while True:
        page = session.box.list_jobs(
            owner=owner,
            state=state,
            name=name,
            array=array,
            group=of_group,
            kind=kind,
            limit=min(_PAGE, limit - len(jobs)),
            before=before,
        )
        jobs += page.jobs
        before = page.next
        if before is None or len(jobs) >= limit:
            break
    if of_group is not None and not everybody:
        _check_one_owner(of_group, jobs)
    if session.json:
        session.print_json(msgspec.structs.replace(page, jobs=tuple(jobs)))
    elif jobs or not sys.stdout.isatty():
        print_jobs(jobs, _lives(session, jobs))
    else:
        print("no jobs", file=sys.stderr)


def _lives(session: Session, jobs: list[Job]) -> Mapping[int, Live]:
    """What those that run take now, for a wide terminal; nobody else is asked for it."""
    wide = sys.stdout.isatty() and shutil.get_terminal_size().columns >= _WIDE
    if not wide or not any(one.state in ACTIVE and one.kind is JobKind.CONTAINER for one in jobs):
        return {}
    return session.box.live_jobs().jobs


def _check_one_owner(group: str, jobs: list[Job]) -> None:
    """Groups are of one person each, and root's question without a name is about everybody's."""
    owners = sorted({listed.owner for listed in jobs})
    if len(owners) > 1:
        raise LabboxError(
            "usage",
            f"cannot tell which group {group} is meant: {', '.join(owners)} each have one",
            "say whose with --user NAME, or --all for all of them",
        )


@job.command()
@_id
@shared_options
def show(session: Session, number: int) -> None:
    """Show one job in short: state, reason, times, results."""
    detail = session.box.show_job(number)
    if session.json:
        _print_detail_json(session, detail)
    else:
        print_facts(_facts(detail))


@job.command()
@_id
@shared_options
def describe(session: Session, number: int) -> None:
    """Show all that is known about a job: what it was made from, its limits, every attempt."""
    detail = session.box.show_job(number)
    if session.json:
        _print_detail_json(session, detail)
        return
    spec = detail.spec
    if spec.transfer is not None:
        print_facts(_facts(detail))
        _print_attempts(detail)
        return
    print_facts(
        [
            *_facts(detail),
            ("folder", spec.path or ""),
            ("template", detail.template or ""),
            ("image", detail.image or ""),
            ("environment", detail.environment or ""),
            ("network", "allowed" if detail.network else "none"),
            ("retries", str(detail.retries)),
            ("variables", "\n".join(f"{key}={value}" for key, value in spec.env.items())),
            ("sweep", "\n".join(f"{sweep.name}={','.join(sweep.values)}" for sweep in spec.sweep)),
            ("code", detail.code_hash),
            ("input", detail.input_hash),
            ("commit", spec.commit or ""),
        ]
    )
    _print_attempts(detail)


def _print_attempts(detail: JobDetail) -> None:
    if detail.attempts:
        print()
        print_table(
            ("ATTEMPT", "STARTED", "ENDED", "EXIT", "CPU TIME", "PEAK MEMORY", "WHY"),
            [
                (
                    str(attempt.number),
                    format_time(attempt.started_at),
                    format_time(attempt.ended_at),
                    "-" if attempt.exit_code is None else str(attempt.exit_code),
                    "-" if attempt.cpu_seconds is None else format_duration(attempt.cpu_seconds),
                    "-" if attempt.peak_memory is None else format_bytes(attempt.peak_memory),
                    attempt.reason.text if attempt.reason is not None else "",
                )
                for attempt in detail.attempts
            ],
        )


def _facts(detail: JobDetail) -> list[tuple[str, str]]:
    job = detail.job
    elements = ""
    if detail.elements is not None:
        elements = ", ".join(
            f"{count} {state.value}" for state, count in detail.elements.by_state.items() if count
        )
    return [
        ("job", f"{job.id} {job.name}"),
        ("owner", job.owner),
        ("project", job.project or ""),
        ("group", job.group or ""),
        (
            "state",
            job.state.value + (f" with exit code {job.exit_code}" if job.exit_code is not None else ""),
        ),
        ("why", format_why(job)),
        ("submitted", format_time(job.submitted_at)),
        ("started", format_time(job.started_at) if job.started_at else ""),
        ("ended", format_time(job.ended_at) if job.ended_at else ""),
        ("elapsed", format_elapsed(job) if job.started_at else ""),
        ("attempt", str(job.attempt) if job.attempt > 1 else ""),
        ("elements", elements),
        ("array", f"{job.array}, element {job.index}" if job.array is not None else ""),
        ("after", ", ".join(map(str, job.after))),
        *([] if detail.spec.transfer is None else transfers.facts(detail.spec.transfer)),
        ("command", " ".join(detail.command)),
        ("resources", "" if job.kind is JobKind.TRANSFER else format_resources(job.resources)),
        *live_facts(detail),
        ("time limit", duration_text(detail.time_limit) if detail.time_limit else ""),
        ("priority", str(job.priority) if job.priority else ""),
        ("results", "" if job.kind is JobKind.TRANSFER else f"~/{job.results}"),
        ("output", format_bytes(detail.output_bytes) if detail.output_bytes is not None else ""),
    ]


def _print_detail_json(session: Session, detail: JobDetail) -> None:
    """The job's own fields stand at the top, as in a list; the details beside them."""
    fields = msgspec.to_builtins(detail, builtin_types=())
    session.print_json({**fields.pop("job"), **fields})


@job.command()
@_id
@click.option("--follow", "-f", "following", is_flag=True, help="Go on until the job has ended.")
@click.option("--attempt", type=click.IntRange(1), metavar="N", help="Only this attempt.")
@click.option("--tail", type=click.IntRange(0), metavar="N", help="Only the last N lines.")
@click.option("--stream", type=click.Choice([s.value for s in Stream]), help="Only this stream.")
@click.option("--progress", is_flag=True, help="Lines of labbox:progress too, on a terminal.")
@click.option("--timestamps", "-t", is_flag=True, help="Put the time before each piece.")
@shared_options
def log(
    session: Session,
    number: int,
    following: bool,
    attempt: int | None,
    tail: int | None,
    stream: str | None,
    timestamps: bool,
    progress: bool,
) -> None:
    """Print a job's log, both streams as they came.

    On a terminal carriage returns redraw their line, colours are kept, every other control character is made
    visible, and lines of labbox:progress are left out; into a file or a pipe every byte is as the job wrote
    it.
    --json gives a line of JSON for each piece.
    """
    shown = {one: LogText(progress=progress) for one in Stream} if sys.stdout.isatty() else None
    try:
        line_start = True
        for record in session.box.job_log(number, follow=following, attempt=attempt, tail=tail):
            if stream is not None and record.stream != stream:
                continue
            if session.json:
                session.print_json_line(record)
            elif timestamps and record.text:
                stamp = record.at.astimezone().strftime("%H:%M:%S ")
                body = record.text.removesuffix("\n")
                text = (stamp if line_start else "") + body.replace("\n", "\n" + stamp)
                line_start = record.text.endswith("\n")
                write_log(text + ("\n" if line_start else ""), record.stream, shown)
            elif record.text:
                write_log(record.text, record.stream, shown)
        for one in (shown or {}).values():
            sys.stdout.write(one.end())
    except KeyboardInterrupt:
        print(f"\njob {number} goes on; `labbox job log -f {number}` comes back to it", file=sys.stderr)


@job.command()
@_id
@shared_options
def why(session: Session, number: int) -> None:
    """Say why a job waits, or why it ended as it did."""
    found = session.box.why_job(number)
    if session.json:
        session.print_json(found)
        return
    place = f", place {found.position} in the queue" if found.position else ""
    when = f", expected to start at {format_time(found.expected_start)}" if found.expected_start else ""
    print(f"job {found.id} {state_clause(found.state)}{place}{when}")
    for reason in found.reasons:
        if found.state in WAITING:  # the kinds of what keeps it waiting; of the others the sentence says all
            print_facts([(reason.code.value.replace("_", " "), reason.text)])
        else:
            print(visible_line(reason.text))


@job.command()
@_id
@shared_options
def history(session: Session, number: int) -> None:
    """Show every change of a job's state, and who asked for it."""
    found = session.box.job_history(number)
    if session.json:
        session.print_json(found)
        return
    rows = [
        (
            format_time(e.at),
            e.state.value,
            str(e.attempt) if not e.elements else "",
            e.by or ("the box" if not e.elements else ""),
            e.reason.text if e.reason else elements_text(e.elements),
        )
        for e in found.entries
    ]
    print_table(("TIME", "STATE", "ATTEMPT", "BY", "WHY"), rows)


@job.command()
@_ids
@shared_options
def wait(session: Session, ids: tuple[int, ...]) -> int:
    """Wait until the jobs have ended; ends with the exit code of the first one that did not succeed."""
    codes = [follow(session, session.box.show_job(number).job, quiet=True, log=False) for number in ids]
    jobs = [session.box.show_job(number).job for number in ids]
    if session.json:
        session.print_json({"jobs": jobs} if len(jobs) > 1 else jobs[0])
    return next((code for code in codes if code), 0)


@job.command("input")
@_id
@click.argument("text", required=False)
@click.option("--close", is_flag=True, help="End the job's input after this.")
@shared_options
def write_input(session: Session, number: int, text: str | None, close: bool) -> None:
    """Send TEXT and a newline, or standard input, to a running job submitted with --stdin."""
    if text is not None or close:
        session.box.job_input(number, f"{text}\n" if text is not None else "", close=close)
    else:
        while piece := sys.stdin.readline(1 << 16):
            session.box.job_input(number, piece)
        if not sys.stdin.isatty():
            session.box.job_input(number, close=True)
    if session.json:
        session.print_json({})


@job.command()
@_id
@shared_options
def shell(session: Session, number: int) -> None:
    """Open a shell inside a running job."""
    from labbox.cli.shell import open_shell

    open_shell(session.box, number)


def _jobs_of_group(session: Session, name: str, verb: str) -> tuple[int, ...]:
    """The caller's jobs of a group that a verb may concern, arrays by their parents.

    Those that wait come first, lest they start in the room that others leave meanwhile.
    """
    owner = session.box.whoami().name
    states = ("waiting", "active") if verb != "retry" else ("failed,timed_out,cancelled,lost", "active")
    found: list[int] = []
    for state in states:
        before: int | None = None
        while True:
            page = session.box.list_jobs(
                owner=owner, state=state, array=0, group=name, limit=_PAGE, before=before
            )
            found += [one.id for one in page.jobs if one.id not in found]
            before = page.next
            if before is None:
                break
    if not found:
        raise _nothing_to_do(verb, name)
    return tuple(found)


_FOLLOWED: Final = ("release", "resume", "retry")  # after which a job goes on


def _with_following(verb: str) -> Callable[[Command], Command]:
    """--follow, for the verbs after which a job goes on."""
    if verb not in _FOLLOWED:
        return lambda command: command
    help_text = "Stay until the job has ended; end with its exit code."
    return click.option("--follow", "-f", "following", is_flag=True, help=help_text)


def _nothing_to_do(verb: str, group: str) -> LabboxError:
    return LabboxError(
        "not_found",
        f"cannot {verb} the group {group}: none of your jobs in it is in a state for that",
        f"`labbox job list --group {group}` shows its jobs",
    )


def _add_act(verb: str, help_text: str, done: str, act: Callable[[Client, int], Job]) -> None:
    """One of the verbs that change jobs: each job is tried, one refusal does not keep the others from it."""

    @job.command(verb, help=help_text)
    @_some_ids
    @click.option("--group", "of_group", type=GROUP, metavar="NAME", help="All jobs of this group of yours.")
    @_with_following(verb)
    @shared_options
    def command(session: Session, ids: tuple[int, ...], of_group: str | None, following: bool = False) -> int:
        if following and len(ids) != 1:
            raise LabboxError("usage", "cannot follow several jobs", f"{verb} one, or leave --follow out")
        if (of_group is None) == (not ids):
            raise LabboxError("usage", f"cannot {verb}: say which jobs", "name jobs, or a group by --group")
        if of_group is not None:
            ids = _jobs_of_group(session, of_group, verb)
        jobs: list[Job] = []
        refusals: list[LabboxError] = []
        for number in ids:
            try:
                jobs.append(act(session.box, number))
            except LabboxError as error:
                if of_group is not None and error.code == "conflict":
                    continue  # it is in another state: what is asked does not concern it
                if len(ids) == 1:
                    raise
                refusals.append(error)
                print(f"error: {error.message}", file=sys.stderr)
        if of_group is not None and not jobs and not refusals:
            raise _nothing_to_do(verb, of_group)
        if session.json:
            session.print_json({"jobs": jobs} if len(ids) > 1 or of_group is not None else jobs[0])
        else:
            for changed in jobs:
                print(f"job {changed.id} {done}")
        if following:
            return follow(session, jobs[0])
        return 1 if refusals else 0


for _verb, _help, _done, _act in (
    (
        "cancel",
        "End jobs: politely, then by force after the box's grace time.",
        "is being cancelled",
        Client.cancel_job,
    ),
    ("kill", "End jobs by force, at once.", "is being killed", Client.kill_job),
    ("hold", "Keep waiting jobs from starting.", "is held", Client.hold_job),
    ("release", "Let held jobs go back into the queue.", "is released", Client.release_job),
    ("pause", "Freeze running jobs in memory.", "is paused", Client.pause_job),
    ("resume", "Let paused jobs go on.", "goes on", Client.resume_job),
    ("retry", "Queue a new attempt of jobs that ended without success.", "is queued again", Client.retry_job),
):
    _add_act(_verb, _help, _done, _act)

__all__ = ["exit_code", "job"]
