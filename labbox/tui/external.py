"""A person's own editor: the screens step aside for it, where whoever runs the box allows it."""

from __future__ import annotations

import os
import shlex
import shutil
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from labbox.errors import LabboxError

if TYPE_CHECKING:
    from labbox.locations import Location
    from labbox.tui.app import LabboxApp

_FROM_KEYS: Final = (signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)  # Ctrl+C, Ctrl+\\ and Ctrl+Z send them
USUAL: Final = ("editor", "nano", "vim", "vi")


def command(allowed: bool, path: str | None, location: Location) -> list[str]:
    """What to run; LabboxError where it may not be, or cannot."""
    if not allowed:
        raise LabboxError(
            "forbidden",
            "cannot start another editor: this box does not allow it",
            "whoever runs it can: external_editor = true under [tui] in custom/box.toml",
        )
    if path is None or not path.startswith("/"):
        raise LabboxError(
            "invalid",
            f"cannot open {location.shown()} in another editor",
            "it works for files of the box alone",
        )
    wanted = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ""
    try:
        words = shlex.split(wanted)
    except ValueError:
        words = []
    words = words or [found for name in USUAL if (found := shutil.which(name))][:1]
    if not words:
        raise LabboxError(
            "not_found",
            "cannot find an editor: EDITOR names none, and none of the usual ones is installed",
            "whoever runs the box can install one",
        )
    return [*words, path]


async def edit(app: LabboxApp, allowed: bool, path: str | None, location: Location) -> None:
    """Run it with the session's own rights, and come back to the screens."""
    words = command(allowed, path, location)
    if app.is_headless:
        raise LabboxError("unavailable", "cannot start an editor without a terminal", "use ssh -t")
    failed: OSError | None = None
    with app.suspend():
        try:
            _run(words)  # the screens wait for it
        except OSError as error:
            failed = error  # raised in here it would leave the screens suspended
    app.refresh(layout=True)
    if failed is not None:
        raise LabboxError(
            "not_found", f"cannot start the editor {words[0]}: {failed.strerror}", "check EDITOR"
        ) from failed


def _run(words: list[str]) -> None:
    """Run it to its end. One that stops itself, as for Ctrl+Z, goes on: no shell is here to fetch it back."""
    with _keys_are_its_own(), subprocess.Popen(words) as process:  # noqa: S603 - the person's own
        while os.WIFSTOPPED(status := os.waitpid(process.pid, os.WUNTRACED)[1]):
            os.kill(process.pid, signal.SIGCONT)
        process.returncode = os.waitstatus_to_exitcode(status)


@contextmanager
def _keys_are_its_own() -> Iterator[None]:
    """Signals of keys reach all who share the terminal: this process is not to end or stop by them.

    Handlers that do nothing, and not SIG_IGN: that would be handed on to the editor.
    """
    before = {number: signal.signal(number, lambda *_: None) for number in _FROM_KEYS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
