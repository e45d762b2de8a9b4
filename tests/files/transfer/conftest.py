from __future__ import annotations

from pathlib import Path

import pytest
from transferring import Desk

from labbox.files.transfer.asked import Spot


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    home = tmp_path / "home"
    home.mkdir()
    return Desk(tmp_path, home)


@pytest.fixture(params=["by system calls", "through places"])
def both(request: pytest.FixtureRequest, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """A desk, once with the quick way for this machine and once with the way for all places."""
    if request.param == "through places":
        monkeypatch.setattr(Spot, "local", property(lambda _self: False))
    return desk
