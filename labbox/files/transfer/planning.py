"""What a transfer would do, before it does it: how much, what is in the way, what cannot work."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.places.opening import Places
from labbox.files.transfer.asked import (
    Spot,
    goes_to,
    sources_of,
    spot,
    target_of,
    unpacked_name,
    without_double,
)
from labbox.files.transfer.deciding import into_itself, onto_itself, special
from labbox.files.transfer.paired import Walk
from labbox.files.transfer.reporting import REPORT_EVERY, Reporter
from labbox.files.transfer.selection import Selection
from labbox.files.transfer.walls import Walls
from labbox.locations import Location, name_of, path_text
from labbox.model import Conflict, Progress, TransferSpec, TransferVerb, Value
from labbox.protocol import Failure
from labbox.text import format_bytes

if TYPE_CHECKING:
    from labbox.files.transfer.comparing import Difference

LISTED: Final = 1000  # conflicts and problems of a plan; more are counted
_COPIES: Final = (TransferVerb.COPY, TransferVerb.MOVE)
_ARRIVES: Final = (*_COPIES, TransferVerb.UNPACK)  # things come to a folder


class Clash(Value):
    """A file that is in the way; `path` as `Decision.path` has it. Times are nanoseconds of the epoch."""

    path: str
    source_kind: EntryKind
    source_size: int
    source_mtime: int
    target_kind: EntryKind
    target_size: int
    target_mtime: int
    mark: str = ""  # of a sync: "+" the target lacks it, "-" the source lacks it, "~" both differ


class Plan(Value):
    """What a transfer would do. `conflicts` and `problems` are the first; `lines` preview a sync."""

    files: int = 0
    folders: int = 0
    links: int = 0
    size: int = 0  # bytes
    conflicts: tuple[Clash, ...] = ()
    conflict_count: int = 0
    problems: tuple[Failure, ...] = ()
    problem_count: int = 0
    lines: tuple[str, ...] = ()
    line_count: int = 0
    choices: tuple[Clash, ...] = ()  # of a sync: the first of what can be left, one by one
    free: int | None = None  # bytes at the target


async def plan(
    spec: TransferSpec, places: Places, *, progress: Callable[[Progress], None] | None = None
) -> Plan:
    """Look at all of it; LabboxError where the spec itself is wrong or a place cannot be reached."""
    one = _Planning(spec, places, progress)
    await one.look()
    return one.made()


class _Planning:
    def __init__(
        self, spec: TransferSpec, places: Places, progress: Callable[[Progress], None] | None
    ) -> None:
        self._spec, self._places, self._progress = spec, places, progress
        self._selection = Selection(spec)
        self._files = self._folders = self._links = self._size = self._clashing = 0
        self._clashes: list[Clash] = []
        self._choices: list[Clash] = []
        self._lines: tuple[str, ...] = ()
        self._line_count = 0
        self._free: int | None = None
        self._rows = Reporter("planning")
        self._told = time.monotonic()
        self._walls: Walls | None = None

    def made(self) -> Plan:
        rows = self._rows.summary()
        return Plan(
            files=self._files,
            folders=self._folders,
            links=self._links,
            size=self._size,
            conflicts=tuple(self._clashes),
            conflict_count=self._clashing,
            problems=rows.failures,
            problem_count=rows.failed,
            lines=self._lines,
            line_count=self._line_count,
            choices=tuple(self._choices),
            free=self._free,
        )

    async def look(self) -> None:
        verb = self._spec.verb
        if verb is TransferVerb.UNDO or verb is TransferVerb.RESTORE:
            return
        if verb in (TransferVerb.SYNC, TransferVerb.COMPARE):
            await self._preview()
            return
        sources = sources_of(self._spec)
        folder = await self._folder(sources) if verb in _ARRIVES else None
        taken: set[str] = set()
        unpacks = verb is TransferVerb.UNPACK
        for source in sources:
            called = name_of(source)
            if not self._selection.wants(called, called, folder=True):
                continue
            target = None
            if folder is not None:
                _above, wanted = goes_to(self._spec, source, target_of(self._spec))
                if unpacks and not self._spec.exact:
                    wanted = unpacked_name(source)
                if wanted in taken:
                    self._rows.row(
                        called, "conflict", f"cannot {verb} “{called}”: two sources have that name"
                    )
                    continue
                taken.add(wanted)
                target = folder[0].below(wanted) if folder[1] else None
            try:
                found = await spot(self._places, source.entered() if unpacks else source)
                if unpacks and not self._spec.exact:
                    found = await without_double(found, unpacked_name(source))
                entry = await found.place.entry(found.path)
                await self._source(found, entry, target, called, folder[0] if folder else None)
            except LabboxError as error:
                if error.code == "unavailable":
                    raise
                self._rows.fail(called, error)
        if self._free is not None and self._size > self._free and verb is not TransferVerb.MOVE:
            self._no_room()

    async def _folder(self, sources: list[Location]) -> tuple[Spot, bool] | None:
        """The folder that things go to, and whether it is there."""
        folder = await spot(self._places, goes_to(self._spec, sources[0], target_of(self._spec))[0])
        if not folder.place.traits.writable:
            self._rows.row(
                str(folder.location),
                "invalid",
                f"cannot write to {folder.location.shown()}: it can only be read",
            )
        present = folder
        while True:
            try:
                entry = await present.place.entry(present.path, follow=True)
                break
            except LabboxError as error:
                if error.code != "not_found" or present.location.parent == present.location:
                    raise
                present = await spot(self._places, present.location.parent)
        if entry.kind is not EntryKind.FOLDER:
            self._rows.row(
                str(present.location),
                "conflict",
                f"cannot put files into {present.location.shown()}: it is no folder",
            )
        self._free = (await present.place.space(present.path)).free
        here = (await spot(self._places, sources[0])).place.traits
        self._walls = Walls(here, await present.place.traits_at(present.path), self._rows)
        return folder, present is folder

    async def _source(
        self, found: Spot, entry: Entry, target: Spot | None, path: str, folder: Spot | None
    ) -> None:
        there = None
        if target is not None:
            there = await _entry_or_none(target)
            if there is not None and entry.identity is not None and there.identity == entry.identity:
                raise onto_itself(path)
        if entry.kind is EntryKind.FOLDER and folder is not None and found.place is folder.place:
            await self._check_inside(found, folder, path)
        self._one(path, entry, there)
        if entry.kind is not EntryKind.FOLDER:
            return
        if self._spec.verb is TransferVerb.UNPACK and there is not None and there.kind is EntryKind.FOLDER:
            self._clash(path, entry, there)  # a copy is merged into it without asking; an archive is not
        both = target if there is not None and there.kind is EntryKind.FOLDER else None
        await self._below(found, both, path)

    async def _below(self, found: Spot, target: Spot | None, path: str) -> None:
        """Count what is in a folder, beside its counterpart where there is one."""
        walk = Walk(self._tick, self._rows.fail)
        async for below, _here, _there, one, two in walk.pairs(found, target, path, self._enters):
            if one is not None and self._selection.wants(
                below, one.name, folder=one.kind is EntryKind.FOLDER
            ):
                self._one(below, one, two)

    def _enters(self, path: str, one: Entry | None, _two: Entry | None) -> bool:
        return one is not None and self._selection.wants(path, one.name, folder=True)

    async def _check_inside(self, found: Spot, folder: Spot, path: str) -> None:
        try:
            here = await found.place.real_path(found.path)
            there = await found.place.real_path(folder.path)
        except LabboxError:
            return  # the folder is not there yet, and so not in it by a link
        if there == here or there.startswith(here.rstrip("/") + "/"):
            raise into_itself(path)

    def _one(self, path: str, entry: Entry, there: Entry | None) -> None:
        match entry.kind:
            case EntryKind.FILE:
                self._files += 1
                self._size += entry.size
            case EntryKind.FOLDER:
                self._folders += 1
            case EntryKind.LINK:
                self._links += 1
                if self._walls is not None and not self._walls.links:
                    self._rows.row(path, "invalid", f"cannot copy “{path}”: the target keeps no links")
            case EntryKind.OTHER:
                if self._spec.verb in _ARRIVES:
                    self._rows.fail(path, special(path))
                return
        if self._walls is not None:
            try:
                self._walls.check_name(entry.name, path)
            except LabboxError as error:
                self._rows.fail(path, error)
        if there is None or entry.kind is there.kind is EntryKind.FOLDER:
            return
        self._clash(path, entry, there)

    def _clash(self, path: str, entry: Entry, there: Entry) -> None:
        self._clashing += 1
        if len(self._clashes) < LISTED:
            self._clashes.append(
                Clash(
                    path=path_text(path),
                    source_kind=entry.kind,
                    source_size=entry.size,
                    source_mtime=entry.mtime,
                    target_kind=there.kind,
                    target_size=there.size,
                    target_mtime=there.mtime,
                )
            )

    def _no_room(self) -> None:
        assert self._free is not None  # noqa: S101 - for the types
        size, free = format_bytes(self._size), format_bytes(self._free)
        self._rows.row(
            self._spec.target or "",
            "limit",
            f"cannot {self._spec.verb} {size}: the target has room for {free}",
        )

    async def _preview(self) -> None:
        """The lines of a comparison; of a sync, what would be copied counts."""
        from labbox.files.transfer.comparing import Mark, differences
        from labbox.files.transfer.syncing import left_alone

        source = await spot(self._places, sources_of(self._spec)[0])
        target = await spot(self._places, target_of(self._spec))
        syncing = self._spec.verb is TransferVerb.SYNC
        if syncing and not target.place.traits.writable:
            self._rows.row(
                str(target.location),
                "invalid",
                f"cannot write to {target.location.shown()}: it can only be read",
            )
        async for one in differences(
            source, target, self._spec, self._selection, self._tick, self._rows.fail
        ):
            if syncing and left_alone(self._spec, one):
                continue
            if syncing:
                self._choice(one)
                if self._left(one.path):
                    continue
            self._rows.line(one.line)
            if one.mark is Mark.GONE or one.entry is None:
                continue
            self._one(one.path, one.entry, None)
            if syncing and one.entry.kind is EntryKind.FOLDER:  # it comes whole
                under = one.path[len(name_of(source.location)) + 1 :]
                await self._below(source.down(under), None, one.path)
        rows = self._rows.summary()
        self._lines, self._line_count = rows.lines, rows.line_count

    def _choice(self, found: Difference) -> None:
        """What a sync would do there can be left, one by one."""
        nothing = Entry("", EntryKind.OTHER)
        here, there = found.entry or nothing, found.there or nothing
        if len(self._choices) < LISTED:
            self._choices.append(
                Clash(
                    path=path_text(found.path),
                    mark=found.mark,
                    source_kind=here.kind,
                    source_size=here.size,
                    source_mtime=here.mtime,
                    target_kind=there.kind,
                    target_size=there.size,
                    target_mtime=there.mtime,
                )
            )

    def _left(self, path: str) -> bool:
        return self._selection.conflict(path) is Conflict.SKIP

    async def _tick(self) -> None:
        now = time.monotonic()
        if now - self._told < REPORT_EVERY:
            return
        self._told = now
        if self._progress is not None:
            files = self._files + self._links
            self._progress(Progress(phase="planning", done=self._size, unit="bytes", files=files))
        await asyncio.sleep(0)


async def _entry_or_none(found: Spot) -> Entry | None:
    try:
        return await found.place.entry(found.path)
    except LabboxError as error:
        if error.code != "not_found":
            raise
        return None
