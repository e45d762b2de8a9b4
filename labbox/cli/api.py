"""`labbox api`: the API's raw bytes on standard input and output, for a client at the far end of ssh."""

from __future__ import annotations

from typing import Final

import click

from labbox.cli.session import Session, shared_options
from labbox.client import route_to
from labbox.client.transport import pump
from labbox.errors import LabboxError

_LINGER: Final = 10.0  # seconds that an answer may take to go on after the last request


@click.command()
@shared_options
def api(session: Session) -> None:
    """Carry standard input to the box's API, and its answers to standard output.

    This is what `labbox.client.connect("ssh://USER@HOST:PORT")` runs; nobody types it.
    """
    with route_to(session.socket).open() as sock:
        sock.settimeout(None)
        try:
            pump(sock, 0, 1, linger=_LINGER)
        except OSError as error:
            raise LabboxError("unavailable", "cannot carry on: the connection was lost") from error
