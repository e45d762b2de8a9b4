"""What the measurements share: a box, a peer's sshd, a terminal that is timed, and the table they end in."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shutil
import signal
import socket
import statistics
import struct
import subprocess
import sys
import tempfile
import termios
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from ownpace import queued

from labbox.client import Client, connect

_ESCAPES = re.compile(
    rb"\x1b\[[0-9;?<>=]*[ -/]*[@-~]|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)|\x1b[()][0-9A-B]|\x1b."
)


@dataclass(frozen=True)
class Row:
    """One line of the table: what was measured, against what, what the issue asks for and what came out."""

    what: str
    against: str
    reach: str
    measured: str
    met: bool


@dataclass
class Table:
    """The rows so far; printed as they come and as Markdown at the end."""

    rows: list[Row] = field(default_factory=list)

    def add(self, what: str, against: str, reach: str, measured: str, met: bool) -> None:
        self.rows.append(Row(what, against, reach, measured, met))
        print(f"{'ok  ' if met else 'MISS'}  {what}: {measured}  (reach {reach})", flush=True)

    def markdown(self) -> str:
        lines = ["| what | against | reach | measured |", "|---|---|---|---|"]
        lines += [
            f"| {r.what} | {r.against} | {r.reach} | {'' if r.met else '**not reached:** '}{r.measured} |"
            for r in self.rows
        ]
        return "\n".join(lines)


def percentile(values: Sequence[float], share: float) -> float:
    """The value below which `share` (0 to 1) of the values lie."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def free_port() -> int:
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


def wait_until(true: Callable[[], bool], seconds: float, what: str) -> None:
    end = time.monotonic() + seconds
    while not true():
        if time.monotonic() > end:
            raise TimeoutError(f"waited {seconds} s for {what}")
        time.sleep(0.01)


@contextmanager
def fresh_disk(size: int) -> Iterator[Path]:
    """A folder on an ext4 of its own, made anew.

    Where much was removed in the last minutes, ext4 looks long for inodes that it may use again (it spares
    those of the last five minutes): that would be measured instead.
    """
    with tempfile.TemporaryDirectory(prefix="labbox-bench-", dir="/var/tmp") as name:
        image, folder = Path(name) / "disk", Path(name) / "mounted"
        folder.mkdir(mode=0o755)
        with image.open("wb") as file:
            file.truncate(size)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0", image], check=True)
        subprocess.run(["mount", "-o", "loop", image, folder], check=True)
        try:
            yield folder
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)


def need(program: str, package: str) -> None:
    """Install a peer that is missing."""
    if shutil.which(program) is None:
        subprocess.run(
            ["apt-get", "install", "-y", "-q", "--no-install-recommends", package],
            check=True,
            stdout=subprocess.DEVNULL,
            env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"},
        )


_TOKENS = re.compile(
    rf"\x1b\[(?P<y>\d+);(?P<x>\d+)H|(?P<code>{_ESCAPES.pattern.decode()})|(?P<text>[^\x00-\x1f]+)"
)


class _Painted:
    """What stands on a screen that is painted by places and texts, as labbox does; costs next to nothing."""

    def __init__(self) -> None:
        self._lines: dict[int, list[str]] = {}
        self._x = self._y = self._read = 0

    def text(self, data: bytearray) -> str:
        """The lines, after what has come since the last call."""
        end = data.rfind(b"\x1b")  # what comes behind it may be half of a code
        for token in _TOKENS.finditer(bytes(data[self._read : end]).decode(errors="replace")):
            if token["y"]:
                self._y, self._x = int(token["y"]), int(token["x"]) - 1
            elif token["text"]:
                line = self._lines.setdefault(self._y, [])
                line += " " * (self._x - len(line))
                line[self._x : self._x + len(token["text"])] = token["text"]
                self._x += len(token["text"])
        self._read = max(self._read, end)
        return "\n".join("".join(line) for _, line in sorted(self._lines.items()))


