"""A picture in half blocks: two pixels in each cell, on any terminal with colours."""

from __future__ import annotations

from rich.color import Color
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from labbox.files.viewing.pictures import Pixels

Pixel = tuple[int, int, int]


class HalfBlocks(Widget, can_focus=True):
    """Shows rows of (upper, lower) colours in the middle of its place."""

    ALLOW_SELECT = False

    def __init__(self) -> None:
        """No picture yet."""
        super().__init__(id="picture")
        self._rows: list[list[tuple[Pixel, Pixel]]] = []

    def set_rows(self, rows: list[list[tuple[Pixel, Pixel]]]) -> None:
        """Show these rows."""
        self._rows = rows
        self.refresh()

    def set_pixels(self, picture: Pixels) -> None:
        """Show a picture of two pixels a cell."""
        data, step = picture.data, picture.across * 3
        lines = [
            [(data[at], data[at + 1], data[at + 2]) for at in range(start, start + step, 3)]
            for start in range(0, step * picture.down, step)
        ]
        if len(lines) % 2:
            lines.append(lines[-1])
        self.set_rows([list(zip(*pair, strict=True)) for pair in zip(lines[::2], lines[1::2], strict=True)])

    def render_line(self, y: int) -> Strip:
        """One row of cells."""
        width = self.size.width
        at = y - max(0, (self.size.height - len(self._rows)) // 2)
        if not 0 <= at < len(self._rows):
            return Strip.blank(width, self.rich_style)
        row = self._rows[at]
        left = max(0, (width - len(row)) // 2)
        segments = [Segment(" " * left, self.rich_style)]
        run = 0
        for place, pair in enumerate(row):  # cells alike become one segment
            if place + 1 == len(row) or row[place + 1] != pair:
                upper, lower = pair
                style = Style(color=Color.from_rgb(*upper), bgcolor=Color.from_rgb(*lower))
                segments.append(Segment("▀" * (place - run + 1), style))
                run = place + 1
        segments.append(Segment(" " * max(0, width - left - len(row)), self.rich_style))
        return Strip(segments, max(width, len(row))).crop(0, width)
