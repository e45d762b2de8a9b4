"""Patterns that keep files out of a transfer, read as git reads those in .gitignore.

The last pattern that fits decides; ``!`` before one takes back in what an earlier one kept out. A slash at
the beginning or in the middle ties it to the path below the source, one at the end keeps it to folders. What
stands in a folder that is kept out is kept out with it. Braces are as in every mask, and case is
put aside, see `masks`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable

from labbox.files.masks import composed, expression

Rule = Callable[[str, str, bool], bool]
"""Whether it is kept out: (path below the source, name, is it a folder)."""


def excluding(patterns: Iterable[str]) -> Rule | None:
    """The rule that these patterns make; None where there are none."""
    rules = [rule for pattern in patterns if (rule := _rule(pattern)) is not None]
    if not rules:
        return None
    rules.reverse()

    def kept_out(path: str, name: str, folder: bool) -> bool:
        for takes_back, only_folders, by_path, wanted in rules:
            if only_folders and not folder:
                continue
            if wanted.fullmatch(composed(path if by_path else name)):
                return not takes_back
        return False

    return kept_out


def _rule(pattern: str) -> tuple[bool, bool, bool, re.Pattern[str]] | None:
    takes_back = pattern.startswith("!")
    pattern = pattern.removeprefix("!")
    if pattern.startswith(("\\!", "\\#")):
        pattern = pattern[1:]
    only_folders = pattern.endswith("/")
    stripped = pattern.strip("/")
    if not stripped:
        return None
    return (
        takes_back,
        only_folders,
        "/" in pattern.rstrip("/"),
        re.compile(expression(stripped, path=True), re.IGNORECASE),
    )
