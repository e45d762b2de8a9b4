"""What is known of one container, as the engine reports it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Literal

from labbox.model import Value
from labbox.text import visible_line

Status = Literal["created", "running", "paused", "exited", "removing"]  # the last says nothing of its end


class ContainerState(Value):
    """A container at one moment; what belongs to its end is None before it."""

    status: Status
    exit_code: int | None = None  # 128+N where signal N ended the command
    oom: bool = False  # the memory limit ended a process of it
    started_at: datetime | None = None
    ended_at: datetime | None = None
    error: str = ""  # why the engine could not start it
    cpu_seconds: float | None = None  # of the whole run; None where the box cannot tell
    peak_memory: int | None = None  # bytes, likewise
    pid: int | None = None  # of its first process, while it runs


def parse_state(inspected: Mapping[str, Any]) -> ContainerState:
    """The state in an answer to `GET /containers/NAME/json`."""
    state: Mapping[str, Any] = inspected.get("State") or {}
    status = _status(str(state.get("Status", "")))
    ended = status == "exited"
    started_at = parse_time(str(state.get("StartedAt", "")))
    ended_at = parse_time(str(state.get("FinishedAt", ""))) if ended else None
    if started_at and ended_at:
        ended_at = max(started_at, ended_at)  # of the shortest runs the engine hears the end first
    return ContainerState(
        status=status,
        exit_code=int(state.get("ExitCode", 0)) if ended else None,
        oom=bool(state.get("OOMKilled")),
        started_at=started_at,
        ended_at=ended_at,
        error=visible_line(str(state.get("Error", ""))),
        pid=int(state.get("Pid", 0)) or None,
    )


def _status(word: str) -> Status:
    match word:
        case "created":
            return "created"
        case "paused":
            return "paused"
        case "exited" | "dead":
            return "exited"
        case "removing":
            return "removing"
        case _:
            return "running"


def parse_time(text: str) -> datetime | None:
    """The engine's RFC 3339 with nanoseconds; None for its zero time, the year 1."""
    if not text or text.startswith("0001-"):
        return None
    return datetime.fromisoformat(text).astimezone(UTC)
