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
    r"""Carry standard input to the box's API, and its answers to standard output.

    This is what `labbox.client.connect("ssh://USER@HOST:PORT")` runs. The API is HTTP/1.1 and JSON:
    docs/api.md describes each call, the box itself at /v1/openapi.json. On the box, any HTTP client can ask:

    \b
        curl --unix-socket /var/lib/labbox/api.sock http://box/v1/status
    """
    with route_to(session.socket).open() as sock:
        sock.settimeout(None)
        try:
            pump(sock, 0, 1, linger=_LINGER)
        except OSError as error:
            raise LabboxError("unavailable", "cannot carry on: the connection was lost") from error
