"""What a running job takes, in words and drawn: the same in words and on screens."""

from __future__ import annotations

from labbox.protocol import JobDetail, Live
from labbox.text import format_bytes, sparkline


def figures(detail: JobDetail) -> list[tuple[str, str, str]]:
    """Name, figures and course of each thing that is known; nothing of a job that does not run."""
    live, asked = detail.live, detail.job.resources
    if live is None:
        return []
    found: list[tuple[str, str, str]] = []
    if live.cpus is not None:
        drawn = sparkline(live.cpu_course, top=asked.cpus)
        most = f", peak {max(live.cpu_course):.2f}" if live.cpu_course else ""
        found.append(("CPU now", f"{live.cpus:.2f} of {asked.cpus:g}{most}", drawn))
    if live.memory is not None:
        drawn = sparkline(live.memory_course, top=float(asked.memory))
        told = f"{format_bytes(live.memory)} of {format_bytes(asked.memory)}{_peak(live.peak_memory)}"
        found.append(("Memory now", told, drawn))
    if live.gpus is not None:
        drawn = sparkline(live.gpu_course, top=float(asked.gpus))
        memory = "" if live.gpu_memory is None else f", {format_bytes(live.gpu_memory)} of its memory"
        told = f"{live.gpus:.2f} of {asked.gpus}{memory}{_peak(live.peak_gpu_memory)}"
        found.append(("GPU now", told, drawn))
    return found


def short(live: Live | None, room: int) -> tuple[str, str]:
    """CPUs and memory in use in eleven cells; and the last looks drawn in what remains of the room."""
    if live is None:
        return "", ""
    cpus = "–" if live.cpus is None else f"{live.cpus:.1f}"
    memory = "–" if live.memory is None else _few(live.memory)
    text = f"{cpus:>4} {memory:>6}"
    left = room - len(text) - 1
    return text, sparkline(live.cpu_course, width=left) if left > 0 and live.cpu_course else ""


def _few(count: int) -> str:
    """Bytes in six cells at most: ``1.5G``, ``230M``."""
    number = float(count)
    for unit in "BKMGT":
        if number < 1000 or unit == "T":
            return f"{number:.0f}{unit}" if number >= 10 or unit == "B" else f"{number:.1f}{unit}"
        number /= 1024
    raise AssertionError("unreachable")


def _peak(count: int | None) -> str:
    return f", peak {format_bytes(count)}" if count else ""
