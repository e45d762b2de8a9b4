"""What a result file looks like on a screen: `labbox.files.preview` as lines, cells and half blocks."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError
from labbox.files import preview
from labbox.text import visible_line

MOST_LINES: Final = 5000
_HEX_BYTES: Final = 16 * MOST_LINES

Pixel = tuple[int, int, int]
Rows = list[list[tuple[Pixel, Pixel]]]


def kind_of(path: Path) -> str:
    """One of table, image, text and binary, by its first bytes and its name."""
    return preview.kind_of(path)


def table_rows(path: Path) -> tuple[list[list[str]], bool]:
    """The headings and the cells of a CSV or TSV file, harmless; and whether the file goes on behind them."""
    table = preview.table(path)
    heads = [visible_line(column.title) for column in table.columns]
    return [heads, *([visible_line(cell) for cell in row] for row in table.rows)], table.more


def text_lines(path: Path) -> list[str]:
    """The first lines of a text, harmless."""
    lines = preview.text(path).text.splitlines()[:MOST_LINES]
    return [visible_line(line.expandtabs(8)) for line in lines]


def hex_lines(path: Path) -> list[str]:
    """The first bytes of a file in hex, sixteen a line."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            start = file.read(_HEX_BYTES)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LabboxError("unavailable", f"cannot read {visible_line(path.name)}: {reason}") from error
    lines = []
    for at in range(0, len(start), 16):
        piece = start[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in piece)
        lines.append(f"{at:08x}  {piece.hex(' '):<47}  {shown}")
    return lines


def picture_rows(path: Path, width: int, height: int) -> tuple[tuple[int, int], Rows]:
    """The picture's size in pixels, and its half blocks: rows of (upper, lower) colours on white ground."""
    picture = preview.picture(path, width, height, background=(255, 255, 255))
    return (picture.width, picture.height), [[(upper, lower) for upper, lower in row] for row in picture.rows]
