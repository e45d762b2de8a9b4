"""A login in which nobody presses a key is closed where the box says so."""

from __future__ import annotations

from typing import Any

import pytest

from labbox.custom.schema import SshSettings

pytestmark = pytest.mark.root


@pytest.fixture
def ssh_settings() -> SshSettings:
    return SshSettings(listen="127.0.0.1:0", idle_minutes=1)


@pytest.fixture(autouse=True)
def quick_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("labbox.daemon.gate.door.MINUTE", 1.0)


async def test_idle_terminal_is_closed_with_a_sentence(box: Any) -> None:
    done = await box.run(box.ssh("-tt"))
    assert done.returncode == 255
    assert b"closed after 1s without a key pressed" in done.stdout  # the terminal's own, where it stays


async def test_transfer_without_a_terminal_is_not_idle(box: Any) -> None:
    """It says nothing for two of the seconds that count as minutes here, and lives."""
    slow = "import sys, time; time.sleep(2.2); sys.stdout.write('x')"
    feed = await box.run(["sh", "-c", f'/usr/bin/env python3 -c "{slow}" | {" ".join(box.ssh("cat"))}'])
    assert feed.stdout == b"xend of input"
