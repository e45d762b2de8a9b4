"""What all line-drawing widgets share: inks (named styles from the theme), fitting text, making strips."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import pairwise
from typing import Final

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.color import Color
from textual.geometry import Region
from textual.strip import Strip
from textual.widget import Widget

# Each ink: the theme's variables of its colour and of its ground, and whether it is bold.
INKS: Final[dict[str, tuple[str, str, bool]]] = {
    "text": ("foreground", "background", False),
    "dim": ("dim", "background", False),
    "faint": ("border-blurred", "background", False),
    "head": ("head", "background", True),
    "primary": ("primary", "background", False),
    "accent": ("accent", "background", False),
    "note": ("note", "background", False),
    "good": ("success", "background", False),
    "warn": ("warning", "background", False),
    "bad": ("error", "background", False),
    "mark": ("mark", "background", True),
    "violet": ("violet", "background", False),
    "bold": ("foreground", "background", True),
    "folder": ("primary", "background", True),
    "cursor": ("cursor-text", "cursor", True),
    "cursor-off": ("foreground", "panel", False),
    "bar-key": ("bar-key", "bar-key-back", True),
    "bar-text": ("bar-text", "bar-back", False),
    "title": ("bar-text", "bar-back", True),
    "banner": ("background", "error", True),
    "found": ("found-text", "mark", False),
    "found-now": ("found-text", "accent", True),
}


Mark = tuple[int, int, str]
"""From one character to another one of a row, in an ink."""

# The colours of a log, in the theme's inks: no theme has a colour that cannot be read on its ground.
LOG_INKS: Final = {
    "black": "dim", "red": "bad", "green": "good", "yellow": "warn", "blue": "primary", "magenta": "violet",
    "cyan": "note", "white": "text", "bold": "bold", "faint": "dim",
}  # fmt: skip


def log_marks(spans: Iterable[tuple[int, int, str]], first: int, length: int) -> list[Mark]:
    """The colours of a part of a line that begins with the character `first`."""
    return [
        (low - first, high - first, LOG_INKS[colour])
        for low, high, colour in spans
        if high > first and low < first + length
    ]


def marked(text: str, marks: list[Mark], ink: str = "text") -> list[tuple[str, str]]:
    """The text in parts, in `ink` where nothing else is said; of marks that overlap the later one counts."""
    if not marks:
        return [(text, ink)]
    edges = sorted({0, len(text), *(max(0, min(at, len(text))) for mark in marks for at in mark[:2])})
    parts = []
    for low, high in pairwise(edges):
        there = next((ink for start, end, ink in reversed(marks) if start <= low and high <= end), ink)
        parts.append((text[low:high], there))
    return parts


def fit(text: str, width: int, right: bool = False) -> str:
    """Text cut or padded to exactly `width` cells; cut text ends in ``…``."""
    if text.isascii():
        if len(text) <= width:
            return text.rjust(width) if right else text.ljust(width)
        return text[: width - 1] + "…" if width > 0 else ""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * (width - length) + text if right else text + " " * (width - length)


_MADE: dict[tuple[str, ...], dict[str, Style]] = {}


def inks_of(variables: dict[str, str]) -> dict[str, Style]:
    """All inks in the colours of a theme; made once for the same colours.

    Not by the theme's name: under one name a terminal of 256 colours has others than one of all.
    """
    colours = tuple(variables[name] for colour, ground, _ in INKS.values() for name in (colour, ground))
    made = _MADE.get(colours)
    if made is None:
        made = _MADE[colours] = {
            name: Style(
                color=Color.parse(variables[colour]).rich_color,
                bgcolor=Color.parse(variables[ground]).rich_color,
                bold=bold,
            )
            for name, (colour, ground, bold) in INKS.items()
        }
    return made


class Alike(Widget):
    """A ground whose lines are all alike, mostly under other widgets: one is made and serves for all.

    Name it after the widget that it is to change: Textual takes the style sheet of the first base.
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        """The lines of a part; Textual asks for those under other widgets too."""
        one = Region(crop.x, crop.y, crop.width, min(1, crop.height))
        return super().render_lines(one) * crop.height


class Painted(Widget):
    """A widget that draws its own lines with inks."""

    ALLOW_SELECT = False
    _inks: dict[str, Style] | None = None

    def ink(self, name: str) -> Style:
        """The style of an ink under the present theme."""
        if self._inks is None:
            self._inks = inks_of(self.app.theme_variables)
        return self._inks[name]

    @property
    def is_truecolor(self) -> bool:
        """Whether no ink has one of the terminal's own colours."""
        inks = self._inks or {}
        colours = [colour for ink in inks.values() for colour in (ink.color, ink.bgcolor)]
        return all(colour is not None and colour.triplet is not None for colour in colours)

    def drawn(self, numbers: Iterable[int], width: int) -> list[Strip]:
        """The first `width` cells of these lines."""
        return [self.render_line(y).crop(0, width) for y in numbers]

    def notify_style_update(self) -> None:
        """Forget the inks: the theme changed."""
        self._inks = None
        super().notify_style_update()

    def strip(self, parts: list[tuple[str, str]], width: int, over: str | None = None) -> Strip:
        """One line of exactly `width` cells from (text, ink); `over` is an ink that replaces all others."""
        segments: list[Segment] = []
        room = width
        cover = self.ink(over) if over else None
        for text, name in parts:
            if room <= 0:
                break
            length = len(text) if text.isascii() else cell_len(text)
            if length > room:
                text, length = set_cell_size(text, room), room
            if length:
                segments.append(Segment(text, cover or self.ink(name)))
            room -= length
        if room > 0:
            segments.append(Segment(" " * room, cover or self.ink("text")))
        return Strip(segments, width)

    def blank(self, width: int) -> Strip:
        """A line with nothing on it: the same one for all, with what Textual keeps of it."""
        return _blank(self.ink("text"), width)


@lru_cache(maxsize=64)
def _blank(ink: Style, width: int) -> Strip:
    return Strip([Segment(" " * width, ink)] if width > 0 else [], width)
