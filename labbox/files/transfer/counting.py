"""Counting what a transfer will do, beside the transfer itself, for bars that know their end."""

from __future__ import annotations

import os
import stat
import threading
from collections.abc import Iterator
from contextlib import suppress

from labbox.errors import LabboxError
from labbox.files.transfer.selection import Selection
from labbox.files.transfer.spill import Names
from labbox.files.transfer.walking import Descent


class Count:
    """Files with links, folders and bytes."""

    def __init__(self, selection: Selection) -> None:
        """Nothing yet; `stop` ends it early."""
        self.files = self.folders = self.size = 0
        self.stop = threading.Event()
        self._selection = selection

    def below(self, parent: int, name: str, path: str) -> None:
        """Add `name` in an open folder and all that is wanted below it; what cannot be read counts 0."""
        with suppress(OSError, LabboxError), Descent(parent) as down:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                self._one(found)
                return
            down.enter(name)
            way: list[tuple[str, Iterator[str]]] = [(path, self._here(down, path))]
            while way and not self.stop.is_set():
                above, waiting = way[-1]
                child = next(waiting, None)
                if child is None:
                    way.pop()
                    down.leave()
                    continue
                with suppress(OSError, LabboxError):
                    down.enter(child)
                    way.append((f"{above}/{child}", self._here(down, f"{above}/{child}")))

    def _here(self, down: Descent, path: str) -> Iterator[str]:
        self.folders += 1
        folders = Names()
        wants = self._selection.wants if self._selection.partial else None
        with suppress(OSError), os.scandir(down.present) as entries:
            for entry in entries:
                if self.stop.is_set():
                    break
                folder = entry.is_dir(follow_symlinks=False)
                if wants is not None and not wants(f"{path}/{entry.name}", entry.name, folder=folder):
                    continue
                if folder:
                    folders.append(entry.name)
                    continue
                with suppress(FileNotFoundError):
                    self._one(entry.stat(follow_symlinks=False))
        return folders.drain()

    def _one(self, found: os.stat_result) -> None:
        self.files += 1
        if stat.S_ISREG(found.st_mode):
            self.size += found.st_size
