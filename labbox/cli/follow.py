"""Following a job to its end: its log, its progress, and its exit code as ours."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from labbox.cli.progress import Bar
from labbox.cli.session import Session
from labbox.client import Client
from labbox.errors import LabboxError
from labbox.familiar import as_typed
from labbox.logtext import LogText
from labbox.model import ACTIVE, CANCELLED_EXIT, WAITING, JobKind, JobState, Stream, state_word
from labbox.protocol import Job
from labbox.text import visible, visible_line

OWN_FAILURE: Final = 125  # labbox could not run it, as `docker run` says it
TIMED_OUT: Final = 124  # as `timeout` says it
_WATCH: Final = 10.0  # seconds between two looks at an array


def exit_code(job: Job) -> int:
    """What following this job ends with: its own code, 128+N, 124, 130 or 125."""
    match job.state:
        case JobState.SUCCEEDED:
            return 0
        case JobState.TIMED_OUT:
            return TIMED_OUT
        case JobState.CANCELLED:
            return CANCELLED_EXIT
        case JobState.FAILED if job.kind is JobKind.ARRAY:
            return 1
        case JobState.FAILED if job.exit_code:
            return job.exit_code & 0xFF or 1
        case _:
            return OWN_FAILURE


def follow(session: Session, job: Job, *, quiet: bool = False, log: bool = True) -> int:
    """Stay with a job until it has ended and return its exit code; Ctrl+C leaves the job and its caller.

    Its standard output goes to ours and its standard error to ours, byte for byte where they are no
    terminals; what the box says of itself, and the progress bar, go to standard error.
    """
    bar = Bar(quiet=quiet or session.json)
    try:
        with progress_drawn(session, job, bar):
            if log and job.kind is not JobKind.ARRAY:
                _copy_log(session.box, job.id, bar, quiet=quiet)
            job = session.box.wait_job(job.id)
    except KeyboardInterrupt:
        bar.close()
        say_it_goes_on(job)
        return CANCELLED_EXIT
    finally:
        bar.close()
    if job.state is not JobState.SUCCEEDED and not quiet:
        reason = f": {visible(job.reason.text)}" if job.reason is not None else ""
        print(f"job {job.id} {state_word(job.state, job.kind)}{reason}", file=sys.stderr)
    return exit_code(job)


def say_it_goes_on(job: Job) -> None:
    """To whoever leaves a job to itself: how to come back to it, and how to end it."""
    print(
        f"\njob {job.id} goes on without you\n"
        f"come back:  {as_typed(f'labbox job log -f {job.id}')}\n"
        f"end it:     {as_typed(f'labbox job cancel {job.id}')}",
        file=sys.stderr,
    )


def _copy_log(box: Client, number: int, bar: Bar, *, quiet: bool) -> None:
    out, err = LogText(), LogText()
    for record in box.job_log(number, follow=True):
        match record.stream:
            case Stream.OUT:
                bar.write(out.feed(record.text) if sys.stdout.isatty() else record.text, raw=True)
            case Stream.ERR:
                bar.write(err.feed(record.text) if sys.stderr.isatty() else record.text, raw=True, error=True)
            case Stream.BOX if not quiet:
                bar.write(visible(record.text), error=True)
    if sys.stdout.isatty():
        bar.write(out.end(), raw=True)
    if sys.stderr.isatty():
        bar.write(err.end(), raw=True, error=True)


@contextmanager
def progress_drawn(session: Session, job: Job, bar: Bar) -> Iterator[None]:
    """Draw the job's progress from a second connection while the body runs."""
    if not bar.live:
        yield
        return
    box = session.another_client()

    def watch() -> None:
        try:
            cursor = box.list_jobs(limit=1).cursor  # before the look: what changes in between is an event
            _show(bar, box.show_job(job.id).job)
            for event in box.events(after=cursor, follow=True):
                if event.job is not None and event.job.id == job.id:
                    _show(bar, event.job)
        except LabboxError:
            return  # closed, or lost for good: then the log's own connection says so

    watcher = threading.Thread(target=watch, name="progress", daemon=True)
    watcher.start()
    try:
        yield
    finally:
        box.close()
        watcher.join(5)


def _show(bar: Bar, job: Job) -> None:
    if job.state in WAITING:
        reason = f": {job.reason.text}" if job.reason is not None else ""
        bar.show(None, f"job {job.id} waits{reason}")
    elif job.state in ACTIVE and job.progress is not None:
        bar.show(job.progress)
    elif job.state in ACTIVE and job.state is not JobState.RUNNING:
        bar.show(None, f"job {job.id}: {state_word(job.state, job.kind)}")
    else:
        bar.show(None)


def announce(job: Job) -> str:
    """One sentence about a job just handed in."""
    what = "array" if job.kind is JobKind.ARRAY else "job"
    return f"{what} {job.id} ({visible_line(job.name)}) is {job.state.value}"
