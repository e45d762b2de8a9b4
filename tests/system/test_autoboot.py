"""The main job: `./autoboot.sh demo` makes a box, runs the example study on it and says how to log in."""

from __future__ import annotations

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from harness import free_port

pytestmark = [pytest.mark.engine, pytest.mark.root]

CHECKOUT = Path(__file__).parents[2]


@pytest.fixture
def lab() -> Iterator[Path]:
    """A folder that everybody may enter, as people who log in must."""
    with tempfile.TemporaryDirectory(prefix="labbox-demo-", dir="/var/tmp") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.timeout(600)
def test_the_demo_runs_the_example_and_can_be_asked_and_stopped(lab: Path) -> None:
    state, port = lab / "state", free_port()
    environment = {**os.environ, "LABBOX_RUN": str(lab / "run")}

    def autoboot(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [CHECKOUT / "autoboot.sh", *words],
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=500,
        )

    done = autoboot("demo", "--detach", "--state", str(state), "--ssh", f"127.0.0.1:{port}")
    try:
        assert done.returncode == 0, done.stdout + done.stderr
        assert "incongruent - congruent,52.4," in done.stdout
        assert f"ssh -p {port} ada@127.0.0.1" in done.stdout
        assert autoboot("status").returncode == 0
        again = autoboot("demo", "--detach", "--state", str(state), "--ssh", f"127.0.0.1:{port}")
        assert again.returncode == 1
        assert "a box runs already" in again.stderr
    finally:
        stopped = autoboot("stop")
    assert stopped.returncode == 0
    assert autoboot("status").returncode == 1


@pytest.mark.parametrize("words", [("demmo",), ("--state",)])
def test_a_wrong_word_is_refused_with_the_usage(words: tuple[str, ...]) -> None:
    done = subprocess.run([CHECKOUT / "autoboot.sh", *words], capture_output=True, text=True, timeout=30)
    assert done.returncode == 2
    assert "usage:" in done.stderr


def test_the_unit_is_hardened() -> None:
    unit = (CHECKOUT / "systemd" / "labbox.service").read_text()
    for line in (
        "NoNewPrivileges=yes",
        "ProtectSystem=strict",
        "RestrictNamespaces=yes",
        "PrivateTmp=yes",
    ):
        assert line in unit.splitlines()
    assert "Type=notify" in unit
