"""An OpenSSH server of its own on loopback (or in a network namespace), for one test."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

_SECONDS = 60.0


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def make_key(path: Path) -> str:
    """A key pair at `path`; the public line."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", path], check=True)
    return " ".join(path.with_suffix(".pub").read_text().split()[:2])


def descendants(pid: int) -> list[int]:
    """The processes below a process."""
    found = []
    for below in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(FileNotFoundError, ProcessLookupError):  # it has ended meanwhile
            for child in map(int, below.read_text().split()):
                found += [child, *descendants(child)]
    return found


def kill(pid: int) -> None:
    """End a process, if it has not ended meanwhile."""
    with suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)


class Sshd:
    """Serves SFTP as root, for the key `folder/key`; `options` are lines of its configuration."""

    def __init__(
        self, folder: Path, *options: str, address: str = "127.0.0.1", inside: Sequence[str] = ()
    ) -> None:
        self.folder, self.address, self.inside = folder, address, list(inside)
        folder.mkdir(exist_ok=True)
        self.port = free_port()
        self.host_key = make_key(folder / "host_key")
        self.key = folder / "key"
        make_key(self.key)
        (folder / "authorized").write_bytes(self.key.with_suffix(".pub").read_bytes())
        self._configuration = folder / "sshd_config"
        self._configuration.write_text(
            "\n".join(
                [
                    f"Port {self.port}",
                    f"ListenAddress {address}",
                    f"HostKey {folder / 'host_key'}",
                    f"AuthorizedKeysFile {folder / 'authorized'}",
                    "StrictModes no",
                    "UsePAM no",
                    "PidFile none",
                    "PermitRootLogin yes",
                    "LogLevel ERROR",
                    *(options or ("Subsystem sftp internal-sftp",)),
                    "",
                ]
            )
        )
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Sshd:
        Path("/run/sshd").mkdir(exist_ok=True)
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [*self.inside, "/usr/sbin/sshd", "-D", "-e", "-f", self._configuration],
                stdin=subprocess.DEVNULL,
                stderr=log,
            )
        deadline = time.monotonic() + _SECONDS
        while not self._listens():
            if self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"sshd does not start: {(self.folder / 'log').read_text()}")
            time.sleep(0.02)
        return self

    def _listens(self) -> bool:
        if self.inside:  # asked from inside: the tests' own network does not reach it yet
            found = subprocess.run([*self.inside, "ss", "-Htln"], check=True, capture_output=True, text=True)
            return f":{self.port} " in found.stdout
        with socket.socket() as sock:
            return sock.connect_ex((self.address, self.port)) == 0

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def new_host_key(self) -> str:
        """Take another host key, as a machine that was set up anew has."""
        self.stop()
        for path in (self.folder / "host_key", self.folder / "host_key.pub"):
            path.unlink()
        self.host_key = make_key(self.folder / "host_key")
        self.start()
        return self.host_key

    def stop(self) -> None:
        if self._process is not None:
            for pid in descendants(self._process.pid):  # sessions whose line is dead would stay
                kill(pid)
            self._process.terminate()
            self._process.wait(_SECONDS)
            self._process = None

    def __enter__(self) -> Sshd:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()
