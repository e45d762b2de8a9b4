"""`labbox job fetch`: a job's results, copied whole or not at all."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

import click

from labbox.cli.completion import complete_jobs
from labbox.cli.session import Session, shared_options
from labbox.cli.values import JOB
from labbox.errors import LabboxError
from labbox.locations import OPERATIONS, results_folder
from labbox.model import FINAL
from labbox.protocol import Job
from labbox.text import visible_line

_OWN: Final = ("log.index", ".attempt")


@click.command()
@click.argument("number", metavar="ID", type=JOB, shell_complete=complete_jobs)
@click.argument("folder", required=False)
@shared_options
def fetch(session: Session, number: int, folder: str | None) -> None:
    """Copy the results of job ID (output/, log.txt, job.json) into FOLDER, by default ./job-ID.

    Of a job that still runs, what is there so far. From another machine (--socket ssh://…) they come by scp.
    """
    job = session.box.show_job(number).job
    if job.results.startswith(f"{OPERATIONS}/"):
        raise LabboxError(
            "conflict",
            f"cannot fetch the results of job {number}: it worked on files, and has none of its own",
            f"`labbox job show {number}` says what it did",
        )
    target = Path(folder or f"job-{number}")
    if target.exists() and (not target.is_dir() or any(target.iterdir())):
        raise LabboxError(
            "conflict", f"cannot fetch into {target}: it is not empty", "name a folder that is not there yet"
        )
    parent = target.absolute().parent
    if not parent.is_dir():
        raise LabboxError(
            "not_found", f"cannot fetch into {target}: there is no folder {parent}", "make it first"
        )
    try:
        with tempfile.TemporaryDirectory(prefix=".labbox-fetch-", dir=parent) as work:
            fresh = Path(work) / "results"
            _copy(session.box.where, job, fresh)
            if target.exists():
                target.rmdir()
            fresh.rename(target)
    except (OSError, shutil.Error) as error:
        reason = getattr(error, "strerror", None) or "some files could not be read"
        raise LabboxError("unavailable", f"cannot fetch the results of job {number}: {reason}") from error
    if session.json:
        session.print_json({"id": number, "folder": str(target.absolute())})
    else:
        note = "" if job.state in FINAL else f" (it is {job.state.value}: this is not all)"
        print(f"{visible_line(str(target))}{note}")


def _copy(where: str, job: Job, target: Path) -> None:
    if where.startswith("ssh://"):
        _copy_by_scp(where, job, target)
        return
    source = results_folder(Path(where).parent, job.owner, job.results)
    if not source.is_dir():
        raise LabboxError(
            "not_found",
            f"cannot fetch the results of job {job.id}: there are none yet",
            f"`labbox job why {job.id}` says where it stands",
        )
    output = str(source / "output")

    def ours(folder: str, names: list[str]) -> list[str]:
        """What the box keeps for itself; under output/ everything is the person's."""
        return [] if folder.startswith(output) else [name for name in names if name in _OWN]

    shutil.copytree(source, target, symlinks=True, ignore=ours)


def _copy_by_scp(where: str, job: Job, target: Path) -> None:
    import subprocess

    address = urlsplit(where)
    command = ["scp", "-q", "-r", *(["-P", str(address.port)] if address.port else []), "--"]
    host = f"{address.username}@{address.hostname}" if address.username else str(address.hostname)
    done = subprocess.run([*command, f"{host}:{job.results}", str(target)], check=False)  # noqa: S603 - no shell
    if done.returncode != 0:
        raise LabboxError("unavailable", f"cannot fetch the results of job {job.id}: scp failed")
