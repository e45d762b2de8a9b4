"""Times on a machine that others use, too: what a program took, less what it stood in line for a core."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path


def queued(pid: int | str) -> float:
    """Seconds that the first thread of a process was ready to run while others ran in its place."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9  # time in ns: run, queued, turns


def own_seconds(argv: Sequence[str], env: Mapping[str, str] | None = None) -> tuple[int, float]:
    """Run a program; its exit code, and its time less what it stood in line. Its own waits are in it."""
    started = time.perf_counter()
    with subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=env) as process:
        os.waitid(
            os.P_PID, process.pid, os.WEXITED | os.WNOWAIT
        )  # its figures are there until it is collected
        taken = time.perf_counter() - started
        stood = queued(process.pid)
        return process.wait(), taken - stood
