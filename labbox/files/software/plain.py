"""Files that are lists of words: apt.txt."""

from __future__ import annotations

import re
from typing import Final

from labbox.files.software.asked import LONGEST, MAX_PACKAGES
from labbox.files.software.reading import Reading, shown

_PACKAGE: Final = re.compile(r"[a-z0-9][a-z0-9.+-]{0,127}(:[a-z0-9]+)?(=[A-Za-z0-9.+:~-]{1,128})?", re.ASCII)


def read_packages(name: str, content: bytes, reading: Reading) -> tuple[str, ...]:
    """The Debian packages of an apt.txt."""
    reading.begin(name, content)
    found: list[str] = []
    for number, raw in enumerate((reading.text(name, content) or "").splitlines(), start=1):
        reading.line(name)
        for word in raw.split("#", 1)[0].split():
            if len(word) <= LONGEST and _PACKAGE.fullmatch(word):
                found.append(word)
            else:
                hint = "write the names of Debian packages, such as ffmpeg"
                reading.error(name, number, f"“{shown(word)}” is no package name", hint)
    if len(found) > MAX_PACKAGES:
        reading.error(name, None, f"it names over {MAX_PACKAGES} packages", "list only what is needed")
    return tuple(found[:MAX_PACKAGES])
