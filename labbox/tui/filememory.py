"""What the file manager remembers from login to login: tabs, sorting, bookmarks, where one often goes.

It stands in ``~/.config/labbox/files.json``. Whatever else may stand there is read as nothing.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final, TypeVar

import msgspec

from labbox.errors import LabboxError
from labbox.locations import Location, parse
from labbox.model import Value

V = TypeVar("V", bound=Value)

MOST_TABS: Final = 20
MOST_HISTORY: Final = 50
MOST_VISITED: Final = 300
MOST_BOOKMARKS: Final = 200
LARGEST: Final = 1 << 20  # bytes; more was not written by us
_FADE: Final = 14 * 86400.0  # seconds in which a visit counts for half


class TabMemory(Value):
    """One tab; locations as `labbox.locations` writes them."""

    location: str = "~"
    sort: str = "name"
    reverse: bool = False
    hidden: bool = False
    filter: str = ""
    back: tuple[str, ...] = ()
    forward: tuple[str, ...] = ()


class PaneMemory(Value):
    """The tabs of a pane, and which is in front."""

    tabs: tuple[TabMemory, ...] = (TabMemory(),)
    at: int = 0


class Visit(Value):
    """How often one has been somewhere, fading, as of a moment (seconds of the epoch)."""

    weight: float
    at: float


class FileMemory(Value):
    """Everything that is remembered."""

    left: PaneMemory = PaneMemory()
    right: PaneMemory = PaneMemory()
    right_active: bool = False
    bookmarks: tuple[str, ...] = ()
    visited: dict[str, Visit] = msgspec.field(default_factory=dict)
    asked: dict[str, tuple[str, ...]] = msgspec.field(
        default_factory=dict
    )  # what was typed into a dialog before, by its name


def memory_path() -> Path:
    """Where it stands."""
    return Path(os.environ.get("HOME", "/")) / ".config" / "labbox" / "files.json"


def load(path: Path) -> FileMemory:
    """What was remembered; nothing where there is nothing, or nothing that can be read."""
    return read_kept(path, FileMemory)


def save(path: Path, memory: FileMemory) -> None:
    """Replace what was remembered, in one step. OSError where the disk refuses."""
    write_kept(path, memory)


def read_kept(path: Path, kind: type[V]) -> V:
    """A value that was kept in a file; one without anything in it where that cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return kind()
    with os.fdopen(descriptor, "rb") as file:
        try:
            data = file.read(LARGEST + 1)
        except OSError:
            return kind()
    if len(data) > LARGEST:
        return kind()
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return kind()


def write_kept(path: Path, value: Value) -> None:
    """Replace what a file keeps, in one step. OSError where the disk refuses."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    beside = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        descriptor = os.open(
            beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
        )
        with os.fdopen(descriptor, "wb") as file:
            file.write(msgspec.json.encode(value))
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def location_of(text: str) -> Location | None:
    """A remembered location; None for what is none (any more)."""
    try:
        return parse(text)
    except LabboxError:
        return None


class Visits:
    """Where one has been, by how often and how lately ("frecency")."""

    def __init__(self, known: dict[str, Visit]) -> None:
        """`known` comes from the memory."""
        self._known = dict(known)

    def add(self, location: str) -> None:
        """One more visit."""
        now = time.time()
        self._known[location] = Visit(weight=self._weight(location, now) + 1.0, at=now)
        if len(self._known) > 2 * MOST_VISITED:
            self._known = dict(list(self.kept().items()))

    def forget(self, location: str) -> None:
        """It is not there any more."""
        self._known.pop(location, None)

    def best(self) -> list[str]:
        """All of them, those that are wanted most likely first."""
        now = time.time()
        return sorted(self._known, key=lambda each: -self._weight(each, now))

    def kept(self) -> dict[str, Visit]:
        """What is worth remembering."""
        return {each: self._known[each] for each in self.best()[:MOST_VISITED]}

    def _weight(self, location: str, now: float) -> float:
        visit = self._known.get(location)
        if visit is None:
            return 0.0
        return float(visit.weight * 0.5 ** (max(0.0, now - visit.at) / _FADE))
