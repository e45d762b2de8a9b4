"""What the GPUs do, as the driver's program tells it; here a program of that name that the test has made."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labbox.daemon.containers import gpuuse
from labbox.daemon.containers.gpuuse import GpuUse, look, parse


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder that nobody in particular may read."""
    with tempfile.TemporaryDirectory(prefix="labbox-gpu-", dir="/var/tmp") as made:
        Path(made).chmod(0o755)
        yield Path(made)


def _program(folder: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    program = folder / gpuuse.PROGRAM
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")


async def test_devices_tell_what_they_do(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(folder, monkeypatch, 'echo "0, 37, 1024"; echo "1, [N/A], 0"; echo "2, 100, 8"')
    assert await look() == {0: GpuUse(busy=0.37, memory=1 << 30), 2: GpuUse(busy=1.0, memory=8 << 20)}


async def test_the_program_has_no_rights(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    _program(folder, monkeypatch, 'echo "$(id -u), 1, 1"')
    (who,) = await look()
    assert who == (65534 if os.geteuid() == 0 else os.geteuid())


async def test_what_is_no_answer_is_none(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(folder))
    assert await look() == {}
    _program(folder, monkeypatch, "echo 'NVIDIA-SMI has failed'; exit 9")
    assert await look() == {}
    _program(folder, monkeypatch, "yes 0, 1, 1")  # without end: read so far, and ended
    assert await look() == {0: GpuUse(busy=0.01, memory=1 << 20)}


async def test_a_driver_that_hangs_is_given_up(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpuuse, "_SECONDS", 0.3)
    _program(folder, monkeypatch, "sleep 60")
    began = time.monotonic()
    assert await look() == {}
    assert time.monotonic() - began < 30


@pytest.mark.parametrize("said", ["0, 101, 1", "-1, 5, 5", "0, 5", "0, 5, 1e9", "0, 5, 99999999999999"])
def test_figures_that_cannot_be(said: str) -> None:
    assert parse(said) == {}
