"""How jobs, times and sizes read on screens: text and the name of its ink, no widget."""

from __future__ import annotations

import shlex
from datetime import datetime
from typing import Final

from labbox import live
from labbox.model import ACTIVE, FINAL, WAITING, JobKind, JobSpec, JobState, Progress, state_word
from labbox.protocol import Job, JobDetail, Live
from labbox.text import duration_text, format_bytes, format_duration, visible_line
from labbox.tui import clock

Part = tuple[str, str]  # text and ink
Cell = list[Part]

STATE: Final[dict[JobState, tuple[str, str]]] = {
    JobState.HELD: ("◇", "warn"),
    JobState.QUEUED: ("○", "note"),
    JobState.PREPARING: ("◔", "accent"),
    JobState.RUNNING: ("●", "primary"),
    JobState.PAUSED: ("◐", "warn"),
    JobState.COLLECTING: ("◕", "accent"),
    JobState.SUCCEEDED: ("✓", "good"),
    JobState.FAILED: ("✗", "bad"),
    JobState.TIMED_OUT: ("✗", "bad"),
    JobState.CANCELLED: ("–", "dim"),
    JobState.LOST: ("✗", "bad"),
}


def live_cell(figures: Live | None, room: int) -> Cell:
    """CPUs and memory in use, and the last looks drawn as far as there is room."""
    text, drawn = live.short(figures, room)
    return [(text, "text"), (f" {drawn}", "primary")]


def live_lines(detail: JobDetail) -> list[Cell]:
    """What a job takes now: figures, peaks, and the last minutes drawn."""
    return [
        [(f"  {name:<14}", "dim"), (f"{told}  ", "text"), (drawn, "primary")]
        for name, told, drawn in live.figures(detail)
    ]


def state_cell(state: JobState, kind: JobKind = JobKind.CONTAINER) -> Cell:
    """The state with its sign, so that it can be told without colours."""
    sign, ink = STATE[state]
    return [(f"{sign} {state_word(state, kind)}", ink)]


def elapsed(job: Job) -> str:
    """How long the attempt has run, or ran; empty before it starts."""
    if job.started_at is None:
        return ""
    end = job.ended_at or (clock.now() if job.state in ACTIVE else job.started_at)
    return format_duration((end - job.started_at).total_seconds())


def bar(fraction: float, width: int, ink: str = "primary") -> Cell:
    """A bar of `width` cells, drawn in halves."""
    halves = round(min(1.0, max(0.0, fraction)) * width * 2)
    full, half = divmod(halves, 2)
    middle = "╸" if half else ""
    rest = width - full - half
    return [("━" * full + middle, ink), ("─" * rest, "faint")]


def progress_cell(progress: Progress, width: int) -> Cell:
    """Phase, bar, percentage, rate and time left, as much as fits."""
    phase = visible_line(progress.phase)
    if not progress.total:
        done = ""
        if progress.done:
            done = (
                format_bytes(progress.done)
                if progress.unit == "bytes"
                else f"{progress.done:g} {progress.unit}"
            )
        return [(f"{phase} {visible_line(done)}".strip(), "dim")]
    fraction = progress.done / progress.total
    tail = f" {min(100, int(fraction * 100)):3d}%"
    left = f" {format_duration(progress.remaining)} left" if progress.remaining is not None else ""
    rate = ""
    if progress.rate:
        amount = format_bytes(progress.rate) if progress.unit == "bytes" else f"{progress.rate:.3g}"
        rate = f" {amount}/s"
    room = width - len(tail)
    for extra in (left + rate, left):
        if room - len(extra) >= 10:
            tail += extra
            room -= len(extra)
            break
    shown_phase = f"{phase} " if phase != "running" and room - len(phase) >= 12 else ""
    room -= len(shown_phase)
    return [(shown_phase, "dim"), *bar(fraction, max(3, min(room, 40))), (tail, "text")]


def why_cell(job: Job, width: int) -> Cell:
    """The last column of the job table: the bar while it works, the reason otherwise."""
    ink = "dim" if job.state in WAITING or job.state is JobState.CANCELLED else "text"
    reason = "" if job.reason is None else visible_line(job.reason.text)
    if job.kind is JobKind.ARRAY and job.progress is not None and job.progress.total:
        return _elements_cell(job.progress, width, reason if job.state not in ACTIVE else "", ink)
    if job.state in ACTIVE and job.progress is not None:
        return progress_cell(job.progress, width)
    return [(reason, ink if reason else "dim")]


