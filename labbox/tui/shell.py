"""A shell inside a running job: the screens step aside, and the terminal is joined to the job's pty."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

from labbox.client.terminal import JobTerminal
from labbox.errors import LabboxError

if TYPE_CHECKING:
    from labbox.tui.app import LabboxApp


async def run_shell(app: LabboxApp, job: int) -> None:
    """Open the shell, be in it until it ends, and come back to the screens."""
    if app.is_headless:
        raise LabboxError(
            "unavailable", "cannot open a shell without a terminal", "Use ssh -t BOX job shell ID."
        )
    terminal = await app.calls.ask(lambda: JobTerminal(app.client, job))
    lost: LabboxError | None = None
    with terminal, app.suspend():
        sys.stdout.write(f"\x1b[2J\x1b[HInside job {job}. exit or Ctrl+D comes back.\r\n")
        sys.stdout.flush()
        try:
            terminal.join()
        except LabboxError as error:
            lost = error  # raised in here it would leave the screens suspended
    app.refresh(layout=True)
    if lost is not None:
        raise lost
