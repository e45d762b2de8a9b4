"""What each run needs of the machine besides the engine: said as the reason while it is missing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from labbox.daemon.containers.run import RunSpec
from labbox.daemon.containers.starting import start_error
from labbox.errors import LabboxError

pytestmark = [pytest.mark.engine, pytest.mark.root]


@pytest.mark.parametrize(
    ("told", "lacking"),
    [
        ({"InitBinary": "docker-init", "InitCommit": {"ID": "N/A"}}, "docker-init"),
        ({"InitBinary": "/opt/init", "InitCommit": {"ID": "N/A"}}, "/opt/init"),
        ({"InitBinary": "docker-init", "InitCommit": {"ID": ""}}, None),  # Debian's says no commit
        ({"InitBinary": "docker-init", "InitCommit": {"ID": "de40ad0"}}, None),
        ({}, None),
    ],
)
async def test_an_engine_says_that_it_lacks_its_init(
    following: Any, monkeypatch: pytest.MonkeyPatch, told: dict[str, Any], lacking: str | None
) -> None:
    connection = following.engine.connection
    await connection.greet()
    assert connection.lacking_init is None  # the real one has it
    monkeypatch.setattr("docker.APIClient.info", lambda _api: told)
    await connection.greet()
    assert connection.lacking_init == lacking


async def test_what_the_machine_lacks_is_the_reason_and_mended_it_goes_on(
    following: Any, make_run: Callable[..., RunSpec]
) -> None:
    engine, said = following.engine, "there is no /bin/busybox: apt-get install busybox-static"
    engine.lacking = lambda: said
    with pytest.raises(LabboxError, match=r"cannot start .*: there is no /bin/busybox") as caught:
        await engine.create_and_start(make_run("true"))
    assert caught.value.code == "unavailable"  # the job waits
    await following.until(lambda: not engine.available and engine.reason == said)
    engine.lacking = lambda: ""
    engine.connection.on_failure()
    await following.until(lambda: engine.available)
    await engine.create_and_start(make_run("true"))


def test_a_missing_file_is_named_in_words(make_run: Callable[..., RunSpec], tmp_path: Path) -> None:
    words = 'invalid mount config for type "bind": bind source path does not exist: /bin/busybox'
    told = start_error(make_run("true"), LabboxError("invalid", words))
    assert "/bin/busybox is not there" in told.message
    assert "bind source" not in told.message


@pytest.mark.parametrize(
    "words",
    [
        "failed to start shim: mkdir /run/x/io.containerd.runtime.v2.task/moby/1f: file exists: unknown",
        "id already in use",
        "runc create failed: container with given ID already exists: unknown",
    ],
)
def test_a_start_that_the_engine_was_killed_over_is_tried_again(
    make_run: Callable[..., RunSpec], words: str
) -> None:
    told = start_error(make_run("true"), LabboxError("internal", words))
    assert (told.code, "which was killed" in told.message) == ("unavailable", True)
    other = start_error(make_run("true"), LabboxError("internal", "mkdir /x: file exists"))
    assert other.code == "internal"


async def test_what_runs_without_the_engines_knowledge_can_be_ended(
    following: Any, make_run: Callable[..., RunSpec]
) -> None:
    run = make_run("sleep", "1000")
    await following.engine.create_and_start(run)
    following.engine._groups.remove(run.name)
    state = await following.engine.wait(run.name)
    assert state.exit_code == 137
