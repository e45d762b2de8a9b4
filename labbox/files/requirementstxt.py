"""What is wrong with a `requirements.txt` before anybody tries to install it.

A light check of each line's form (PEP 508 and what pip adds to it); whether a package exists shows when the
environment is made.
"""

from __future__ import annotations

import re
from typing import Final

from labbox.protocol import Finding
from labbox.text import visible_line

MAX_BYTES: Final = 1 << 20
_NAME: Final = r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?"
_EXTRAS: Final = r"(?:\s*\[[A-Za-z0-9._,\s-]*\])?"
_VERSION: Final = (
    r"(?:===\s*[^\s;,]+|(?:==|!=)\s*[A-Za-z0-9._+!-]+(?:\.\*)?|(?:~=|>=|<=|>|<)\s*[A-Za-z0-9._+!-]+)"
)
_VERSIONS: Final = rf"{_VERSION}(?:\s*,\s*{_VERSION})*\s*,?"
_REQUIREMENT: Final = re.compile(
    rf"{_NAME}{_EXTRAS}\s*(?:{_VERSIONS}|\(\s*{_VERSIONS}\s*\)|@\s*[A-Za-z0-9+.-]+://\S+)?\s*(?:;.+)?",
    re.ASCII,
)
_HASHES: Final = re.compile(r"(?:\s+--hash=\S+)+\s*$")
_COMMENT: Final = re.compile(r"(?:^|\s)#.*$")
_ONE_EQUALS: Final = re.compile(rf"({_NAME})\s*=\s*([0-9][^\s=]*)", re.ASCII)
_MISSING_SIGN: Final = re.compile(rf"({_NAME})\s+v?([0-9][0-9A-Za-z.]*)", re.ASCII)
_EDITABLE: Final = re.compile(r"(?:-e|--editable)(?:[\s=]|$)")
_LOCAL: Final = re.compile(r"\.{0,2}/|\.{1,2}$|[A-Za-z]:\\|file:|[^:\s]*\.(?:whl|tar\.gz|zip)(?:\s|$)")


def to_text(data: bytes) -> bytes:
    """The file in UTF-8: PowerShell's ``pip freeze > requirements.txt`` writes UTF-16."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return data.decode(encoding, "replace").encode("utf-8")
    return data


def check(data: bytes, name: str) -> list[Finding]:
    """An error for each line that no installer can understand or follow."""
    if len(data) > MAX_BYTES:
        return [
            _wrong(name, None, f"it is larger than {MAX_BYTES >> 20} MiB", "list packages, one in a line")
        ]
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        return [_wrong(name, line, "it is not UTF-8", "save it as UTF-8")]
    found: list[Finding] = []
    joined = ""
    start = 0
    for number, written in enumerate(text.splitlines(), 1):
        if not joined:
            start = number
        joined += written
        if joined.endswith("\\"):
            joined = joined[:-1] + " "
            continue
        _check_line(joined, start, name, found)
        joined = ""
    if joined:
        _check_line(joined, start, name, found)
    return found


def _check_line(line: str, number: int, name: str, found: list[Finding]) -> None:
    line = _HASHES.sub("", _COMMENT.sub("", line)).strip()
    if not line or (line.startswith("-") and not _EDITABLE.match(line)):
        return  # options, and files that it includes: whoever makes the environment knows them
    shown = visible_line(line)[:120]
    if _EDITABLE.match(line) or _LOCAL.match(line):
        hint = "put its code into the project; here stand packages of an index"
        found.append(_wrong(name, number, f"“{shown}” is a package of your own", hint))
    elif not (re.match(r"[A-Za-z0-9+.-]+://", line) or _REQUIREMENT.fullmatch(line)):
        found.append(_wrong(name, number, f"“{shown}” names no package", _mend(line)))


def _mend(line: str) -> str:
    for pattern in (_ONE_EQUALS, _MISSING_SIGN):
        if match := pattern.fullmatch(line):
            return f"write {match[1]}=={match[2]}"
    return "write one package in a line: numpy or numpy==2.1"


def _wrong(name: str, line: int | None, text: str, hint: str) -> Finding:
    return Finding(level="error", text=f"cannot use {name}: {text}", hint=hint, file=name, line=line)
