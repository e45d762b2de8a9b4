"""A terminal inside a running job."""

from __future__ import annotations

import shutil
import sys
import termios
import tty

from labbox.client import Client
from labbox.client.transport import pump
from labbox.errors import LabboxError


def open_shell(box: Client, number: int) -> None:
    """Carry this terminal's bytes to a shell in the job and back until it ends."""
    size = shutil.get_terminal_size()
    sock = box.open_shell(number, rows=size.lines, columns=size.columns)
    interactive = sys.stdin.isatty()
    before = termios.tcgetattr(0) if interactive else []
    with sock:
        try:
            if interactive:
                tty.setraw(0)
            sys.stdout.flush()
            pump(sock, 0, 1)
        except OSError as error:
            raise LabboxError(
                "unavailable", f"cannot go on with the shell in job {number}: it was lost"
            ) from error
        finally:
            if interactive:
                termios.tcsetattr(0, termios.TCSADRAIN, before)
