"""How people write arrays, sweeps and variables: ``1-100:2%8``, ``lr=0.1,0.2``, ``x=0:1:0.25``, ``K=V``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Final

from labbox.errors import LabboxError
from labbox.model import Sweep
from labbox.text import visible_line

MAX_VALUES: Final = 100_000  # of one parameter or array: a slip such as 1-999999999 must not fill memory
_SPAN: Final = re.compile(r"([0-9]{1,18})(?:-([0-9]{1,18})(?:[:/]([0-9]{1,18}))?)?", re.ASCII)
_NUMBER: Final = r"-?[0-9]{1,15}(?:\.[0-9]{1,9})?"
_STEPS: Final = re.compile(rf"({_NUMBER}):({_NUMBER})(?::({_NUMBER}))?", re.ASCII)
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*", re.ASCII)
_AT_ONCE: Final = re.compile(r"[1-9][0-9]{0,8}", re.ASCII)


def parse_array(text: str) -> tuple[tuple[int, ...], int | None]:
    """The indexes, and how many may run at once: ``1-20``, ``1-9:2``, ``1,4,7-9``, ``1-100%8``."""
    indexes, percent, at_once = text.partition("%")
    if percent and not _AT_ONCE.fullmatch(at_once.strip()):
        raise _bad_array(text)
    return parse_indexes(indexes, text), int(at_once) if percent else None


def parse_indexes(indexes: str, whole: str = "") -> tuple[int, ...]:
    """Indexes in order, each once; `whole` is what the person wrote, for the message."""
    text = whole or indexes
    found: set[int] = set()
    for part in indexes.split(","):
        match = _SPAN.fullmatch(part.strip())
        if match is None:
            raise _bad_array(text)
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or step == 0:
            raise _bad_array(text)
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


def parse_sweep(text: str) -> Sweep:
    """One parameter and its values: ``NAME=A,B,C`` or ``NAME=FIRST:LAST[:STEP]``, both ends included."""
    name, equals, values = text.partition("=")
    if not equals or not _NAME.fullmatch(name) or not values:
        raise LabboxError(
            "invalid",
            f"cannot read “{visible_line(text)}” as a sweep",
            "write it as NAME=0.1,0.2 or NAME=1:5",
        )
    return Sweep(name=name, values=parse_values(values))


def parse_variable(text: str) -> tuple[str, str]:
    """An environment variable: ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise LabboxError(
            "invalid", f"cannot read “{visible_line(text)}” as a variable", "write it as NAME=VALUE"
        )
    return name, value


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


def _bad_array(text: str) -> LabboxError:
    return LabboxError(
        "invalid",
        f"cannot read “{visible_line(text)}” as an array",
        "write indexes such as 1-20 or 1,3,7-9; 1-100%8 runs 8 at once",
    )
