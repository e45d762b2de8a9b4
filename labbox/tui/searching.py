"""Searching and replacing in lines of text, in slices that leave the event loop time for keys."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final, NamedTuple

from labbox.errors import LabboxError
from labbox.files.standins import hidden

SLICE: Final = 0.008  # seconds of searching at once
_EVERY: Final = 200  # lines between two looks at the clock


class Wish(NamedTuple):
    """What to look for, and what to put in its place."""

    words: str = ""
    instead: str = ""
    regex: bool = False
    case: bool = False
    whole: bool = False

    def pattern(self) -> re.Pattern[str]:
        """The pattern of one line; LabboxError "invalid" for what is no regular expression."""
        words = self.words if self.regex else re.escape(hidden(self.words))
        if self.whole:
            words = rf"(?<!\w)(?:{words})(?!\w)"
        try:
            return re.compile(words, 0 if self.case else re.IGNORECASE)
        except (re.error, RecursionError, OverflowError) as error:
            raise LabboxError(
                "invalid",
                f"cannot read the regular expression: {error}",
                "untick “Regex” to search as it stands",
            ) from error

    def replacement(self, match: re.Match[str]) -> str:
        """What one match becomes; LabboxError "invalid" for a group that is none."""
        if not self.regex:
            return self.instead
        try:
            return match.expand(self.instead)
        except (re.error, IndexError) as error:
            raise LabboxError(
                "invalid",
                f"cannot read the replacement: {error}",
                r"\1 stands for the first group, \\ for \\",
            ) from error


class Found(NamedTuple):
    """One match, and whether the search went on at the other end of the text to find it."""

    row: int
    match: re.Match[str]
    around: bool


async def find(
    lines: list[str], pattern: re.Pattern[str], row: int, column: int, *, backward: bool = False
) -> Found | None:
    """The next match from a place on, round the end; `lines` may change meanwhile."""
    count = len(lines)
    began = time.monotonic()
    for step in range(count + 1):
        at = (row - step if backward else row + step) % count
        if at < len(lines):
            first, last = (0, None)
            if step == 0:
                first, last = (0, column) if backward else (column, None)
            match = _in_line(pattern, lines[at], first, last, backward)
            if match is not None:
                return Found(at, match, step > 0 and (at > row if backward else at < row or at == row))
        if step % _EVERY == 0 and time.monotonic() - began > SLICE:
            await asyncio.sleep(0)
            began = time.monotonic()
    return None


def _in_line(
    pattern: re.Pattern[str], line: str, first: int, last: int | None, backward: bool
) -> re.Match[str] | None:
    if not backward:
        return pattern.search(line, first) if first <= len(line) else None
    found = None
    for match in pattern.finditer(line):
        if last is not None and match.start() >= last:
            break
        found = match
    return found


async def replace_all(
    lines: list[str], wish: Wish, rows: tuple[int, int] | None = None
) -> tuple[int, int, int, list[str]]:
    """How often, the first and the last row that change, and these rows as they become."""
    pattern = wish.pattern()
    begin, end = rows or (0, len(lines) - 1)
    count, first, last = 0, -1, -1
    changed: dict[int, str] = {}
    began = time.monotonic()
    for row in range(begin, end + 1):
        line, times = pattern.subn(wish.replacement, lines[row])
        if times:
            changed[row] = line
            count += times
            first = row if first < 0 else first
            last = row
        if row % _EVERY == 0 and time.monotonic() - began > SLICE:
            await asyncio.sleep(0)
            began = time.monotonic()
    return (
        count,
        first,
        last,
        [changed.get(row, lines[row]) for row in range(first, last + 1)] if count else [],
    )
