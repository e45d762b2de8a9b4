"""What a box costs that has nothing to do."""

from __future__ import annotations

import argparse
import os
import time
from pathlib import Path

from harness import Table, temporary_box


def _tree(pid: int) -> list[int]:
    """A process and its descendants."""
    found = [pid]
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += _tree(int(child))
    return found


def _pss(pid: int) -> int:
    with Path(f"/proc/{pid}/smaps_rollup").open() as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) * 1024


def _cpu(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def measure(table: Table, _options: argparse.Namespace) -> None:
    with temporary_box() as box:
        assert box.process is not None
        time.sleep(40)  # what a start leaves to do is over, workers that were used have ended
        pids = _tree(box.process.pid)
        before = sum(_cpu(pid) for pid in pids)
        time.sleep(60)
        cpu = (sum(_cpu(pid) for pid in pids) - before) / 60 * 100
        pss = sum(_pss(pid) for pid in _tree(box.process.pid)) / 1e6
        table.add("idle box: PSS of daemon and spawner", "–", "≤ 140 MB", f"{pss:.0f} MB", pss <= 140)
        table.add("idle box: CPU", "–", "≤ 0.5 %", f"{cpu:.2f} %", cpu <= 0.5)
