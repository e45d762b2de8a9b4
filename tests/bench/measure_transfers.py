"""Copies on the box against `cp`, copies that are killed a hundred times, and the memory of a million files.

Peers take turns with the engine, the other one first each time, after a round that is not counted and with
nothing left to write back; the figure is the median of the turns' ratios. The engine runs in a process of its
own; the time is that of the transfer, the process started, as a worker of the box is.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from harness import Table, median, timed, wait_until

_TURNS: Final = 5
_LARGE_TURNS: Final = 15  # what the kernel does with so many pages differs by half from turn to turn
_FILES: Final = 20_000
_LARGE: Final = 4 << 30
_CUTS: Final = 100
_CUT_SIZE: Final = 512 << 20
_MILLION: Final = 1_000_000

_CHILD: Final = """
import asyncio, os, sys, time
from pathlib import Path
from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.model import TransferSpec, TransferVerb
async def main():
    source, target, job = sys.argv[1:]
    Path(job).mkdir(exist_ok=True)
    began = time.perf_counter()
    async with Places(Roots(home="/root")) as places:
        spec = TransferSpec(verb=TransferVerb.COPY, sources=(source,), target=target, exact=True)
        summary = await run(spec, places, Path(job))
    took = time.perf_counter() - began
    read = next(int(l.split()[1]) for l in open("/proc/self/io") if l.startswith("rchar"))
    # not ru_maxrss, which begins with what the process had that started this one
    memory = next(int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM"))
    print(took, memory, summary.failed, summary.files, read)
asyncio.run(main())
"""


def measure(table: Table, _options: argparse.Namespace) -> None:
    with tempfile.TemporaryDirectory(prefix="labbox-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        _tree(table, folder)
        _large(table, folder)
        _cuts(table, folder)
        _million(table, folder)


def _copy(source: Path, target: Path, job: Path) -> tuple[float, int]:
    """Seconds, and the most memory in bytes."""
    shutil.rmtree(job, ignore_errors=True)
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD, source, target, job], check=True, capture_output=True, text=True
    )
    took, memory, failed, *_ = done.stdout.split()
    if failed != "0":
        raise RuntimeError(f"{failed} files were not copied: {(job / 'report.jsonl').read_text()[:500]}")
    return float(took), int(memory) << 10


def _in_turns(
    ours: Callable[[], float], peers: Callable[[], float], turns: int
) -> tuple[float, float, list[float]]:
    ours(), peers()
    rounds = []
    for turn in range(turns):
        if turn % 2:
            own, other = ours(), peers()
        else:
            other, own = peers(), ours()
        rounds.append((own, other))
    ratios = sorted(own / other for own, other in rounds)
    return median([own for own, _ in rounds]), median([other for _, other in rounds]), ratios


def _compare(
    table: Table, folder: Path, source: Path, what: str, peer: list[str], reach: float, turns: int = _TURNS
) -> None:
    target, job = folder / "target", folder / "job"

    def fresh() -> None:
        if target.is_dir():
            shutil.rmtree(target)
        target.unlink(missing_ok=True)
        os.sync()

    def ours() -> float:
        fresh()
        return _copy(source, target, job)[0]

    def peers() -> float:
        fresh()
        return timed([*peer, str(source), str(target)])

    own, other, ratios = _in_turns(ours, peers, turns)
    fresh()
    ratio = median(ratios)
    table.add(
        what,
        f"`{' '.join(peer)}`, in turns",
        f"≤ {reach}",
        f"{ratio:.2f} ({own:.2f} s against {other:.2f} s; turns: {ratios[0]:.2f} to {ratios[-1]:.2f})",
        ratio <= reach,
    )


def _tree(table: Table, folder: Path) -> None:
    source = folder / "tree"
    chance = random.Random(1)
    for number in range(_FILES):
        below = source / f"d{number % 20}" / f"e{number // 100}"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"file{number}.dat").write_bytes(chance.randbytes(chance.randrange(100, 8000)))
    _compare(table, folder, source, f"copy a tree of {_FILES:,} small files on the box", ["cp", "-a"], 1.5)
    shutil.rmtree(source)


def _large(table: Table, folder: Path) -> None:
    source = folder / "large"
    block = os.urandom(1 << 20)
    with source.open("wb") as file:
        for _ in range(_LARGE >> 20):
            file.write(block)
    _compare(table, folder, source, "copy one 4 GB file on the box (no reflink)", ["cp"], 1.1, _LARGE_TURNS)
    source.unlink()


def _cuts(table: Table, folder: Path) -> None:
    """Kill it at random moments; whatever is read beyond the source's own size was fetched twice."""
    source, target, job = folder / "cut", folder / "cut-target", folder / "cut-job"
    source.mkdir()
    chance = random.Random(2)
    for number in range(500):
        (source / f"small{number}").write_bytes(chance.randbytes(4000))
    block = chance.randbytes((1 << 20) - 4)
    with (source / "large").open("wb") as file:
        for number in range(_CUT_SIZE >> 20):
            file.write(number.to_bytes(4, "big") + block)
    size = _CUT_SIZE + 500 * 4000
    argv = [sys.executable, "-P", "-c", _CHILD, str(source), str(target), str(job)]
    whole = _copy(source, target, job)[0]
    starting = _fetched([*argv[:4], str(_empty(folder)), str(folder / "empty-target"), str(job)], job)
    damaged = refetched = cut = 0
    while cut < _CUTS:
        shutil.rmtree(target, ignore_errors=True)
        shutil.rmtree(job, ignore_errors=True)
        process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
        wait_until((job / "journal").exists, 20, "the copy to begin")
        time.sleep(chance.uniform(0, whole))
        process.kill()
        if process.wait() != -9 or target.exists():
            continue  # it had ended
        kept = sum(path.stat().st_size for path in folder.glob(".labbox-*/*"))
        refetched += max(0, _fetched(argv) - starting - (size - kept))
        same = subprocess.run(["diff", "-r", source, target], check=False, capture_output=True)
        damaged += same.returncode != 0
        cut += 1
    share = refetched / size / _CUTS
    table.add(
        f"a copy of 500 files and 512 MB killed at a random point {_CUTS} times, gone on with",
        "–",
        "0 damaged, < 1 % refetched",
        f"{damaged} damaged, {share:.2%} refetched",
        damaged == 0 and share < 0.01,
    )


def _empty(folder: Path) -> Path:
    made = folder / "empty"
    made.mkdir()
    return made


def _fetched(argv: Sequence[str], job: Path | None = None) -> int:
    """Bytes that a whole run reads by its system calls, its start included."""
    if job is not None:
        shutil.rmtree(job, ignore_errors=True)
    done = subprocess.run(list(argv), check=True, capture_output=True, text=True)
    return int(done.stdout.split()[4])


def _million(table: Table, folder: Path) -> None:
    source = folder / "million"
    for number in range(_MILLION):
        if number % 1000 == 0:
            below = source / f"f{number // 1000}"
            below.mkdir(parents=True)
        (below / f"measurement-{number:07}.txt").touch()
    took, memory = _copy(source, folder / "million-target", folder / "million-job")
    table.add(
        "memory of a transfer of a million files",
        "–",
        "≤ 100 MB",
        f"{memory / 1e6:.0f} MB ({took:.0f} s)",
        memory <= 100e6,
    )
