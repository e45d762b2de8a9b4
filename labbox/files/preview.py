"""Looking at a result in the terminal: pictures as half blocks, tables as rows, text as its beginning.

Everything that is read is bounded, and text comes out with its control characters made visible.
"""

from __future__ import annotations

import codecs
import csv
import io
import os
import re
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final, Literal, cast

from labbox.errors import LabboxError
from labbox.model import Value
from labbox.text import format_bytes, visible, visible_line

if TYPE_CHECKING:
    from PIL import Image

Colour = tuple[int, int, int]
"""Red, green, blue from 0 to 255."""
Cell = tuple[Colour, Colour]
"""The upper and the lower half of one character cell."""
Kind = Literal["image", "table", "text", "binary"]

MAX_IMAGE_BYTES: Final = 64 << 20
MAX_PIXELS: Final = 50_000_000  # 150 MB once unpacked; a larger picture is refused before that
MAX_CELLS: Final = 1000  # columns or rows of a picture in a terminal
TABLE_BYTES: Final = 1 << 20
TABLE_ROWS: Final = 1000
TABLE_COLUMNS: Final = 200
CELL_LETTERS: Final = 200
TEXT_BYTES: Final = 256 << 10
_SNIFF_ROWS: Final = 50
_DELIMITERS: Final = "\t;,|"
_IMAGES: Final = (b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff", b"GIF87a", b"GIF89a")
_FORMATS: Final = ("PNG", "JPEG", "GIF")
_INTEGER: Final = re.compile(r"[+-]?[0-9]{1,30}", re.ASCII)
_DECIMAL: Final = re.compile(r"[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?", re.ASCII)
_COMMA_DECIMAL: Final = re.compile(r"[+-]?[0-9]+,[0-9]+(?:[eE][+-]?[0-9]+)?", re.ASCII)
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}(?:[T ][0-9:.]+(?:Z|[+-][0-9:]+)?)?", re.ASCII)
_MISSING: Final = frozenset({"", "na", "n/a", "nan", "null", "none", "-"})


class Picture(Value):
    """A picture in character cells; `width` and `height` are those of the file, in pixels."""

    width: int
    height: int
    rows: tuple[tuple[Cell, ...], ...]


class Column(Value):
    """A column of a table: numbers stand to the right."""

    title: str
    kind: Literal["integer", "number", "date", "text"]


