"""Draws every screen as an SVG picture: `python tests/tui/pictures.py FOLDER [NAME…]`."""

from __future__ import annotations

import asyncio
import os
import sys
import tempfile
import time
from pathlib import Path

import fake_client  # type: ignore[import-not-found]  # it stands beside this program
import scenes  # type: ignore[import-not-found]  # as above

from labbox.tui import clock
from labbox.tui.app import LabboxApp


async def draw(scene: scenes.Scene, folder: Path) -> None:
    """One picture."""
    box = fake_client.full_box(60)
    app = LabboxApp(box, scene.theme, start=scene.start)
    async with app.run_test(size=scene.size, notifications=True) as pilot:

        def text() -> str:
            screen = app.screen
            strips = screen._compositor.render_strips(screen.size)
            return "\n".join("".join(segment.text for segment in strip) for strip in strips)

        async def until(wanted: str) -> None:
            deadline = time.monotonic() + 10
            while wanted not in text():
                if time.monotonic() > deadline:
                    raise SystemExit(f"cannot draw {scene.name}: “{wanted}” does not appear")
                await pilot.pause(0.02)

        await until("Finished 44")
        await until("CPU 6/16")
        for key in scene.keys:
            if key.startswith("…"):
                await until(key[1:])
            else:
                await pilot.press(key)
                await pilot.pause()
        for part in scene.arrived.split("|"):
            await until(part)
        await pilot.pause()
        (folder / f"{scene.name}.svg").write_text(app.export_screenshot(title="ssh ada@lab"))
        box.close()


def main() -> None:
    """All scenes, or those named."""
    folder, names = Path(sys.argv[1]), sys.argv[2:]
    folder.mkdir(parents=True, exist_ok=True)
    clock.now = lambda: fake_client.NOW
    with tempfile.TemporaryDirectory() as home:
        os.environ.update(HOME=home, TZ="UTC", TERM="xterm-256color", COLORTERM="truecolor")
        time.tzset()
        scenes.furnish(Path(home))
        for scene in scenes.SCENES:
            if not names or scene.name in names:
                asyncio.run(draw(scene, folder))


if __name__ == "__main__":
    main()
