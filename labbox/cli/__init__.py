"""The command line: one module per noun, every verb a click command that talks to the client alone.

`run` serves a whole command and may be called many times in one process; nothing is kept between calls.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

__all__ = ["main", "preload", "run"]

Screens = Callable[[str | None, str | None, str], int]
Serve = Callable[[str | None, str | None, str | None, str | None], int]


def run(argv: list[str], serve: Serve | None = None, screens: Screens | None = None) -> int:
    """Serve the words of one command and return its exit code.

    0: done; 1: could not be done; 2: wrong use; with ``--follow`` the job's own. `serve` starts a box for the
    verb ``up`` (state, custom, ssh, spawner), `screens` opens the interface for ``tui`` (socket, act as, the
    first screen); both are missing where a session must not do that.
    """
    return int(import_module("labbox.cli.root").run(argv, serve, screens))


main = run


def preload() -> None:
    """Import every verb, so that a process forked after this pays for none."""
    import_module("labbox.cli.root").preload()
