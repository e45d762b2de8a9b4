"""A shell inside a running job: the screens step aside, and the terminal is joined to the job's pty."""

from __future__ import annotations

import os
import select
import shutil
import socket
import sys
import termios
import tty
from typing import TYPE_CHECKING

from labbox.errors import LabboxError

if TYPE_CHECKING:
    from labbox.tui.app import LabboxApp

CHUNK = 1 << 16


async def run_shell(app: LabboxApp, job: int) -> None:
    """Open the shell, join it until it ends, and come back to the screens."""
    columns, rows = shutil.get_terminal_size()
    connection = await app.calls.ask(lambda: app.client.open_shell(job, rows, columns))
    if app.is_headless:
        connection.close()
        raise LabboxError(
            "unavailable", "cannot open a shell without a terminal", "Use ssh -t BOX job shell ID."
        )
    with connection, app.suspend():
        sys.stdout.write(f"\x1b[2J\x1b[HInside job {job}. exit or Ctrl+D comes back.\r\n")
        sys.stdout.flush()
        join(connection, sys.__stdin__.fileno() if sys.__stdin__ else 0, 1)
    app.refresh(layout=True)


def join(connection: socket.socket, keyboard: int, display: int) -> None:
    """Carry bytes both ways until the other side closes; the terminal is raw meanwhile."""
    before = termios.tcgetattr(keyboard) if os.isatty(keyboard) else None
    try:
        if before is not None:
            tty.setraw(keyboard)
        connection.setblocking(True)
        while True:
            ready, _, _ = select.select([connection.fileno(), keyboard], [], [])
            if connection.fileno() in ready:
                data = connection.recv(CHUNK)
                if not data:
                    return
                _write_all(display, data)
            if keyboard in ready:
                data = os.read(keyboard, CHUNK)
                if not data:
                    return
                connection.sendall(data)
    except (BrokenPipeError, ConnectionResetError):
        return
    finally:
        if before is not None:
            termios.tcsetattr(keyboard, termios.TCSADRAIN, before)


def _write_all(descriptor: int, data: bytes) -> None:
    while data:
        data = data[os.write(descriptor, data) :]
