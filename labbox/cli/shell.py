"""A terminal inside a running job."""

from __future__ import annotations

import sys

from labbox.client import Client
from labbox.client.terminal import JobTerminal


def open_shell(box: Client, number: int) -> None:
    """Carry this terminal's bytes to a shell in the job and back until it ends."""
    sys.stdout.flush()
    with JobTerminal(box, number) as terminal:
        terminal.join()
