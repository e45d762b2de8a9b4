"""The benchmark: every figure a ratio to a peer, or against a limit, from one run.

`./tests/run bench [NAME…]`
"""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from harness import Table

NAMES = (
    "logins",
    "crowd",
    "runs",
    "environments",
    "copies",
    "transfers",
    "hosts",
    "files",
    "store",
    "submissions",
    "idle",
    "kills",
)


def machine() -> str:
    with Path("/proc/cpuinfo").open() as file:
        model = next((line.split(":")[1].strip() for line in file if line.startswith("model name")), "?")
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30)
    system = f"Linux {platform.release()}, Python {platform.python_version()}"
    return f"{os.cpu_count()} × {model}, {memory:.0f} GiB, {system}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="tests/run bench")
    parser.add_argument(
        "names", nargs="*", choices=[*NAMES, []], help="which measurements; all where none is named"
    )
    parser.add_argument(
        "--kills", type=int, default=1000, help="how often the daemon is killed (default 1000)"
    )
    options = parser.parse_args()
    table = Table()
    print(machine(), flush=True)
    for name in options.names or NAMES:
        module = importlib.import_module(f"measure_{name}")
        module.measure(table, options)
    print(f"\nMeasured on {machine()}\n\n{table.markdown()}")
    return 0 if all(row.met for row in table.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
