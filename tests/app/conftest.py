from __future__ import annotations

import os
import re
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from labbox.client import Client, connect


class Box:
    """A whole box as `labbox up` starts it, without a container engine unless one is named."""

    def __init__(self, state: Path, *options: str, **env: str) -> None:
        self.state = state
        self.log = state.parent / f"{state.name}.log"
        environment = {**os.environ, "DOCKER_HOST": f"unix://{state.parent}/no-engine.sock", **env}
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "labbox",
                    "up",
                    "--state",
                    str(state),
                    "--ssh",
                    "127.0.0.1:0",
                    *options,
                ],
                stdout=subprocess.PIPE,
                stderr=log,
                env=environment,
            )
        self.ready = ""

    def wait_ready(self) -> None:
        """Return when it has said that it is ready."""
        self.ready = self._first_line()

    def _first_line(self) -> str:
        assert self.process.stdout is not None
        readable, _, _ = select.select([self.process.stdout], [], [], 30)
        assert readable, self.log.read_text()
        line = self.process.stdout.readline().decode()
        assert line, self.log.read_text()
        return line

    @property
    def port(self) -> int:
        found = re.fullmatch(r"labbox is ready: ssh -p (\d+) USER@127\.0\.0\.1\n", self.ready)
        assert found is not None, self.ready
        return int(found[1])

    def client(self, act_as: str | None = None) -> Client:
        return connect(str(self.state / "api.sock"), act_as)

    def end(self, number: int = signal.SIGTERM) -> int:
        """Send a signal, wait for the end, return the exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(30)
        assert self.process.stdout is not None
        self.process.stdout.close()
        return code


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
            [sys.executable, "-m", "labbox", *words], capture_output=True, text=True, timeout=30
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
