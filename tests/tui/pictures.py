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

PANES = (
    scenes.Scene(
        "files",
        ("s", "t", "u", "…Search: stu", "enter", "…▸~/study", "tab", "end", "up", "space", "up"),
        "1 item",
        (120, 32),
        start="files",
    ),
)


def furnish_panes(home: Path) -> None:
    """More of what lies in a home, from days that stand still."""
    for place, name in enumerate(("2026-07.csv", "2026-09.csv", "2026-11.csv", "subjects.csv")):
        (home / name).write_text("participant,condition,rt\n" * (900 * place + 40))
    (home / "raw").mkdir()
    (home / "raw.tar.zst").write_bytes(bytes(3_000_000))
    (home / "notes.md").write_text("# Pendulum\n\nIt swings.\n")
    (home / "run.sh").write_text("true\n")
    (home / "run.sh").chmod(0o755)
    (home / "latest").symlink_to("study")
    for name in ("code/model.py", "input/trials.csv", "README.md", "requirements.txt", "job.toml"):
        (home / "study" / name).parent.mkdir(exist_ok=True)
        (home / "study" / name).write_text("x = 1\n" * 70)
    for number, path in enumerate(sorted(home.rglob("*"), reverse=True)):
        os.utime(path, (fake_client.NOW.timestamp() - 7000 * number,) * 2, follow_symlinks=False)


async def draw(scene: scenes.Scene, folder: Path) -> None:
    """One picture."""
    box = fake_client.full_box(60)
    if scene.start == "files":
        box.add_transfer()
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

        if scene.start == "jobs":
            await until("Finished 44")
            await until("CPU 6/16")
        else:
            await until("Copy raw")
            while text().count("run.sh") < 2 or text().count("free") < 2:
                await pilot.pause(0.02)
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
        for scene in (*scenes.SCENES, *PANES):
            if scene == PANES[0]:
                furnish_panes(Path(home))
            if not names or scene.name in names:
                asyncio.run(draw(scene, folder))


if __name__ == "__main__":
    main()
