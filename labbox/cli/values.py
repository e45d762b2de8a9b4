"""Option values that have a form of their own: sizes, durations, moments, arrays, sweeps, job numbers."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, time
from typing import Any, Final, TypeVar

import click

from labbox import groups, sweeps, units
from labbox.errors import LabboxError

Parsed = TypeVar("Parsed")


class Value(click.ParamType[Parsed]):
    """A click type around a parser of ours; a wrong value is a wrong use of the command."""

    def __init__(self, name: str, parse: Callable[[str], Parsed]) -> None:
        """Name it for the help text."""
        self.name = name
        self.parse = parse

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Parsed:
        """The parsed value; LabboxError "usage" with the parser's hint."""
        if not isinstance(value, str):
            return value  # type: ignore[no-any-return]  # a default, parsed already
        try:
            return self.parse(value)
        except LabboxError as error:
            where = f" in {param.opts[0]}" if param is not None and param.opts[0].startswith("-") else ""
            raise LabboxError("usage", error.message + where, error.hint) from error


def _parse_id(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise LabboxError(
            "usage", f"cannot read {text!r} as a job's number", "`labbox job list` shows the numbers"
        )
    return int(text)


def _parse_ids(text: str) -> tuple[int, ...]:
    return tuple(_parse_id(part) for part in text.split(","))


NEVER: Final = datetime.max.replace(tzinfo=UTC)


def _parse_end(text: str) -> datetime:
    """A moment as elsewhere; a date is the end of that day, a duration counts from now; NEVER for `never`."""
    stripped = text.strip()
    if stripped in ("never", "none"):
        return NEVER
    try:
        day = date.fromisoformat(stripped)
    except ValueError:
        pass
    else:
        return datetime.combine(day, time(23, 59, 59)).astimezone(UTC)
    try:
        return units.parse_when(f"+{stripped.removeprefix('+')}")
    except LabboxError:
        return units.parse_when(stripped)


SIZE = Value("size", units.parse_size)
DURATION = Value("duration", units.parse_duration)
CPUS = Value("cpus", units.parse_cpus)
END = Value("when", _parse_end)
MOMENT = Value("moment", units.parse_when)
ARRAY = Value("array", sweeps.parse_array)
SWEEP = Value("sweep", sweeps.parse_sweep)
VARIABLE = Value("K=V", sweeps.parse_variable)
GROUP = Value("group", groups.parse_group)
CHANGED_GROUP = Value("group", groups.parse_change)
JOB = Value("id", _parse_id)
JOBS = Value("ids", _parse_ids)
