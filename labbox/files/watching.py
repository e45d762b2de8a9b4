"""Which entries of a few local folders change: the kernel's own notices (inotify), read on the event loop.

Network and other foreign file systems tell the kernel nothing of what others do there: whoever shows such a
folder has to look now and then (`is_blind`).
"""

from __future__ import annotations

import asyncio
import ctypes
import os
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Final

_EVENT: Final = struct.Struct("iIII")  # watch, mask, cookie, length of the name: inotify(7)
_MODIFY, _ATTRIB, _CLOSE_WRITE = 0x02, 0x04, 0x08
_CAME_OR_WENT: Final = 0x40 | 0x80 | 0x100 | 0x200  # moved from, moved to, created, deleted
_SELF: Final = 0x400 | 0x800  # the folder itself was deleted or moved
_UNMOUNT, _OVERFLOW, _IGNORED = 0x2000, 0x4000, 0x8000
_ONLY_FOLDERS: Final = 0x01000000
_WANTED: Final = _ATTRIB | _CLOSE_WRITE | _MODIFY | _CAME_OR_WENT | _SELF | _ONLY_FOLDERS
_READ: Final = 1 << 16
_SIGHTED: Final = frozenset(
    {"ext2", "ext3", "ext4", "xfs", "btrfs", "f2fs", "tmpfs", "zfs", "bcachefs", "overlay", "ramfs"}
)

Changed = Callable[[set[str] | None], None]
"""Gets the names that came, changed or went; None: anything may have, or the folder itself has gone."""


def is_blind(folder: str) -> bool:
    """Whether the kernel may not hear of changes in a folder: by the kind of its file system."""
    try:
        device = os.stat(folder).st_dev  # noqa: PTH116
        with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="replace") as file:
            wanted = f" {os.major(device)}:{os.minor(device)} "
            kinds = {line.partition(" - ")[2].split(" ", 1)[0] for line in file if wanted in line}
    except OSError:
        return True
    return not kinds & _SIGHTED


class Watcher:
    """One inotify descriptor of the kernel's for all folders on the screen."""

    def __init__(self) -> None:
        """Nothing is watched, and nothing asked of the kernel, before the first `add`."""
        self._library = ctypes.CDLL(None, use_errno=True)
        self._descriptor = -1
        self._closed = False
        self._opening = threading.Lock()  # two panes add at once, and a session may end meanwhile
        self._held: dict[int, int] = {}  # how often a folder was added and not yet forgotten
        self._watched: dict[int, list[Changed]] = {}
        self._loop: asyncio.AbstractEventLoop | None = None

    def add(self, folder: str) -> int | None:
        """Have a folder watched until `forget`; None where the kernel refuses.

        May wait for a disk: call it in a thread.
        """
        with self._opening:
            if self._closed:
                return None
            if self._descriptor < 0:
                self._descriptor = self._library.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC)
            if self._descriptor < 0:
                return None
            descriptor = self._descriptor
        number = int(self._library.inotify_add_watch(descriptor, os.fsencode(folder), _WANTED))
        if number < 0:
            return None
        with self._opening:
            self._held[number] = self._held.get(number, 0) + 1
        return number

    def listen(self, number: int, changed: Changed) -> None:
        """Tell of changes in a folder that was added. On the event loop, as is `changed`."""
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(self._descriptor, self._read)
        self._watched.setdefault(number, []).append(changed)

    def forget(self, number: int, changed: Changed | None = None) -> None:
        """Tell no more: once for each `add`, listened to or not."""
        if changed is not None:
            self._watched[number].remove(changed)
        with self._opening:
            self._held[number] = self._held.get(number, 0) - 1
            if self._held[number] > 0:
                return
            del self._held[number]
            self._watched.pop(number, None)
            self._library.inotify_rm_watch(self._descriptor, number)

    def close(self) -> None:
        """Let go of the descriptor."""
        if self._loop is not None:
            self._loop.remove_reader(self._descriptor)
            self._loop = None
        with self._opening:
            self._closed = True
            if self._descriptor >= 0:
                os.close(self._descriptor)
            self._descriptor = -1
        self._watched.clear()

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, _READ)
        except OSError:
            return
        names: dict[int, set[str] | None] = {}
        at = 0
        while at < len(data):
            number, mask, _, length = _EVENT.unpack_from(data, at)
            at += _EVENT.size
            name = data[at : at + length].rstrip(b"\0")
            at += length
            if mask & _OVERFLOW:
                names = dict.fromkeys(self._watched)
                break
            if mask & (_SELF | _UNMOUNT | _IGNORED):
                names[number] = None
            elif name and (found := names.setdefault(number, set())) is not None:
                found.add(os.fsdecode(name))
        for number, found in names.items():
            for changed in tuple(self._watched.get(number, ())):
                changed(found)
