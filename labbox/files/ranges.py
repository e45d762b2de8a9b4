"""Numbers and values of arrays and sweeps as people write them: ``1-20,30`` and ``1:5`` or ``0.1,0.2``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from labbox.errors import LabboxError
from labbox.text import visible_line

MAX_VALUES: Final = 100_000  # of one parameter or array; the box's own limit is lower
_SPAN: Final = re.compile(r"([0-9]{1,9})(?:-([0-9]{1,9})(?:[:/]([0-9]{1,9}))?)?", re.ASCII)
_NUMBER: Final = r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?"
_STEPS: Final = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?", re.ASCII)


def parse_array(text: str) -> tuple[int, ...]:
    """Indexes from ``1-20``, ``1-9:2`` (every second) or ``1,5,9-12``: in order, each once."""
    found: set[int] = set()
    for part in text.split(","):
        match = _SPAN.fullmatch(part.strip())
        first, last = (int(match[1]), int(match[2] or match[1])) if match else (1, 0)
        step = int(match[3] or 1) if match else 1
        if match is None or last < first or step == 0:
            raise LabboxError(
                "invalid",
                f"cannot read “{visible_line(text)}” as an array",
                "write indexes such as 1-20 or 1,3,7-9",
            )
        if (last - first) // step >= MAX_VALUES or len(found) > MAX_VALUES:
            raise LabboxError(
                "limit", f"cannot make an array of more than {MAX_VALUES:,} jobs", "make it smaller"
            )
        found.update(range(first, last + 1, step))
    return tuple(sorted(found))


def parse_values(text: str) -> tuple[str, ...]:
    """Values of one parameter: ``0.1,0.2`` as they stand, ``1:5`` and ``0:1:0.25`` counted to the end."""
    values: list[str] = []
    for part in text.split(","):
        match = _STEPS.fullmatch(part.strip())
        if match is None:
            values.append(part.strip())
            continue
        values.extend(_count(Decimal(match[1]), Decimal(match[2]), Decimal(match[3] or "1"), text))
    if not any(values):
        raise LabboxError("invalid", f"cannot read “{visible_line(text)}” as values", "write 0.1,0.2 or 1:5")
    return tuple(values)


def _count(first: Decimal, last: Decimal, step: Decimal, text: str) -> list[str]:
    if step == 0 or (last - first) / step < 0:
        raise LabboxError(
            "invalid",
            f"cannot count as “{visible_line(text)}” says",
            "write first:last or first:last:step, as in 1:5",
        )
    count = int((last - first) / step) + 1
    if count > MAX_VALUES:
        raise LabboxError("limit", f"cannot sweep over more than {MAX_VALUES:,} values", "take larger steps")
    return [f"{(first + step * number).normalize():f}" for number in range(count)]
