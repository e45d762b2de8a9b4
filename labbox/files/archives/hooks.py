"""What packing and unpacking tell whoever asked for them, and what they ask; called from one thread."""

from __future__ import annotations

from typing import Protocol

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind


class Hooks(Protocol):
    """Paths are below the archive's top, with undecodable bytes as `os.fsdecode` keeps them."""

    def wants(self, path: str, name: str, *, folder: bool) -> bool:
        """Whether it is taken; a folder that is not keeps out all below it."""
        ...

    def done(self, path: str, kind: EntryKind, size: int) -> None:
        """One entry is complete."""
        ...

    def replaced(self, path: str, size: int | None) -> None:
        """An entry gave way to a later one of its name; `size`: bytes of one that was told as complete."""
        ...

    def moved(self, count: int) -> None:
        """So many more bytes are done; may wait (a pause) and may raise to end it all."""
        ...

    def tick(self, path: str) -> None:
        """The next entry is begun; may wait and raise, as `moved`."""
        ...

    def fail(self, path: str, error: LabboxError) -> None:
        """One entry could not be done; the others go on."""
        ...

    def not_kept(self, sentence: str) -> None:
        """Something of an entry was not kept."""
        ...


class Quiet:
    """Takes everything, and keeps what failed."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.failures: list[tuple[str, LabboxError]] = []
        self.lost: dict[str, None] = {}
        self.counts: dict[EntryKind, int] = {}
        self.bytes = 0

    def wants(self, path: str, name: str, *, folder: bool) -> bool:
        """All."""
        return True

    def done(self, path: str, kind: EntryKind, size: int) -> None:
        """Count it."""
        self.counts[kind] = self.counts.get(kind, 0) + 1

    def replaced(self, path: str, size: int | None) -> None:
        """It does not count."""
        if size is not None:
            self.counts[EntryKind.FILE] -= 1

    def moved(self, count: int) -> None:
        """Count them."""
        self.bytes += count

    def tick(self, path: str) -> None:
        """Nothing."""

    def fail(self, path: str, error: LabboxError) -> None:
        """Keep it."""
        self.failures.append((path, error))

    def not_kept(self, sentence: str) -> None:
        """Keep it."""
        self.lost[sentence] = None
