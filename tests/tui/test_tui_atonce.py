"""Keys that move the cursor are painted at once: the terminal then shows what Textual would have drawn."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pyte
import pytest
from textual import events
from textual.drivers.headless_driver import HeadlessDriver

from labbox.tui import atonce
from labbox.tui.app import LabboxApp
from labbox.tui.screens.files import FilesScreen

WIDTH, HEIGHT = 90, 24
MANY = 400
WAIT = 30.0


class Shown(HeadlessDriver):
    """A terminal that is no more than its cells."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.cells = pyte.Screen(WIDTH, HEIGHT)
        self.stream = pyte.Stream(self.cells)

    @property
    def is_headless(self) -> bool:
        return False

    def write(self, data: str) -> None:
        self.stream.feed(data)


def cells(screen: pyte.Screen) -> list[list[Any]]:
    return [[screen.buffer[y][x] for x in range(WIDTH)] for y in range(HEIGHT)]


class Hands:
    """Keys, and what the terminal shows."""

    def __init__(self, app: LabboxApp, painted: list[bool]) -> None:
        self.app, self.painted = app, painted

    @property
    def files(self) -> FilesScreen:
        return next(each for each in self.app.screen_stack if isinstance(each, FilesScreen))

    async def until(self, reached: Callable[[], object]) -> None:
        async with asyncio.timeout(WAIT):
            while not reached():
                await asyncio.sleep(0.005)

    def as_textual_draws(self) -> list[list[Any]]:
        wanted = pyte.Screen(WIDTH, HEIGHT)
        update = self.app.screen._compositor.render_update(full=True)
        pyte.Stream(wanted).feed(update.render_segments(self.app.console))  # type: ignore[union-attr]
        return cells(wanted)

    async def press(self, key: str) -> None:
        """A key, as the driver gives it, until the terminal shows what Textual would draw."""
        before, row = len(self.painted), self.files.pane.table.cursor
        driver = self.app._driver
        assert isinstance(driver, Shown)
        driver.process_message(events.Key(key, None))
        await self.until(lambda: len(self.painted) > before or self.files.pane.table.cursor != row)
        if not self.painted[before:] or not self.painted[-1]:
            await self.until(lambda: cells(driver.cells) == self.as_textual_draws())
        assert cells(driver.cells) == self.as_textual_draws()


@pytest.fixture
def hands(fakes: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Any]:
    monkeypatch.setenv("COLORTERM", "truecolor")
    for number in range(MANY):
        (tmp_path / f"file-{number:04}{'漢' * (number % 7)}.txt").write_bytes(bytes(number * 7))
    painted: list[bool] = []
    paint = atonce.paint

    def noted(*args: Any) -> bool:
        painted.append(paint(*args))
        return painted[-1]

    monkeypatch.setattr("labbox.tui.screens.files.paint", noted)

    @asynccontextmanager
    async def run(theme: str = "labbox-dark") -> AsyncIterator[Hands]:
        app = LabboxApp(fakes.full_box(5), theme, Shown)
        running = asyncio.create_task(app.run_async(size=(WIDTH, HEIGHT), mouse=False))
        at = Hands(app, painted)
        try:
            await at.until(lambda: app.screen_stack and isinstance(app.screen, FilesScreen))
            await at.until(lambda: all(len(each.table.listing.shown) == MANY for each in panes(at)))
            await at.until(lambda: not any(each.reading for each in at.files.browsers.values()))
            await at.until(lambda: quiet(at))
            yield at
        finally:
            app.exit()
            await running

    return run


def panes(at: Hands) -> list[Any]:
    return list(at.files.file_panes.values())


def quiet(at: Hands) -> bool:
    """Whether the terminal shows all there is to draw."""
    driver, screen = at.app._driver, at.files
    assert isinstance(driver, Shown)
    return not screen._dirty_widgets and cells(driver.cells) == at.as_textual_draws()


@pytest.mark.parametrize("theme", ["labbox-dark", "labbox-ansi"])
async def test_every_step_shows_at_once_what_textual_would_draw(
    hands: Callable[..., Any], theme: str
) -> None:
    keys = ["down", "down", "up", "pagedown", "down", "pagedown", "pagedown", "up", "end", "up", "pageup"]
    keys += ["home", "down", *["pagedown"] * 3]
    async with hands(theme) as at:
        for key in keys:
            await at.until(lambda: quiet(at))
            await at.press(key)
        assert at.painted.count(True) > len(keys) // 2  # whatever else was drawn just then


async def test_a_marked_row_and_the_other_pane_are_painted_too(hands: Callable[..., Any]) -> None:
    async with hands() as at:
        table = at.files.pane.table
        for row in (1, 3):
            table.toggle(row)
        for key in ("down", "down", "down", "pagedown"):
            await at.until(lambda: quiet(at))
            await at.press(key)
        at.files.activate("right")
        await at.until(lambda: at.files.pane.table.has_focus)
        await at.until(lambda: quiet(at))
        await at.press("down")
        assert at.files.pane.table.cursor == 1
        assert "file-0000" in at.app._driver.cells.display[HEIGHT - 2]


async def test_what_lies_over_a_pane_is_left_to_textual(hands: Callable[..., Any]) -> None:
    async with hands() as at:
        at.files.activate("right")
        await at.until(lambda: at.files.pane.table.has_focus)
        at.app.say("This lies over the right pane. " * 6)
        await at.until(lambda: any("lies over" in line for line in at.app._driver.cells.display))
        await at.until(lambda: quiet(at))
        await at.press("down")
        assert at.painted == [False]
        assert any("lies over" in line for line in at.app._driver.cells.display)


async def test_a_key_that_means_something_else_moves_no_cursor(hands: Callable[..., Any]) -> None:
    async with hands() as at:
        table = at.files.pane.table
        driver = at.app._driver
        driver.process_message(events.Key("f", "f"))
        await at.until(lambda: table.searching and table.row and "file-0000" in table.row.name)
        driver.process_message(events.Key("down", None))  # the next one that is found
        await at.until(lambda: "file-0001" in table.row.name)
        assert at.painted == []
        driver.process_message(events.Key("escape", None))
        await at.until(lambda: not table.searching)
        driver.process_message(events.Key("ctrl+x", None))
        await at.until(lambda: at.app.screen is not at.files)
        driver.process_message(events.Key("down", None))  # no second stroke: it is used up
        await at.until(lambda: at.app.screen is at.files)
        assert "file-0001" in table.row.name
        assert at.painted == []


async def test_keys_typed_ahead_move_the_cursor_in_their_turn(hands: Callable[..., Any]) -> None:
    async with hands() as at:
        driver = at.app._driver
        for key in ("tab", "down", "down", "pagedown", "up", "insert", "down"):
            driver.process_message(events.Key(key, None))
        right = at.files.file_panes["right"].table
        await at.until(lambda: right.has_focus and right.cursor == 2 + right.page - 1 - 1 + 1 + 1)
        assert at.files.file_panes["left"].table.cursor == 0
        assert right.is_marked(right.cursor - 2)
        await at.until(lambda: quiet(at))
