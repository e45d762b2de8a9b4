"""`scp` of 1 GiB in and out against OpenSSH's sshd, in turns, and a key in another login meanwhile."""

from __future__ import annotations

import argparse
import subprocess
import threading

from harness import Sshd, Table, Terminal, median, percentile, ssh_options, temporary_box, timed

from labbox.model import JobSpec


def measure(table: Table, _options: argparse.Namespace) -> None:
    with temporary_box() as box:
        big = box.folder / "big"
        subprocess.run(
            ["dd", "if=/dev/urandom", f"of={big}", "bs=1M", "count=1024", "status=none"], check=True
        )
        sshd = Sshd(box.folder / "sshd", box.key)
        here = box.folder / "here"
        cipher = ["-c", "aes128-gcm@openssh.com"]

        def scp(port: int, *words: str) -> list[str]:
            options = [
                word.replace("-p", "-P") if word == "-p" else word for word in ssh_options(box.key, port)
            ]
            return ["scp", "-q", *cipher, *options, *words]

        client = box.client(act_as="grace")
        for number in range(2):  # two rows, so that each key moves the cursor
            client.submit_job(JobSpec(name=f"row-{number}", command=("true",), hold=True))
        terminal = Terminal(box.ssh("grace", tty=True))
        terminal.wait_for("row-0", "row-1", "Quit")
        terminal.drain()
        keys: list[float] = []
        done = threading.Event()

        def typing() -> None:
            while not done.wait(0.1):
                keys.append(terminal.key(b"\x1b[A" if len(keys) % 2 else b"\x1b[B"))
                terminal.drain(0.05)

        try:
            results: dict[str, tuple[list[float], list[float]]] = {"into": ([], []), "out of": ([], [])}
            for turn in range(4):
                typist = threading.Thread(target=typing)
                if turn == 3:  # measured apart, so that the typist takes nothing from the copies before
                    done.clear()
                    typist.start()
                into = timed(scp(box.port, str(big), "ada@127.0.0.1:big"))
                out = timed(scp(box.port, "ada@127.0.0.1:big", str(here)))
                if turn == 3:
                    done.set()
                    typist.join()
                    break
                results["into"][0].append(into)
                results["out of"][0].append(out)
                results["into"][1].append(
                    timed(scp(sshd.port, str(big), f"root@127.0.0.1:{box.folder}/there"))
                )
                results["out of"][1].append(
                    timed(scp(sshd.port, f"root@127.0.0.1:{box.folder}/there", str(here)))
                )
            for way, (ours, theirs) in results.items():
                ratio = median(ours) / median(theirs)
                table.add(
                    f"`scp` of 1 GiB {way} the box (AES-GCM)",
                    "OpenSSH's sshd, in turns",
                    "≤ 1.3",
                    f"{ratio:.2f} ({median(ours):.2f} s against {median(theirs):.2f} s)",
                    ratio <= 1.3,
                )
            slow = percentile(keys, 0.95)
            table.add(
                "a key in another login meanwhile",
                "–",
                "p95 < 50 ms",
                f"p95 {slow * 1000:.0f} ms ({len(keys)} keys)",
                slow < 0.05,
            )
        finally:
            done.set()
            terminal.close()
            sshd.stop()
