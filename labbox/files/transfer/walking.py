"""Going down a folder, or two side by side, through descriptors alone and at any depth.

Of each side one folder is open at a time. The way back up is ``..``, taken only where it leads to the folder
from which it came: whoever moves a folder or puts a link in its place meanwhile leads nobody elsewhere.
"""

from __future__ import annotations

import os
from typing import Final, Self

from labbox.errors import LabboxError
from labbox.files.transfer.system import FOLDER

_LOOK: Final = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC  # needs no right to read, as homes above give none


class LoopError(LabboxError):
    """A folder that holds itself, by a mount."""


class Descent:
    """One way down; owns the descriptors `present`."""

    def __init__(self, top: int) -> None:
        """Begin in an open folder, which stays the caller's."""
        self.present = os.dup(top)
        self._way = [self._identity(self.present)]
        self._seen = set(self._way)

    @staticmethod
    def _identity(folder: int) -> tuple[int, int]:
        found = os.fstat(folder)
        return found.st_dev, found.st_ino

    def enter(self, name: str) -> os.stat_result:
        """Go into a folder, never through a link; `LoopError` where one is inside itself."""
        below = os.open(name, FOLDER, dir_fd=self.present)
        found = os.fstat(below)
        identity = found.st_dev, found.st_ino
        if identity in self._seen:
            os.close(below)
            raise holds_itself()
        os.close(self.present)
        self.present = below
        self._way.append(identity)
        self._seen.add(identity)
        return found

    def leave(self) -> None:
        """Go back up; LabboxError where the folder was moved elsewhere meanwhile."""
        gone = self._way.pop()
        self._seen.discard(gone)
        try:
            above = os.open("..", FOLDER, dir_fd=self.present)
        except PermissionError:  # a folder that may be passed and not read, as those above homes
            above = os.open("..", _LOOK, dir_fd=self.present)
        if self._identity(above) != self._way[-1]:
            os.close(above)
            raise moved_meanwhile()
        os.close(self.present)
        self.present = above

    def is_inside(self, identity: tuple[int, int]) -> bool:
        """Whether it is the present folder or one of those above it, up to the top."""
        return identity in self._seen

    def close(self) -> None:
        """Let go."""
        if self.present >= 0:
            os.close(self.present)
            self.present = -1

    def __enter__(self) -> Self:
        """Itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Let go."""
        self.close()


def holds_itself() -> LoopError:
    """A folder was met again below itself."""
    return LoopError("conflict", "cannot go into it: the folder holds itself", "leave that mount out")


def moved_meanwhile() -> LabboxError:
    """The way back is not the way that was come."""
    return LabboxError(
        "conflict", "cannot go on there: a folder was moved meanwhile", "try again when nothing moves it"
    )


def lies_in(folder: int, identity: tuple[int, int]) -> bool:
    """Whether an open folder is the one of that identity, or lies anywhere below it."""
    present = os.open(".", _LOOK, dir_fd=folder)
    try:
        while True:
            found = os.fstat(present)
            if (found.st_dev, found.st_ino) == identity:
                return True
            above = os.open("..", _LOOK, dir_fd=present)
            os.close(present)
            present = above
            higher = os.fstat(present)
            if (higher.st_dev, higher.st_ino) == (found.st_dev, found.st_ino):
                return False
    finally:
        os.close(present)
