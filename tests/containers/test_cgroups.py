"""The control groups of runs: counters that outlive a run, and nothing that outlives its container."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from labbox.daemon.containers.cgroups import ROOT, Groups

_HIERARCHY = "" if (ROOT / "cgroup.controllers").exists() else "memory"


@pytest.fixture
def groups() -> Iterator[Groups]:
    box = f"test{os.getpid()}"
    yield Groups(box, "cgroupfs")
    for top in (ROOT / _HIERARCHY).glob(f"labbox{box}*"):
        top.rmdir()


def _orphan(groups: Groups, name: str) -> tuple[Path, subprocess.Popen[bytes]]:
    """What runs in the group of a run of which no engine knows: it starts another each time."""
    folder = ROOT / _HIERARCHY / groups.parent(name).strip("/")
    inner = folder / "container"
    inner.mkdir(parents=True)
    words = "while :; do sleep 0.01; done"
    process = subprocess.Popen(["sh", "-c", words])
    (inner / "cgroup.procs").write_text(str(process.pid))
    return folder, process


def test_what_an_engine_forgot_ends_with_its_run(groups: Groups) -> None:
    folder, process = _orphan(groups, "labbox-box-1-1")
    other, runs = _orphan(groups, "labbox-box-2-1")
    try:
        assert groups.remove("labbox-box-1-1") == []
        assert process.wait(5) == -9
        assert not folder.exists()
        time.sleep(0.05)
        assert runs.poll() is None
        assert groups.sweep({"labbox-box-2-1"}) == []
        assert runs.poll() is None
        assert groups.sweep(()) == []
        assert runs.wait(5) == -9
        assert not other.exists()
    finally:
        for one in (process, runs):
            one.kill()
            one.wait()


def test_a_run_that_is_gone_has_nothing_to_remove(groups: Groups) -> None:
    assert groups.remove("labbox-box-9-9") == []
    assert groups.read("labbox-box-9-9").memory is None


def test_processes_of_another_namespace_are_not_taken_for_our_own_group(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The kernel shows them as 0, and a signal to 0 goes to whoever sends it."""
    (tmp_path / "cgroup.controllers").touch()
    groups = Groups("far", "cgroupfs", tmp_path)
    folder = tmp_path / groups.parent("labbox-far-1-1").strip("/")
    folder.mkdir(parents=True)
    (folder / "cgroup.procs").write_text("0\n")
    killed: list[int] = []
    monkeypatch.setattr(os, "kill", lambda pid, _signal: killed.append(pid))
    groups.remove("labbox-far-1-1")
    assert killed == []
