"""What the terminal shows by now, so that only the cells that differ are sent.

Textual sends whole lines of what was drawn anew: scrolling a pane by one row takes 8 KB, of which a few
hundred bytes are news. Lines with anything whose width terminals may see otherwise are sent whole, as are
all after a full update.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import compress, groupby, repeat
from operator import itemgetter, ne
from typing import Final, cast

from rich.cells import get_character_cell_size
from rich.color import ColorSystem
from rich.console import Console, RenderableType
from rich.style import Style
from textual._compositor import ChopsUpdate, LayoutUpdate
from textual.strip import Strip

_Cell = tuple[str, Style | None]
_Lines = dict[int, "list[_Cell | None] | list[Strip]"]  # strips until somebody asks for the cells
_GAP: Final = 8  # cells that are sent again rather than leapt over
_RESET: Final = "\x1b[0m"


class Sparing:
    """The cells of one terminal."""

    def __init__(self) -> None:
        """Nothing is known of it."""
        self._lines: _Lines = {}

    def lean(self, update: RenderableType | None) -> RenderableType | None:
        """The same update in fewer bytes, and one that is remembered when it is sent."""
        if isinstance(update, LayoutUpdate):
            return _Whole(self._lines, update)
        if isinstance(update, ChopsUpdate):
            return _Lean(self._lines, update)
        if update is not None:
            self.forget()
        return update

    def forget(self) -> None:
        """Somebody else has written on it."""
        self._lines.clear()


class _Whole(LayoutUpdate):
    """All lines, sent as they are."""

    def __init__(self, lines: _Lines, update: LayoutUpdate) -> None:
        super().__init__([list(line) for line in update.strips], update.region)
        self._lines = lines

    def render_segments(self, console: Console) -> str:
        """What Textual makes of them; and remember it."""
        self._lines.clear()
        if self.region.x == 0:
            for y, line in enumerate(self.strips, self.region.y):
                self._lines[y] = list(line)  # taken apart when it is first asked for
        return super().render_segments(console)


class _Lean(ChopsUpdate):
    """Of some parts of lines the cells that differ."""

    def __init__(self, lines: _Lines, update: ChopsUpdate) -> None:
        super().__init__(update.chops, update.spans, update.chop_ends)
        self._lines = lines

    def render_segments(self, console: Console) -> str:
        """What is to be sent; and remember it."""
        pen = _Pen(console)
        for y, left, right in self.spans:
            for end, (x, strip) in zip(self.chop_ends[y], self.chops[y].items(), strict=False):
                if strip is None or x > right or end <= left:
                    continue
                self._send(pen, x, y, strip if end <= right else strip.crop(0, right - x))
        return pen.text()

    def _send(self, pen: _Pen, x: int, y: int, strip: Strip) -> None:
        line = self._line(y)
        cells, width = _cells(strip), strip.cell_length
        if cells is not None and len(cells) != width:
            cells = None
        line.extend(repeat(None, x + width - len(line)))
        old = line[x : x + width]
        if cells is None:
            pen.whole(x, y, strip)
        else:
            for first, behind in _runs(old, cells):
                pen.write(x + first, y, cells[first:behind])
        line[x : x + width] = cells or repeat(None, width)

    def _line(self, y: int) -> list[_Cell | None]:
        known = self._lines.get(y, [])
        line: list[_Cell | None] = []
        if known and isinstance(known[0], Strip):
            line += _cells(Strip.join(known)) or []
        else:
            line = cast("list[_Cell | None]", known)
        self._lines[y] = line
        return line


def _cells(strip: Strip) -> list[_Cell] | None:
    """What each cell holds; None where that is not sure."""
    cells: list[_Cell] = []
    for text, style, control in strip:
        part = None if control else _part(text, style)
        if part is None:
            return None
        cells += part
    return cells


@lru_cache(1024)
def _part(text: str, style: Style | None) -> list[_Cell] | None:
    """Of one stretch; nobody changes it. What scrolls is the same text in another line."""
    if not _is_plain(text) or (style is not None and style._link):  # noqa: SLF001 - no call
        return None
    made = {character: (character, style) for character in set(text)}  # one for all cells that hold the same
    return list(map(made.__getitem__, text))


def _is_plain(text: str) -> bool:
    """Whether every character takes one cell, on any terminal."""
    if text.isascii():
        return text.isprintable()
    return all(character.isascii() or _is_narrow(character) for character in text) and text.isprintable()


@lru_cache(4096)
def _is_narrow(character: str) -> bool:
    return get_character_cell_size(character) == 1


def _runs(old: list[_Cell | None], new: list[_Cell]) -> Iterable[tuple[int, int]]:
    """The stretches that differ; those with a small gap between them are one."""
    first = behind = -1
    for place in compress(range(len(new)), map(ne, old, new)):
        if first >= 0 and place - behind > _GAP:
            yield first, behind
            first = place
        elif first < 0:
            first = place
        behind = place + 1
    if first >= 0:
        yield first, behind


class _Pen:
    """Text for the terminal; says a style once for all that it holds for."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._colours = console._color_system or ColorSystem.TRUECOLOR  # noqa: SLF001 - as Strip.render has it
        self._pieces: list[str] = []
        self._style = ""

    def whole(self, x: int, y: int, strip: Strip) -> None:
        """A strip as it is."""
        if self._style:
            self._pieces.append(_RESET)
            self._style = ""
        self._pieces += (f"\x1b[{y + 1};{x + 1}H", strip.render(self._console))

    def write(self, x: int, y: int, cells: list[_Cell]) -> None:
        """Some cells of a line."""
        self._pieces.append(f"\x1b[{y + 1};{x + 1}H")
        for style, same in groupby(cells, key=itemgetter(1)):
            self._take(style)
            self._pieces += map(itemgetter(0), same)

    def _take(self, style: Style | None) -> None:
        wanted = ""
        if style is not None:
            made = style._ansi  # noqa: SLF001 - where render_ansi keeps it
            wanted = Strip.render_ansi(style, self._colours) if made is None else made
        if wanted != self._style:
            self._pieces.append(f"\x1b[0;{wanted}m" if wanted else _RESET)
            self._style = wanted

    def text(self) -> str:
        """All of it; the terminal is left without style."""
        if self._style:
            self._pieces.append(_RESET)
        return "".join(self._pieces)
