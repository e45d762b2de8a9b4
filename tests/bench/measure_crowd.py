"""Two hundred connections at once from one address, and a key in another login meanwhile."""

from __future__ import annotations

import argparse
import subprocess
import threading
import time
from typing import Final

from harness import Box, Table, Terminal, median, percentile, temporary_box

from labbox.model import JobSpec

_CROWD: Final = 200
_BETWEEN_KEYS: Final = 0.05  # seconds


def measure(table: Table, _options: argparse.Namespace) -> None:
    with temporary_box() as box:
        client = box.client(act_as="grace")
        for number in range(2):  # two rows, so that each key moves the cursor
            client.submit_job(JobSpec(name=f"row-{number}", command=("true",), hold=True))
        terminal = Terminal(box.ssh("grace", tty=True))
        try:
            terminal.wait_for("Modified", "Quit")
            terminal.reach(b"\x0f", "row-0", "row-1")
            terminal.drain()
            taken, wordless, answers = _crowd(box, terminal)
        finally:
            terminal.close()
        table.add(
            f"{_CROWD} connections at once from one address, each with a command",
            "–",
            "none refused without a word",
            f"{wordless} refused without a word, all done after {taken:.1f} s",
            wordless == 0,
        )
        slow = percentile(answers, 0.95)
        table.add(
            "a key in another login meanwhile",
            "–",
            "p95 < 50 ms",
            f"p95 {slow * 1000:.0f} ms (median {median(answers) * 1000:.0f} ms, {len(answers)} keys)",
            slow < 0.05,
        )


def _crowd(box: Box, terminal: Terminal) -> tuple[float, int, list[float]]:
    """Seconds until all have ended, how many failed and said nothing, and the answers to keys meanwhile."""
    ended = threading.Event()
    silent: list[int] = []
    began = time.perf_counter()
    running = [
        subprocess.Popen(
            ["nice", "-n", "19", *box.ssh("ada", "job", "list")],  # elsewhere they have cores of their own
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
        )
        for _ in range(_CROWD)
    ]

    def collect() -> None:
        for process in running:
            _out, said = process.communicate()
            if process.returncode != 0 and b"cannot" not in said:
                silent.append(process.returncode)
        ended.set()

    collecting = threading.Thread(target=collect)
    collecting.start()
    answers: list[float] = []
    while not ended.is_set():
        answers.append(terminal.key(b"\x1b[A" if len(answers) % 2 else b"\x1b[B"))
        terminal.drain(_BETWEEN_KEYS)
    collecting.join()
    return time.perf_counter() - began, len(silent), answers
