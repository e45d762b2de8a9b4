"""`labbox job submit`, `rerun` and `edit`: what a job shall be."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

import click

from labbox.cli.check import warn
from labbox.cli.completion import complete_jobs
from labbox.cli.follow import announce, follow
from labbox.cli.session import Session, shared_options
from labbox.cli.values import (
    ARRAY,
    CHANGED_GROUP,
    CPUS,
    DURATION,
    GROUP,
    JOB,
    JOBS,
    MOMENT,
    SIZE,
    SWEEP,
    VARIABLE,
)
from labbox.errors import LabboxError
from labbox.locations import elsewhere
from labbox.model import JobSpec, Sweep
from labbox.protocol import Caller, Job, JobEdit, Submitted

Command = TypeVar("Command", bound=Callable[..., Any])


class WordsAfterDashes(click.Command):
    """Keeps the words after ``--`` apart as `command`, and lets ``--sweep`` take several words."""

    def collect_usage_pieces(self, ctx: click.Context) -> list[str]:
        """Show the words after the dashes too."""
        return [*super().collect_usage_pieces(ctx), "[-- COMMAND...]"]

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """Split at the first ``--``; repeat ``--sweep`` before each NAME=VALUES that follows it."""
        words: list[str] = args
        command: tuple[str, ...] = ()
        if "--" in args:
            at = args.index("--")
            words, command = args[:at], tuple(args[at + 1 :])
        spread: list[str] = []
        sweeping = False
        for word in words:
            if sweeping and "=" in word and not word.startswith("-") and spread[-1] != "--sweep":
                spread.append("--sweep")
            elif not (spread and spread[-1] == "--sweep"):
                sweeping = word == "--sweep"
            spread.append(word)
        rest = super().parse_args(ctx, spread)
        ctx.params["command"] = command
        return rest


def _limits(command: Command) -> Command:
    """What submit, rerun and edit have in common."""
    options = (
        click.option("--name", metavar="N", help="A name for the job."),
        click.option("--cpus", type=CPUS, metavar="X", help="CPUs, such as 2 or 0.5."),
        click.option("--memory", type=SIZE, metavar="SIZE", help="Memory, such as 2G."),
        click.option("--gpus", type=click.IntRange(0, 64), metavar="N", help="GPUs."),
        click.option(
            "--time", "time_limit", type=DURATION, metavar="T", help="Ended after this time, such as 1h30m."
        ),
        click.option(
            "--priority", type=click.IntRange(-1000, 1000), metavar="P", help="Higher goes first among yours."
        ),
        click.option(
            "--retries", type=click.IntRange(0, 100), metavar="N", help="New attempts after a failure."
        ),
        click.option("--network/--no-network", default=None, help="Whether it may use the network."),
        click.option(
            "--env", type=VARIABLE, metavar="K=V", multiple=True, help="An environment variable; repeatable."
        ),
    )
    for option in reversed(options):  # as decorators would be written, so that the help has this order
        command = option(command)
    return command


_new_group = click.option(
    "--group", type=CHANGED_GROUP, metavar="NAME", help="Into this group of yours; none: out of its group."
)


@click.command(cls=WordsAfterDashes)
@click.argument("path", required=False)
@_limits
@click.option("--follow", "-f", "following", is_flag=True, help="Show the log; end with the job's exit code.")
@click.option("--quiet", "-q", is_flag=True, help="Print the number and nothing else.")
@click.option("--image", metavar="I", help="Run in this image instead of the language's.")
@click.option("--template", metavar="T", help="The language; `labbox templates` lists them.")
@click.option(
    "--after", type=JOBS, metavar="ID", multiple=True, help="Only after this job has succeeded; repeatable."
)
@click.option(
    "--array",
    type=ARRAY,
    metavar="1-20",
    help="One job per number; 1-20:2, 1,4,7 and 1-100%8 (8 at once) too.",
)
@click.option(
    "--sweep",
    type=SWEEP,
    metavar="K=A,B",
    multiple=True,
    help="One job per combination of values; K=1:5 counts.",
)
@click.option("--parallel", type=click.IntRange(1), metavar="N", help="At most so many of an array at once.")
@click.option(
    "--group",
    type=GROUP,
    metavar="NAME",
    help="One of your groups, made here if need be; `job group` limits how many of its jobs run at once.",
)
@click.option("--hold", is_flag=True, help="Wait until it is released.")
@click.option("--start-at", type=MOMENT, metavar="T", help="Not before: 22:00, +2h or 2026-11-22T08:00.")
@click.option("--stdin", is_flag=True, help="Keep its standard input open for `labbox job input`.")
@click.option("--project", metavar="P", help="Count it to this project.")
@click.option(
    "--deliver",
    metavar="LOCATION",
    help="Copy the output there once it has succeeded, as in sftp://me@my-pc/study/output.",
)
@shared_options
def submit(
    session: Session,
    path: str | None,
    command: tuple[str, ...],
    following: bool,
    quiet: bool,
    after: tuple[tuple[int, ...], ...],
    array: tuple[tuple[int, ...], int | None] | None,
    sweep: tuple[Sweep, ...],
    parallel: int | None,
    env: tuple[tuple[str, str], ...],
    priority: int | None,
    start_at: datetime | None,
    **words: Any,
) -> int:
    """Hand in the folder PATH, or a COMMAND given after `--`, and print the job's number.

    PATH is below your home on the box. The folder is copied at once: what you change later does not matter.
    A folder elsewhere (sftp://me@my-pc/study, project:atlas/study) is fetched first, and handed in as it is
    then; a machine that sleeps is tried again for three days. --follow stays until the output is delivered.
    `--array 1-20` makes twenty jobs; each finds its number as LABBOX_INDEX in its environment, and how many
    there are as LABBOX_ARRAY_COUNT. `--sweep lr=0.1,0.2 seed=1:5` makes ten jobs; each finds its values as
    LABBOX_SWEEP_lr and LABBOX_SWEEP_seed, and in /labbox/params.json.

    With --follow the exit code is the job's own; 128+N after signal N, 124 at the time limit, 130 when
    cancelled, 125 when labbox could not run it. Ctrl+C leaves the job running.
    """
    if path is None and not command:
        raise LabboxError(
            "usage", "cannot submit nothing", "name a folder, or a command: labbox job submit study"
        )
    caller = session.box.whoami() if path is not None and elsewhere(path) is None else None
    indices, at_once = array or ((), None)
    spec = JobSpec(
        path=path if path is None or caller is None else place_below_home(session, caller, path),
        command=command,
        after=tuple(number for numbers in after for number in numbers),
        array=indices,
        sweep=sweep,
        parallel=parallel or at_once,
        env=dict(env),
        priority=priority or 0,
        start_at=start_at,
        **words,
    )
    return _tell(session, session.box.submit_job(spec), following=following, quiet=quiet)


def place_below_home(session: Session, caller: Caller, path: str) -> str:
    """The path as the box wants it, relative to the home; a sentence for a folder elsewhere.

    On the box a relative path counts from the current folder if that leads into the home, else from the
    home.
    """
    if session.box.where.startswith("ssh://") or not caller.home:
        return path
    home = Path(os.path.realpath(caller.home))
    for candidate in (Path.cwd() / path, home / path):
        real = Path(os.path.realpath(candidate))
        if real.is_relative_to(home) and (Path(path).is_absolute() or real.exists()):
            return str(real.relative_to(home)) if real != home else "."
        if Path(path).is_absolute():
            break
    if Path(path).is_absolute() or ".." in Path(path).parts or Path(path).is_dir():
        raise LabboxError(
            "invalid",
            f"cannot submit {path}: it is not below the home of {caller.name}",
            f"copy it there first: cp -r {path} {caller.home}/ (or scp -r to the box)",
        )
    return path


@click.command(cls=WordsAfterDashes)
@click.argument("number", metavar="ID", type=JOB, shell_complete=complete_jobs)
@_limits
@_new_group
@click.option(
    "--fresh", is_flag=True, help="Take the folder as it is now instead of what was handed in then."
)
@click.option("--follow", "-f", "following", is_flag=True, help="Show the log; end with the job's exit code.")
@click.option("--quiet", "-q", is_flag=True, help="Print the number and nothing else.")
@shared_options
def rerun(session: Session, number: int, following: bool, quiet: bool, fresh: bool, **words: Any) -> int:
    """Make a new job like job ID, with the changes given; a COMMAND after `--` replaces the old one."""
    return _tell(
        session, session.box.rerun_job(number, _edit(words, fresh=fresh)), following=following, quiet=quiet
    )


@click.command(cls=WordsAfterDashes)
@click.argument("number", metavar="ID", type=JOB, shell_complete=complete_jobs)
@_limits
@_new_group
@shared_options
def edit(session: Session, number: int, **words: Any) -> None:
    """Change a job that waits; a COMMAND after `--` replaces the old one."""
    change = _edit(words)
    if change == JobEdit():
        raise LabboxError(
            "usage", "cannot edit without a change", "`labbox job edit --help` lists what can be changed"
        )
    job = session.box.edit_job(number, change)
    if session.json:
        session.print_json(job)
    else:
        print(announce(job))


def _edit(words: dict[str, Any], *, fresh: bool = False) -> JobEdit:
    env = dict(words.pop("env")) or None
    command = words.pop("command") or None
    return JobEdit(env=env, command=command, fresh=fresh, **words)


def _tell(session: Session, job: Submitted, *, following: bool, quiet: bool) -> int:
    """Print the number (for people with a few words) and follow the job if asked to."""
    if not quiet:
        warn(job.warnings)
    if session.json:
        session.print_json_line(job)
    elif quiet or not sys.stdout.isatty():
        print(job.id, flush=True)
    else:
        print(announce(job), flush=True)
    return _follow_chain(session, job, quiet=quiet) if following else 0


def _follow_chain(session: Session, job: Job, *, quiet: bool) -> int:
    """The fetch of its folder, the job, the delivery of its output; the code of the first that is not 0."""
    detail = session.box.show_job(job.id)
    if elsewhere(detail.spec.path) is not None:
        for number in detail.job.after:
            follow(session, session.box.show_job(number).job, quiet=quiet)  # the job itself says how it went
    code = follow(session, job, quiet=quiet)
    if code == 0:
        for number in session.box.show_job(job.id).before:
            later = session.box.show_job(number)
            asked = later.spec.transfer
            if code == 0 and asked is not None and asked.sources == (f"job:{job.id}/output",):
                code = follow(session, later.job, quiet=quiet)
    return code
