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
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Final

from labbox.model import Value

ROOT: Final = Path("/sys/fs/cgroup")
_SYSTEMCTL_SECONDS: Final = 10.0


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

    def end(self, name: str) -> None:
        """Kill what runs of a run of which the engine knows nothing."""
        if not self.usable:
            return
        for hierarchy in self._hierarchies():
            for file in self._folder(hierarchy, name).rglob("cgroup.procs"):
                with contextlib.suppress(OSError):
                    for pid in file.read_text().split():
                        os.kill(int(pid), signal.SIGKILL)

    def remove(self, name: str) -> list[Path]:
        """Forget a run whose container is gone; what is still in use stays.

        The folders that this process may not remove, as it sees the hierarchy read-only under systemd.
        """
        if not self.usable:
            return []
        if self._systemd:
            subprocess.run(  # noqa: S603 - our own words; systemd removes a slice's groups with it
                ["/usr/bin/systemctl", "stop", "--no-block", self._slice(name)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                timeout=_SYSTEMCTL_SECONDS,
                check=False,
            )
            return []
        return _refused(self._folder(hierarchy, name) for hierarchy in self._hierarchies())

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
    """Remove groups; those that only a file system that cannot be written to keeps."""
    refused = []
    for folder in folders:
        try:
            folder.rmdir()
        except OSError as error:
            if error.errno == errno.EROFS and folder.exists():
                refused.append(folder)
    return refused


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
