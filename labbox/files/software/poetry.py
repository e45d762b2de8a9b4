"""What a project that Poetry manages needs, as lines of requirements.

Poetry's words for versions (`^1.2`, `~1.2`, `1.*`; https://python-poetry.org/docs/dependency-specification/)
become those of PEP 440, its tables for Pythons and platforms the markers of PEP 508.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from labbox.files.software.asked import LONGEST, normal

_WORD: Final = re.compile(r"(\^|~=|~|===|==|!=|<=|>=|<|>)?v?([0-9][^\s,<>=!~^]*|\*)")
_AFTER_OPERATOR: Final = re.compile(r"(?<=[<>=!~^])\s+")
_RELEASE: Final = re.compile(r"\d{1,9}(?:\.\d{1,9}){0,5}")


class OtherWordsError(Exception):
    """A range that one requirement cannot say."""


def specifier(text: str) -> str:
    """A range in the words of PEP 440; "" for any version. OtherWordsError for alternatives (`||`)."""
    found: list[str] = []
    for word in re.split(r"[\s,]+", _AFTER_OPERATOR.sub("", text[:LONGEST]).strip()):
        match = _WORD.fullmatch(word)
        if match is None:
            raise OtherWordsError
        operator, version = match.groups()
        if version == "*":
            continue
        if operator in ("^", "~"):
            found += [f">={version}", f"<{_below(operator, version)}"]
        else:
            found.append(f"{operator or '=='}{version}")
    return ",".join(found)


def _below(operator: str, version: str) -> str:
    """The first version that a caret or a tilde leaves out."""
    match = _RELEASE.match(version)
    if match is None:
        raise OtherWordsError
    numbers = [int(one) for one in match[0].split(".")]
    if operator == "~":
        at = min(1, len(numbers) - 1)
    else:
        at = next((place for place, one in enumerate(numbers) if one), len(numbers) - 1)
    return ".".join(map(str, [*numbers[:at], numbers[at] + 1]))


def lines_of(package: str, value: Any) -> Iterator[str]:
    """The requirements that one entry of a table means; OtherWordsError where they cannot be said."""
    for one in value if isinstance(value, list) else [value]:
        if isinstance(one, str):
            yield package + specifier(one)
        elif isinstance(one, dict):
            yield _line(package, one)
        else:
            raise OtherWordsError


def _line(package: str, table: dict[str, Any]) -> str:
    extras = table.get("extras")
    named = [one for one in extras if isinstance(one, str)] if isinstance(extras, list) else []
    version = table.get("version", "*")
    if not isinstance(version, str):
        raise OtherWordsError
    markers = []
    if isinstance(python := table.get("python"), str):
        markers += [_marker("python_full_version", one) for one in specifier(python).split(",") if one]
    if isinstance(platform := table.get("platform"), str):
        markers.append(f"sys_platform == {_quoted(platform)}")
    if isinstance(more := table.get("markers"), str):
        markers.append(f"({more})")
    line = f"{package}[{','.join(named)}]" if named else package
    return f"{line}{specifier(version)}" + (f" ; {' and '.join(markers)}" if markers else "")


def _marker(variable: str, clause: str) -> str:
    match = re.match(r"[<>=!~]+", clause)
    operator = match[0] if match else "=="
    return f"{variable} {operator} {_quoted(clause.removeprefix(operator))}"


def _quoted(text: str) -> str:
    if not re.fullmatch(r"[\w.*+-]{1,100}", text):
        raise OtherWordsError
    return f'"{text}"'


def is_optional(value: Any) -> bool:
    """Whether an entry is there for extras only."""
    return isinstance(value, dict) and value.get("optional") is True


def extras_of(table: dict[str, Any], optional: dict[str, list[str]]) -> dict[str, list[str]]:
    """The extras of a project, each as the lines of the optional packages that it names."""
    found = table.get("extras")
    return {
        extra: [line for one in names if isinstance(one, str) for line in optional.get(normal(one), ())]
        for extra, names in (found.items() if isinstance(found, dict) else ())
        if isinstance(names, list)
    }