class Terminal:
    """A program in a pseudo-terminal, its output timed as it comes."""

    def __init__(self, argv: Sequence[str], rows: int = 36, columns: int = 120) -> None:
        self.started = time.perf_counter()
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
            os.environ["TERM"] = "xterm-256color"
            os.execvp(argv[0], list(argv))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        self.data = bytearray()
        self._painted = _Painted()

    def read(self, timeout: float) -> bool:
        """Take what has come; False where nothing came within the time."""
        ready, _, _ = select.select([self.fd], [], [], timeout)
        if not ready:
            return False
        try:
            piece = os.read(self.fd, 1 << 16)
        except OSError:
            return False
        self.data += piece
        return bool(piece)

    def wait_for(self, *texts: str, seconds: float = 20, start: int = 0) -> float:
        """Seconds since the start of the program until all the texts have been painted, or stand there."""
        wanted = [text.encode() for text in texts]
        end = time.monotonic() + seconds
        while True:
            plain = _ESCAPES.sub(b"", bytes(self.data[start:]))
            if all(text in plain for text in wanted):
                return time.perf_counter() - self.started
            if plain and all(map(self._painted.text(self.data).__contains__, texts)):
                return time.perf_counter() - self.started  # by parts: what stood there already is not sent
            if time.monotonic() > end:
                raise TimeoutError(
                    f"{texts} not painted within {seconds} s; the screen holds {plain[-400:]!r}"
                )
            self.read(0.05)

    def drain(self, quiet: float = 0.15) -> None:
        while self.read(quiet):
            pass

    def key(self, data: bytes) -> float:
        """Seconds from sending a key to the first byte painted for it."""
        sent = time.perf_counter()
        os.write(self.fd, data)
        if not self.read(5):
            raise TimeoutError(f"the key {data!r} painted nothing within 5 s")
        return time.perf_counter() - sent

    def reach(self, data: bytes, *texts: str, seconds: float = 20) -> float:
        """Seconds from sending a key until all the texts have been painted since."""
        start, sent = len(self.data), time.perf_counter()
        os.write(self.fd, data)
        self.wait_for(*texts, seconds=seconds, start=start)
        return time.perf_counter() - sent

    def close(self) -> None:
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        os.waitpid(self.pid, 0)


class Box:
    """A box of its own: `labbox up` in a temporary state folder, with users who log in by one key."""

    def __init__(
        self,
        folder: Path,
        users: Sequence[str] = ("ada", "grace"),
        custom: str = "",
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = folder
        self.environment = {**os.environ, **(environment or {})}
        self.state = folder / "state"
        self.custom = folder / "custom"
        self.custom.mkdir(parents=True, exist_ok=True)
        (self.custom / "box.toml").write_text(custom)
        self.key = folder / "key"
        if not self.key.exists():
            subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key], check=True)
        self.port = free_port()
        self.users = tuple(users)
        self.process: subprocess.Popen[bytes] | None = None
        self.stood = 0.0
        self.start()
        for name in self.users:
            if name not in {user.name for user in self.client().list_users().users}:
                subprocess.run(
                    [*self.labbox, "user", "add", name, "--key", f"{self.key}.pub"],
                    check=True,
                    stdout=subprocess.DEVNULL,
                )

    @property
    def labbox(self) -> list[str]:
        return [str(Path(sys.executable).parent / "labbox"), "--socket", str(self.state / "api.sock")]

    def start(self) -> float:
        """Start the daemon; seconds until logins are accepted. `stood`: those in line for a processor."""
        started = time.perf_counter()
        self.log = (self.folder / "up.log").open("ab")
        self.process = subprocess.Popen(
            [
                self.labbox[0],
                "up",
                "--state",
                self.state,
                "--custom",
                self.custom,
                "--ssh",
                f"127.0.0.1:{self.port}",
            ],
            stdout=subprocess.PIPE,
            stderr=self.log,
            env=self.environment,
        )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith(b"labbox is ready"):
            raise RuntimeError(f"the box did not start: see {self.folder / 'up.log'}")
        taken = time.perf_counter() - started
        self.stood = queued(self.process.pid)
        return taken

    def kill(self) -> None:
        """kill -9, as a crash does."""
        assert self.process is not None
        self.process.kill()
        self._ended()

    def stop(self) -> None:
        assert self.process is not None
        self.process.terminate()
        self._ended()

    def _ended(self) -> None:
        assert self.process is not None
        assert self.process.stdout is not None
        self.process.wait(30)
        self.process.stdout.close()
        self.log.close()

    def client(self, act_as: str | None = None) -> Client:
        return connect(str(self.state / "api.sock"), act_as=act_as)

    def ssh(self, user: str, *words: str, tty: bool = False, options: Sequence[str] = ()) -> list[str]:
        return [
            "ssh",
            *(["-tt"] if tty else []),
            *ssh_options(self.key, self.port),
            *options,
            f"{user}@127.0.0.1",
            *words,
        ]

    def put(self, user: str, name: str, files: dict[str, str]) -> str:
        """A project folder in the user's home; its path relative to the home."""
        owner = self.client().show_user(user)
        top = self.state / "homes" / user / name
        for path, text in files.items():
            (top / path).parent.mkdir(parents=True, exist_ok=True)
            (top / path).write_text(text)
        subprocess.run(["chown", "-R", f"{owner.uid}:{owner.gid}", top], check=True)
        return name


