"""A thousand crashes."""

from __future__ import annotations

import argparse

from crash import crash
from harness import Table, percentile, temporary_box


def measure(table: Table, options: argparse.Namespace) -> None:
    with temporary_box(custom="[jobs]\ncpus = 4\n") as box:
        findings = crash(box, options.kills)
    slow = percentile(findings.recoveries, 0.99)
    table.add(
        f"kill -9 of the daemon under load, {options.kills} times",
        "–",
        "0 lost, 0 started twice, 0 lines lost or doubled, back < 3 s",
        str(findings),
        findings.clean and slow < 3,
    )
