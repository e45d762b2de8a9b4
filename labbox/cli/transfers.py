"""Transfers from the command line: handed in as jobs, followed with a bar, told of in a few lines."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from typing import Final

import click
import msgspec

from labbox.cli.asking import confirm
from labbox.cli.follow import OWN_FAILURE, TIMED_OUT, progress_drawn, say_it_goes_on
from labbox.cli.places import results_of, within
from labbox.cli.progress import Bar
from labbox.cli.session import Session
from labbox.errors import LabboxError
from labbox.familiar import as_typed
from labbox.files.sumlines import plain_sum_line
from labbox.locations import parse, path_of
from labbox.model import (
    CANCELLED_EXIT,
    Conflict,
    Decision,
    JobSpec,
    JobState,
    TransferSpec,
    TransferVerb,
    Value,
    state_word,
)
from labbox.protocol import Failure, Job, TransferSummary
from labbox.text import format_bytes, visible, visible_line

FAILURES_SHOWN: Final = 20
_LASTING: Final = frozenset({"not_found", "invalid", "usage", "conflict"})  # would fail the same way again
_DONE: Final = {
    TransferVerb.COPY: "copied",
    TransferVerb.MOVE: "moved",
    TransferVerb.TRASH: "put into the trash:",
    TransferVerb.ERASE: "deleted",
    TransferVerb.RESTORE: "restored",
    TransferVerb.SYNC: "synchronised",
    TransferVerb.PACK: "packed",
    TransferVerb.UNPACK: "unpacked",
    TransferVerb.UNDO: "taken back:",
}
_LINES: Final = frozenset({TransferVerb.COMPARE, TransferVerb.FIND, TransferVerb.CHECKSUM})


class Wishes(Value):
    """How a transfer is handed in."""

    queue: bool = False  # hand it in and leave
    quiet: bool = False
    dry_run: bool = False
    nul: bool = False  # result lines end in a zero byte, and names are as they are
    after: tuple[int, ...] = ()
    wait: float = 0.0  # seconds for which a host that does not answer is tried again


class Outcome(Value):
    """What a followed transfer came to, for --json; `lines` are all results of find, diff and sum."""

    job: Job
    summary: TransferSummary
    lines: tuple[str, ...] = ()


def transfer(session: Session, spec: TransferSpec, wishes: Wishes) -> int:
    """Plan it, or hand it in and stay with it; the exit code: 0 for all done, 1 for what was not."""
    if wishes.dry_run:
        return _show_plan(session, spec)
    spec = msgspec.structs.replace(spec, wait=wishes.wait)
    job = session.box.submit_job(JobSpec(transfer=spec, after=wishes.after))
    if wishes.queue:
        if session.json:
            session.print_json(job)
        else:
            print(
                job.id
                if wishes.quiet
                else f"job {job.id} ({visible_line(job.name)}) is {state_word(job.state, job.kind)}"
            )
        return 0
    ended = _follow(session, job, quiet=wishes.quiet)
    return CANCELLED_EXIT if ended is None else _tell(session, spec, ended, wishes)


def _follow(session: Session, job: Job, *, quiet: bool) -> Job | None:
    """The job once it has ended; None where the person left it to itself."""
    bar = Bar(quiet=quiet or session.json)
    while True:
        try:
            with progress_drawn(session, job, bar):
                return session.box.wait_job(job.id)
        except KeyboardInterrupt:
            bar.close()
            if not _shall_end(job):
                say_it_goes_on(job)
                return None
            session.box.cancel_job(job.id)
        finally:
            bar.close()


def _shall_end(job: Job) -> bool:
    """Ask, where there is somebody to answer; another Ctrl+C is a no."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return False
    try:
        return confirm(f"\nEnd job {job.id}? It goes on otherwise")
    except click.Abort:
        return False


def _tell(session: Session, spec: TransferSpec, job: Job, wishes: Wishes) -> int:
    summary = _summary(session, job)
    if session.json:
        session.print_json(
            Outcome(job=job, summary=summary, lines=tuple(result_lines(session, job, summary)))
        )
        return _code(spec, job, summary)
    if spec.verb in _LINES:
        for line in result_lines(session, job, summary):
            _print_line(line, spec.verb, nul=wishes.nul)
    elif not wishes.quiet and job.state is JobState.SUCCEEDED:
        print(f"{_DONE[spec.verb]} {counted(summary)}")
    sys.stdout.flush()
    if not wishes.quiet:
        for sentence in summary.not_kept:
            print(f"note: {visible_line(sentence)}", file=sys.stderr)
    print_failures(summary.failures, summary.failed)
    if job.state is not JobState.SUCCEEDED:
        _say_end(job, summary)
    return _code(spec, job, summary)


def _summary(session: Session, job: Job) -> TransferSummary:
    try:
        return session.box.transfer_summary(job.id)
    except LabboxError as error:
        if job.state is JobState.SUCCEEDED or error.code not in ("not_found", "conflict"):
            raise
        return TransferSummary()  # it was ended before it began


def counted(summary: TransferSummary) -> str:
    """``3 files, 1 folder, 1.5 MiB; 2 skipped``."""
    words = [
        f"{count} {word}{'' if count == 1 else 's'}"
        for count, word in ((summary.files, "file"), (summary.folders, "folder"), (summary.links, "link"))
        if count
    ]
    words = words or ["nothing"]
    if summary.size:
        words.append(format_bytes(summary.size))
    return ", ".join(words) + (f"; {summary.skipped} skipped" if summary.skipped else "")