class Table(Value):
    """The beginning of a table; `more` where the file goes on behind it or to its right."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    delimiter: str
    more: bool


class Text(Value):
    """The beginning of a text, safe to show."""

    text: str
    size: int  # bytes of the whole file
    more: bool


def kind_of(path: Path) -> Kind:
    """How a file is best looked at, by its first bytes and its name; LabboxError where it cannot be read."""
    with _opened(path) as (descriptor, _):
        head = os.read(descriptor, 4096)
    if head.startswith(_IMAGES):
        return "image"
    if b"\0" in head and not head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return "binary"
    return "table" if path.suffix.lower() in (".csv", ".tsv", ".tab") else "text"


def picture(path: Path, columns: int, rows: int, background: Colour = (0, 0, 0)) -> Picture:
    """A PNG, JPEG or GIF (its first frame), shrunk to `columns` × `rows` cells with its proportions.

    A cell is twice as high as wide, so each half of it is square. Transparent parts show `background`.
    LabboxError("invalid") for what is no picture or too large.
    """
    from PIL import Image  # here: sessions that look at no picture pay nothing for it

    columns, rows = max(1, min(columns, MAX_CELLS)), max(1, min(rows, MAX_CELLS))
    with _opened(path) as (descriptor, size):
        if size > MAX_IMAGE_BYTES:
            raise _no_picture(path, f"it has {format_bytes(size)}", "fetch it and look at it there")
        with warnings.catch_warnings(), os.fdopen(os.dup(descriptor), "rb") as file:
            warnings.simplefilter("error", Image.DecompressionBombWarning)
            try:
                with Image.open(file, formats=_FORMATS) as image:
                    width, height = image.size
                    if width * height > MAX_PIXELS:
                        raise _no_picture(path, f"it has {width} × {height} pixels", "make a smaller one")
                    scale = min(columns / width, rows * 2 / height, 1.0)
                    across, down = max(1, round(width * scale)), max(1, round(height * scale))
                    image.draft("RGB", (across * 2, down * 2))  # JPEG: unpack no more than is needed
                    small = _flat(image, background).resize((across, down + down % 2), Image.Resampling.BOX)
            except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
                raise _no_picture(path, "it unpacks to too much", "make a smaller one") from error
            except (
                OSError,
                SyntaxError,
                ValueError,
                EOFError,
            ) as error:  # what Pillow raises for damaged files
                raise _no_picture(
                    path, "it is damaged or of another kind", "fetch it and look at it"
                ) from error
    data = small.tobytes()
    line = small.width * 3
    halves = [
        [(data[at], data[at + 1], data[at + 2]) for at in range(start, start + line, 3)]
        for start in range(0, len(data), line)
    ]
    cells = tuple(
        tuple(zip(upper, lower, strict=True)) for upper, lower in zip(halves[::2], halves[1::2], strict=True)
    )
    return Picture(width=width, height=height, rows=cells)


def table(path: Path, rows: int = TABLE_ROWS) -> Table:
    """The beginning of a CSV or TSV file, its delimiter found by looking; the first row gives the titles."""
    with _opened(path) as (descriptor, size):
        data = _read(descriptor, TABLE_BYTES)
    text = _text_of(data)
    cut = size > len(data)
    if cut:
        text = text[: text.rfind("\n") + 1] or text
    text = text.replace("\0", "␀")
    delimiter = _delimiter(text)
    wanted = min(rows, TABLE_ROWS) + 1
    found: list[list[str]] = []
    more = cut
    for row in _parse(text, delimiter):
        if not row:
            continue
        if len(found) == wanted:
            more = True
            break
        more = more or len(row) > TABLE_COLUMNS
        found.append([visible_line(cell.strip())[:CELL_LETTERS] for cell in row[:TABLE_COLUMNS]])
    width = max((len(row) for row in found), default=0)
    padded = [row + [""] * (width - len(row)) for row in found]
    titles, body = (padded[0], padded[1:]) if padded else ([], [])
    columns = tuple(
        Column(title=title, kind=_kind([row[place] for row in body])) for place, title in enumerate(titles)
    )
    return Table(columns=columns, rows=tuple(tuple(row) for row in body), delimiter=delimiter, more=more)


def text(path: Path, most: int = TEXT_BYTES) -> Text:
    """The beginning of a text file."""
    most = min(most, TEXT_BYTES)
    with _opened(path) as (descriptor, size):
        data = _read(descriptor, most)
    return Text(text=visible(_text_of(data)), size=size, more=size > len(data))


@contextmanager
def _opened(path: Path) -> Iterator[tuple[int, int]]:
    shown = visible_line(path.name)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        reason = os.strerror(error.errno or 0).lower()
        raise LabboxError("not_found", f"cannot open “{shown}”: {reason}", "choose another file") from error
    try:
        found = os.fstat(descriptor)
        if not stat.S_ISREG(found.st_mode):
            raise LabboxError("invalid", f"cannot look into “{shown}”: it is no file", "choose a file")
        yield descriptor, found.st_size
    finally:
        os.close(descriptor)


def _read(descriptor: int, most: int) -> bytes:
    parts = []
    while most > 0 and (part := os.read(descriptor, most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _text_of(data: bytes) -> str:
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", "replace")
    data = data.removeprefix(b"\xef\xbb\xbf")
    try:
        found = codecs.getincrementaldecoder("utf-8")().decode(data)  # the end may be cut within a character
    except UnicodeDecodeError:
        found = data.decode("cp1252", "surrogateescape")  # as spreadsheets in Europe write it
    return found.replace("\r\n", "\n")


def _no_picture(path: Path, why: str, hint: str) -> LabboxError:
    return LabboxError("invalid", f"cannot show “{visible_line(path.name)}”: {why}", hint)


def _delimiter(text: str) -> str:
    """The one that cuts the first rows into the same number of columns, the more the better."""
    sample = "".join(
        line for line, _ in zip(text.splitlines(keepends=True), range(_SNIFF_ROWS), strict=False)
    )
    best, best_score = ",", 0.0
    for delimiter in _DELIMITERS:
        widths = [len(row) for row in _parse(sample, delimiter) if row]
        if not widths or max(widths) == 1:
            continue
        usual = max(set(widths), key=lambda width: (widths.count(width), width))
        score = widths.count(usual) / len(widths) * (1 + min(usual, 50) / 1000) if usual > 1 else 0.0
        if score > best_score:
            best, best_score = delimiter, score
    return best


def _parse(text: str, delimiter: str) -> Iterator[list[str]]:
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    while True:
        try:
            yield next(rows)
        except StopIteration:
            return
        except csv.Error:  # a cell beyond the reader's own limit: a quote that never closes
            yield ["…"]
            return


def _kind(cells: list[str]) -> Literal["integer", "number", "date", "text"]:
    present = [cell for cell in cells if cell.lower() not in _MISSING]
    if not present:
        return "text"
    if all(_INTEGER.fullmatch(cell) for cell in present):
        return "integer"
    if all(_DECIMAL.fullmatch(cell) or _COMMA_DECIMAL.fullmatch(cell) for cell in present):
        return "number"
    if all(_DATE.fullmatch(cell) for cell in present):
        return "date"
    return "text"


def _flat(image: Image.Image, background: Colour) -> Image.Image:
    """The picture without transparency."""
    from PIL import Image

    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        layer = image.convert("RGBA")
        below = Image.new("RGBA", layer.size, (*background, 255))
        return Image.alpha_composite(below, layer).convert("RGB")
    if image.mode in ("I", "I;16", "I;16B", "F"):  # more than 8 bits a channel: stretch what is there
        deep = image.convert("F")
        low, high = cast("tuple[float, float]", deep.getextrema())
        scale = 255.0 / ((high - low) or 1.0)
        return deep.point(lambda value: value * scale - low * scale).convert("L").convert("RGB")
    return image.convert("RGB")
