"""`scp` of 1 GiB in and out against OpenSSH's sshd, in turns, and a key in another login meanwhile.

A first round is not counted: whoever first writes a gigabyte of the page cache may pay for the memory itself
(a virtual machine gets it from its host page by page: two to three times the time, for either server). After
it each turn measures both servers right after each other, the other one first each time, with nothing left to
write back; the figure is the median of the turns' ratios, told with the smallest and the largest.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import threading
from collections.abc import Callable, Sequence
from typing import Final

from harness import Box, Sshd, Table, Terminal, median, percentile, ssh_options, temporary_box, timed

from labbox.model import JobSpec

_TURNS: Final = 7
_TYPED_TURNS: Final = 4  # of copies in and out, while somebody types
_BETWEEN_KEYS: Final = 0.05  # seconds


def measure(table: Table, _options: argparse.Namespace) -> None:
    with temporary_box() as box:
        big, here = box.folder / "big", box.folder / "here"
        subprocess.run(
            ["dd", "if=/dev/urandom", f"of={big}", "bs=1M", "count=1024", "status=none"], check=True
        )
        sshd = Sshd(box.folder / "sshd", box.key)

        def scp(port: int, *words: str) -> list[str]:
            options = [
                word.replace("-p", "-P") if word == "-p" else word for word in ssh_options(box.key, port)
            ]
            return ["scp", "-q", "-c", "aes128-gcm@openssh.com", *options, *words]

        ways = {
            "into": (
                scp(box.port, str(big), "ada@127.0.0.1:big"),
                scp(sshd.port, str(big), f"root@127.0.0.1:{box.folder}/there"),
            ),
            "out of": (
                scp(box.port, "ada@127.0.0.1:big", str(here)),
                scp(sshd.port, f"root@127.0.0.1:{box.folder}/there", str(here)),
            ),
        }
        try:
            for both in ways.values():
                for argv in both:
                    _copy(argv)
            for way, both in ways.items():
                _compare(table, way, *both)
            _type_meanwhile(table, box, [ours for ours, _theirs in ways.values()])
        finally:
            sshd.stop()


def _copy(argv: Sequence[str]) -> float:
    """Seconds of a copy that begins with nothing left to write back from the ones before."""
    os.sync()
    return timed(argv)


def _compare(table: Table, way: str, ours: Sequence[str], theirs: Sequence[str]) -> None:
    seconds: dict[bool, list[float]] = {True: [], False: []}
    for turn in range(_TURNS):
        for own in (True, False) if turn % 2 else (False, True):
            seconds[own].append(_copy(ours if own else theirs))
    ratios = [mine / peer for mine, peer in zip(seconds[True], seconds[False], strict=True)]
    ratio = median(ratios)
    table.add(
        f"`scp` of 1 GiB {way} the box (AES-GCM)",
        "OpenSSH's sshd, in turns",
        "≤ 1.3",
        f"{ratio:.2f} ({min(ratios):.2f} to {max(ratios):.2f} in {_TURNS} turns;"
        f" {median(seconds[True]):.2f} s against {median(seconds[False]):.2f} s)",
        ratio <= 1.3,
    )


def _type_meanwhile(table: Table, box: Box, copies: Sequence[Sequence[str]]) -> None:
    """Keys in another person's login during copies in and out that are not timed."""
    client = box.client(act_as="grace")
    for number in range(2):  # two rows, so that each key moves the cursor
        client.submit_job(JobSpec(name=f"row-{number}", command=("true",), hold=True))
    terminal = Terminal(box.ssh("grace", tty=True))
    try:
        terminal.wait_for("Modified", "Quit")
        terminal.reach(b"\x0f", "row-0", "row-1")
        terminal.drain()
        keys = _keys_during(terminal, lambda: [timed(argv) for _ in range(_TYPED_TURNS) for argv in copies])
    finally:
        terminal.close()
    slow = percentile(keys, 0.95)
    table.add(
        "a key in another login meanwhile",
        "–",
        "p95 < 50 ms",
        f"p95 {slow * 1000:.0f} ms (median {median(keys) * 1000:.0f} ms, {len(keys)} keys)",
        slow < 0.05,
    )


def _keys_during(terminal: Terminal, work: Callable[[], object]) -> list[float]:
    """Seconds from each key to its paint, up and down in turns, for as long as `work` takes."""
    keys: list[float] = []
    failures: list[Exception] = []
    done = threading.Event()

    def typing() -> None:
        try:
            while not done.wait(_BETWEEN_KEYS):
                keys.append(terminal.key(b"\x1b[A" if len(keys) % 2 else b"\x1b[B"))
                terminal.drain(_BETWEEN_KEYS)
        except (OSError, TimeoutError) as error:
            failures.append(error)

    typist = threading.Thread(target=typing)
    typist.start()
    try:
        work()
    finally:
        done.set()
        typist.join()
    if failures:  # a key that painted nothing is no measurement; the turn is not worth a figure
        raise failures[0]
    return keys
