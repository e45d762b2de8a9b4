"""A whole box that is attacked, and how quick it is to others meanwhile."""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from started import Box

from labbox.protocol import UserAdd

PASSWORD = "correct horse 73 battery"

# Asks the API again and again, in a process of its own, until its standard input ends.
_ASKS = """
import http.client, json, select, socket, sys, time
class Unix(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX); self.sock.settimeout(30); self.sock.connect(sys.argv[1])
taken, box = [], Unix("box")
print("asking", flush=True)
while not select.select([0], [], [], 0.01)[0] or len(taken) < 3:  # however soon it was over
    before = time.perf_counter()
    box.request("GET", "/v1/whoami"); answer = box.getresponse(); answer.read()
    assert answer.status == 200
    taken.append((time.perf_counter() - before) * 1000)
print(json.dumps(taken), flush=True)
"""


@dataclass
class Quick:
    """Answers of the API in milliseconds: before, and while something went on."""

    before: list[float]
    meanwhile: list[float]

    def assert_quick(self) -> None:
        """The median is at most 20 ms; on a machine that is busy anyway, a few times what it was before."""
        assert len(self.meanwhile) >= 3, self.meanwhile
        bound = max(20.0, 4 * statistics.median(self.before))
        assert statistics.median(self.meanwhile) <= bound, (self.meanwhile, self.before)


class Attacked(Box):
    """A box without an engine, with ada and grace, who have the key `key` and a password."""

    def __init__(self, folder: Path, custom: str = "", **env: str) -> None:
        (folder / "custom").mkdir()
        (folder / "custom" / "box.toml").write_text(custom)
        super().__init__(folder / "state", "--custom", str(folder / "custom"), **env)
        self.wait_ready()
        # The attackers run on the same CPUs, and so may other tests: what is measured is the box, not these.
        os.setpriority(os.PRIO_PROCESS, self.process.pid, -15)
        self.key = folder / "id_ed25519"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(self.key)], check=True)
        public = self.key.with_suffix(".pub").read_text()
        with self.client() as client:
            for name in ("ada", "grace"):
                client.add_user(UserAdd(name=name, keys=(public,), password=PASSWORD))

    def options(self) -> list[str]:
        chosen = {
            "StrictHostKeyChecking": "no", "UserKnownHostsFile": "/dev/null", "IdentitiesOnly": "yes",
            "IdentityFile": str(self.key), "BatchMode": "yes", "ControlPath": "none", "LogLevel": "ERROR",
            "ConnectTimeout": "60",
        }  # fmt: skip
        return ["-F", "none", *(f"-o{key}={value}" for key, value in chosen.items())]

    def ssh(self, *words: str, user: str = "ada") -> list[str]:
        return ["ssh", *self.options(), "-p", str(self.port), f"{user}@127.0.0.1", *words]

    @contextlib.contextmanager
    def asked_meanwhile(self) -> Iterator[Quick]:
        """Ask the API before, and while the block runs."""
        quick = Quick(self._asked(0.5), [])
        asking = self._start_asking()
        try:
            yield quick
        finally:
            quick.meanwhile = self._end_asking(asking)

    def _asked(self, seconds: float) -> list[float]:
        asking = self._start_asking()
        with contextlib.suppress(subprocess.TimeoutExpired):
            asking.wait(seconds)  # the time over which it asks
        return self._end_asking(asking)

    def _start_asking(self) -> subprocess.Popen[str]:
        asking = subprocess.Popen(
            [sys.executable, "-c", _ASKS, str(self.state / "api.sock")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        assert asking.stdout is not None
        os.setpriority(os.PRIO_PROCESS, asking.pid, -15)
        assert asking.stdout.readline() == "asking\n"
        return asking

    def _end_asking(self, asking: subprocess.Popen[str]) -> list[float]:
        out, _ = asking.communicate("\n", timeout=60)
        found: list[float] = json.loads(out)
        return found


@contextlib.contextmanager
def attacked(custom: str = "") -> Iterator[Attacked]:
    """A box for the length of the block, where its users can reach it."""
    with tempfile.TemporaryDirectory(prefix="labbox-attacked-", dir="/var/tmp") as name:
        folder = Path(name)
        folder.chmod(0o755)
        box = Attacked(folder, custom)
        try:
            yield box
        finally:
            box.end()


def memory(pid: int) -> int:
    """Private bytes of a process."""
    text = Path(f"/proc/{pid}/smaps_rollup").read_text()
    return sum(int(line.split()[1]) for line in text.splitlines() if line.startswith("Private_")) * 1024


__all__ = ["PASSWORD", "Attacked", "Quick", "attacked", "memory"]
