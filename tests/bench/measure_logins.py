"""From `ssh` to the first screen, the memory of a login, and typing while a hundred are logged in."""

from __future__ import annotations

import argparse
import threading
from pathlib import Path

from harness import Box, Sshd, Table, Terminal, median, need, percentile, temporary_box

from labbox.model import JobSpec


def private_bytes(pid: int) -> int:
    """Private memory of one process, in bytes (`Private_*` of smaps_rollup)."""
    with Path(f"/proc/{pid}/smaps_rollup").open() as file:
        return sum(int(line.split()[1]) * 1024 for line in file if line.startswith("Private_"))


def sessions(box: Box) -> list[int]:
    """The processes of people who are logged in: they run with a user's uid, below the spawner."""
    uids = {user.uid for user in box.client().list_users().users}
    found = []
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if folder.stat().st_uid in uids:
                    found.append(int(folder.name))
            except FileNotFoundError:
                continue
    return found


def measure(table: Table, _options: argparse.Namespace) -> None:
    need("mc", "mc")
    with temporary_box() as box:
        client = box.client(act_as="ada")
        for number in range(1000):
            client.submit_job(JobSpec(name=f"stored-{number:04d}", command=("true",), hold=True))
        sshd = Sshd(box.folder / "sshd", box.key)
        try:
            ours, theirs, keys = [], [], []
            for _ in range(12):
                terminal = Terminal(box.ssh("ada", tty=True))
                ours.append(terminal.wait_for("stored-0999", "Quit"))
                keys.append(terminal.key(b"\x1b[B"))
                terminal.close()
                terminal = Terminal(sshd.ssh("mc", tty=True))
                theirs.append(terminal.wait_for("Quit", "Mkdir"))
                terminal.close()
            ratio = median(ours) / median(theirs)
            table.add(
                "`ssh` to the first screen with the rows of 1,000 stored jobs",
                "`ssh -t host mc` by OpenSSH",
                "≤ 0.40",
                f"{ratio:.2f} ({median(ours) * 1000:.0f} ms against {median(theirs) * 1000:.0f} ms)",
                ratio <= 0.40,
            )
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
    try:
        for _ in range(20):
            terminals.append(Terminal(box.ssh("ada", tty=True)))
            terminals[-1].wait_for("Quit")
        processes = sessions(box)
        private = median([private_bytes(pid) for pid in processes]) / (1 << 20)
        table.add(
            "private memory per further login", "–", "≤ 16 MB", f"{private:.1f} MiB", private * 1.048576 <= 16
        )
        terminals += [Terminal(box.ssh("grace", tty=True)) for _ in range(80)]
        for terminal in terminals:
            terminal.wait_for("Quit", seconds=60)
            terminal.drain(0.02)
        answers: list[float] = []

        def typing(terminal: Terminal) -> None:
            for _ in range(15):
                answers.append(terminal.key(b"\x1b[B"))
                terminal.drain(0.3)

        threads = [threading.Thread(target=typing, args=(terminal,)) for terminal in terminals[:20]]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        slow = percentile(answers, 0.95)
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
