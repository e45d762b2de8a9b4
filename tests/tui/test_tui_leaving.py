"""Screens leave once, whatever still comes for them."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from labbox.errors import LabboxError
from labbox.files.viewing.source import Source
from labbox.tui.screens.editor import EditorScreen
from labbox.tui.screens.menu import MenuScreen
from labbox.tui.screens.palette import PaletteScreen
from labbox.tui.screens.viewer import ViewerScreen
from labbox.tui.widgets.dialog import Message


async def test_a_file_that_opens_or_fails_after_its_viewer_was_closed_changes_nothing(
    box: Any, running: Any, wait: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "notes.txt").write_text("there\n")
    going, closed, failing = asyncio.Event(), list[Source](), asyncio.Event()
    real, close = Source.open, Source.close

    async def slow(place: Any, path: str) -> Source:
        found = await real(place, path)
        await going.wait()
        if failing.is_set():
            await found.close()
            raise LabboxError("unavailable", "cannot read it: the disk is gone", "")
        return found

    async def noted(self: Source) -> None:
        closed.append(self)
        await close(self)

    async with running(box, start="files", size=(120, 40)) as pilot:
        panes = pilot.app.screen
        await wait(pilot, lambda: all(each.listing is not None for each in panes.browsers.values()))
        panes.pane.table.stand_on("notes.txt")
        monkeypatch.setattr(Source, "open", slow)
        monkeypatch.setattr(Source, "close", noted)
        for _ in range(2):
            going.clear()
            closed.clear()
            await pilot.press("f3")
            await wait(pilot, lambda: isinstance(pilot.app.screen, ViewerScreen))
            viewer = pilot.app.screen
            await pilot.press("escape")
            await wait(pilot, lambda: pilot.app.screen is panes)
            going.set()
            await wait(pilot, lambda viewer=viewer: (closed and not viewer.owed) or not viewer.is_running)
            await pilot.pause(0.05)
            assert pilot.app.screen is panes
            assert len(pilot.app.screen_stack) == 2
            failing.set()


@pytest.mark.parametrize("kind", ["message", "menu", "palette", "viewer", "editor"])
async def test_a_second_dismissal_takes_no_other_screen_away(
    box: Any, running: Any, wait: Any, tmp_path: Path, kind: str
) -> None:
    (tmp_path / "notes.txt").write_text("there\n")
    async with running(box, start="files", size=(120, 40)) as pilot:
        panes = pilot.app.screen
        await wait(pilot, lambda: panes.row is not None or panes.here.listing is not None)
        location = panes.location_of("notes.txt")
        screen: Any
        match kind:
            case "message":
                screen = Message("It", "was so")
            case "menu":
                screen = MenuScreen("manager", False)
            case "palette":
                screen = PaletteScreen("manager", False)
            case "viewer":
                screen = ViewerScreen(location)
            case _:
                screen = EditorScreen(location)
        pilot.app.push_screen(screen)
        await wait(pilot, lambda: screen.is_mounted)
        pilot.app.push_screen(above := Message("Above", "it"))
        await wait(pilot, lambda: above.is_mounted)
        screen.dismiss(None)
        assert pilot.app.screen is above and not screen.has_left
        above.dismiss(None)
        above.dismiss(None)
        assert pilot.app.screen is screen and above.has_left
        screen.dismiss(None)
        screen.dismiss(None)
        await pilot.pause(0.05)
        assert pilot.app.screen is panes and screen.has_left


async def test_a_second_that_passes_while_the_screens_close_ends_nothing(box: Any, running: Any) -> None:
    async with running(box) as pilot:
        app = pilot.app
    assert not app.screen_stack
    app._tick()
