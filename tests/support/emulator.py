"""A terminal emulator whose screen can be read at any moment, in the middle of a change too."""

from __future__ import annotations

import pyte
from wcwidth import wcwidth


class Emulator(pyte.Screen):
    """As pyte's; of a character of two cells whose one half was painted over, the other half is blank."""

    @property
    def display(self) -> list[str]:
        """The lines of the screen."""
        return [self._line(y) for y in range(self.lines)]

    def _line(self, y: int) -> str:
        cells = [self.buffer[y][x].data for x in range(self.columns)]
        shown = ""
        for x, data in enumerate(cells):
            if not data:  # the right half: nothing, if its left half stands before it
                shown += "" if x and cells[x - 1] and wcwidth(cells[x - 1][0]) == 2 else " "
            elif wcwidth(data[0]) == 2 and (x + 1 == self.columns or cells[x + 1]):
                shown += " "
            else:
                shown += data
        return shown
