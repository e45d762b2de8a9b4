"""Whether the Python that is there is one that the project can use."""

from __future__ import annotations

import re

from labbox.errors import LabboxError
from labbox.files.software.asked import Requirements
from labbox.text import visible_line


def check_python(requirements: Requirements, version: str) -> None:
    """LabboxError where the project excludes the Python that it would get."""
    if requirements.requires_python and not satisfies(version, requirements.requires_python):
        raise LabboxError(
            "invalid",
            f"cannot use Python {version}: the project requires {visible_line(requirements.requires_python)}",
            "loosen requires-python, or name an image with that Python, such as python:3.12",
        )


def satisfies(version: str, specifier: str) -> bool:
    """Whether a Python version fits a ``requires-python`` such as ``>=3.9,<4``; unknown forms pass."""
    have = _numbers(version)
    for clause in specifier.split(","):
        match = re.fullmatch(r"\s*(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?\s*", clause)
        if match is None:
            continue
        operator, wanted = match[1], _numbers(match[2])
        cut = have[: len(wanted)] if match[3] else have
        width = max(len(cut), len(wanted))
        left, right = (numbers + (0,) * (width - len(numbers)) for numbers in (cut, wanted))
        fits = {
            "==": left == right,
            "!=": left != right,
            "<=": left <= right,
            ">=": left >= right,
            "<": left < right,
            ">": left > right,
            "~=": left >= right and have[: len(wanted) - 1] == wanted[:-1],
        }
        if not fits[operator]:
            return False
    return True


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d{1,9}", version.split("+")[0])[:4])
