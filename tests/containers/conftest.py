"""A real engine for the tests of containers: the machine's (DOCKER_HOST), and one that may be killed."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import docker
import pytest

from labbox.daemon.containers.connection import DEFAULT_URL, Connection
from labbox.daemon.containers.engine import Engine
from labbox.daemon.containers.images import import_folder
from labbox.daemon.containers.run import RunSpec
from labbox.daemon.containers.states import ContainerState

TOP = Path(__file__).parents[2]
UID = 70001
SMALL = "labbox-test/busybox:latest"


def import_small_image(url: str) -> str:
    """An image of two megabytes: a static busybox under the names of its programs."""

    async def work(root: Path) -> None:
        connection = Connection(url)
        try:
            await import_folder(connection, root, SMALL)
        finally:
            connection.close()

    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        for name in ("bin", "etc", "tmp", "proc", "code", "input", "output"):
            (root / name).mkdir()
        shutil.copy("/bin/busybox", root / "bin/busybox")
        programs = subprocess.run(["/bin/busybox", "--list"], capture_output=True, text=True, check=True)
        for program in programs.stdout.split():
            if program != "busybox":
                (root / "bin" / program).symlink_to("busybox")
        # a program that would make anybody root, if the kernel let it
        shutil.copy(
            "/usr/bin/docker-init", root / "bin/setuid-init"
        )  # unlike busybox, it keeps what it is given
        (root / "bin/setuid-init").chmod(0o4755)
        asyncio.run(work(root))
    return SMALL


@pytest.fixture(scope="session")
def engine_url() -> str:
    """The engine that the machine offers to tests."""
    return os.environ.get("DOCKER_HOST", DEFAULT_URL)


@pytest.fixture(scope="session")
def small_image(engine_url: str) -> str:
    return import_small_image(engine_url)


class OwnEngine:
    """An engine of the tests' own, which they may stop, kill and start."""

    def __init__(self, data: Path, run: Path) -> None:
        self.data, self.run = data, run
        self.url = f"unix://{run}/docker.sock"

    def start(self) -> None:
        command = [str(TOP / "tests/engine-up"), "--data", str(self.data), "--run", str(self.run)]
        subprocess.run(command, check=True, timeout=90)

    def pid(self) -> int:
        return int((self.run / "dockerd.pid").read_text())

    def kill(self, number: int = signal.SIGKILL) -> None:
        pid = self.pid()
        os.kill(pid, number)
        end = time.monotonic() + 30
        while Path(f"/proc/{pid}/exe").exists() and time.monotonic() < end:
            time.sleep(0.005)  # not a child of ours: it cannot be waited for otherwise

    def stop(self) -> None:
        subprocess.run([TOP / "tests/engine-up", "--run", self.run, "stop"], check=True, timeout=90)


@pytest.fixture(scope="session")
def own_engine_started() -> Iterator[OwnEngine]:
    run = Path(tempfile.mkdtemp(prefix="labbox-test-", dir="/run"))  # paths of sockets must be short
    # not on an overlay, which the engine makes itself: tests/run says where
    data = Path(tempfile.mkdtemp(prefix="labbox-test-", dir=os.environ.get("LABBOX_TEST_DATA", "/var/tmp")))
    own = OwnEngine(data, run)
    own.start()
    try:
        import_small_image(own.url)
        yield own
    finally:
        own.stop()
        shutil.rmtree(run)
        shutil.rmtree(data)


@pytest.fixture
def own_engine(own_engine_started: OwnEngine) -> Iterator[OwnEngine]:
    """The engine of our own, running again afterwards whatever the test did to it."""
    yield own_engine_started
    own_engine_started.start()


class Following:
    """An engine that is being followed, with what it told."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self.told: list[tuple[str, ContainerState]] = []
        self.changes: list[bool] = []
        self._stirred = asyncio.Event()
        engine.on_event(self._hear)
        engine.on_change(self._change)

    def _hear(self, name: str, state: ContainerState) -> None:
        self.told.append((name, state))
        self._stirred.set()

    def _change(self) -> None:
        self.changes.append(self.engine.available)
        self._stirred.set()

    async def until(self, holds: Callable[[], bool], seconds: float = 20) -> None:
        """Wait for what the engine tells until something holds."""
        async with asyncio.timeout(seconds):
            while not holds():
                self._stirred.clear()
                await self._stirred.wait()


@pytest.fixture
async def follow() -> AsyncIterator[Callable[..., Following]]:
    """Follows an engine for a box of the test's own; removes that box's containers afterwards."""
    tasks: list[asyncio.Task[None]] = []
    boxes: list[tuple[str, str]] = []

    def start(url: str, box: str | None = None, **settings: Any) -> Following:
        name = box or f"test{uuid.uuid4().hex[:8]}"
        engine = Engine(url, box=name, **settings)
        boxes.append((url, name))
        following = Following(engine)
        tasks.append(asyncio.create_task(engine.run()))
        return following

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    for url, box in boxes:
        clear_box(url, box)


def clear_box(url: str, box: str) -> None:
    with socket.socket(socket.AF_UNIX) as knocking:
        if knocking.connect_ex(url.removeprefix("unix://")) != 0:
            return  # there never was an engine, or the test ended it
    with docker.APIClient(url, version="1.41") as api:
        for found in api.containers(all=True, quiet=True, filters={"label": f"labbox.box={box}"}):
            api.remove_container(found["Id"], force=True, v=True)


@pytest.fixture
async def following(follow: Callable[..., Following], engine_url: str, small_image: str) -> Following:
    """The machine's engine, followed and available."""
    found = follow(engine_url)
    async with asyncio.timeout(20):
        await found.engine.wait_available()
    return found


