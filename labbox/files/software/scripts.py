"""What a single script says of itself: the comment block of PEP 723."""

from __future__ import annotations

import re
import tomllib
from typing import Any, Final

from labbox.files.software.asked import LONGEST, Requirements
from labbox.files.software.reading import Reading
from labbox.files.software.requirements import RequirementsReader

BEGINS: Final = b"# /// script"
_BLOCK: Final = re.compile(r"(?m)^# /// script[ \t]*$\n((?:^#(?: .*)?$\n)*?)^# ///[ \t]*$")


def read_script(name: str, content: bytes, reading: Reading, places: frozenset[str]) -> Requirements | None:
    """Its ``dependencies`` and ``requires-python``; None where it has no such block."""
    reading.begin(name, content)
    text = (reading.text(name, content) or "").replace("\r\n", "\n")
    match = _BLOCK.search(text)
    if match is None:
        return None
    first = text.count("\n", 0, match.start()) + 1
    written = "".join(f"{line[2:]}\n" for line in match[1].splitlines())
    try:
        document: dict[str, Any] = tomllib.loads(written)
    except (ValueError, RecursionError):
        reading.error(name, first, "its “# /// script” block is not valid TOML", 'dependencies = ["numpy"]')
        return None
    dependencies = document.get("dependencies", [])
    if not isinstance(dependencies, list) or not all(isinstance(one, str) for one in dependencies):
        why = "the dependencies of its “# /// script” block are no list of texts"
        reading.error(name, first, why, 'dependencies = ["numpy"]')
        return None
    reader = RequirementsReader(reading, places)
    for one in dependencies:
        reader.line(one, name, first)
    requires = document.get("requires-python", "")
    return reader.result(requires[:LONGEST] if isinstance(requires, str) else "")