def _elements_cell(progress: Progress, width: int, reason: str, ink: str) -> Cell:
    """How many elements of an array have ended, with a bar while some have not; and the reason, if any."""
    total = progress.total or 0
    text = f"{progress.done:g}/{total:g} done"
    if reason:
        return [(text, "text"), (f" · {reason}", ink)]
    room = min(40, width - len(text) - 1)
    if progress.done >= total or room < 4:
        return [(text, "text")]
    return [*bar(progress.done / total, room), (f" {text}", "text")]


def exit_cell(job: Job) -> Cell:
    """The exit code; anything but 0 in the colour of failures."""
    if job.exit_code is None:
        return [("", "dim")]
    return [(str(job.exit_code), "dim" if job.exit_code == 0 or job.state is JobState.CANCELLED else "bad")]


def name_of(job: Job) -> str:
    """The job's name for one line; array parents and elements say what they are."""
    name = visible_line(job.name)
    if job.kind is JobKind.ARRAY:
        return f"{name} [array]"
    return f"{name}[{job.index}]" if job.index is not None else name


def local_time(moment: datetime | None) -> str:
    """A time in the box's zone: the time of day today, the date before."""
    if moment is None:
        return ""
    local = moment.astimezone()
    today = clock.now().astimezone().date()
    return local.strftime("%H:%M:%S") if local.date() == today else local.strftime("%Y-%m-%d %H:%M")


def short_time(moment: datetime) -> str:
    """The same in six cells: the time of day today, the day this year, else the month."""
    local, now = moment.astimezone(), clock.now().astimezone()
    if local.date() == now.date():
        return local.strftime("%H:%M")
    return local.strftime("%d %b" if local.year == now.year else "%y-%m")


def so_many(number: float, thing: str) -> str:
    """So many things: ``1 CPU``, ``2 CPUs``."""
    return f"{number:g} {thing}" if number == 1 else f"{number:g} {thing}s"


def amount(value: float | None) -> str:
    """A number without needless decimals; a dash for none."""
    return "–" if value is None else f"{value:g}"


def cpu_hours(seconds: float | None) -> str:
    """CPU time in hours, as accounts give it."""
    return "" if seconds is None else f"{seconds / 3600:.2f} h"


def submit_words(spec: JobSpec) -> str:
    """The command line that asks for the same thing."""
    words = ["job", "submit", *([spec.path] if spec.path else [])]
    options: list[tuple[str, object]] = [
        ("--name", spec.name),
        ("--cpus", None if spec.cpus is None else f"{spec.cpus:g}"),
        ("--memory", None if spec.memory is None else size_text(spec.memory)),
        ("--gpus", spec.gpus),
        ("--time", None if spec.time_limit is None else duration_text(spec.time_limit)),
        ("--priority", spec.priority or None),
        ("--retries", spec.retries),
        ("--array", ranges(spec.array) or None),
        ("--parallel", spec.parallel),
        ("--group", spec.group),
        ("--image", spec.image),
        ("--template", spec.template),
        ("--start-at", None if spec.start_at is None else spec.start_at.astimezone().isoformat()),
        ("--project", spec.project),
        ("--deliver", spec.deliver),
    ]
    for option, value in options:
        if value is not None:
            words += [option, str(value)]
    for job in spec.after:
        words += ["--after", str(job)]
    if spec.sweep:
        words += ["--sweep", *(f"{sweep.name}={','.join(sweep.values)}" for sweep in spec.sweep)]
    for key, value in spec.env.items():
        words += ["--env", f"{key}={value}"]
    flags = (
        ("--hold", spec.hold),
        ("--network", spec.network is True),
        ("--no-network", spec.network is False),
        ("--stdin", spec.stdin),
    )
    words += [flag for flag, on in flags if on]
    if spec.command:
        words += ["--", *spec.command]
    return visible_line(shlex.join(words))


def size_text(count: int) -> str:
    """A number of bytes as a person would type it: ``2G``, ``512M``."""
    for power, unit in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
        if count >= 1 << power and count % (1 << power) == 0:
            return f"{count >> power}{unit}"
    return str(count)


def ranges(numbers: tuple[int, ...]) -> str:
    """Numbers as ranges: ``1-20,25``."""
    parts: list[str] = []
    start = previous = None
    for number in [*sorted(numbers), None]:
        if start is not None and (number is None or previous is None or number != previous + 1):
            parts.append(f"{start}" if start == previous else f"{start}-{previous}")
            start = None
        if start is None:
            start = number
        previous = number
    return ",".join(parts)


def in_view(view: str, state: JobState) -> bool:
    """Whether a run in this state belongs to the view runs (all of them), waiting, active or final."""
    groups = {"waiting": WAITING, "active": ACTIVE, "final": FINAL}
    return view not in groups or state in groups[view]
