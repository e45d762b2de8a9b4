"""Keys are taken one after the other: what a key opens or focuses gets the keys that were typed after it."""

from __future__ import annotations

import asyncio
from collections import deque
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from textual import events
from textual.dom import DOMNode
from textual.widget import Widget

if TYPE_CHECKING:
    from textual.app import App

LONGEST: Final = 3.0  # seconds that a key may keep the next one waiting
OUTCOME: Final = 1.0  # seconds of them for what it began: a dialog that opens, a folder that is being read
STEP: Final = 0.005  # seconds between two looks whether that is there
LOOK_EVERY: Final = 0.1  # seconds between two looks whether a widget that a key went through still lives


class KeyOrder:
    """Holds a key back while the one before it is still under way.

    Textual gives a key to what has the focus when the key arrives, and does what the key means once it has
    bubbled up to the app. Of keys that arrive together, as from a slow line or quick fingers, the second
    would go to the old focus: “/Kay” would not look for Kay, it would open the filter and kill a job.
    """

    def __init__(self, app: App[Any]) -> None:
        """Nothing is under way."""
        self._app = app
        self._held: deque[events.Key | events.Paste] = deque()
        self._busy = False
        self._following: asyncio.Task[None] | None = None
        self._owed_before: frozenset[Any] = frozenset()

    def holds(self, event: events.Key | events.Paste) -> bool:
        """Whether it has to wait; then it is given to the app again when its time has come."""
        if self._busy:
            self._held.append(event)
        return self._busy

    @property
    def has_more(self) -> bool:
        """Whether keys wait."""
        return bool(self._held)

    def begins(self) -> None:
        """A key is about to be given: what goes on already is none of its doing."""
        self._owed_before = self._owed()

    def sent(self, target: DOMNode) -> None:
        """A key was just given to `target`: hold the next ones until all is done that it means."""
        self._busy = True
        self._following = asyncio.create_task(self._follow(target.ancestors_with_self), name="key")

    def close(self) -> None:
        """Let what is under way go."""
        if self._following is not None:
            self._following.cancel()

    async def _follow(self, way: list[DOMNode]) -> None:
        try:
            async with asyncio.timeout(LONGEST):
                for node in way:
                    await _passed(node)
                await _passed(
                    self._app
                )  # what the deed put off until after itself, as a move of the focus is
                if self._app.screen_stack:  # none while it ends
                    await _passed(self._app.screen)  # a screen that the key opened stands, and has its focus
                    await self._outcome()
        except TimeoutError:
            pass  # something is stuck; keys must come through all the same, Esc before all
        finally:
            if self._held:
                self._app.call_later(self._next)
            else:
                self._busy = False

    def _owed(self) -> frozenset[Any]:
        stack = self._app.screen_stack
        return frozenset(getattr(stack[-1], "owed", ())) if stack else frozenset()

    async def _outcome(self) -> None:
        """Wait for what this key began, and for what a dialog that it closed was asked for.

        A key that was typed before anything could be seen of it waits for all of it: it was meant for that.
        One that is pressed at the sight of the first rows of a long list is taken at once.
        """
        until = asyncio.get_running_loop().time() + OUTCOME
        waited = False
        while (owed := self._owed() - self._owed_before) and asyncio.get_running_loop().time() < until:
            if not self._held and all(each.seen for each in owed):
                break
            waited = True
            await asyncio.sleep(STEP)
        if waited and self._app.screen_stack:
            await _passed(self._app.screen)

    async def _next(self) -> None:
        self._busy = False
        while self._held and not self._busy and self._app.screen_stack:  # some keys are done when taken
            await self._app.on_event(self._held.popleft())


async def _passed(node: DOMNode) -> None:
    """Return when the node has done all that it was sent so far, or has ended."""
    passed = asyncio.Event()
    if not node.call_later(passed.set):
        return
    beginning = isinstance(node, Widget) and not node.is_mounted
    while not passed.is_set() and (node.is_running or beginning):
        with suppress(TimeoutError):
            await asyncio.wait_for(passed.wait(), LOOK_EVERY)
