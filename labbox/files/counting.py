"""How many files and bytes stand below some paths of this machine."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable
from typing import Final, NamedTuple

TELL_EVERY: Final = 0.2  # seconds between two reports


class Count(NamedTuple):
    """Files (links among them), folders, bytes, and folders that could not be read."""

    files: int = 0
    folders: int = 0
    size: int = 0
    unread: int = 0


def count(
    paths: Iterable[str],
    going_on: Callable[[], bool] = lambda: True,
    tell: Callable[[Count], None] = lambda _so_far: None,
) -> Count:
    """Count all below the paths and themselves; links are not followed; ends early where not `going_on`.

    `tell` hears now and then how far it is.
    """
    files = folders = size = unread = 0
    waiting = []
    for path in paths:
        try:
            about = os.lstat(path)
        except OSError:
            unread += 1
            continue
        if os.path.isdir(path) and not os.path.islink(path):  # noqa: PTH112, PTH114 - many, and as text
            waiting.append(path)
        else:
            files, size = files + 1, size + about.st_size
    told = time.monotonic()
    while waiting and going_on():
        if time.monotonic() - told > TELL_EVERY:
            told = time.monotonic()
            tell(Count(files, folders, size, unread))
        folder = waiting.pop()
        folders += 1
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    try:
                        if entry.is_dir(follow_symlinks=False):
                            waiting.append(entry.path)
                        else:
                            files, size = files + 1, size + entry.stat(follow_symlinks=False).st_size
                    except OSError:
                        unread += 1
        except OSError:
            unread += 1
    return Count(files, folders, size, unread)
