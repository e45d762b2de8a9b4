"""Somebody at a terminal with stock clients."""

from __future__ import annotations

import json
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from done import no_fault
from harness import Box, ssh_options


class Person:
    """Somebody with an OpenSSH client: what they type, and what comes back."""

    def __init__(self, box: Box, name: str) -> None:
        self.box, self.name = box, name

    def run(
        self, *words: str, stdin: bytes | None = None, timeout: float = 110
    ) -> subprocess.CompletedProcess[str]:
        """`ssh NAME@box WORD…`."""
        done = subprocess.run(
            self.box.ssh(self.name, *words), input=stdin or b"", capture_output=True, timeout=timeout
        )
        no_fault(done.stderr.decode(errors="replace"))
        return subprocess.CompletedProcess(
            done.args,
            done.returncode,
            done.stdout.decode(errors="replace"),
            done.stderr.decode(errors="replace"),
        )

    def json(self, *words: str) -> Any:
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def job(self, number: int | str) -> dict[str, Any]:
        """The job as `job show --json` has it."""
        shown = self.json("job", "show", str(number))
        return dict(shown.get("job", shown))

    def scp(self, source: str, target: str) -> None:
        options = [
            word.replace("-p", "-P") if word == "-p" else word
            for word in ssh_options(self.box.key, self.box.port)
        ]
        subprocess.run(
            ["scp", "-q", "-r", *options, source, target.replace("box:", f"{self.name}@127.0.0.1:")]
            if "box:" in target
            else ["scp", "-q", "-r", *options, source.replace("box:", f"{self.name}@127.0.0.1:"), target],
            check=True,
            timeout=60,
        )

    def project(self, name: str, files: dict[str, str]) -> str:
        """Put a folder into the home, with scp as people do."""
        with tempfile.TemporaryDirectory() as folder:
            top = Path(folder) / name
            top.mkdir(parents=True)
            for path, text in files.items():
                (top / path).parent.mkdir(parents=True, exist_ok=True)
                (top / path).write_text(text)
            self.scp(str(top), "box:")
        return name


def wait_for(true: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < end, f"waited {seconds} s"
        time.sleep(0.1)
