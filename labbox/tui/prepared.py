"""The interface begun before the fork: mounted and painted for nobody, then asleep until a session wakes it.

A session is a copy of the spawner: what the spawner has done no session does again, neither in time nor in
memory of its own. The sleeping app knows nobody: it has no client, no user and no terminal.

While it sleeps its event loop does not run and holds no descriptor, so that the copies share none: it waits
with poll(2), which keeps nothing in the kernel, and its pair of sockets is closed before the fork and made
anew after it.
"""

from __future__ import annotations

import asyncio
import os
import selectors
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, cast

from rich.console import Console
from textual import events
from textual.driver import Driver
from textual.drivers.linux_driver import LinuxDriver
from textual.geometry import Size

from labbox.protocol import JobPage
from labbox.tui import look
from labbox.tui.app import LabboxApp
from labbox.tui.graphics import Graphics
from labbox.tui.widgets.bars import TitleBar
from labbox.tui.widgets.transfers import TransferStrip

if TYPE_CHECKING:
    from labbox.client import Client

_ENVIRONMENT: Final = {"TERM": "xterm-256color"}  # of the terminal that most people have
_ASKED_FOR: Final = (TitleBar, TransferStrip)  # by every session; Textual keeps how it looks for a kind
_SIZE: Final = (80, 24)  # columns and rows until the session's are known
_PATIENCE: Final = 30.0  # seconds for painting unseen


class Prepared:
    """One app, asleep; it can be woken once in each process."""

    def __init__(self) -> None:
        """Run it until its first screen is painted."""
        self._loop = _Loop()
        with _environment(_ENVIRONMENT), _streams_kept():
            self._app = _Sleeper()
            self._running = self._loop.create_task(self._app.run_async())
            self._loop.run_until_complete(self._painted())
            asyncio.set_event_loop(None)  # for what that makes at first
            self._asked_for_colours = Console(force_terminal=True)
            self._streams = sys.stdout, sys.stderr  # Textual's, for what must not reach the screen
        self._loop.let_go()

    async def _painted(self) -> None:
        painted = asyncio.ensure_future(self._app.painted())
        await asyncio.wait({painted, self._running}, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not painted.done() or self._running.done():
            raise RuntimeError("cannot paint the first screen ahead of the logins")

    def fits(self) -> bool:
        """Whether the session's terminal has the colours that this app was made for."""
        return (
            "NO_COLOR" not in os.environ
            and look.theme_for(os.environ) == self._app.theme
            and self._asked_for_colours._detect_color_system()  # noqa: SLF001 - of today's environment
            == self._app.console._color_system  # noqa: SLF001
        )

    def run(self, client: Client) -> int:
        """Wake it with this client, on the terminal of this process; the exit code."""
        self._loop.take_up()
        asyncio.set_event_loop(self._loop)
        with _streams_kept():
            sys.stdout, sys.stderr = self._streams
            self._app.woken.set_result(client)
            return self._loop.run_until_complete(self._running) or 0


class _Sleeper(LabboxApp):
    """An app that begins nothing before it is woken."""

    def __init__(self) -> None:
        super().__init__(cast("Client", None), driver_class=_Terminal)
        self.woken: asyncio.Future[Client]
        self.terminal: _Terminal
        self._shown, self._sized = asyncio.Event(), asyncio.Event()

    def begin(self) -> None:
        """Wait for the client; the first screen waits for its page."""
        loop = asyncio.get_running_loop()
        self.woken, self.first_page = loop.create_future(), loop.create_future()
        self.run_worker(self._wake(), group="app")
        self.call_after_refresh(self._shown.set)

    async def _wake(self) -> None:
        waited_for = self.first_page
        self.client = await self.woken
        self.graphics = Graphics()
        super().begin()
        self.first_page.add_done_callback(lambda asked: _hand_on(asked, waited_for))
        with self.batch_update():  # nothing in a size that is not the terminal's
            self._size = None
            self.terminal.open()
            await self._sized.wait()
        self.screen.refresh(layout=True)
        for screen in self.panes():
            screen.retitle()

    def on_resize(self) -> None:
        """The terminal has said its size."""
        if not self.is_headless:
            self._sized.set()

    async def painted(self) -> None:
        """Return when the first screen has been painted."""
        await self._shown.wait()
        for kind in _ASKED_FOR:
            self.screen.query(kind)
        done = asyncio.Event()
        self.screen.call_after_refresh(done.set)
        await done.wait()


def _hand_on(asked: asyncio.Future[JobPage], waited_for: asyncio.Future[JobPage]) -> None:
    if asked.cancelled() or waited_for.done():
        return
    error = asked.exception()
    if error is not None:
        waited_for.set_exception(error)
    else:
        waited_for.set_result(asked.result())


class _Terminal(LinuxDriver):
    """A terminal that shows nothing until it is opened."""

    def __init__(self, app: _Sleeper, *, debug: bool, mouse: bool, size: object) -> None:
        # Not yet LinuxDriver's own: that takes the descriptors and signals of the process.
        Driver.__init__(self, app, debug=debug, mouse=mouse, size=_SIZE)
        self._opened = False
        app.terminal = self

    @property
    def is_headless(self) -> bool:
        """Until it is open: rich keeps what it has painted in colours that another terminal may not have."""
        return not self._opened

    def open(self) -> None:
        """Take the terminal that this process has, and its size."""
        LinuxDriver.__init__(self, self._app, debug=self._debug, mouse=self._mouse)
        self._opened = True
        self.start_application_mode()

    def write(self, data: str) -> None:
        """Nobody sees what is written before."""
        if self._opened:
            super().write(data)

    def start_application_mode(self) -> None:
        """Textual waits for every driver to say a size."""
        if self._opened:
            super().start_application_mode()  # type: ignore[no-untyped-call]
        else:
            self.send_message(events.Resize(Size(*_SIZE), Size(*_SIZE)))


class _Loop(asyncio.SelectorEventLoop):
    """An event loop that goes through a fork: asyncio has no means of its own for that."""

    def __init__(self) -> None:
        super().__init__(selectors.PollSelector())

    def let_go(self) -> None:
        """Close the pair of sockets by which threads wake the loop."""
        self._close_self_pipe()  # type: ignore[attr-defined]

    def take_up(self) -> None:
        """Make a pair that no other process has."""
        self._make_self_pipe()  # type: ignore[attr-defined]


@contextmanager
def _streams_kept() -> Iterator[None]:
    outside = sys.stdout, sys.stderr
    try:
        yield
    finally:
        sys.stdout, sys.stderr = outside


@contextmanager
def _environment(variables: dict[str, str]) -> Iterator[None]:
    """Have these variables alone for a while: the app is to know nothing of who started the box."""
    outside: dict[str, Any] = dict(os.environ)
    os.environ.clear()
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(outside)
