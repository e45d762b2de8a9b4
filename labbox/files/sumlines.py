"""The lines that `sha256sum`, `md5sum`, `b2sum` and `b3sum` write and check."""

from __future__ import annotations

import re
from typing import Final

_ESCAPES: Final = {"\\": "\\\\", "\n": "\\n", "\r": "\\r"}
_MEANT: Final = {written: meant for meant, written in _ESCAPES.items()}


def sum_line(digest: str, name: str) -> str:
    """As GNU coreutils write it: a name with a newline, CR or backslash is escaped and the line says so."""
    escaped = re.sub(r"[\\\n\r]", lambda found: _ESCAPES[found[0]], name)
    return f"{digest}  {name}" if escaped == name else f"\\{digest}  {escaped}"


def plain_sum_line(line: str) -> str:
    """The same line with the name as it is, as ``sha256sum -z`` has it."""
    if not line.startswith("\\"):
        return line
    return re.sub(r"\\[\\nr]", lambda found: _MEANT[found[0]], line[1:])
