"""The tree of small files and the large file to another host by SFTP and back, against OpenSSH's own `sftp`.

The host is OpenSSH's sshd on loopback. Ours is the engine as a worker runs it, in a process of its own; the
time is that of the transfer with the login, the process started. `sftp`'s is the program's whole time: its
start is small beside it. Peers take turns, the other one first each time, after a round that is not counted.

The tree and its copies stand on a disk made anew, and stay until all is measured: after 20,000 files were
removed, ext4 spends up to ten seconds more on the next 20,000, on whichever side makes them.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from harness import Sshd, Table, fresh_disk, median, need, ssh_options, timed

_TURNS: Final = 3
_FILES: Final = 20_000
_LARGE: Final = 4 << 30

_CHILD: Final = """
import asyncio, sys, time
from pathlib import Path
from labbox.files.places.credentials import Credential, Secret
from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import run
from labbox.model import TransferSpec, TransferVerb
source, target, job, port, key, pinned = sys.argv[1:]
class Logins:
    async def credential(self, host):
        return Credential("root", "127.0.0.1", int(port), Secret(Path(key).read_text()), None, (pinned,))
async def main():
    Path(job).mkdir()
    began = time.perf_counter()
    async with Places(Roots(home="/root"), credentials=Logins()) as places:
        spec = TransferSpec(verb=TransferVerb.COPY, sources=(source,), target=target, exact=True)
        summary = await run(spec, places, Path(job))
    print(time.perf_counter() - began, summary.failed, summary.files)
asyncio.run(main())
"""


def measure(table: Table, _options: argparse.Namespace) -> None:
    need("sftp", "openssh-client")
    with fresh_disk(16 << 30) as folder, _host(folder) as sshd:
        _tree(folder)
        for put, reach in ((True, 0.5), (False, 0.4)):
            _compare(table, folder, sshd, "tree", f"a tree of {_FILES:,} small files", reach, put=put)
    with tempfile.TemporaryDirectory(prefix="labbox-bench-", dir="/var/tmp") as name:
        folder = Path(name)
        with _host(folder) as sshd:
            _large(folder)
            for put in (True, False):
                _compare(table, folder, sshd, "large", f"one file of {_LARGE >> 30} GiB", 1.3, put=put)


@contextmanager
def _host(folder: Path) -> Iterator[Sshd]:
    key = folder / "key"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
    sshd = Sshd(folder / "sshd", key)
    try:
        yield sshd
    finally:
        sshd.stop()


def _tree(folder: Path) -> None:
    chance = random.Random(1)
    for number in range(_FILES):
        below = folder / "tree" / f"d{number % 20}" / f"e{number // 100}"
        below.mkdir(parents=True, exist_ok=True)
        (below / f"file{number}.dat").write_bytes(chance.randbytes(chance.randrange(100, 8000)))


def _large(folder: Path) -> None:
    with (folder / "large").open("wb") as file:
        for _ in range(_LARGE >> 24):
            file.write(os.urandom(1 << 24))


def _compare(
    table: Table, folder: Path, sshd: Sshd, name: str, what: str, reach: float, *, put: bool
) -> None:
    source, targets = folder / name, folder / f"targets-{name}-{put}"
    targets.mkdir()
    rounds = []
    for turn in range(_TURNS + 1):
        found: dict[bool, float] = {}
        for own in (True, False) if turn % 2 else (False, True):
            target = targets / f"{turn}{'a' if own else 'b'}"
            os.sync()
            copy = _ours if own else _theirs
            found[own] = copy(folder, sshd, source, target, put=put)
            if target.is_file():
                target.unlink()
        rounds.append((found[True], found[False]))
    counted = rounds[1:]
    ratios = sorted(own / other for own, other in counted)
    ratio = median(ratios)
    ours, theirs = (median([pair[which] for pair in counted]) for which in (0, 1))
    table.add(
        f"{what} {'to' if put else 'from'} another host by SFTP",
        f"OpenSSH `sftp {'put' if put else 'get'}{' -r' if name == 'tree' else ''}`, in turns",
        f"≤ {reach}",
        f"{ratio:.2f} ({ours:.2f} s against {theirs:.2f} s; turns: {ratios[0]:.2f} to {ratios[-1]:.2f})",
        ratio <= reach,
    )


def _ours(folder: Path, sshd: Sshd, source: Path, target: Path, *, put: bool) -> float:
    job = folder / "job"
    shutil.rmtree(job, ignore_errors=True)
    pinned = " ".join((folder / "sshd" / "host_key.pub").read_text().split()[:2])
    far = f"sftp://root@127.0.0.1:{sshd.port}/"
    words = (str(source), f"{far}{target}") if put else (f"{far}{source}", str(target))
    done = subprocess.run(
        [sys.executable, "-P", "-c", _CHILD, *words, job, str(sshd.port), sshd.key, pinned],
        check=True,
        capture_output=True,
        text=True,
    )
    took, failed, _files = done.stdout.split()
    if failed != "0":
        raise RuntimeError(f"{failed} files were not copied: {(job / 'report.jsonl').read_text()[:500]}")
    return float(took)


def _theirs(folder: Path, sshd: Sshd, source: Path, target: Path, *, put: bool) -> float:
    options = ssh_options(sshd.key, sshd.port)
    options = [word.replace("-p", "-P") if word == "-p" else word for word in options]
    batch = folder / "batch"
    deed = f"{'put' if put else 'get'}{' -r' if source.is_dir() else ''} {source} {target}\n"
    batch.write_text((f"mkdir {target}\n" if put and source.is_dir() else "") + deed)
    return timed(["sftp", "-q", "-b", str(batch), *options, "root@127.0.0.1"])
