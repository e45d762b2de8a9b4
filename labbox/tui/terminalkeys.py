"""Keys as ordinary terminals send them, and as those who know mc type them: Esc and a digit for F1 to F10."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, cast

from textual import events
from textual._ansi_sequences import ANSI_SEQUENCES_KEYS

if TYPE_CHECKING:
    from textual.screen import Screen

PATIENCE: Final = 1.0  # seconds after Esc in which a digit belongs to it; mc waits half a second for it
_LETTERS: Final = ("\x1bb", "\x1bf")
_DIGITS: Final = tuple(f"\x1b{digit}" for digit in "0123456789")


def read_as_sent() -> None:
    """Alt with B, F or a digit is itself.

    Textual takes the first two for Ctrl+Left and Ctrl+Right and the digits for what a Mac's Option key makes
    of them; every terminal sends just these bytes for Alt.
    """
    table = cast("dict[str, Any]", ANSI_SEQUENCES_KEYS)
    for sequence in (*_LETTERS, *_DIGITS):
        table.pop(sequence, None)


def function_key(digit: str) -> events.Key:
    """F1 to F9 for the digits 1 to 9, F10 for 0."""
    return events.Key(f"f{int(digit) or 10}", None)


class EscapeDigits:
    """Esc, then a digit: the function key of that number, on the screen where Esc was pressed."""

    def __init__(self) -> None:
        """Nothing was pressed."""
        self._at = -PATIENCE
        self._screen: Screen[Any] | None = None
        self._undo: Callable[[], None] | None = None

    def escaped(self, screen: Screen[Any] | None, undo: Callable[[], None] | None) -> None:
        """Esc is about to act on a full screen (None: on anything else); `undo` takes back what it does."""
        self._at, self._screen, self._undo = time.monotonic(), screen, undo

    def key_for(self, key: events.Key, screen: Screen[Any]) -> events.Key | None:
        """What is meant by the next key: itself, a function key, or nothing any more."""
        before, undo, at = self._screen, self._undo, self._at
        self._screen = self._undo = None
        if before is None or len(key.key) != 1 or not key.key.isdigit() or time.monotonic() - at > PATIENCE:
            return key
        if before is not screen:
            return None  # Esc has closed the screen that the two were meant for
        if undo is not None:
            undo()
        return function_key(key.key)
