"""A Dockerfile, read into the lines that are built."""

from __future__ import annotations

from labbox.files.software.asked import Recipe
from labbox.files.software.dockerfile import Refused, canonical, check_lines
from labbox.files.software.reading import Reading


def read_recipe(name: str, content: bytes, reading: Reading) -> Recipe | None:
    """What a Dockerfile says; None, and an error, where it cannot be used."""
    reading.begin(name, content)
    text = reading.text(name, content)
    if text is None:
        return None
    for _ in range(text.count("\n") + 1):
        reading.line(name)
    try:
        lines = canonical(text)
    except Refused as refused:
        reading.error(name, refused.line, refused.why, refused.hint)
        return None
    return Recipe(file=name, lines=lines, command=check_lines(lines).command)
