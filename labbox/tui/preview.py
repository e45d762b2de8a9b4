"""What a result file looks like on a terminal: where screens meet pictures and tables. Bounded."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from typing import Final, Literal

from labbox.errors import LabboxError
from labbox.text import decode, visible_line

MOST_BYTES: Final = 1 << 20  # of a text or a table that are read
MOST_ROWS: Final = 5000
MOST_COLUMNS: Final = 60
MOST_PIXELS: Final = 64 << 20  # of a picture; above it is a bomb

Kind = Literal["table", "picture", "text", "binary"]
Pixel = tuple[int, int, int]

_PICTURES: Final = (".png", ".jpg", ".jpeg", ".gif", ".bmp", ".webp", ".tif", ".tiff")


def read_start(path: Path) -> bytes:
    """The beginning of a file; LabboxError in words where it cannot be read or is no plain file."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOFOLLOW)
        with os.fdopen(descriptor, "rb") as file:
            return file.read(MOST_BYTES)
    except OSError as error:
        reason = error.strerror or str(error)
        raise LabboxError("unavailable", f"cannot read {visible_line(path.name)}: {reason}") from error


def kind_of(path: Path, start: bytes) -> Kind:
    """How to show it: by its name, and by whether it is text at all."""
    suffix = path.suffix.lower()
    if suffix in _PICTURES:
        return "picture"
    if b"\0" in start[:8192]:
        return "binary"
    return "table" if suffix in (".csv", ".tsv") else "text"


def table_rows(path: Path, start: bytes) -> list[list[str]]:
    """The cells of a CSV or TSV file, its delimiter found out; control characters made visible."""
    text = decode(start)
    if len(start) == MOST_BYTES:
        text = text.rpartition("\n")[0]
    delimiter = "\t" if path.suffix.lower() == ".tsv" else ","
    first = text.partition("\n")[0]
    if delimiter not in first:
        delimiter = max(",;\t|", key=first.count)
    rows: list[list[str]] = []
    try:
        for row in csv.reader(text.splitlines(), delimiter=delimiter):
            rows.append([visible_line(cell) for cell in row[:MOST_COLUMNS]])
            if len(rows) >= MOST_ROWS:
                break
    except csv.Error as error:
        raise LabboxError("invalid", f"cannot read {visible_line(path.name)} as a table: {error}") from error
    return rows


def text_lines(start: bytes) -> list[str]:
    """Lines of a text, harmless."""
    return [visible_line(line.expandtabs(8)) for line in decode(start).splitlines()[:MOST_ROWS]]


def hex_lines(start: bytes) -> list[str]:
    """Bytes in hex, sixteen a line."""
    lines = []
    for at in range(0, min(len(start), 16 * MOST_ROWS), 16):
        piece = start[at : at + 16]
        shown = "".join(chr(byte) if 32 <= byte < 127 else "·" for byte in piece)
        lines.append(f"{at:08x}  {piece.hex(' '):<47}  {shown}")
    return lines


def picture_rows(
    path: Path, width: int, height: int
) -> tuple[tuple[int, int], list[list[tuple[Pixel, Pixel]]]]:
    """Its size, and its half blocks: rows of (upper, lower) colours that fit `width` × `height` cells."""
    from PIL import Image, UnidentifiedImageError

    try:
        with Image.open(path) as picture:
            size = picture.size
            if size[0] * size[1] > MOST_PIXELS:
                raise LabboxError(
                    "limit", f"cannot show {visible_line(path.name)}: it is {size[0]} × {size[1]} pixels"
                )
            picture.draft("RGB", (width * 2, height * 4))
            scale = min(width / size[0], height * 2 / size[1])
            target = (max(1, round(size[0] * scale)), max(2, round(size[1] * scale)))
            flat = Image.new("RGBA", picture.size, (255, 255, 255, 255))
            flat.alpha_composite(picture.convert("RGBA"))
            small = flat.convert("RGB").resize(target, Image.Resampling.LANCZOS)
    except (OSError, ValueError, SyntaxError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise LabboxError(
            "invalid", f"cannot show {visible_line(path.name)} as a picture: {error}"
        ) from error
    data = small.tobytes()
    columns, lines = small.size

    def pixel(x: int, y: int) -> Pixel:
        at = (min(y, lines - 1) * columns + x) * 3
        return data[at], data[at + 1], data[at + 2]

    rows = [[(pixel(x, y), pixel(x, y + 1)) for x in range(columns)] for y in range(0, lines, 2)]
    return size, rows
