"""`labbox job check`: everything that is found in a folder, without submitting it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import click

from labbox.cli.session import Session, shared_options
from labbox.locations import elsewhere
from labbox.model import JobSpec
from labbox.protocol import Finding, InspectBody
from labbox.text import visible_line


@click.command
@click.argument("path")
@click.option("--image", metavar="I", help="As for `labbox job submit`.")
@click.option("--template", metavar="T", help="As for `labbox job submit`.")
@shared_options
def check(session: Session, path: str, image: str | None, template: str | None) -> int:
    """Show all that labbox finds in the folder PATH, without submitting it.

    What would run and with which software, what is left out, and everything that is wrong, each with what to
    do. The exit code is 1 where the folder cannot be submitted.
    """
    from labbox.cli.submit import place_below_home  # that module needs this one too

    where = path if elsewhere(path) else place_below_home(session, session.box.whoami(), path)
    spec = JobSpec(path=where, image=image, template=template)
    found = session.box.inspect(InspectBody(path=where, spec=spec))
    if session.json:
        session.print_json(found)
    else:
        for one in found.findings:
            print("\n".join(lines(one)))
    return 1 if any(one.level == "error" for one in found.findings) else 0


def warn(findings: Sequence[Finding]) -> None:
    """Say on standard error what somebody who submits a folder should know."""
    for one in findings:
        print("\n".join(lines(one)), file=sys.stderr, flush=True)


def lines(finding: Finding) -> list[str]:
    """A finding as it is told in a terminal."""
    place = "" if finding.line is None or not finding.file else f"{finding.file}, line {finding.line}: "
    told = [f"{finding.level}: {place}{visible_line(finding.text)}"]
    for number, line in enumerate(finding.hint.splitlines()):
        told.append(f"  {'      ' if number else 'hint: '}{visible_line(line)}")
    return told
