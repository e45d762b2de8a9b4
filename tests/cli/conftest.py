from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from done import Done
from harness import Box
from person import Person
from serving import Served

from labbox import cli
from labbox.daemon.people import BOX
from labbox.protocol import UserAdd


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An API with the users ada and grace, whose socket is in LABBOX_SOCKET."""
    state = tmp_path / "state"
    state.mkdir()
    server = Served(state)
    for name in ("ada", "grace"):
        if server.do(server.people.account(name)) is None:
            server.do(server.people.add(UserAdd(name=name), BOX))
    monkeypatch.setenv("LABBOX_SOCKET", str(server.socket))
    yield server
    server.close()


@pytest.fixture
def labbox(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Done]:
    """Run a command in this process: what it printed, byte for byte, and its exit code."""

    def run(*words: str) -> Done:
        capfdbinary.readouterr()
        code = cli.run([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode("utf-8", "surrogateescape"), err.decode())

    return run


@pytest.fixture(scope="module")
def box() -> Iterator[Box]:
    folder = Path(tempfile.mkdtemp(prefix="labbox-files-", dir="/var/tmp"))
    folder.chmod(0o755)
    before = os.environ.get("DOCKER_HOST")
    os.environ["DOCKER_HOST"] = f"unix://{folder}/no-engine.sock"  # transfers need none
    running = Box(folder, ("ada", "grace"))
    yield running
    running.stop()
    if before is None:
        del os.environ["DOCKER_HOST"]
    else:
        os.environ["DOCKER_HOST"] = before
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def ada(box: Box) -> Person:
    return Person(box, "ada")


@pytest.fixture
def home(box: Box, ada: Person) -> Path:
    """Ada's home, empty but for what the box put there."""
    found = box.state / "homes" / "ada"
    for each in found.iterdir():
        if not each.is_symlink():
            with suppress(FileNotFoundError):  # what an ended transfer had half of goes by itself
                shutil.rmtree(each) if each.is_dir() else each.unlink()
    return found
