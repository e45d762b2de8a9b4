from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from labbox import cli
from labbox.daemon.people import BOX
from labbox.protocol import UserAdd

if TYPE_CHECKING:
    from serving import Served

_HELPER = Path(__file__).parent.parent / "api" / "serving.py"


def _serving() -> Any:
    """The API's server for tests, from beside the API's tests."""
    if "serving" not in sys.modules:
        spec = importlib.util.spec_from_file_location("serving", _HELPER)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules["serving"] = module
        spec.loader.exec_module(module)
    return sys.modules["serving"]


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Served]:
    """An API with the users ada and grace, whose socket is in LABBOX_SOCKET."""
    state = tmp_path / "state"
    state.mkdir()
    server = _serving().Served(state)
    for name in ("ada", "grace"):
        if server.do(server.people.account(name)) is None:
            server.do(server.people.add(UserAdd(name=name), BOX))
    monkeypatch.setenv("LABBOX_SOCKET", str(server.socket))
    yield server
    server.close()


@dataclass
class Done:
    code: int
    out: str
    err: str


@pytest.fixture
def labbox(capfdbinary: pytest.CaptureFixture[bytes]) -> Callable[..., Done]:
    """Run a command in this process: what it printed, byte for byte, and its exit code."""

    def run(*words: str) -> Done:
        capfdbinary.readouterr()
        code = cli.run([str(word) for word in words])
        out, err = capfdbinary.readouterr()
        return Done(code, out.decode("utf-8", "surrogateescape"), err.decode())

    return run
