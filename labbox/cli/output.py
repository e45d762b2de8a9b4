"""How answers look: tables that fit the terminal, times, states. Text from outside is made visible here."""

from __future__ import annotations

import shutil
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime

from labbox import live
from labbox.logtext import LogText
from labbox.model import ACTIVE, JobKind, Limits, Resources, Stream, state_word
from labbox.protocol import Job, JobDetail, Live
from labbox.text import format_bytes, format_duration, visible, visible_line

LIVE_CELLS = 20  # of a row for what a running job takes, where the terminal is wide
_LEAST = 8  # columns that an outer text keeps on the narrowest terminal


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], flexible: int | Sequence[int] | None = None
) -> None:
    """Print aligned columns. On a terminal the columns `flexible` (default: the last) are cut to fit.

    Of several the widest is cut first, so that each keeps what the others have no use for.
    """
    cells = [[visible_line(cell) for cell in row] for row in rows]
    widths = [max(map(_width, column)) for column in zip(headings, *cells, strict=True)]
    columns = (flexible,) if isinstance(flexible, int) else flexible or (len(headings) - 1,)
    if sys.stdout.isatty():
        over = sum(widths) + 2 * (len(widths) - 1) - shutil.get_terminal_size().columns
        while over > 0 and widths[widest := max(columns, key=lambda column: widths[column])] > _LEAST:
            widths[widest] -= 1
            over -= 1
    for row in (headings, *cells):
        line = "  ".join(_fit(cell, width) for cell, width in zip(row, widths, strict=True))
        print(
            _cut(line.rstrip(), shutil.get_terminal_size().columns) if sys.stdout.isatty() else line.rstrip()
        )


def print_facts(facts: Iterable[tuple[str, str]]) -> None:
    """Print names and values in two columns; empty values are left out."""
    shown = [(name, value) for name, value in facts if value]
    width = max((len(name) for name, _ in shown), default=0)
    for name, value in shown:
        first, *more = visible(value).split("\n")
        print(f"{name + ':':<{width + 1}} {first}")
        for line in more:
            print(f"{'':<{width + 1}} {line}")


def _width(text: str) -> int:
    """Columns that the text takes in a terminal (UAX #11; combining characters take none)."""
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text
    )


def _cut(text: str, width: int) -> str:
    if _width(text) <= width:
        return text
    kept, used = [], 0
    for character in text:
        used += _width(character)
        if used > width - 1:
            break
        kept.append(character)
    return "".join(kept) + "…"


def _fit(text: str, width: int) -> str:
    text = _cut(text, width)
    return text + " " * (width - _width(text))


def format_time(moment: datetime | None) -> str:
    """Local time for people: the day is left out for today."""
    if moment is None:
        return "-"
    local = moment.astimezone()
    today = datetime.now(UTC).astimezone().date()
    return local.strftime("%H:%M:%S" if local.date() == today else "%Y-%m-%d %H:%M")


def format_elapsed(job: Job) -> str:
    """How long a job has run, or ran; a dash for one that has not started."""
    if job.started_at is None:
        return "-"
    end = job.ended_at or datetime.now(UTC)
    return format_duration((end - job.started_at).total_seconds())


def format_name(job: Job) -> str:
    """The job's name; elements of an array say which one they are."""
    return job.name if job.index is None else f"{job.name}[{job.index}]"


def format_why(job: Job) -> str:
    """Why a job is where it is, or how far it is."""
    if job.progress is not None and job.state in ACTIVE:
        progress = job.progress
        if job.kind is JobKind.ARRAY and progress.total:
            return f"{progress.done:g}/{progress.total:g} done"
        if progress.total:
            return f"{progress.phase} {100 * progress.done / progress.total:.0f} %"
        return progress.phase
    return job.reason.text if job.reason is not None else ""


def format_resources(resources: Resources) -> str:
    """CPUs, memory and GPUs in a few words."""
    words = [f"{resources.cpus:g} CPU", format_bytes(resources.memory)]
    if resources.gpus:
        words.append(f"{resources.gpus} GPU")
    return ", ".join(words)


def live_facts(detail: JobDetail) -> list[tuple[str, str]]:
    """What a running job takes now, with the last minutes drawn."""
    return [
        (name.replace("Memory", "memory"), f"{told}  {drawn}") for name, told, drawn in live.figures(detail)
    ]


def format_limits(limits: Limits) -> list[tuple[str, str]]:
    """Each limit with its name."""

    def say(value: float | None, form: Callable[[float], str] = lambda number: f"{number:g}") -> str:
        return "none" if value is None else form(value)

    return [
        ("running jobs", say(limits.running_jobs)),
        ("CPUs", say(limits.cpus)),
        ("memory", say(limits.memory, format_bytes)),
        ("GPUs", say(limits.gpus)),
        ("storage", say(limits.storage, format_bytes)),
    ]


def print_jobs(jobs: Sequence[Job], lives: Mapping[int, Live] | None = None) -> None:
    """The table of jobs; `lives`: what those that run take now, where there is room for it."""
    grouped = any(job.group is not None for job in jobs)  # most people have no groups: no column for nothing
    rows = [
        (
            str(job.id),
            format_name(job),
            job.owner,
            *([job.group or "-"] if grouped else []),
            state_word(job.state, job.kind),
            format_elapsed(job),
            *([" ".join(live.short(lives.get(job.id), LIVE_CELLS)) or "-"] if lives else []),
            "-" if job.exit_code is None else str(job.exit_code),
            format_why(job),
        )
        for job in jobs
    ]
    group = ("GROUP",) if grouped else ()
    takes = ("CPUS MEMORY",) if lives else ()
    headings = ("ID", "NAME", "USER", *group, "STATE", "ELAPSED", *takes, "EXIT", "WHY")
    print_table(headings, rows, flexible=(1, 2, *((3,) if grouped else ()), len(headings) - 1))


def write_log(text: str, stream: Stream, shown: Mapping[Stream, LogText] | None) -> None:
    """A log as the job wrote it, byte for byte; on a terminal as `shown` has it, by stream."""
    if shown is not None:
        sys.stdout.write(shown[stream].feed(text))
        sys.stdout.flush()
    else:
        sys.stdout.flush()
        sys.stdout.buffer.write(text.encode("utf-8", "surrogateescape"))
        sys.stdout.buffer.flush()
