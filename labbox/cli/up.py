"""`labbox up`: a box in the foreground."""

from __future__ import annotations

import click

from labbox.cli.session import Session, pass_session
from labbox.errors import LabboxError


@click.command()
@click.option("--state", metavar="DIR", envvar="LABBOX_STATE", help="Where the box keeps everything.")
@click.option(
    "--custom", metavar="DIR", envvar="LABBOX_CUSTOM", help="The folder with the box's configuration."
)
@click.option("--ssh", metavar="ADDR:PORT", envvar="LABBOX_SSH", help="Where people log in.")
@click.option(
    "--spawner", metavar="SOCKET", help="The spawner that listens there, instead of one of its own."
)
@pass_session
def up(session: Session, state: str | None, custom: str | None, ssh: str | None, spawner: str | None) -> int:
    """Start a box and run it until SIGTERM or Ctrl+C; running jobs go on without it.

    Prints `labbox is ready: ssh -p PORT USER@ADDR` when logins are accepted. As root it serves everybody whom
    `labbox user add` names; without root, the one person who started it.
    """
    if session.serve is None:
        raise LabboxError("usage", "cannot start a box from inside a login", "start it on the machine itself")
    return session.serve(state, custom, ssh, spawner)
