from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from done import Done
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