def print_failures(failures: tuple[Failure, ...], count: int) -> None:
    """Name what could not be done, the first ones of many."""
    for failure in failures[:FAILURES_SHOWN]:
        print(f"error: {visible_line(failure.text)}", file=sys.stderr)
    if count > FAILURES_SHOWN:
        print(f"… and {count - FAILURES_SHOWN} more", file=sys.stderr)
    if any(failure.code == "conflict" for failure in failures):
        print("hint: what is in the way stays: say --skip, --overwrite, --newer or --rename", file=sys.stderr)


def _say_end(job: Job, summary: TransferSummary) -> None:
    reason = f": {visible(job.reason.text)}" if job.reason is not None else ""
    for failure in summary.failures[:1]:  # it has been said just above
        reason = reason.removesuffix(f": {visible_line(failure.text)}")
    print(f"job {job.id} {state_word(job.state, job.kind)}{reason}", file=sys.stderr)
    lasting = all(failure.code in _LASTING for failure in summary.failures)
    if summary.failed and not (lasting and summary.failed <= len(summary.failures)):
        again = as_typed(f"labbox job retry {job.id}")
        print(f"hint: `{again}` tries again what failed", file=sys.stderr)


def _code(spec: TransferSpec, job: Job, summary: TransferSummary) -> int:
    match job.state:
        case JobState.SUCCEEDED:
            return 1 if summary.failed or (spec.verb is TransferVerb.COMPARE and summary.line_count) else 0
        case JobState.FAILED:
            return 1
        case JobState.CANCELLED:
            return CANCELLED_EXIT
        case JobState.TIMED_OUT:
            return TIMED_OUT
        case _:
            return OWN_FAILURE


def result_lines(session: Session, job: Job, summary: TransferSummary) -> Iterator[str]:
    """All results of find, diff or sum: those that the summary has not stand in the job's report."""
    if summary.line_count <= len(summary.lines):
        yield from summary.lines
        return
    try:
        with (results_of(session, job) / "output" / "report.jsonl").open("rb") as report:
            for row in report:
                if row.startswith(b'{"line":'):
                    yield json.loads(row)["line"]
    except OSError as error:
        raise LabboxError(
            "unavailable",
            f"cannot read all results of job {job.id}: {error.strerror}",
            f"they are in job:{job.id}/output/report.jsonl",
        ) from error


def _print_line(line: str, verb: TransferVerb, *, nul: bool) -> None:
    text = path_of(line)
    if verb is TransferVerb.CHECKSUM and (nul or not sys.stdout.isatty()):  # programs check it, byte for byte
        sys.stdout.flush()
        sys.stdout.buffer.write(
            os.fsencode(plain_sum_line(text)) + b"\0" if nul else os.fsencode(text) + b"\n"
        )
        return
    if not nul:
        print(visible_line(text) if verb is not TransferVerb.COMPARE else visible(text))
        return
    if verb is TransferVerb.FIND:
        text = path_of(str(parse(text)))
    sys.stdout.flush()
    sys.stdout.buffer.write(os.fsencode(text) + b"\0")


def asked_about_each(session: Session, spec: TransferSpec) -> TransferSpec:
    """The same with a decision for everything that is in the way; somebody at a terminal is asked."""
    from labbox.files.transfer.planning import plan

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise LabboxError("usage", "cannot ask about each: there is no terminal", "say --skip or --overwrite")
    assert spec.target is not None  # noqa: S101 - copies have one
    wanted = [parse(text) for text in (*spec.sources, spec.target)]
    found = within(session, lambda places: plan(spec, places), *wanted)
    if found.conflict_count > len(found.conflicts):
        raise LabboxError(
            "limit", f"cannot ask about {found.conflict_count:,} files", "say --skip, --newer or --overwrite"
        )
    decisions = tuple(
        Decision(path=clash.path, conflict=Conflict.OVERWRITE if yes else Conflict.SKIP)
        for clash in found.conflicts
        for yes in (confirm(f"Overwrite {visible_line(path_of(clash.path))}?"),)
    )
    return msgspec.structs.replace(spec, decisions=decisions)


def _show_plan(session: Session, spec: TransferSpec) -> int:
    """What it would do; nothing is changed and no job is made."""
    from labbox.files.transfer.planning import plan

    wanted = [parse(text) for text in (*spec.sources, *([spec.target] if spec.target else []))]
    found = within(session, lambda places: plan(spec, places), *wanted)
    if session.json:
        session.print_json(found)
        return 0 if not found.problem_count else 1
    facts = TransferSummary(files=found.files, folders=found.folders, links=found.links, size=found.size)
    print(f"{spec.verb} {counted(facts)}")
    if found.free is not None:
        print(f"free at the target: {format_bytes(found.free)}")
    for line in found.lines:
        print(visible(path_of(line)))
    if found.line_count > len(found.lines):
        print(f"… and {found.line_count - len(found.lines)} more")
    if found.conflict_count:
        print(f"in the way: {found.conflict_count}, which with this command {_FATE[spec.conflict.value]}")
        for clash in found.conflicts[:FAILURES_SHOWN]:
            print(f"  {visible_line(path_of(clash.path))}")
        if found.conflict_count > FAILURES_SHOWN:
            print(f"  … and {found.conflict_count - FAILURES_SHOWN} more")
    sys.stdout.flush()
    for problem in found.problems[:FAILURES_SHOWN]:
        print(f"error: {visible_line(problem.text)}", file=sys.stderr)
    if found.problem_count > FAILURES_SHOWN:
        print(f"… and {found.problem_count - FAILURES_SHOWN} more", file=sys.stderr)
    return 1 if found.problem_count else 0


_FATE: Final = {
    "fail": "are left and counted as not done (--skip, --overwrite, --newer, --rename)",
    "skip": "are left",
    "overwrite": "are overwritten",
    "newer": "are overwritten where they are older",
    "rename": "stay, and the new ones get other names",
    "resume": "are continued",
}
