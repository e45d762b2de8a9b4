"""What a person has chosen for their screens, from login to login.

It stands in ``~/.config/labbox/settings.json``. Whatever else may stand there is read as nothing chosen.
"""

from __future__ import annotations

from pathlib import Path

from labbox.model import Value
from labbox.tui.filememory import memory_path, read_kept, write_kept


class Settings(Value):
    """Everything that can be chosen. An empty theme: what fits the terminal."""

    theme: str = ""
    toasts: bool = True  # notices pass by in a corner when they come
    bell: bool = True  # and the terminal's bell rings
    title: bool = True  # and the terminal's title says so until one has looked
    mine: bool = False  # the job view begins with one's own jobs
    graphics: bool = False  # pictures by the terminal's own graphics where it has them


def settings_path() -> Path:
    """Where they stand."""
    return memory_path().with_name("settings.json")


def load_settings() -> Settings:
    """What was chosen; nothing where there is nothing, or nothing that can be read."""
    return read_kept(settings_path(), Settings)


def save_settings(settings: Settings) -> None:
    """Replace what was chosen, in one step. OSError where the disk refuses."""
    write_kept(settings_path(), settings)
