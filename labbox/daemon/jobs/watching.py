"""What a running job writes: its progress file, how large its output is, what disk the box has left."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.daemon.jobs import outcome as outcomes
from labbox.daemon.jobs import results
from labbox.daemon.jobs.outcome import Outcome
from labbox.daemon.jobs.parts import Parts
from labbox.daemon.jobs.writable import open_written
from labbox.daemon.people.accounts import Account
from labbox.daemon.store.jobs import JobRow
from labbox.errors import LabboxError
from labbox.model import Progress

_log = logging.getLogger(__name__)

_PROGRESS: Final = 1.0  # seconds between two looks at .progress
_MEASURE: Final = 10.0  # seconds between two measurements of the output
_FILLING: Final = 32 << 20  # bytes that go from the disk in a second where somebody fills it
_BEHIND: Final = 256 << 20  # bytes that a run may have printed while nobody looked
_MEASUREMENT: Final = 120.0  # seconds that one may take
_FRACTION: Final = re.compile(r"(\d{1,15}(?:\.\d{1,9})?)\s*(?:/\s*(\d{1,15}(?:\.\d{1,9})?))?\s*(%)?")


def parse_progress(text: str) -> Progress | None:
    """What a program said of itself: "40/100", "40 %" or "40"; None for anything else."""
    match = _FRACTION.fullmatch(text.strip())
    if match is None or (match[2] and match[3]):
        return None
    total = 100.0 if match[3] else float(match[2]) if match[2] else None
    if total == 0:
        return None
    return Progress(phase="running", done=float(match[1]), total=total)


async def watch_output(
    parts: Parts,
    row: JobRow,
    account: Account,
    folder: Path,
    spool: Path,
    grown: Callable[[Outcome], None],
    report: Callable[[Progress], None],
) -> None:
    """Until cancelled: drive the bar from output/.progress, and say when what it writes is too large."""
    try:
        output = await asyncio.get_running_loop().run_in_executor(parts.threads, results.open_output, folder)
    except OSError as error:
        _log.warning("job %d: its output cannot be watched: %s", row.id, error)
        return
    try:
        with open_written(spool) as others:
            await _watch(parts, row.id, account, spool, (output, *others), grown, report)
    finally:
        parts.storage.done(account, row.id)
        os.close(output)


async def _watch(
    parts: Parts,
    job: int,
    account: Account,
    spool: Path,
    written: tuple[int, ...],
    grown: Callable[[Outcome], None],
    report: Callable[[Progress], None],
) -> None:
    loop = asyncio.get_running_loop()
    free = _free(parts)
    measured_at, took, said = loop.time(), 0.0, ""
    limit = await _limit(parts, job, account, written)
    while True:
        await asyncio.sleep(_PROGRESS)
        text = results.read_progress(written[0])
        if text is not None and text != said:
            said = text
            progress = parse_progress(text)
            if progress is not None:
                report(progress)
        if _printed(spool) > parts.settings.log + _BEHIND:
            grown(outcomes.over_log(parts.settings.log))
            return
        now = loop.time()
        free, before = _free(parts), free
        filling = before - free > _FILLING or _nearly_full(parts)  # all of it is measured less often
        if now - measured_at < (max(_PROGRESS, 2 * took) if filling else max(_MEASURE, 20 * took)):
            continue
        size = await _measure(parts, account, written)
        measured_at, took = loop.time(), loop.time() - now
        if size is None:
            continue
        parts.storage.grown(account, job, size)
        if size > limit:
            grown(outcomes.over_disk(limit))
            return
        if size > 0 and await _is_over(parts, account):
            grown(outcomes.over_storage(account.limits.storage or 0))
            return
        if _nearly_full(parts) and size > parts.settings.free_floor:
            grown(outcomes.disk_full())
            return


async def _is_over(parts: Parts, account: Account) -> bool:
    try:
        return await parts.storage.is_over(account)
    except (LabboxError, TimeoutError) as error:
        _log.warning("what %s stores could not be counted: %s", account.name, error)
        return False


async def _limit(parts: Parts, job: int, account: Account, written: tuple[int, ...]) -> int:
    """Bytes that the output may come to: the box's limit, or what the owner's leaves with what is there."""
    try:
        room = await parts.storage.room(account)
    except (LabboxError, TimeoutError) as error:
        _log.warning("what %s stores could not be counted: %s", account.name, error)
        room = None
    if room is None:
        return parts.settings.disk
    size = await _measure(parts, account, written) or 0
    parts.storage.grown(account, job, size)
    return min(parts.settings.disk, room + size)


async def _measure(parts: Parts, account: Account, written: tuple[int, ...]) -> int | None:
    try:
        async with asyncio.timeout(_MEASUREMENT):
            return await parts.folders.output_bytes(account, *written)
    except (LabboxError, TimeoutError) as error:
        _log.info("an output of %s could not be measured: %s", account.name, error)
        return None


def _printed(spool: Path) -> int:
    """Bytes of the disk that a run has taken for what it prints: a file may have them behind its end."""
    size = 0
    for name in ("stdout", "stderr"):
        with suppress(FileNotFoundError):
            size += os.lstat(spool / name).st_blocks * 512
    return size


def _nearly_full(parts: Parts) -> bool:
    return _free(parts) < parts.settings.free_floor / 2


def _free(parts: Parts) -> int:
    disk = os.statvfs(parts.state)
    return disk.f_bavail * disk.f_frsize
