"""The results folder of a run: STATE/results/USER/YYYY/MM/DD/ID-NAME, in folders that root owns.

    output/        what the run wrote; the user's
    log.txt        both streams as they came
    code/          what the run left in its code, likewise the user's; only where there is something
    job.json       everything needed to run it again, and how it went
    attempts/N/    the same of earlier attempts
    transfer.json  of a transfer, what it did and did not
    .attempt       which attempt the first three belong to: so moving them aside can be done in several tries

`latest` beside the years leads to the newest run. What an operation on files leaves (its journal, its report)
stands apart, in STATE/operations/USER/YYYY/MM/DD/ID; of older versions, among the results.

Nobody but root can rearrange these folders, so the daemon may use their paths. What is inside output/ is the
user's: it is only ever looked at through a descriptor of output/ itself, or by a worker with the user's ids.
"""

from __future__ import annotations

import logging
import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from labbox.daemon.people.accounts import Account
from labbox.errors import LabboxError
from labbox.files.removing import remove_below
from labbox.locations import OPERATIONS

_log = logging.getLogger(__name__)

LATEST: Final = "latest"
MOVED: Final = ("output", "code", "project", "log.txt", "log.index", "job.json")
_PROGRESS_BYTES: Final = 256


def place(state: Path, owner: str, results: str) -> Path:
    """Where a job's folder stands, by what its row says."""
    kind, _, rest = results.partition("/")
    return state / OPERATIONS / owner / rest if kind == OPERATIONS else state / "results" / owner / results


def point_latest(state: Path, owner: Account, results: str) -> None:
    """Let `latest` lead to a run's folder, from one moment to the next."""
    top = state / "results" / owner.name
    making = top / f"{LATEST}.making"
    with suppress(FileNotFoundError):
        making.unlink()
    making.symlink_to(results)
    making.rename(top / LATEST)


def make(state: Path, owner: Account, results: str, attempt: int, moved: tuple[str, ...] = MOVED) -> Path:
    """Make the folder ready for an attempt, with output/; what earlier ones left (`moved`) is put aside."""
    folder = place(state, owner.name, results)
    top = state / folder.relative_to(state).parts[0]
    top.mkdir(mode=0o711, exist_ok=True)
    for part in folder.relative_to(top).parts:
        top /= part
        _folder(top, owner)
    before = present_attempt(folder)
    if before is not None and before < attempt:
        kept = folder / "attempts"
        _folder(kept, owner)
        _folder(kept / str(before), owner)
        for name in moved:
            with suppress(FileNotFoundError):
                (folder / name).rename(kept / str(before) / name)
    if before != attempt:
        write_whole(folder / ".attempt", str(attempt).encode(), 0o640, owner.gid)
    make_owned(folder / "output", owner)
    return folder


def make_owned(folder: Path, owner: Account) -> None:
    """Make a folder, where it is missing, whose inside is the owner's; what it stands in is root's.

    One that is there is given to the owner all the same: the daemon may have been killed before it did so.
    """
    with suppress(FileExistsError):
        folder.mkdir(mode=0o750)
    if os.geteuid() == 0:
        os.chown(folder, owner.uid, owner.gid, follow_symlinks=False)


def remove_empty(folder: Path) -> None:
    """Remove a folder that nothing came to."""
    with suppress(OSError):
        folder.rmdir()


def remove_spool(state: Path, job: int, attempt: int) -> None:
    """The log has all of it: let go of the spool."""
    remove(state / "spool", f"{job}-{attempt}")


def remove(above: Path, name: str) -> None:
    """Remove a folder of root's with what is in it, however it is nested; what cannot go stays."""
    try:
        descriptor = os.open(above, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        remove_below(descriptor, name, lambda: None)
    except FileNotFoundError:
        return
    except (OSError, LabboxError) as error:
        _log.warning("%s cannot be removed: %s", above / name, error)
    finally:
        os.close(descriptor)


def of_attempt(folder: Path, attempt: int) -> Path:
    """Where an attempt's files stand: the results folder itself for the last one."""
    return folder if present_attempt(folder) in (attempt, None) else folder / "attempts" / str(attempt)


def present_attempt(folder: Path) -> int | None:
    """The attempt whose files stand in the folder itself; None before the first."""
    try:
        return int((folder / ".attempt").read_text())
    except FileNotFoundError:
        return None


def open_output(folder: Path) -> int:
    """A descriptor of output/; the caller closes it."""
    return os.open(folder / "output", os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)


def read_progress(output: int) -> str | None:
    """The first line of .progress in the open output/; None where there is no such plain file."""
    try:
        descriptor = os.open(
            ".progress", os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=output
        )
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        return os.read(descriptor, _PROGRESS_BYTES).decode("utf-8", "replace").partition("\n")[0].strip()
    except OSError:
        return None
    finally:
        os.close(descriptor)


def write_whole(
    path: Path, content: bytes, mode: int, gid: int | None = None, *, lasting: bool = True
) -> None:
    """Write a file in a folder of root's so that it is there whole or not at all.

    `lasting`: when this returns, it also outlives a power cut.
    """
    making = path.with_name(f"{path.name}.making")
    descriptor = os.open(making, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, mode)
    try:
        if gid is not None and os.geteuid() == 0:
            os.fchown(descriptor, 0, gid)
        view = memoryview(content)
        while view:
            view = view[os.write(descriptor, view) :]
        if lasting:
            os.fsync(descriptor)
    finally:
        os.close(descriptor)
    making.rename(path)
    if lasting:
        _flush_folder(path.parent)


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _folder(path: Path, owner: Account) -> None:
    """A folder that root owns and the owner's group may read."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o750)
    if os.geteuid() == 0:
        os.chown(path, 0, owner.gid)
