from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from started import Box


@pytest.fixture
def state(tmp_path: Path) -> Path:
    """Where a box may live; its creator made it for themselves alone."""
    folder = tmp_path / "state"
    folder.mkdir(mode=0o700)
    return folder


@pytest.fixture
def start(state: Path) -> Iterator[Callable[..., Box]]:
    """Start boxes on `state`; they are ended with the test."""
    boxes: list[Box] = []

    def start_box(*options: str, **env: str) -> Box:
        boxes.append(Box(state, *options, **env))
        boxes[-1].wait_ready()
        return boxes[-1]

    yield start_box
    for box in boxes:
        box.end(signal.SIGKILL)


@pytest.fixture
def refusal(state: Path) -> Callable[..., str]:
    """Start a box that cannot start, and return what it says."""

    def refused(*options: str, where: Path = state) -> str:
        words = ["up", "--state", str(where), "--ssh", "127.0.0.1:0", *options]
        done = subprocess.run(
            [sys.executable, "-P", "-m", "labbox", *words], capture_output=True, text=True, timeout=30
        )
        assert done.returncode == 1, done
        assert done.stdout == ""
        assert "Traceback" not in done.stderr
        return done.stderr

    return refused


@pytest.fixture
def eventually() -> Callable[[Callable[[], bool]], None]:
    def wait(true: Callable[[], bool]) -> None:
        deadline = time.monotonic() + 20
        while not true():
            assert time.monotonic() < deadline
            time.sleep(0.02)

    return wait


@pytest.fixture
def taken_port() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])
