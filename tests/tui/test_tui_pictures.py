"""A picture of every screen and dialog, compared with the one that was looked at and found good."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from textual.pilot import Pilot

from labbox.tui.app import LabboxApp


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    import importlib.util

    spec = importlib.util.spec_from_file_location("labbox_tests_scenes", Path(__file__).parent / "scenes.py")
    assert spec is not None and spec.loader is not None
    scenes = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(scenes)
    metafunc.parametrize("scene", scenes.SCENES, ids=[scene.name for scene in scenes.SCENES])


def test_picture(
    scene: Any, fakes: Any, scenes: Any, snap_compare: Any, wait: Any, shown: Any, tmp_path: Path
) -> None:
    scenes.furnish(tmp_path)
    box = fakes.full_box(60)
    app = LabboxApp(box, scene.theme, start=scene.start)

    async def act(pilot: Pilot[int]) -> None:
        await wait(pilot, lambda: app.status is not None and "ada (admin)@lab" in shown(pilot))
        await wait(pilot, lambda: "Finished 44" in shown(pilot) and "CPU 6/16" in shown(pilot))
        for key in scene.keys:
            if key.startswith("…"):
                await wait(pilot, lambda text=key[1:]: text in shown(pilot))
            else:
                await pilot.press(key)
                await pilot.pause()
        await wait(pilot, lambda: all(part in shown(pilot) for part in scene.arrived.split("|")))
        await pilot.pause()

    try:
        assert snap_compare(app, terminal_size=scene.size, run_before=act)
    finally:
        box.close()
