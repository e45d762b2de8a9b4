"""A job's output for a terminal: redrawn by its carriage returns, in its own colours, and otherwise harmless.

Of escape sequences only SGR (ECMA-48, 8.3.117: colours and weight) reaches the terminal; every other control
character is made visible. Lines that drive the progress bar are left out, unless they are asked for.
"""

from __future__ import annotations

import re
from itertools import groupby
from typing import Final, NamedTuple

from labbox.text import visible

PROGRESS: Final = "labbox:progress"
RESET: Final = "\x1b[0m"
COLOURS: Final = ("black", "red", "green", "yellow", "blue", "magenta", "cyan", "white")  # and bold, faint
_DRAWN: Final = re.compile("(\x1b\\[[0-9;:]{0,64}m|\x1b\\[[012]?K|\r)")
_BEGUN: Final = re.compile("\x1b(?:\\[[0-9;:]{0,64})?\\Z")  # what the next piece may make an SGR of
_KEPT: Final = re.compile("(\x1b\\[[0-9;:]{0,64}m|\r)")
_LONGEST: Final = 1 << 16  # characters of a line that is held back because it may be one of progress


def harmless(text: str) -> str:
    """Text with its colours and carriage returns, and with all other controls made visible."""
    if "\x1b" not in text and "\r" not in text:
        return visible(text)
    parts = _KEPT.split(text)
    return "".join(part if place % 2 else visible(part) for place, part in enumerate(parts))


def drawn(line: str) -> Drawn:
    """A line as a terminal leaves it: what follows a carriage return covers what was there, in its colours.

    Erasing within the line (ECMA-48, 8.3.41) is done; every other control character is made visible.
    """
    if line.isprintable():
        return Drawn(line, ())
    row = _Row()
    for place, part in enumerate(_DRAWN.split(line)):
        if not part:
            continue
        if place % 2 == 0:
            row.write(visible(part))
        elif part == "\r":
            row.at = 0
        elif part.endswith("K"):
            row.erase(part[2:-1])
        else:
            row.paint(part[2:-1])
    return row.drawn()


class Drawn(NamedTuple):
    """The text of a line, and in which colours: from one character to another one, by name (`COLOURS`)."""

    text: str
    spans: tuple[tuple[int, int, str], ...]


class _Row:
    """The cells of a line while it is drawn."""

    def __init__(self) -> None:
        self.at = 0
        self._letters: list[str] = []
        self._inks: list[str] = []
        self._colour, self._bold, self._faint = "", False, False

    def write(self, text: str) -> None:
        first, *tabbed = text.split("\t")
        self._put(first)
        for part in tabbed:  # a tab covers nothing
            self.at = (self.at // 8 + 1) * 8
            self._put(part)

    def _put(self, text: str) -> None:
        if not text:
            return
        end = self.at + len(text)
        if self.at > len(self._letters):
            gap = self.at - len(self._letters)
            self._letters += " " * gap
            self._inks += [""] * gap
        self._letters[self.at : end] = text
        ink = self._colour or ("bold" if self._bold else "faint" if self._faint else "")
        self._inks[self.at : end] = [ink] * len(text)
        self.at = end

    def erase(self, how: str) -> None:
        if how in ("", "0"):
            del self._letters[self.at :], self._inks[self.at :]
        elif how == "2":
            self._letters, self._inks = [], []
        else:
            end = min(self.at + 1, len(self._letters))
            self._letters[:end] = " " * end
            self._inks[:end] = [""] * end

    def paint(self, words: str) -> None:
        """Take an SGR: colours of letters and weight; grounds and all else change nothing."""
        codes = [int(word) if word.isdigit() else 0 for word in re.split("[;:]", words)]
        while codes:
            code = codes.pop(0)
            if code == 0:
                self._colour, self._bold, self._faint = "", False, False
            elif code in (1, 2):
                self._bold, self._faint = code == 1, code == 2
            elif code == 22:
                self._bold = self._faint = False
            elif 30 <= code <= 37 or 90 <= code <= 97:
                self._colour = COLOURS[code % 10]
            elif code == 39:
                self._colour = ""
            elif code in (38, 48):
                colour, codes = _wide(codes)
                if code == 38:
                    self._colour = colour

    def drawn(self) -> Drawn:
        text = "".join(self._letters)
        spans, start = [], 0
        for ink, run in groupby(self._inks[: len(text)]):
            end = start + sum(1 for _ in run)
            if ink:
                spans.append((start, end, ink))
            start = end
        return Drawn(text, tuple(spans))


def _wide(codes: list[int]) -> tuple[str, list[int]]:
    """One of 256 colours, or one of all, as the nearest of the eight; and the codes that follow."""
    if codes[:1] == [5] and len(codes) > 1:
        number, rest = codes[1], codes[2:]
        if number < 16:
            return COLOURS[number % 8], rest
        if number > 231:
            return ("faint" if number < 244 else "white"), rest
        number -= 16
        return _nearest(number // 36 * 51, number // 6 % 6 * 51, number % 6 * 51), rest
    if codes[:1] == [2] and len(codes) > 3:
        return _nearest(*codes[1:4]), codes[4:]
    return "", []


def _nearest(red: int, green: int, blue: int) -> str:
    most, least = max(red, green, blue), min(red, green, blue)
    if most - least < 40:
        return "faint" if most < 128 else "white"
    half = (most + least) / 2
    return COLOURS[(red > half) + 2 * (green > half) + 4 * (blue > half)]


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
