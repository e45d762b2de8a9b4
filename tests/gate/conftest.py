from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import pytest
from passable import passable

from labbox.custom import Configuration, Settings, load
from labbox.custom.schema import PeopleSettings, SshSettings
from labbox.daemon.gate import Gate, hostkeys
from labbox.daemon.people import BOX, People
from labbox.daemon.processes import Allowance, Processes
from labbox.daemon.state import SCOPED_SOCKETS
from labbox.daemon.store import Store
from labbox.errors import LabboxError
from labbox.protocol import PasswordBody, UserAdd

FIRST_UID = 73000
PASSWORD = "correct horse 73 battery"

# Stands for the screens and the command line: small programs by name, forked by the real spawner.
RUNNERS = r"""
import os, signal, socket, sys, time, tty
from labbox import spawner

def screens(request):
    tty.setraw(0)
    def size(*_):
        columns, rows = os.get_terminal_size(0)
        os.write(1, b"size %dx%d\r\n" % (columns, rows))
    signal.signal(signal.SIGWINCH, size)
    told = [os.environ.get(name, "-") for name in ("TERM", "COLORTERM", "TEXTUAL_SMOOTH_SCROLL")]
    os.write(1, " ".join(["screens of", request.name, "on", *told]).encode() + b"\r\n")
    size()
    while (key := os.read(0, 1)) not in (b"q", b""):
        os.write(1, b"<" + key + b">")
    return 7

def command(request):
    word, *rest = request.argv
    if word == "echo":
        print(*rest); print("error stream", file=sys.stderr)
        return int(rest[-1]) if rest and rest[-1].isdigit() else 0
    if word == "cat":
        while data := os.read(0, 1 << 16):
            os.write(1, data)
        os.write(1, b"end of input")
    if word == "environment":
        print("\n".join(f"{k}={v}" for k, v in sorted(os.environ.items())))
    if word == "whoami":
        print(os.getuid(), os.getcwd(), os.isatty(0))
    if word == "flood":
        while True:
            os.write(1, b"x" * 65536)
    if word == "linger":
        if os.fork() == 0:
            os.setsid()
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        open("running", "w").close()
        time.sleep(600)
    if word == "bomb":
        made = 0
        try:
            while True:
                if os.fork() == 0:
                    time.sleep(600)
                made += 1
        except OSError:
            print("forked", made, flush=True)
            time.sleep(600)
    if word == "killed":
        os.kill(os.getpid(), signal.SIGTERM)
    if word == "ask-git":
        print(open("/proc/self/mountinfo").read())
    return 0

sock = socket.socket(fileno=int(sys.argv[1]))
spawner.serve(sock, {**spawner.RUNNERS, "tui": screens, "command": command}, [])
"""


@dataclass
class Box:
    """A gate that runs in this process, and what clients need to reach it."""

    gate: Gate
    people: People
    state: Path
    port: int
    key: Path
    known_hosts: Path
    clients: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def options(self, *more: str) -> list[str]:
        options = {
            "UserKnownHostsFile": str(self.known_hosts), "StrictHostKeyChecking": "yes",
            "IdentitiesOnly": "yes",
            "IdentityFile": str(self.key), "BatchMode": "yes", "ControlPath": "none", "LogLevel": "ERROR",
            "ConnectTimeout": "10", "HostKeyAlias": "box",
        }  # fmt: skip
        return ["-F", "none", *(f"-o{key}={value}" for key, value in options.items()), *more]

    def ssh(
        self, *words: str, user: str = "ada", host: str = "127.0.0.1", options: Sequence[str] = ()
    ) -> list[str]:
        return ["ssh", *self.options(*options), "-p", str(self.port), f"{user}@{host}", *words]

    async def run(
        self,
        argv: Sequence[str],
        *,
        stdin: bytes = b"",
        env: dict[str, str] | None = None,
        cwd: Path | None = None,
    ) -> subprocess.CompletedProcess[bytes]:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={**os.environ, **(env or {})}, cwd=cwd,
        )  # fmt: skip
        try:
            async with asyncio.timeout(40):
                out, err = await process.communicate(stdin)
        except TimeoutError:
            process.kill()
            await process.communicate()
            raise
        return subprocess.CompletedProcess(argv, process.returncode or 0, out, err)

    async def password(
        self, secret: str, *words: str, user: str = "ada", host: str = "127.0.0.1", more: Sequence[str] = ()
    ) -> Any:
        """`ssh` that types this secret for every question."""
        helper = self.state.parent / "askpass"
        helper.write_text('#!/bin/sh\nprintf "%s\\n" "$ANSWER"\n')
        helper.chmod(0o755)
        options = ["-oBatchMode=no", "-oPubkeyAuthentication=no", "-oNumberOfPasswordPrompts=1", *more]
        argv = [
            "ssh",
            "-F",
            "none",
            *options,
            *self.options()[2:],
            "-p",
            str(self.port),
            f"{user}@{host}",
            *words,
        ]
        env = {"SSH_ASKPASS": str(helper), "SSH_ASKPASS_REQUIRE": "force", "ANSWER": secret, "DISPLAY": ""}
        return await self.run(argv, env=env)

    def home(self, name: str = "ada") -> Path:
        return self.state / "homes" / name

    def processes_of(self, uid: int) -> list[int]:
        found = []
        for status in Path("/proc").glob("[0-9]*/status"):
            with suppress(OSError):
                if f"Uid:\t{uid}\t" in status.read_text(errors="replace"):
                    found.append(int(status.parent.name))
        return found


