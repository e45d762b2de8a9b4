"""Screens that leave once."""

from __future__ import annotations

from typing import TypeVar

from textual.await_complete import AwaitComplete
from textual.screen import Screen

T = TypeVar("T")


class LeavesOnce(Screen[T]):
    """A screen whose second dismissal takes no other screen away.

    Textual takes the topmost screen off, whichever it is: a file that turns out unreadable just after Esc
    closed its viewer would take the file manager away, and leave a blank terminal.
    """

    def dismiss(self, result: T | None = None) -> AwaitComplete:
        """Leave with a result; nothing happens where it has left, or another screen stands on it."""
        if self.app.screen_stack[-1:] != [self]:
            return AwaitComplete()
        return super().dismiss(result)

    @property
    def has_left(self) -> bool:
        """Whether it was dismissed: what still comes for it concerns nobody."""
        return self not in self.app.screen_stack
