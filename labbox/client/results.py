"""A job's results as a folder on this machine: whole, or not at all."""

from __future__ import annotations

import errno
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Final

from labbox.client.ssh import Words, why
from labbox.client.transport import SshRoute, Transport
from labbox.errors import LabboxError
from labbox.locations import OPERATIONS, results_folder
from labbox.model import Value
from labbox.protocol import Job, JobDetail
from labbox.text import visible_line

_OWN: Final = ("log.index", ".attempt")  # what the box keeps for itself
_VANISHED: Final = 24  # rsync's exit where a file went while it was read: of a job that still runs
_UNREACHED: Final = (12, 255)  # rsync's where ssh ended without an answer
_SKIPPED: Final = re.compile(r'^skipping non-regular file "(.+)"$', re.MULTILINE)
_LOOK: Final = 0.2  # seconds between two looks whether the client was closed


class Fetched(Value):
    """What came: the folder, the job as it was then, and the names that were left out.

    Left out are links that lead out of the results and what is neither file nor folder nor link.
    """

    folder: Path
    job: Job
    left_out: tuple[str, ...] = ()


class ResultCalls:
    """Results, fetched."""

    _transport: Transport
    show_job: Callable[[int], JobDetail]

    def fetch_results(self, id: int, target: str | os.PathLike[str] | None = None) -> Fetched:  # noqa: A002 - as in show_job
        """Copy a job's results (output/, log.txt, job.json) into the new folder `target`; None: ./job-ID.

        Of a job that still runs, what is there so far. The folder is there when all of it is, and else not
        at all; one that holds something is refused. Over ``ssh://`` they come by ``rsync``, links as they
        are; on a machine without it by ``scp``, which follows links and so fails at one that leads nowhere.

        Example:
            job = box.wait_job(box.submit_job(path="study").id)
            table = box.fetch_results(job.id, "results").folder / "output" / "table.csv"
        """
        job = self.show_job(id).job
        if job.results.startswith(f"{OPERATIONS}/"):
            raise LabboxError(
                "conflict",
                f"cannot fetch the results of job {id}: it worked on files, and has none of its own",
                f"`labbox job show {id}` says what it did",
            )
        folder = Path(target if target is not None else f"job-{id}")
        shown = visible_line(str(folder))
        if folder.is_symlink() or (folder.exists() and (not folder.is_dir() or any(folder.iterdir()))):
            raise LabboxError(
                "conflict",
                f"cannot fetch into {shown}: it is not empty",
                "name a folder that is not there yet",
            )
        parent = folder.absolute().parent
        if not parent.is_dir():
            raise LabboxError(
                "not_found", f"cannot fetch into {shown}: there is no folder {parent}", "make it first"
            )
        try:
            with tempfile.TemporaryDirectory(prefix=".labbox-fetch-", dir=parent) as work:
                fresh = Path(work) / "results"
                left_out = (*self._copy(job, fresh), *_without_traps(fresh))
                self._still_wanted(job)
                if folder.exists():
                    folder.rmdir()
                fresh.rename(folder)
        except (OSError, shutil.Error) as error:
            reason = getattr(error, "strerror", None) or "some files could not be read"
            raise LabboxError("unavailable", f"cannot fetch the results of job {id}: {reason}") from error
        return Fetched(folder=folder.absolute(), job=job, left_out=tuple(sorted(left_out)))

    def _copy(self, job: Job, target: Path) -> list[str]:
        """Copy everything; the names of what can be no copy, a FIFO say."""
        route = self._transport.route
        if isinstance(route, SshRoute):
            return self._copy_by_ssh(route, job, target)
        source = results_folder(Path(route.where).parent, job.owner, job.results)
        if not source.is_dir():
            raise LabboxError(
                "not_found",
                f"cannot fetch the results of job {job.id}: there are none yet",
                f"`labbox job why {job.id}` says where it stands",
            )

        special: list[str] = []

        def unwanted(folder: str, names: list[str]) -> list[str]:
            """What the box keeps for itself at the top, and what can be no copy."""
            self._still_wanted(job)
            own = [name for name in names if name in _OWN] if Path(folder) == source else []
            odd = [name for name in names if not _copyable(Path(folder, name))]
            special.extend(str(Path(folder, name).relative_to(source)) for name in odd)
            return own + odd

        shutil.copytree(source, target, symlinks=True, ignore=unwanted)
        return special

    def _copy_by_ssh(self, route: SshRoute, job: Job, target: Path) -> list[str]:
        rsync = shutil.which("rsync") is not None
        command = _rsync(route, job.results, target) if rsync else _scp(route, job.results, target)
        process = subprocess.Popen(  # noqa: S603 - no shell, and the target cannot be an option
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, "LC_ALL": "C"},  # its words are read
        )
        if process.stdout is None:
            raise RuntimeError("a pipe was asked for")
        words = Words(process.stdout)
        try:
            while True:
                try:
                    ended = process.wait(_LOOK)
                    break
                except subprocess.TimeoutExpired:
                    self._still_wanted(job)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        said = words.all()
        if ended and not (rsync and ended == _VANISHED):
            raise _refused(route, job, said, unreached=not rsync or ended in _UNREACHED)
        return [_plain(name) for name in _SKIPPED.findall(said)]

    def _still_wanted(self, job: Job) -> None:
        if self._transport.closed:
            raise LabboxError(
                "unavailable", f"cannot fetch the results of job {job.id}: this client was closed"
            )


