"""Colours for a text that is being changed: the viewer's child looks at the lines on the screen."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError
from labbox.files.standins import pictured
from labbox.files.viewing import highlighting
from labbox.files.viewing.source import Source

if TYPE_CHECKING:
    from pygments.lexer import Lexer

AHEAD: Final = 40  # lines before and behind those on the screen: texts and comments may have begun there
LONG: Final = 2000  # characters of a line beyond which it has no colours
_KEPT: Final = 3000


class _Unread(Source):
    """What stands for the file: the child is given the lines and asks for nothing."""

    def __init__(self, name: str) -> None:
        self._path = name
        self.size = 0


class Colours:
    """The colours of lines, by what they say: so they stay where lines move."""

    def __init__(self, name: str, first_line: str) -> None:
        """The name, or the program that the first line names, decides the language."""
        self._name, self._first = name, first_line
        self._source = _Unread(name)
        self._lexer: Lexer | None = None
        self._known = False
        self._spans: OrderedDict[str, highlighting.Spans] = OrderedDict()

    def of(self, line: str) -> highlighting.Spans:
        """The coloured parts of a line, as far as they are known."""
        return self._spans.get(line, ())

    def lack(self, lines: list[str]) -> bool:
        """Whether some of these have never been looked at."""
        return not (self._known and self._lexer is None) and any(line not in self._spans for line in lines)

    async def look(self, lines: list[str]) -> bool:
        """Find the colours of neighbouring lines; whether there are any."""
        if not self._known:
            self._lexer = await asyncio.to_thread(highlighting.lexer_for, self._name, self._first)
            self._known = True
        if self._lexer is None:
            return False
        asked = [pictured(line) if len(line) <= LONG else "" for line in lines]
        try:
            spans = await highlighting.colours(self._source, self._lexer, asked)
        except LabboxError:
            self._lexer = None  # such a text is better without colours than without an editor
            return False
        for line, found in zip(lines, spans, strict=True):
            self._spans[line] = found
            self._spans.move_to_end(line)
        while len(self._spans) > _KEPT:
            self._spans.popitem(last=False)
        return True