def ssh_options(key: Path, port: int) -> list[str]:
    return [
        "-F",
        "none",
        "-i",
        str(key),
        "-p",
        str(port),
        "-o",
        "IdentitiesOnly=yes",
        "-o",
        "StrictHostKeyChecking=no",
        "-o",
        "UserKnownHostsFile=/dev/null",
        "-o",
        "LogLevel=ERROR",
    ]


class Sshd:
    """The peer: OpenSSH's sshd on loopback, root logging in by key."""

    def __init__(self, folder: Path, key: Path) -> None:
        need("sshd", "openssh-server")
        folder.mkdir(parents=True, exist_ok=True)
        host = folder / "host_key"
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", host], check=True)
        authorized = folder / "authorized_keys"
        authorized.write_bytes(Path(f"{key}.pub").read_bytes())
        self.port, self.key = free_port(), key
        Path("/run/sshd").mkdir(exist_ok=True)
        (folder / "config").write_text(
            f"ListenAddress 127.0.0.1:{self.port}\nHostKey {host}\nAuthorizedKeysFile {authorized}\n"
            "PermitRootLogin yes\nStrictModes no\nUsePAM no\nPidFile none\nSubsystem sftp internal-sftp\n"
        )
        self.process = subprocess.Popen(
            ["/usr/sbin/sshd", "-D", "-f", folder / "config"], stderr=subprocess.DEVNULL
        )
        wait_until(self._answers, 10, "sshd")

    def _answers(self) -> bool:
        with socket.socket() as sock:
            return sock.connect_ex(("127.0.0.1", self.port)) == 0

    def ssh(self, *words: str, tty: bool = False) -> list[str]:
        return ["ssh", *(["-tt"] if tty else []), *ssh_options(self.key, self.port), "root@127.0.0.1", *words]

    def stop(self) -> None:
        self.process.terminate()
        self.process.wait(10)


@contextmanager
def temporary_box(users: Sequence[str] = ("ada", "grace"), custom: str = "") -> Iterator[Box]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-bench-", dir="/var/tmp"))
    folder.chmod(0o755)
    box = Box(folder, users, custom)
    try:
        yield box
    finally:
        box.stop()
        shutil.rmtree(folder, ignore_errors=True)


def timed(argv: Sequence[str], **options: object) -> float:
    """Seconds that a command takes; its output is thrown away."""
    started = time.perf_counter()
    subprocess.run(list(argv), check=True, stdout=subprocess.DEVNULL, **options)  # type: ignore[call-overload]
    return time.perf_counter() - started


def first_output(argv: Sequence[str], marker: bytes, seconds: float = 300) -> float:
    """Seconds from starting a command until it has printed the marker; the command is let finish."""
    started = time.perf_counter()
    process = subprocess.Popen(list(argv), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    assert process.stdout is not None
    seen = b""
    while marker not in seen:
        piece = os.read(process.stdout.fileno(), 65536)
        if not piece:
            raise RuntimeError(f"{argv} ended without {marker!r}: {seen[-300:]!r}")
        seen += piece
        if time.perf_counter() - started > seconds:
            raise TimeoutError(f"{argv} printed no {marker!r} within {seconds} s")
    took = time.perf_counter() - started
    process.communicate()
    return took


def median(values: Sequence[float]) -> float:
    return statistics.median(values)
