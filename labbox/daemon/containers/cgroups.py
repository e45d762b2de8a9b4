"""What a run took, from the kernel: each run has a control group of its own around the engine's.

The engine removes a container's own group the moment it ends, with its counters; the one around it stays
until we remove it, and its counters hold the sum of what was below. cgroup v1 and v2, both of the engine's
drivers.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
import signal
import subprocess
import time
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from labbox.model import Value

ROOT: Final = Path("/sys/fs/cgroup")
_SYSTEMCTL_SECONDS: Final = 10.0
_END_SECONDS: Final = 2.0  # that killed processes may take to be gone


class Consumed(Value):
    """Of one run, so far or in all; None where the kernel does not tell."""

    cpu_seconds: float | None = None
    peak_memory: int | None = None  # bytes
    oom_kills: int | None = None  # processes that the memory limit ended
    memory: int | None = None  # bytes, now


class Groups:
    """The control groups of one box's runs. Without root there are none, and nothing is known."""

    def __init__(self, box: str, driver: str, root: Path = ROOT) -> None:
        """`driver` is the engine's: "cgroupfs" or "systemd"."""
        self._top = "labbox" + re.sub(r"[^A-Za-z0-9]", "", box)
        self._systemd = driver == "systemd"
        self._root = root
        self._unified = (root / "cgroup.controllers").exists()
        self.usable = os.geteuid() == 0 and driver in ("cgroupfs", "systemd")

    def parent(self, name: str) -> str:
        """What the engine takes as `CgroupParent` for the run of this name."""
        if not self.usable:
            return ""
        return self._slice(name) if self._systemd else f"/{self._top}/{name}"

    def read(self, name: str) -> Consumed:
        """The counters of a run; also after its container is gone, until `remove`."""
        if not self.usable:
            return Consumed()
        if self._unified:
            folder = self._folder(None, name)
            usec = _field(folder / "cpu.stat", "usage_usec")
            return Consumed(
                cpu_seconds=usec / 1e6 if usec is not None else None,
                peak_memory=_number(folder / "memory.peak"),  # from Linux 5.19 on
                oom_kills=_field(folder / "memory.events", "oom_kill"),
                memory=_number(folder / "memory.current"),
            )
        nanoseconds = _number(self._folder("cpuacct", name) / "cpuacct.usage")
        return Consumed(
            cpu_seconds=nanoseconds / 1e9 if nanoseconds is not None else None,
            peak_memory=_number(self._folder("memory", name) / "memory.max_usage_in_bytes"),
            memory=_number(self._folder("memory", name) / "memory.usage_in_bytes"),
        )

    def remove(self, name: str) -> list[Path]:
        """Forget a run whose container is gone, and end what still runs of it.

        An engine that was killed over a start knows nothing of what it began. Returned are the folders that
        this process may not remove, as it sees the hierarchy read-only under systemd.
        """
        if not self.usable:
            return []
        folders = [self._folder(hierarchy, name) for hierarchy in self._hierarchies()]
        if not self._systemd:
            return _refused(folders)
        _end(folders)
        subprocess.run(  # noqa: S603 - our own words; systemd removes a slice's groups with it
            ["/usr/bin/systemctl", "stop", "--no-block", self._slice(name)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_SYSTEMCTL_SECONDS,
            check=False,
        )
        return []

    def sweep(self, keep: Collection[str]) -> list[Path]:
        """Remove what earlier daemons left behind, but for the runs named; else as `remove`."""
        if not self.usable or self._systemd:
            return []
        left: list[Path] = []
        for hierarchy in self._hierarchies():
            top = self._folder(hierarchy, "")
            folders = top.iterdir() if top.is_dir() else ()
            left += (one for one in folders if one.is_dir() and one.name not in keep)
        return _refused(left)

    def _slice(self, name: str) -> str:
        # a dash in a slice's name means a level: all runs are children of one slice
        return f"{self._top}-{name.replace('-', '_')}.slice"

    def _hierarchies(self) -> list[str | None]:
        if self._unified:
            return [None]
        return [path.name for path in self._root.iterdir() if path.is_dir()]

    def _folder(self, hierarchy: str | None, name: str) -> Path:
        root = self._root / hierarchy if hierarchy else self._root
        if self._systemd:
            return root / f"{self._top}.slice" / self._slice(name)
        return root / self._top / name


def _refused(folders: Iterable[Path]) -> list[Path]:
    """Remove groups, ending what runs in them; those that a read-only hierarchy keeps, inner ones first."""
    refused, busy = [], []
    for folder in folders:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno == errno.EROFS:
                refused += _inside(folder)
            elif error.errno in (errno.EBUSY, errno.ENOTEMPTY):
                busy.append(folder)
    _end([*busy, *refused])
    for inner in (inner for folder in busy for inner in _inside(folder)):
        with contextlib.suppress(OSError):
            inner.rmdir()
    return refused


def _inside(folder: Path) -> list[Path]:
    """A group with those in it, inner ones first; nothing where it is gone."""
    found = [Path(path) for path, _, _ in os.walk(folder)]
    return found[::-1]


def _end(folders: Iterable[Path]) -> None:
    """Kill all that runs in groups, and what that starts meanwhile; return when nothing is left, or soon."""
    end = time.monotonic() + _END_SECONDS
    files = [inner / "cgroup.procs" for folder in folders for inner in _inside(folder)]
    while time.monotonic() < end:
        pids = {int(pid) for file in files for pid in _lines(file)} - {0}  # another namespace's: 0 is ours
        if not pids:
            return
        for pid in pids:
            with contextlib.suppress(OSError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.01)


def _lines(path: Path) -> list[str]:
    try:
        return path.read_text().split()
    except OSError:
        return []


def _number(path: Path) -> int | None:
    try:
        return int(path.read_text())
    except (OSError, ValueError):
        return None


def _field(path: Path, name: str) -> int | None:
    try:
        for line in path.read_text().splitlines():
            key, _, value = line.partition(" ")
            if key == name:
                return int(value)
    except (OSError, ValueError):
        return None
    return None
