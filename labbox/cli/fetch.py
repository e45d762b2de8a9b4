"""`labbox job fetch`: a job's results, copied whole or not at all."""

from __future__ import annotations

import sys

import click

from labbox.cli.completion import complete_jobs
from labbox.cli.session import Session, shared_options
from labbox.cli.values import JOB
from labbox.model import FINAL
from labbox.text import visible_line


@click.command()
@click.argument("number", metavar="ID", type=JOB, shell_complete=complete_jobs)
@click.argument("folder", required=False)
@shared_options
def fetch(session: Session, number: int, folder: str | None) -> None:
    """Copy the results of job ID (output/, log.txt, job.json) into FOLDER, by default ./job-ID.

    Of a job that still runs, what is there so far. From another machine (--socket ssh://…) rsync
    brings them.
    """
    fetched = session.box.fetch_results(number, folder)
    if session.json:
        session.print_json({"id": number, "folder": str(fetched.folder), "left_out": list(fetched.left_out)})
        return
    job = fetched.job
    note = "" if job.state in FINAL else f" (it is {job.state.value}: this is not all)"
    print(f"{visible_line(folder or f'job-{number}')}{note}")
    for name in fetched.left_out:
        print(f"left out, since it leads out of the results: {visible_line(name)}", file=sys.stderr)
