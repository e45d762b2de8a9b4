# ruff: noqa: PTH115, PTH118, PTH123 - the paths here are bytes and descriptors
"""A home with sources and targets, and transfers between them."""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from labbox.files.places.opening import Places, Roots
from labbox.files.transfer import NoPause, Pause, Plan, plan, run
from labbox.model import Conflict, Progress, TransferSpec, TransferVerb
from labbox.protocol import TransferSummary

Picture = dict[str, tuple[Any, ...]]


@dataclass
class Desk:
    """A home with sources and targets, and a folder for each job."""

    folder: Path
    home: Path
    jobs: int = 0
    progress: list[Progress] = field(default_factory=list)
    shared: Path | None = None

    def job(self) -> Path:
        self.jobs += 1
        made = self.folder / f"job{self.jobs}"
        made.mkdir()
        return made

    @property
    def last_job(self) -> Path:
        return self.folder / f"job{self.jobs}"

    def places(self) -> Places:
        return Places(Roots(home=str(self.home), shared=str(self.shared or "")))

    async def arun(
        self, spec: TransferSpec, job: Path | None = None, gate: Pause | None = None, undo: Path | None = None
    ) -> TransferSummary:
        async with self.places() as places:
            return await run(
                spec,
                places,
                job or self.job(),
                report=self.progress.append,
                gate=gate or NoPause(),
                undo_of=undo,
            )

    def do(
        self,
        verb: str,
        sources: Sequence[str] | str,
        target: str | None = None,
        job: Path | None = None,
        undo: Path | None = None,
        **options: Any,
    ) -> TransferSummary:
        if isinstance(sources, str):
            sources = (sources,)
        if "conflict" in options:
            options["conflict"] = Conflict(options["conflict"])
        spec = TransferSpec(verb=TransferVerb(verb), sources=tuple(sources), target=target, **options)
        return asyncio.run(self.arun(spec, job, undo=undo))

    def write(self, path: str, content: bytes | str = b"", mtime: int | None = None) -> Path:
        made = self.home / path
        made.parent.mkdir(parents=True, exist_ok=True)
        made.write_bytes(content.encode() if isinstance(content, str) else content)
        if mtime is not None:
            os.utime(made, ns=(mtime, mtime))
        return made


def picture(top: Path | str, *, times: bool = True) -> Picture:
    """Everything below a folder: kind, mode, time, and what it holds or says."""
    found: Picture = {}
    raw_top = os.fsencode(top)
    for folder, folders, files in os.walk(raw_top):
        for name in [*folders, *files]:
            path = os.path.join(folder, name)
            info = os.lstat(path)
            if stat.S_ISLNK(info.st_mode):
                what: tuple[Any, ...] = ("link", os.readlink(path))
            elif stat.S_ISDIR(info.st_mode):
                what = ("folder", stat.S_IMODE(info.st_mode))
            elif stat.S_ISREG(info.st_mode):
                with open(path, "rb") as file:
                    what = ("file", stat.S_IMODE(info.st_mode), file.read())
            else:
                what = ("other",)
            found[os.fsdecode(path[len(raw_top) + 1 :])] = (*what, info.st_mtime_ns) if times else what
    return found


def leftovers(top: Path) -> list[str]:
    return [name for name in picture(top) if ".part" in name]


def planned(desk: Desk, verb: str, sources: tuple[str, ...], target: str | None, **words: Any) -> Plan:
    """What it would do; looking changes nothing."""

    async def go() -> Plan:
        spec = TransferSpec(verb=TransferVerb(verb), sources=sources, target=target, **words)
        async with desk.places() as places:
            return await plan(spec, places)

    before = picture(desk.home)
    made = asyncio.run(go())
    assert picture(desk.home) == before
    return made
