"""The environments on disk: who owns which folder, what is whole, what is garbage.

A folder gets its name in one step when it is whole (`environments/HASH`, `wheels/KEY`); everything unfinished
is called ``NAME.tmp-…`` and removed at the next start. The folder's time is when it was last used.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path
from typing import Final

import msgspec
from blake3 import blake3

from labbox.daemon.containers.environments.durable import Marks
from labbox.model import Value

_CACHE_FOLDERS: Final = ("tmp", "uv", "stage", "built", "conda")
_NOTES: Final = ("known", "images", "used")
_DAY: Final = 86400.0  # seconds


class Known(Value):
    """What a request came to when it was last resolved."""

    name: str
    lock: str
    at: float  # seconds since 1970


class Folders:
    """The paths below the state folder; blocking, each call short."""

    def __init__(self, state: Path, uid: int | None) -> None:
        """`uid` is the installer's; None without root."""
        self.environments = state / "environments"
        self.wheels = state / "wheels"
        self.cache = state / "environments-cache"
        self.notes = state / "environments-notes"  # the daemon's own: the installer cannot write there
        self.marks = Marks(self.notes / "durable", (self.environments, self.wheels))
        self._uid = uid

    def open(self) -> list[str]:
        """Make the folders; the paths of what an earlier daemon left unfinished, for removal."""
        public = (self.environments, self.wheels)
        for folder in (*public, self.cache, *(self.cache / name for name in _CACHE_FOLDERS)):
            furnish(folder, 0o755 if folder in public else 0o700, self._uid)
        for folder in (self.notes, *(self.notes / name for name in _NOTES)):
            furnish(folder, 0o700, None)
        places = (*public, self.cache / "stage", self.cache / "tmp", self.cache / "built")
        unfinished = [str(entry) for place in public for entry in place.iterdir() if ".tmp-" in entry.name]
        unfinished += [str(entry) for place in places[2:] for entry in place.iterdir()]
        if (old := self.cache / "conda/packages").exists():  # of a version that kept all channels' in one
            unfinished.append(str(old))
        unfinished += self._take_over_notes()
        return unfinished + [str(path) for path in self.marks.open()]

    def _take_over_notes(self) -> list[str]:
        """Of a version that kept them where the installer may write: which images are the box's, no more."""
        found = [self.cache / name for name in (*_NOTES, "durable") if (self.cache / name).is_dir()]
        for path in (self.cache / "used").iterdir() if self.cache / "used" in found else ():
            if re.fullmatch(r"sha256:[0-9a-f]{64}", path.name):
                self.use_image(path.name)
        return [str(path) for path in found]

    def environment(self, name: str) -> Path:
        """The folder of a published environment."""
        return self.environments / name

    def wheel(self, key: str) -> Path:
        """The folder of a published wheel."""
        return self.wheels / key

    def stands(self, folder: Path) -> bool:
        """Whether a folder is published; marks it as used now."""
        try:
            os.utime(folder)
        except FileNotFoundError:
            return False
        return True

    def recall(self, key: str) -> Known | None:
        """What a request came to earlier, whenever that was."""
        try:
            return msgspec.json.decode((self.notes / "known" / key).read_bytes(), type=Known)
        except (FileNotFoundError, msgspec.DecodeError):
            return None

    def remember(self, key: str, known: Known) -> None:
        """Keep what a request came to."""
        path = self.notes / "known" / key
        partial = path.with_name(f"{key}.tmp-{os.getpid()}")
        partial.write_bytes(msgspec.json.encode(known))
        partial.replace(path)

    def use_image(self, image: str) -> None:
        """Mark an image as used now: the engine does not know when it was."""
        (self.notes / "used" / image).touch()

    def unused_images(self, older_than: float, keep: frozenset[str]) -> list[str]:
        """The images that this box has used, but not for `older_than` seconds."""
        before = time.time() - older_than
        return [path.name for path in _older(self.notes / "used", before) if path.name not in keep]

    def forget_image(self, image: str) -> None:
        """It is no longer there, or was never ours to remove."""
        (self.notes / "used" / image).unlink(missing_ok=True)

    def unused(self, older_than: float, keep: frozenset[str]) -> tuple[list[Path], list[Path]]:
        """Environments and wheels that nobody used for `older_than` seconds, and remembered answers as old.

        A wheel's folder can go at any time: environments hold its files by links of their own.
        """
        before = time.time() - older_than
        environments = [path for path in _older(self.environments, before) if path.name not in keep]
        for path in _older(self.notes / "known", min(before, time.time() - _DAY)):
            path.unlink(missing_ok=True)
        wheels = _older(self.wheels, before)
        self.marks.forget((*environments, *wheels))
        channels = (self.cache / "conda/archives").glob("*/")
        return environments, [*wheels, *(path for channel in channels for path in _older(channel, before))]


def furnish(folder: Path, mode: int, uid: int | None) -> None:
    """Make a folder, if it is not there, and give it away; never through a link, which may be anybody's."""
    folder.mkdir(parents=True, exist_ok=True)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        os.fchmod(opened, mode)
        if uid is not None:
            os.fchown(opened, uid, uid)
    finally:
        os.close(opened)


def _older(folder: Path, before: float) -> list[Path]:
    return [
        Path(entry.path)
        for entry in os.scandir(folder)
        if ".tmp-" not in entry.name and entry.stat(follow_symlinks=False).st_mtime < before
    ]


def digest(*parts: str | bytes) -> str:
    """A name made of parts: 32 hexadecimal digits, different for every different list of parts."""
    hasher = blake3()
    for part in parts:
        data = part if isinstance(part, bytes) else part.encode("utf-8", "surrogateescape")
        hasher.update(len(data).to_bytes(8, "little") + data)
    return hasher.hexdigest(16)
