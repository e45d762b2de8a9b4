"""Newcomers beyond the places of their address wait, and come in when their turn is."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from labbox.custom.schema import SshSettings

pytestmark = pytest.mark.root


@pytest.fixture
def ssh_settings() -> SshSettings:
    return SshSettings(listen="127.0.0.1:0", logins_at_once_per_address=2)


async def test_who_waited_comes_in_with_all_that_was_said_meanwhile(
    box: Any, eventually: Callable[..., Any]
) -> None:
    silent = [await asyncio.open_connection("127.0.0.1", box.port) for _ in range(2)]
    for reader, _writer in silent:
        assert (await reader.readline()).startswith(b"SSH-2.0-")
    logins = [asyncio.create_task(box.run(box.ssh("echo", f"{number}"))) for number in range(6)]
    await eventually(lambda: box.gate.porch.waiting == len(logins))
    for _reader, writer in silent:
        writer.close()
    said = [(await login).stdout for login in logins]
    assert said == [b"%d\n" % number for number in range(6)]
    await eventually(lambda: box.gate.porch.inside == 0)
