"""Folders as the daemon hands them to workers: open, so that no path has to be followed a second time."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """A descriptor of a folder, no link; LabboxError "not_found" where it cannot be opened."""
    try:
        descriptor = os.open(path, FOLDER)
    except OSError as error:
        raise LabboxError("not_found", f"cannot open {path.name}: {error.strerror}") from error
    try:
        yield descriptor
    finally:
        os.close(descriptor)
