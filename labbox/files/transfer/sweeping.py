"""Removing what earlier runs of a transfer left unfinished, once nobody wants it any more."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress

from labbox.errors import LabboxError
from labbox.files.removing import remove_below
from labbox.files.transfer.spill import Names
from labbox.files.transfer.system import FOLDER
from labbox.files.transfer.walking import Descent


def sweep_below(target: int, wanted: str, tag: str) -> None:
    """Remove a transfer's unfinished files in an open folder and everywhere below `wanted` in it."""
    with suppress(OSError, LabboxError):
        opened = os.open(".", FOLDER, dir_fd=target)
        try:
            _sweep(opened, tag)
        finally:
            os.close(opened)
    with suppress(OSError, LabboxError), Descent(target) as down:
        down.enter(wanted)
        way: list[Iterator[str]] = [_sweep(down.present, tag)]
        while way:
            child = next(way[-1], None)
            if child is None:
                way.pop()
                down.leave()
                continue
            with suppress(OSError, LabboxError):
                down.enter(child)
                way.append(_sweep(down.present, tag))


def _sweep(folder: int, tag: str) -> Iterator[str]:
    """Remove them in one folder; the folders in it."""
    mine = f".labbox-{tag}-"
    folders, left = Names(), Names()
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(mine):
                left.append(entry.name)
            elif entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
    for name in left.drain():
        with suppress(OSError, LabboxError):
            remove_below(folder, name, lambda: None)
    return folders.drain()
