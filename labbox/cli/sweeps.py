"""How people write arrays, sweeps and variables: ``1-20:2``, ``lr=0.1,0.2``, ``seed=1:5``, ``K=V``."""

from __future__ import annotations

import re
from typing import Final

from labbox.errors import LabboxError
from labbox.model import Sweep

MAX_VALUES: Final = (
    100_000  # the box's own limit is far lower; this keeps a slip such as 1-1e12 from filling memory
)
_PART: Final = re.compile(r"(\d{1,9})(?:-(\d{1,9})(?::(\d{1,9}))?)?")
_RANGE: Final = re.compile(r"(-?\d{1,9}):(-?\d{1,9})(?::(\d{1,9}))?")
_NAME: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def parse_array(text: str) -> tuple[tuple[int, ...], int | None]:
    """The indices, and how many may run at once: ``1-20``, ``1-9:2``, ``1,4,7-9``, ``1-100%8``."""
    indices_text, percent, parallel_text = text.partition("%")
    parallel = None
    if percent:
        if not parallel_text.isdigit() or int(parallel_text) == 0:
            raise _bad_array(text)
        parallel = int(parallel_text)
    found: dict[int, None] = {}
    for part in indices_text.split(","):
        match = _PART.fullmatch(part.strip())
        if match is None:
            raise _bad_array(text)
        first, last, step = int(match[1]), int(match[2] or match[1]), int(match[3] or 1)
        if last < first or step == 0 or (last - first) // step + len(found) >= MAX_VALUES:
            raise _bad_array(text)
        found.update(dict.fromkeys(range(first, last + 1, step)))
    return tuple(found), parallel


def parse_sweep(text: str) -> Sweep:
    """One parameter: ``NAME=A,B,C`` or whole numbers ``NAME=FIRST:LAST[:STEP]``, both ends included."""
    name, equals, values_text = text.partition("=")
    if not equals or not _NAME.fullmatch(name) or not values_text:
        raise LabboxError(
            "usage", f"cannot understand the sweep {text!r}", "write it as NAME=0.1,0.2 or NAME=1:5"
        )
    values: list[str] = []
    for part in values_text.split(","):
        match = _RANGE.fullmatch(part.strip())
        if match is None:
            values.append(part.strip())
            continue
        first, last, step = int(match[1]), int(match[2]), int(match[3] or 1)
        if last < first or step == 0 or (last - first) // step >= MAX_VALUES:
            raise LabboxError(
                "usage", f"cannot understand the range {part!r}", "write it as FIRST:LAST or FIRST:LAST:STEP"
            )
        values += map(str, range(first, last + 1, step))
    return Sweep(name=name, values=tuple(values))


def parse_variable(text: str) -> tuple[str, str]:
    """An environment variable: ``NAME=VALUE``."""
    name, equals, value = text.partition("=")
    if not equals or not _NAME.fullmatch(name):
        raise LabboxError("usage", f"cannot understand the variable {text!r}", "write it as NAME=VALUE")
    return name, value


def _bad_array(text: str) -> LabboxError:
    return LabboxError(
        "usage", f"cannot understand the array {text!r}", "write it as 1-20, 1-20:2, 1,4,7 or 1-100%8"
    )