@pytest.fixture
def spawner() -> Iterator[socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        program = subprocess.Popen(
            [sys.executable, "-c", RUNNERS, str(theirs.fileno())], pass_fds=[theirs.fileno()], cwd="/"
        )
    yield ours
    ours.close()
    assert program.wait(10) is not None


@pytest.fixture(scope="session")
def client_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("key") / "id_ed25519"
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


@pytest.fixture(scope="session")
def host_keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made once: an RSA key takes half a second."""
    folder = tmp_path_factory.mktemp("host") / "secrets"
    hostkeys.load(folder)
    return folder


@pytest.fixture
def ssh_settings() -> SshSettings:
    """Overridden by tests that want others."""
    return SshSettings(listen="127.0.0.1:0")


@pytest.fixture
async def box(
    tmp_path: Path, spawner: socket.socket, client_key: Path, host_keys: Path, ssh_settings: SshSettings
) -> AsyncIterator[Box]:
    passable(tmp_path)
    state = tmp_path / "state"
    state.mkdir(mode=0o711)
    shutil.copytree(host_keys, state / "secrets")
    configuration: Configuration = load(None)
    settings: Settings = msgspec.structs.replace(
        configuration.settings, ssh=ssh_settings, people=PeopleSettings(first_uid=FIRST_UID)
    )
    configuration = msgspec.structs.replace(configuration, settings=settings)
    store = await Store.open(state / "labbox.db")
    people = People(store, configuration, state)
    await people.start()
    processes = Processes(spawner, Allowance(scratch=64 << 20, keep=(str(state),)))
    running = asyncio.create_task(processes.run())
    public = client_key.with_suffix(".pub").read_text()
    for name in ("ada", "grace"):
        await people.add(UserAdd(name=name), BOX)
        await people.add_key(name, public, BOX)
        await people.set_password(name, PasswordBody(new=PASSWORD), BOX)
    # The group of tasks that the gate keeps belongs to the task that starts it, so one task does both.
    for socket_name in (
        "api.sock",
        *SCOPED_SOCKETS.values(),
    ):  # nobody answers; a token's login is shown one of them
        (state / socket_name).touch()
    gate = Gate(people, processes, settings, state, state / "api.sock")
    _host, port = await gate.start()
    known_hosts = tmp_path / "known_hosts"
    keys = [path.read_text() for path in sorted((state / "secrets").glob("host_*.pub"))]
    known_hosts.write_text("".join(f"box {line.strip()}\n" for line in keys))
    yield Box(gate, people, state, port, client_key, known_hosts)
    await gate.stop()
    running.cancel()
    with suppress(asyncio.CancelledError, LabboxError):
        await running
    await people.close()
    await store.close()


@pytest.fixture
def eventually() -> Callable[..., Any]:
    async def eventually(condition: Callable[[], object], seconds: float = 10) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                await asyncio.sleep(0.02)

    return eventually


def pytest_configure() -> None:
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