def _rsync(route: SshRoute, results: str, target: Path) -> list[str]:
    """Links as they are (where they lead is looked at here), without what the box keeps for itself."""
    shell = "ssh -T -e none" + (f" -p {route.port}" if route.port else "")
    own = [f"--exclude=/{name}" for name in _OWN]
    return ["rsync", "-rlpt", "-e", shell, *own, "--", f"{_host(route)}:{results}/", f"{target}/"]


def _scp(route: SshRoute, results: str, target: Path) -> list[str]:
    port = ["-P", str(route.port)] if route.port else []
    return ["scp", "-q", "-r", *port, "--", f"{_host(route)}:{results}", str(target)]


def _host(route: SshRoute) -> str:
    """The target as both want it before a colon."""
    user, at, host = route.target.rpartition("@")
    return f"{user}{at}[{host}]" if ":" in host else route.target


def _refused(route: SshRoute, job: Job, said: str, *, unreached: bool) -> LabboxError:
    if "no such file" in said.lower():
        return LabboxError(
            "not_found",
            f"cannot fetch the results of job {job.id}: some of them are not there",
            f"`labbox job why {job.id}` says where it stands",
        )
    lines = [line for line in said.splitlines() if line.strip()]
    return (why(said, route.target, route.port) if unreached else None) or LabboxError(
        "unavailable",
        f"cannot fetch the results of job {job.id}: "
        + (visible_line(lines[0][:200]) if lines else "no word why"),
    )


def _plain(name: str) -> str:
    r"""A name as it is, of one as rsync shows it: `\#012` is a byte."""
    raw = re.sub(rb"\\#([0-7]{3})", lambda found: bytes([int(found[1], 8) & 0xFF]), os.fsencode(name))
    return os.fsdecode(raw)


def _copyable(path: Path) -> bool:
    mode = path.lstat().st_mode
    return stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISLNK(mode)


def _without_traps(top: Path) -> tuple[str, ...]:
    """Remove links that lead out of the folder; their names, relative to it."""
    removed = []
    inside = top.resolve()
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink():
                target = Path(os.path.normpath(path.parent / path.readlink()))
                if path.readlink().is_absolute() or not target.is_relative_to(top):
                    _remove(path)
                    removed.append(str(path.relative_to(top)))
    # A chain of links may lead out where each of them alone does not.
    for folder, folders, files in os.walk(top):
        for name in (*folders, *files):
            path = Path(folder, name)
            if path.is_symlink() and not _ends_inside(path, inside):
                _remove(path)
                removed.append(str(path.relative_to(top)))
    return tuple(sorted(removed))


def _remove(link: Path) -> None:
    try:
        link.unlink()
    except PermissionError:  # in a folder that its job had closed
        mode = stat.S_IMODE(link.parent.stat().st_mode)
        link.parent.chmod(mode | stat.S_IRWXU)
        try:
            link.unlink()
        finally:
            link.parent.chmod(mode)


def _ends_inside(path: Path, inside: Path) -> bool:
    try:
        path.stat()
    except OSError as error:
        if error.errno == errno.ELOOP:  # links in a circle: no error of `resolve` from Python 3.13 on
            return False
    try:
        return path.resolve().is_relative_to(inside)
    except (OSError, RuntimeError):
        return False
