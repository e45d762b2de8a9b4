from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from serving import Peers, Served

import labbox.client
from labbox.daemon.api import callers
from labbox.daemon.people import BOX
from labbox.protocol import UserAdd


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    """An API with the users ada, grace and root-like `boss` (an administrator)."""
    server = Served(tmp_path)
    for name in ("ada", "grace", "boss"):
        if server.do(server.people.account(name)) is None:
            server.do(server.people.add(UserAdd(name=name, admin=name == "boss"), BOX))
    yield server
    server.close()


@pytest.fixture
def peers(monkeypatch: pytest.MonkeyPatch) -> Peers:
    """Whom the kernel would name as the caller; as root until a test says otherwise."""
    peers = Peers()
    monkeypatch.setattr(callers.Peer, "of", peers.of)
    return peers


@pytest.fixture
def box(served: Served) -> Iterator[labbox.client.Client]:
    """The one who runs the box."""
    with labbox.client.connect(str(served.socket)) as client:
        yield client


@pytest.fixture
def ada(served: Served) -> Iterator[labbox.client.Client]:
    """Ada, by way of the one who runs the box."""
    with labbox.client.connect(str(served.socket), act_as="ada") as client:
        yield client