@pytest.fixture
async def engine(following: Following) -> Engine:
    return following.engine


@pytest.fixture
def make_run(tmp_path: Path, small_image: str) -> Callable[..., RunSpec]:
    """Makes a run with folders of its own: `make_run("echo", "hello", memory=…)`."""

    def make(*command: str, **settings: Any) -> RunSpec:
        name = settings.pop("name", f"labbox-test-{uuid.uuid4().hex[:12]}")
        folder = tmp_path / name
        output = folder / "output"
        output.mkdir(parents=True)
        os.chown(output, UID, UID)
        given: dict[str, Any] = {
            "image": small_image,
            "uid": UID,
            "gid": UID,
            "user_name": "ada",
            "cpus": 1.0,
            "memory": 64 << 20,
            "pids": 64,
            "tmp_bytes": 8 << 20,
            "cwd": "/output",
            "output": output,
            "spool": folder / "spool",
        }
        return RunSpec(name=name, command=command, **{**given, **settings})

    return make


class Ran:
    """What came of a run."""

    def __init__(self, run: RunSpec, state: ContainerState) -> None:
        self.run, self.state = run, state
        self.out = (run.spool / "stdout").read_bytes()
        self.err = (run.spool / "stderr").read_bytes()

    @property
    def text(self) -> str:
        return self.out.decode()


@pytest.fixture
async def run_to_end(engine: Engine, make_run: Callable[..., RunSpec]) -> Callable[..., Any]:
    """Runs a command in a container to its end."""

    async def work(*command: str, seconds: float = 30, **settings: Any) -> Ran:
        run = make_run(*command, **settings)
        async with asyncio.timeout(seconds):
            await engine.create_and_start(run)
            return Ran(run, await engine.wait(run.name))

    return work


@pytest.fixture
def wait_for() -> Callable[..., Any]:
    """Waits until a file holds some bytes: what a container writes is seen no other way."""

    async def work(path: Path, wanted: bytes, seconds: float = 20) -> bytes:
        async with asyncio.timeout(seconds):
            while True:
                found = path.read_bytes() if path.exists() else b""
                if wanted in found:
                    return found
                await asyncio.sleep(0.01)

    return work


LINK = "169.254.169.254"
_ANSWERS = """
import socket
with socket.create_server(("0.0.0.0", 8080)) as listening:
    print(flush=True)
    while True:
        listening.accept()[0].sendall(b"REACHED")
"""


@pytest.fixture
def on_the_link() -> Iterator[tuple[str, int]]:
    """A service on a neighbour machine, at the address where rented machines are told their keys."""
    words = f"""
        ip netns add labbox-link
        ip link add labbox-link type veth peer name inside netns labbox-link
        ip addr add 169.254.169.253/30 dev labbox-link
        ip link set labbox-link up
        ip -n labbox-link addr add {LINK}/30 dev inside
        ip -n labbox-link link set inside up
        ip -n labbox-link route add default via 169.254.169.253
    """
    serving: subprocess.Popen[bytes] | None = None
    try:
        for line in words.strip().splitlines():
            subprocess.run(line.split(), check=True)
        inside = ["ip", "netns", "exec", "labbox-link"]
        serving = subprocess.Popen([*inside, sys.executable, "-P", "-c", _ANSWERS], stdout=subprocess.PIPE)
        assert serving.stdout is not None
        serving.stdout.readline()
        with socket.create_connection((LINK, 8080), timeout=5) as seen:  # the box itself reaches it
            assert seen.recv(7) == b"REACHED"
        yield LINK, 8080
    finally:
        if serving is not None:
            serving.kill()
            serving.communicate()
        subprocess.run(["ip", "netns", "delete", "labbox-link"], check=False)
