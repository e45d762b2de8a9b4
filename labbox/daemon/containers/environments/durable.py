"""Which published folders are wholly on the disk: those that are not do not outlive a power cut.

Publishing waits for no disk. Some time later everything is flushed at once, and each folder gets a mark (an
empty file of its name). After a boot, a folder without a mark may have holes: it is removed and made again. A
daemon that is merely started anew finds all that was published, since the kernel has it.
"""

from __future__ import annotations

import ctypes
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_BOOT: Final = Path("/proc/sys/kernel/random/boot_id")


class Marks:
    """The marks of the folders in `places`; blocking."""

    def __init__(self, folder: Path, places: Iterable[Path]) -> None:
        """`folder` holds the marks."""
        self._folder = folder
        self._places = tuple(places)

    def open(self) -> list[Path]:
        """After a boot: the folders that may have holes, to be removed. The first time all count as whole."""
        boot = self._folder / "boot"
        now = _BOOT.read_text().strip()
        try:
            before = boot.read_text()
        except FileNotFoundError:
            self._folder.mkdir(mode=0o700, exist_ok=True)
            before = now
            self.settle()
        doubtful = (
            [path for path in self._published() if not self._mark(path).exists()] if before != now else []
        )
        partial = self._folder / "boot.making"
        partial.write_text(now)
        partial.rename(boot)
        return doubtful

    def settle(self) -> int:
        """Flush all that is published by now and mark it; how many folders got their mark."""
        fresh = [path for path in self._published() if not self._mark(path).exists()]
        if not fresh:
            return 0
        for place in self._places:
            _flush(place)
        for path in fresh:
            self._mark(path).touch(mode=0o600)
        return len(fresh)

    def forget(self, paths: Iterable[Path]) -> None:
        """The folders are about to be removed: one of that name made later is another one."""
        for path in paths:
            self._mark(path).unlink(missing_ok=True)

    def _mark(self, path: Path) -> Path:
        return self._folder / f"{path.parent.name}-{path.name}"

    def _published(self) -> list[Path]:
        return [
            path for place in self._places for path in sorted(place.iterdir()) if ".tmp-" not in path.name
        ]


def _flush(folder: Path) -> None:
    """Write the folder's whole file system to its disk: one call instead of one for each of 10,000 files."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        library = ctypes.CDLL(None, use_errno=True)
        if library.syncfs(descriptor) != 0:
            code = ctypes.get_errno()
            raise OSError(code, os.strerror(code), str(folder))
    finally:
        os.close(descriptor)
