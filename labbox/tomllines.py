"""On which line each key of a TOML text stands, which `tomllib` does not say."""

from __future__ import annotations

import re
from typing import Final

Path = tuple[str | int, ...]

_BLANK: Final = re.compile(r"(?:[ \t\r\n]|#[^\n]*)*")
_KEY: Final = re.compile(r"""[ \t]*("(?:\\.|[^"\\])*"|'[^']*'|[A-Za-z0-9_-]+)[ \t]*(\.?)""")
# What ends a value or changes its depth; strings and comments are stepped over whole.
_IN_VALUE: Final = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}(?!")'
    r"|'''.*?'{3,5}(?!')"
    r'|"(?:\\.|[^"\\\n])*"'
    r"|'[^'\n]*'"
    r"|#[^\n]*"
    r"|[\[\]{}\n]",
    re.DOTALL,
)


def find_lines(text: str) -> dict[Path, int]:
    """The line of every table and of every key outside inline tables, by path; `text` is valid TOML.

    An element of an array of tables has its index in the path.
    """
    lines: dict[Path, int] = {}
    counts: dict[Path, int] = {}
    prefix: Path = ()
    at = _skip_blank(text, 0)
    while at < len(text):
        line = text.count("\n", 0, at) + 1
        if text.startswith("[[", at):
            keys, at = _dotted(text, at + 2)
            table = _resolve(keys, counts)
            counts[table] = counts.get(table, -1) + 1
            prefix = (*table, counts[table])
            lines.setdefault(table, line)
            lines[prefix] = line
            at += 2
        elif text[at] == "[":
            keys, at = _dotted(text, at + 1)
            prefix = _resolve(keys, counts)
            lines.setdefault(prefix, line)
            at += 1
        else:
            keys, at = _dotted(text, at)
            for length in range(1, len(keys) + 1):
                lines.setdefault((*prefix, *keys[:length]), line)
            at = _end_of_value(text, at + 1)
        at = _skip_blank(text, at)
    return lines


def _skip_blank(text: str, at: int) -> int:
    match = _BLANK.match(text, at)
    return at if match is None else match.end()


def _dotted(text: str, at: int) -> tuple[tuple[str, ...], int]:
    keys: list[str] = []
    while True:
        match = _KEY.match(text, at)
        if match is None:  # not reached with valid TOML; ends the walk rather than loops
            return tuple(keys), len(text)
        keys.append(match[1][1:-1] if match[1][0] in "\"'" else match[1])
        at = match.end()
        if not match[2]:
            return tuple(keys), at


def _resolve(keys: tuple[str, ...], counts: dict[Path, int]) -> Path:
    """A header's keys as a path: inside an array of tables it speaks of the last element."""
    path: Path = ()
    for place, key in enumerate(keys):
        path = (*path, key)
        if path in counts and place < len(keys) - 1:
            path = (*path, counts[path])
    return path


def _end_of_value(text: str, at: int) -> int:
    depth = 0
    for match in _IN_VALUE.finditer(text, at):
        found = match[0]
        if found in "[{":
            depth += 1
        elif found in "]}":
            depth -= 1
        elif found == "\n" and depth == 0:
            return match.end()
    return len(text)
