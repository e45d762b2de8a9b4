"""Running a transfer: its folder, its rows and its counts, and the verb that is asked for."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError
from labbox.files.places.opening import Places
from labbox.files.transfer.control import Control, NoPause, Pause
from labbox.files.transfer.journal import Journal
from labbox.files.transfer.reporting import Reporter
from labbox.files.transfer.selection import Selection
from labbox.model import FINISHING, Progress, TransferSpec, TransferVerb
from labbox.protocol import TransferSummary

SUMMARY_EVERY: Final = 2.0  # seconds between two tellings of what was done so far
_PHASES = {
    TransferVerb.COPY: "copying",
    TransferVerb.MOVE: "moving",
    TransferVerb.TRASH: "to the trash",
    TransferVerb.ERASE: "deleting",
    TransferVerb.RESTORE: "restoring",
    TransferVerb.SYNC: "synchronising",
    TransferVerb.COMPARE: "comparing",
    TransferVerb.PACK: "packing",
    TransferVerb.UNPACK: "unpacking",
    TransferVerb.CHECKSUM: "summing",
    TransferVerb.FIND: "searching",
    TransferVerb.UNDO: "undoing",
}

# What these have half done only their journal tells; all others can go on, or begin anew, without one.
_WRITE: Final = frozenset(
    {TransferVerb.COPY, TransferVerb.MOVE, TransferVerb.SYNC, TransferVerb.PACK, TransferVerb.UNPACK}
)


@dataclass
class Run:
    """One transfer under way: what all verbs need."""

    spec: TransferSpec
    places: Places
    journal: Journal
    reporter: Reporter
    control: Control
    selection: Selection
    undo_of: int | None = None  # the open folder of the transfer that is to be undone
    so_far: Callable[[TransferSummary], None] = lambda _summary: None
    _told: float = field(default_factory=time.monotonic)

    async def tick(self) -> None:
        """On the loop: report and pause, if it is time."""
        if self.reporter.due():
            self._tell()
            await self.control.breathe(self.reporter.progress())

    def breathe(self) -> None:
        """In a thread: report, pause, and learn of a cancellation."""
        self._tell()
        self.control.breathe_in_thread(self.reporter.progress())

    def _tell(self) -> None:
        """Say now and then what was done and what was not, in the thread that counts it."""
        if time.monotonic() - self._told >= SUMMARY_EVERY:
            self._told = time.monotonic()
            self.so_far(self.reporter.summary())


async def run(
    spec: TransferSpec,
    places: Places,
    folder: Path | int,
    *,
    report: Callable[[Progress], None] = lambda _progress: None,
    gate: Pause | None = None,
    undo_of: Path | int | None = None,
    so_far: Callable[[TransferSummary], None] = lambda _summary: None,
) -> TransferSummary:
    """Do it, or go on with it where `folder` (the job's own, a path or descriptor) holds its journal.

    `undo_of`: the folder of the transfer that an undo takes back. `so_far` is called now and then, and at the
    end, with what was done until then, from whatever thread. LabboxError where nothing can be done at
    all; what fails for single files is in the summary. Cancelling removes whatever is unfinished.
    """
    journal = Journal.at(folder, may_lack=spec.verb not in _WRITE)
    earlier = None
    try:
        if undo_of is not None:
            earlier = os.dup(undo_of) if isinstance(undo_of, int) else os.open(undo_of, os.O_RDONLY)
        reporter = Reporter(_PHASES[spec.verb], journal.report)
        control = Control(report, gate or NoPause())
        one = Run(spec, places, journal, reporter, control, Selection(spec), earlier, so_far)
        try:
            await _verb(one)
        finally:
            await _open_to_people(one)
            if journal.lacking and reporter.undoable:
                reporter.undoable = False
                reporter.not_kept("how to take this back: the disk is full")
            summary = reporter.summary()
            so_far(summary)
        reporter.phase = FINISHING  # what is left is the box's
        with suppress(asyncio.QueueEmpty):
            report(reporter.progress())
        return summary
    finally:
        if earlier is not None:
            os.close(earlier)
        journal.close()


async def _open_to_people(one: Run) -> None:
    """What was put into a shared folder, its people may read and change; also where only a part came."""
    if one.spec.target is None:
        return
    from labbox.files.transfer.handing import open_target

    with suppress(LabboxError):  # what could not be reached was told by the verb
        await open_target(one.spec, one.places, one.journal.began)


async def _verb(one: Run) -> None:
    """Each verb is imported when it is asked for: a worker does one thing and ends."""
    match one.spec.verb:
        case TransferVerb.COPY | TransferVerb.MOVE:
            from labbox.files.transfer.copying import copy

            await copy(one)
        case TransferVerb.ERASE:
            from labbox.files.transfer.erasing import erase

            await erase(one)
        case TransferVerb.TRASH:
            from labbox.files.transfer.trashing import trash

            await trash(one)
        case TransferVerb.RESTORE:
            from labbox.files.transfer.trashing import restore

            await restore(one)
        case TransferVerb.SYNC:
            from labbox.files.transfer.syncing import sync

            await sync(one)
        case TransferVerb.COMPARE:
            from labbox.files.transfer.comparing import compare

            await compare(one)
        case TransferVerb.CHECKSUM:
            from labbox.files.transfer.checksums import checksum

            await checksum(one)
        case TransferVerb.FIND:
            from labbox.files.transfer.finding import find

            await find(one)
        case TransferVerb.UNDO:
            from labbox.files.transfer.undoing import undo

            await undo(one)
        case TransferVerb.PACK | TransferVerb.UNPACK:
            from labbox.files.transfer.packing import pack, unpack

            await (pack if one.spec.verb is TransferVerb.PACK else unpack)(one)
