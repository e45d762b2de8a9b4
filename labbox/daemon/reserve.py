"""A file in the state folder that holds nothing but room, and is given up where the disk is full.

The box must start, take in a deletion and put away what ended although people, or a program of root's, have
filled its disk to the last block. The file is given up when a write of the box's own did not fit, and no
sooner: what fills the disk would take that room too. When people have deleted enough it is made again. On
file systems that keep blocks for root the room goes to those first, so that people do not get it.
"""

from __future__ import annotations

import asyncio
import logging
import os
import threading
from pathlib import Path
from typing import Final

from labbox.model import MIB
from labbox.text import format_bytes

_log = logging.getLogger(__name__)

NAME: Final = "reserve"
_LARGEST: Final = 64 * MIB
_PART: Final = 16  # of a small disk it takes no more than this part
_LOOK: Final = 1.0  # seconds between two looks for room to make it again …
_QUIET: Final = 10.0  # … and whether it is still there
_NEW: Final = os.O_WRONLY | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Reserve:
    """The file, and whether it is there; used from any thread."""

    def __init__(self, state: Path) -> None:
        """Look at what is there, and give it up where the box could not even start; nothing is made yet."""
        self._path = state / NAME
        self._state = state
        self._lock = threading.Lock()
        disk = os.statvfs(state)
        self.size = min(_LARGEST, disk.f_blocks * disk.f_frsize // _PART)
        self._there = self._has()
        if self.own_room() < self.size // 2:
            self.give_up()

    @property
    def trouble(self) -> str:
        """Why it is gone, in a sentence; empty while it is there."""
        if self._there:
            return ""
        return (
            f"the disk is full: the box works from the room that it had put by ({format_bytes(self.size)}), "
            "delete something"
        )

    def own_room(self) -> int:
        """Bytes that the box itself can write; as root that is more than what people can."""
        disk = os.statvfs(self._state)
        return (disk.f_bfree if os.geteuid() == 0 else disk.f_bavail) * disk.f_frsize

    def give_up(self) -> bool:
        """Let go of the room; whether there was any."""
        with self._lock:
            if not self._has():
                self._there = False
                return False
            try:
                descriptor = os.open(self._path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
                try:
                    os.ftruncate(descriptor, 0)
                    os.fsync(
                        descriptor
                    )  # only then may others have the blocks, on file systems with a journal
                finally:
                    os.close(descriptor)
            except OSError as error:
                _log.warning("the room that was put by cannot be used: %s", error)
                return False
            self._there = False
        _log.warning("the disk of %s is full: the room that was put by is given up", self._state)
        return True

    def renew(self) -> None:
        """Make it, where it is not there and people have twice as much left."""
        with self._lock:
            if self._has():
                self._there = True
                return
            disk = os.statvfs(self._state)
            if disk.f_bavail * disk.f_frsize < 2 * self.size:
                return
            descriptor = os.open(self._path, _NEW, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, self.size)
            except OSError:
                os.ftruncate(descriptor, 0)  # somebody was faster
                return
            finally:
                os.close(descriptor)
            self._there = True

    async def run(self) -> None:
        """Make it at the start, and again once there is room after it was given up."""
        while True:
            try:
                await asyncio.to_thread(self.renew)
            except OSError as error:
                _log.warning("no room can be put by: %s", error)
            await asyncio.sleep(_QUIET if self._there else _LOOK)

    def _has(self) -> bool:
        try:
            found = os.lstat(self._path)
        except FileNotFoundError:
            return False
        return found.st_blocks * 512 >= self.size // 2 > 0
