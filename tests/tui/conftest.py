"""The fake box, a still clock, and a home with results in it."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from types import ModuleType
from typing import Any, cast

import pytest
import textual._wait
from panes import Panes, start
from textual.pilot import Pilot

from labbox.tui import clock
from labbox.tui.app import LabboxApp

HERE = Path(__file__).parent

# After each key Textual looks twice whether the process rests. Tests wait for what they expect, so a look
# may be short: 10 ms in place of 20.
textual._wait.SLEEP_GRANULARITY = 1 / 100
textual._wait.SLEEP_IDLE = 1 / 200


def _load(name: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"labbox_tests_{name}", HERE / f"{name}.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fake_client = _load("fake_client")
scenes_module = _load("scenes")
Running = Callable[..., AbstractAsyncContextManager[Pilot[int]]]


@pytest.fixture(autouse=True)
def still(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The clock stands, the home is empty, the zone is UTC, the terminal is a plain one."""
    import time

    monkeypatch.setattr(clock, "now", lambda: fake_client.NOW)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("TZ", "UTC")
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.setenv("COLORTERM", "truecolor")
    monkeypatch.delenv("LABBOX_THEME", raising=False)
    time.tzset()


@pytest.fixture
def fakes() -> ModuleType:
    return fake_client


@pytest.fixture
def scenes() -> ModuleType:
    return scenes_module


@pytest.fixture
def box() -> Iterator[Any]:
    made = fake_client.full_box(60)
    yield made
    made.close()


@pytest.fixture
def running() -> Running:
    """`async with running(box) as pilot`: the app with its first page on screen."""

    @asynccontextmanager
    async def run(
        box: Any, size: tuple[int, int] = (100, 30), theme: str = "labbox-dark", start: str = "jobs"
    ) -> AsyncIterator[Pilot[int]]:
        app = LabboxApp(box, theme, start=start)
        async with app.run_test(size=size, notifications=True) as pilot:
            await until(pilot, lambda: app.status is not None and len(app.screen_stack) > 1)
            await until(pilot, lambda: "Reading…" not in text(pilot))
            await pilot.pause()
            try:
                yield pilot
            finally:
                box.close()

    return run


async def until(pilot: Pilot[int], reached: Callable[[], object], seconds: float = 10) -> None:
    """Wait for what the app does in its own time; fails when it does not come."""
    import asyncio

    deadline = asyncio.get_running_loop().time() + seconds
    while not reached():
        if asyncio.get_running_loop().time() > deadline:
            raise AssertionError("it did not come about; the screen shows:\n" + text(pilot))
        await pilot.pause(0.01)


def text(pilot: Pilot[int]) -> str:
    """The screen as lines of text."""
    screen = pilot.app.screen
    lines = [
        "".join(segment.text for segment in strip) for strip in screen._compositor.render_strips(screen.size)
    ]
    return "\n".join(lines)


@pytest.fixture
def wait() -> Callable[..., Any]:
    return until


@pytest.fixture
def shown() -> Callable[[Pilot[int]], str]:
    return text


@pytest.fixture
def lab() -> Callable[[Pilot[int]], LabboxApp]:
    return lambda pilot: cast(LabboxApp, pilot.app)


@pytest.fixture
def results(tmp_path: Path) -> Path:
    """The output of job 1000, which is ada's."""
    scenes_module.furnish(tmp_path)
    return tmp_path / "jobs/2026/11/21/1000/output"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Two folders in the home: one that can be run, one that is only a folder."""
    scenes_module.furnish(tmp_path)
    return tmp_path


@pytest.fixture
def panes(tmp_path: Path) -> Iterator[Callable[..., Panes]]:
    """`panes()`: the file manager on a terminal; its home is the test's folder."""
    made: list[Panes] = []

    def begin(more: str = "", **options: Any) -> Panes:
        made.append(start(tmp_path, more, **options))
        return made[-1]

    yield begin
    for each in made:
        each.shown.close()
