"""Reading a folder piece by piece in a thread: the first entries at once, the others as they come."""

from __future__ import annotations

import os
import stat
import threading
import time
from typing import Final

from labbox.files.places.base import Entry, EntryKind
from labbox.files.places.localfile import entry_of

FIRST: Final = 256  # entries of the first batch: more than a screen shows
MOST: Final = 4096  # of every other
_FIRST_SECONDS: Final = 0.005  # a slow disk gives fewer, so that something is seen
_SECONDS: Final = 0.05


class Scan:
    """An open folder that is being read; the calls block, and may come from several threads."""

    def __init__(self, folder: int, *, full: bool) -> None:
        """Read the open `folder` and close it in the end; `full`: with sizes, times and so on."""
        self._folder: Final = folder
        self._entries: Final = os.scandir(self._folder)
        self._full: Final = full
        self._lock = threading.Lock()
        self._most, self._seconds = FIRST, _FIRST_SECONDS
        self._open = True

    @property
    def ended(self) -> bool:
        """Whether there is no more, and nothing to let go of."""
        return not self._open

    def batch(self) -> list[Entry]:
        """The next entries; none at the end, where the folder is let go of."""
        with self._lock:
            if not self._open:
                return []
            found: list[Entry] = []
            deadline = time.monotonic() + self._seconds
            one = self._told if self._full else _named
            for entry in self._entries:
                made = one(entry)
                if made is not None:
                    found.append(made)
                    if len(found) >= self._most or (not len(found) & 15 and time.monotonic() > deadline):
                        break
            else:
                self._let_go()
            self._most, self._seconds = MOST, _SECONDS
            return found

    def close(self) -> None:
        """Let go of the folder, after a batch that is being read."""
        with self._lock:
            self._let_go()

    def _let_go(self) -> None:
        if self._open:
            self._open = False
            self._entries.close()
            os.close(self._folder)

    def _told(self, entry: os.DirEntry[str]) -> Entry | None:
        """With all that the disk tells; None where it vanished meanwhile."""
        try:
            found = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError:
            return _named(entry)  # a folder that may be listed and not searched; a broken disk
        if not stat.S_ISLNK(found.st_mode):
            return entry_of(entry.name, found)
        try:
            target = os.readlink(entry.name, dir_fd=self._folder)
        except OSError:
            target = None
        return entry_of(entry.name, found, target, _leads_to_folder(entry))


def _named(entry: os.DirEntry[str]) -> Entry:
    """With what the folder itself tells."""
    try:
        if entry.is_symlink():
            return Entry(entry.name, EntryKind.LINK, folder=_leads_to_folder(entry))
        if entry.is_dir(follow_symlinks=False):
            return Entry(entry.name, EntryKind.FOLDER, folder=True)
        kind = EntryKind.FILE if entry.is_file(follow_symlinks=False) else EntryKind.OTHER
    except OSError:
        kind = EntryKind.OTHER
    return Entry(entry.name, kind)


def _leads_to_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # round in a circle, or where the caller may not go
        return False
