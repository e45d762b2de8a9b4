"""Comparing two folders, or two files: by size and time, or byte for byte."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from enum import StrEnum
from typing import NamedTuple

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind
from labbox.files.transfer.asked import Spot, sources_of, spot, target_of
from labbox.files.transfer.paired import Tick, Walk
from labbox.files.transfer.placefiles import blocks
from labbox.files.transfer.reporting import Reporter
from labbox.files.transfer.running import Run
from labbox.files.transfer.selection import Selection
from labbox.files.transfer.walls import Walls
from labbox.locations import name_of
from labbox.model import TransferSpec
from labbox.text import format_bytes, visible_line


class Mark(StrEnum):
    """How something differs, as the first letter of a line that says what a synchronisation does."""

    NEW = "+"  # the target lacks it
    GONE = "-"  # the source lacks it
    DIFFERENT = "~"


class Difference(NamedTuple):
    """One thing that differs: `path` begins with the source's name; `there` is the target's."""

    mark: Mark
    path: str
    entry: Entry | None
    there: Entry | None
    why: str

    @property
    def line(self) -> str:
        """For people and programs: mark, path and, behind a tab, how."""
        path = visible_line(self.path)
        return f"{self.mark} {path}\t{self.why}" if self.why else f"{self.mark} {path}"

    def compared(self, other: str) -> str:
        """The line of a comparison, signed as `diff -u` does; what the target alone has stands in `other`."""
        if self.mark is Mark.NEW:
            return self._replace(mark=Mark.GONE).line
        if self.mark is Mark.GONE:
            return self._replace(mark=Mark.NEW, path="/".join((other, *self.path.split("/")[1:]))).line
        return self.line


async def compare(one: Run) -> None:
    """Write a line for each difference."""
    source = await spot(one.places, sources_of(one.spec)[0])
    target = await spot(one.places, target_of(one.spec))
    one.reporter.unit = "files"
    async for found in differences(source, target, one.spec, one.selection, one.tick, one.reporter.fail, one):
        one.reporter.line(found.compared(name_of(target.location)))


async def differences(
    source: Spot,
    target: Spot,
    spec: TransferSpec,
    selection: Selection,
    tick: Tick,
    failed: Callable[[str, LabboxError], None],
    counted: Run | None = None,
) -> AsyncIterator[Difference]:
    """Everything that differs, a folder's own before what is below it; what is missing whole is one line.

    `target` is the counterpart of `source` itself. `counted`: counts what was looked at.
    """
    called = name_of(source.location)
    top = await source.place.entry(source.path, follow=True)
    try:
        other: Entry | None = await target.place.entry(target.path, follow=True)
    except LabboxError as error:
        if error.code != "not_found":
            raise
        other = None
    there = target.place.traits if other is None else await target.place.traits_at(target.path)
    step = Walls(source.place.traits, there, Reporter("")).step
    if top.kind is not EntryKind.FOLDER or (other is not None and other.kind is not EntryKind.FOLDER):
        async for found in _one(called, source, target, top, other, spec.content, step, tick):
            yield found
        return
    if other is None:
        yield Difference(Mark.NEW, called, top, None, "folder")
        return

    def enters(path: str, one: Entry | None, two: Entry | None) -> bool:
        wanted = one is not None and selection.wants(path, one.name, folder=True)
        return wanted and two is not None and two.kind is EntryKind.FOLDER

    walk = Walk(tick, failed)
    async for below, mine, its, one, two in walk.pairs(source, target, called, enters):
        entry = one or two
        if entry is None or its is None:
            continue
        if not selection.wants(below, entry.name, folder=entry.kind is EntryKind.FOLDER):
            continue
        if counted is not None:
            counted.reporter.files += 1
        try:
            async for found in _one(below, mine, its, one, two, spec.content, step, tick):
                yield found
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            failed(below, error)


async def _one(
    path: str,
    source: Spot,
    target: Spot,
    one: Entry | None,
    two: Entry | None,
    content: bool,
    step: int,
    tick: Tick,
) -> AsyncIterator[Difference]:
    if one is None or two is None:
        entry = one or two
        kind = "folder" if entry is not None and entry.kind is EntryKind.FOLDER else ""
        yield Difference(Mark.GONE if one is None else Mark.NEW, path, one, two, kind)
        return
    why = ""
    if one.kind is not two.kind:
        why = f"a {one.kind} here, a {two.kind} there"
    elif one.kind is EntryKind.LINK:
        says = await source.place.read_link(source.path), await target.place.read_link(target.path)
        why = "" if says[0] == says[1] else "leads elsewhere"
    elif one.kind is EntryKind.FILE:
        if one.size != two.size:
            newer = f", {_newer(one, two)}" if one.mtime // step != two.mtime // step else ""
            why = f"{format_bytes(one.size)} here, {format_bytes(two.size)} there{newer}"
        elif content:
            why = "" if await same_content(source, target, tick) else "other content"
        elif one.mtime // step != two.mtime // step:
            why = _newer(one, two)
    if why:
        yield Difference(Mark.DIFFERENT, path, one, two, why)


def _newer(one: Entry, two: Entry) -> str:
    return "newer here" if one.mtime > two.mtime else "older here"


async def same_content(source: Spot, target: Spot, tick: Tick) -> bool:
    """Whether two files hold the same bytes; ends at the first that differs."""
    async with await source.place.open(source.path) as one, await target.place.open(target.path) as two:
        size = (await one.entry()).size
        if size != (await two.entry()).size:
            return False
        place = 0
        async for block in blocks(one, 0, size):
            other = await two.read(place, len(block))
            if block != other:
                return False
            place += len(block)
            await tick()
    return True
