"""From `ssh` to the first screen, the memory of a login, and typing while a hundred are logged in."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from harness import Box, Sshd, Table, Terminal, median, need, percentile, temporary_box, wait_until

from labbox.model import JobSpec

PEOPLE = ("ada", "grace", "mary", "alan", "emmy")


def private_bytes(pid: int) -> int:
    """Private memory of one process, in bytes (`Private_*` of smaps_rollup)."""
    with Path(f"/proc/{pid}/smaps_rollup").open() as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Private_"))


def descendants(pid: int) -> list[int]:
    """The processes below one, however deep."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *descendants(int(child))]
    return found


def spawner(box: Box) -> int:
    """The daemon's child that forks the sessions."""
    assert box.process is not None
    children = Path(f"/proc/{box.process.pid}/task/{box.process.pid}/children").read_text().split()
    return int(children[0])


def measure(table: Table, _options: argparse.Namespace) -> None:
    need("mc", "mc")
    with temporary_box(PEOPLE) as box:
        client = box.client(act_as="ada")
        for number in range(1000):
            client.submit_job(JobSpec(name=f"stored-{number:04d}", command=("true",), hold=True))
        sshd = Sshd(box.folder / "sshd", box.key)
        try:
            ours, theirs, keys, jobs = [], [], [], []
            for _ in range(12):
                terminal = Terminal(box.ssh("ada", tty=True))
                ours.append(terminal.wait_for("Modified", "free", "Quit"))
                keys.append(terminal.key(b"\x1b[B"))
                terminal.drain()
                jobs.append(terminal.reach(b"\x0f", "stored-0999"))
                terminal.close()
                terminal = Terminal(sshd.ssh("mc", tty=True))
                theirs.append(terminal.wait_for("Quit", "Mkdir"))
                terminal.close()
            ratio = median(ours) / median(theirs)
            table.add(
                "`ssh` to the first screen, the file manager with the home",
                "`ssh -t host mc` by OpenSSH",
                "≤ 0.25",
                f"{ratio:.2f} ({median(ours) * 1000:.0f} ms against {median(theirs) * 1000:.0f} ms)",
                ratio <= 0.25,
            )
            print(f"      from there to the job view with 1,000 stored jobs: {median(jobs) * 1000:.0f} ms")
            answered = percentile(keys, 0.95)
            table.add(
                "a key pressed at once is answered",
                "–",
                "≤ 100 ms",
                f"p95 {answered * 1000:.0f} ms",
                answered <= 0.1,
            )
        finally:
            sshd.stop()
        many(table, box)


def many(table: Table, box: Box) -> None:
    """A hundred logins at once; twenty of them type."""
    terminals: list[Terminal] = []
    parent = spawner(box)
    wait_until(lambda: not descendants(parent), 30, "the end of the sessions before")
    try:
        for _ in range(20):
            terminals.append(Terminal(box.ssh("ada", tty=True)))
            terminals[-1].wait_for("Quit")
        private = sum(private_bytes(pid) for pid in descendants(parent)) / len(terminals) / 1e6
        table.add("private memory per further login", "–", "≤ 14 MB", f"{private:.1f} MB", private <= 14)
        _log_in_more(box, terminals, 50)
        answers = _typed(terminals[:10])
        slow, slowest = percentile(answers, 0.95), percentile(answers, 0.99)
        table.add(
            "key to paint, 50 logins, 10 typing",
            "–",
            "p95 < 50 ms, p99 < 150 ms",
            f"p95 {slow * 1000:.0f} ms, p99 {slowest * 1000:.0f} ms",
            slow < 0.05 and slowest < 0.15,
        )
        _log_in_more(box, terminals, 100)
        slow = percentile(_typed(terminals[:20]), 0.95)
        table.add(
            "key to paint, 100 logins, 20 typing",
            "–",
            "p95 < 100 ms",
            f"p95 {slow * 1000:.0f} ms",
            slow < 0.1,
        )
    finally:
        for terminal in terminals:
            terminal.close()


def _log_in_more(box: Box, terminals: list[Terminal], count: int) -> None:
    """Until so many are logged in, of several people, ten at a time."""
    while len(terminals) < count:
        name = PEOPLE[1 + len(terminals) // 10 % 4]
        terminals += [Terminal(box.ssh(name, tty=True)) for _ in range(10)]
        for terminal in terminals[-10:]:
            terminal.wait_for("Quit", seconds=60)
    for terminal in terminals:
        terminal.drain(0.02)


def _typed(terminals: list[Terminal]) -> list[float]:
    """Seconds from each of fifteen keys to its answer, at all these terminals at once."""
    answers: list[float] = []

    def typing(terminal: Terminal) -> None:
        for number in range(15):  # down and up: at the last file there is nothing to paint
            answers.append(terminal.key(b"\x1b[A" if number % 2 else b"\x1b[B"))
            terminal.drain(0.3)

    threads = [threading.Thread(target=typing, args=(terminal,)) for terminal in terminals]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return answers
