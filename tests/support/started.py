"""A box in a process of its own."""

from __future__ import annotations

import os
import re
import select
import signal
import subprocess
import sys
from pathlib import Path

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
                    "-P",  # what is installed, not a checkout that people may not enter
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
