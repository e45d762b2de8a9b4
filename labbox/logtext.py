"""A job's output for a terminal: redrawn by its carriage returns, in its own colours, and otherwise harmless.

Of escape sequences only SGR (ECMA-48, 8.3.117: colours and weight) reaches the terminal; every other control
character is made visible. Lines that drive the progress bar are left out, unless they are asked for.
"""

from __future__ import annotations

import re
from typing import Final

from labbox.text import visible

PROGRESS: Final = "labbox:progress"
RESET: Final = "\x1b[0m"
_BEGUN: Final = re.compile("\x1b(?:\\[[0-9;:]{0,64})?\\Z")  # what the next piece may make an SGR of
_KEPT: Final = re.compile("(\x1b\\[[0-9;:]{0,64}m|\r)")
_LONGEST: Final = 1 << 16  # characters of a line that is held back because it may be one of progress


def harmless(text: str) -> str:
    """Text with its colours and carriage returns, and with all other controls made visible."""
    if "\x1b" not in text and "\r" not in text:
        return visible(text)
    parts = _KEPT.split(text)
    return "".join(part if place % 2 else visible(part) for place, part in enumerate(parts))


def redrawn(line: str) -> str:
    """A line without colours as a terminal leaves it: what follows a carriage return covers the rest."""
    last, *before = line.split("\r")[::-1]
    for stretch in before:
        if len(stretch) > len(last):
            last += stretch[len(last) :]
    return last


class LogText:
    """One stream of a log on its way to a terminal, piece by piece."""

    def __init__(self, *, progress: bool = False) -> None:
        """`progress`: show the lines that drive the bar, too."""
        self._progress = progress
        self._held = ""
        self._at_start = True
        self._coloured = False

    def feed(self, text: str) -> str:
        """What of it can be written now."""
        text, self._held = self._held + text, ""
        return "".join([self._line(line) for line in _lines(text)])

    def end(self) -> str:
        """What was held back; and the terminal's own colours again."""
        held, self._held = self._held, ""
        if self._at_start and not self._progress and held.startswith(PROGRESS):
            held = ""
        return harmless(held) + (RESET if self._coloured else "")

    def _line(self, line: str) -> str:
        whole = line.endswith("\n")
        if self._at_start and not self._progress:
            if line.startswith(PROGRESS) or (not whole and PROGRESS.startswith(line)):
                if not whole and len(line) < _LONGEST:
                    self._held = line
                    return ""
                if whole:
                    return ""
        begun = None if whole else _BEGUN.search(line)
        if begun is not None:
            self._held = line[begun.start() :]
            line = line[: begun.start()]
        if line:
            self._at_start = whole
        shown = harmless(line)
        self._coloured = self._coloured or "\x1b" in shown
        return shown


def _lines(text: str) -> list[str]:
    """Lines that end with a newline, and nothing else."""
    *whole, last = text.split("\n")
    return [f"{line}\n" for line in whole] + ([last] if last else [])
