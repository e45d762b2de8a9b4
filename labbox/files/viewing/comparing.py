"""What differs between two texts, line by line. Runs in a confined child, under limits of time and memory."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from itertools import islice
from typing import BinaryIO, Final

from labbox.errors import LabboxError
from labbox.files.places.base import Place
from labbox.files.viewing import apart
from labbox.files.viewing.encodings import guess
from labbox.files.viewing.source import Source
from labbox.text import format_bytes, visible_line

LARGEST: Final = 4 << 20  # bytes of each file
MOST_LINES: Final = 20_000  # of the answer
_LIMITS: Final = apart.Limits(seconds=20, cpu_seconds=15)


async def text_difference(
    one: tuple[Place, str], other: tuple[Place, str], called: tuple[str, str]
) -> list[str]:
    """As `diff -u` writes it, safe to show; empty where they hold the same.

    LabboxError "invalid" for what is no text, "limit" for what is too long.
    """
    sources = [await Source.open(*each) for each in (one, other)]
    try:
        for each in sources:
            if each.size > LARGEST:
                raise LabboxError(
                    "limit",
                    f"cannot compare the lines of more than {format_bytes(LARGEST)}",
                    "labbox file diff --content says whether they differ",
                )
        there = await sources[1].read(0, LARGEST)
        return await apart.run(sources[0], _compared, (there, called), list[str], limits=_LIMITS)
    finally:
        for each in sources:
            await each.close()


def _compared(
    file: BinaryIO, _tell: Callable[[object], None], there: bytes, called: tuple[str, str]
) -> list[str]:
    here = file.read()
    texts = []
    for data, name in zip((here, there), called, strict=True):
        encoding = guess(data[:8192], len(data) <= 8192)
        if b"\0" in data and encoding.unit == 1:
            raise LabboxError(
                "invalid", f"cannot compare the lines of “{visible_line(name)}”: it is no text", ""
            )
        texts.append(encoding.decode(data).removeprefix("\ufeff").splitlines())
    shown = [visible_line(name) for name in called]
    found = difflib.unified_diff(texts[0], texts[1], shown[0], shown[1], lineterm="")
    return [visible_line(line.replace("\t", "    ")) for line in islice(found, MOST_LINES)]
