"""Deleting for good, at any depth: what cannot be deleted is named, the rest goes."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.files.places.errors import meaning
from labbox.files.transfer.asked import Spot, name_of, open_parent, sources_of, spot
from labbox.files.transfer.running import Run
from labbox.files.transfer.spill import Names
from labbox.files.transfer.system import FOLDER
from labbox.files.transfer.walking import Descent


async def erase(one: Run) -> None:
    """Delete all sources for good."""
    one.reporter.unit = "files"
    for source in sources_of(one.spec):
        called = name_of(source)
        try:
            found = await spot(one.places, source)
            if source.is_root or source.path == "~":
                raise LabboxError("invalid", f"cannot delete {source.shown()} itself", "name what is in it")
            if found.local:
                await one.control.in_thread(partial(erase_local, one, found))
            else:
                await erase_entry(found, one, called, counted=True)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(called, error, "delete")


def erase_local(one: Run, found: Spot) -> None:
    """In a thread: delete one source on this machine."""
    parent, name = open_parent(found)
    try:
        Eraser(one, chosen=one.selection.partial).erase(parent, name, name_of(found.location))
    finally:
        os.close(parent)


class Eraser:
    """Deletes trees through descriptors; gives owners the right to empty a folder where it is missing."""

    def __init__(self, one: Run, *, chosen: bool = False) -> None:
        """`chosen`: only what the selection wants."""
        self._one, self._reporter = one, one.reporter
        self._wants = one.selection.wants if chosen else None

    def erase(self, parent: int, name: str, path: str) -> None:
        """Delete `name` in the open folder with all below it; rows for what stays."""
        try:
            found = os.stat(name, dir_fd=parent, follow_symlinks=False)
            if not stat.S_ISDIR(found.st_mode):
                os.unlink(name, dir_fd=parent)
                self._count(found)
                return
        except OSError as error:
            self._reporter.fail(path, error, "delete")
            return
        with Descent(parent) as down:
            way: list[tuple[str, str, Iterator[str]]] = []
            self._enter(down, way, name, path)
            while way:
                present, at, waiting = way[-1]
                child = next(waiting, None)
                if child is not None:
                    self._enter(down, way, child, f"{at}/{child}")
                    continue
                way.pop()
                down.leave()
                self._folder(down.present, present, at)

    def _enter(self, down: Descent, way: list[tuple[str, str, Iterator[str]]], name: str, path: str) -> None:
        try:
            _give_right(down.present, name)
            down.enter(name)
        except (OSError, LabboxError) as error:
            self._reporter.fail(path, error, "delete")
            return
        way.append((name, path, self._files(down.present, path)))

    def _files(self, folder: int, path: str) -> Iterator[str]:
        folders = Names()
        with os.scandir(folder) as entries:
            for entry in entries:
                if self._reporter.due():
                    self._one.breathe()
                below = f"{path}/{entry.name}"
                is_folder = entry.is_dir(follow_symlinks=False)
                if self._wants is not None and not self._wants(below, entry.name, folder=is_folder):
                    continue
                if is_folder:
                    folders.append(entry.name)
                    continue
                try:
                    found = entry.stat(follow_symlinks=False)
                    os.unlink(entry.name, dir_fd=folder)
                    self._count(found)
                except FileNotFoundError:
                    continue  # somebody else deleted it
                except OSError as error:
                    self._reporter.fail(below, error, "delete")
        return folders.drain()

    def _folder(self, parent: int, name: str, path: str) -> None:
        try:
            os.rmdir(name, dir_fd=parent)
            self._reporter.folders += 1
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                self._reporter.fail(path, error, "delete")

    def _count(self, found: os.stat_result) -> None:
        if stat.S_ISLNK(found.st_mode):
            self._reporter.links += 1
        else:
            self._reporter.files += 1
            self._reporter.size += found.st_size if found.st_nlink == 1 else 0


def _give_right(parent: int, name: str) -> None:
    """Let its owner read and change a folder that is to be emptied."""
    found = os.stat(name, dir_fd=parent, follow_symlinks=False)
    if stat.S_ISDIR(found.st_mode) and found.st_mode & 0o700 != 0o700 and found.st_uid == os.geteuid():
        look = os.open(name, FOLDER & ~os.O_RDONLY | os.O_PATH, dir_fd=parent)
        try:
            Path(f"/proc/self/fd/{look}").chmod(stat.S_IMODE(found.st_mode) | 0o700)
        except FileNotFoundError as error:
            raise meaning(errno.EACCES, "delete", name) from error  # no /proc here
        finally:
            os.close(look)


async def erase_entry(found: Spot, one: Run, path: str = "", *, counted: bool = False) -> None:
    """Delete an entry of any place with all below it; LabboxError where the entry itself stays."""
    entry = await found.place.entry(found.path)
    if entry.kind is EntryKind.FOLDER:
        folders = Names()
        files: list[str] = []
        async for batch in found.place.list(found.path, full=False):
            for child in batch:
                (folders if child.kind is EntryKind.FOLDER else files).append(child.name)
            for name in files:
                await one.tick()
                try:
                    await found.place.remove(found.below(name).path)
                    one.reporter.files += counted
                except LabboxError as error:
                    if not counted or error.code == "unavailable":
                        raise
                    if error.code != "not_found":
                        one.reporter.fail(f"{path}/{name}", error, "delete")
            files.clear()
        for name in folders.drain():
            try:
                await erase_entry(found.below(name), one, f"{path}/{name}", counted=counted)
            except LabboxError as error:
                if not counted or error.code in ("unavailable", "not_found"):
                    raise
                if error.code != "conflict":  # not empty: what stayed in it has its own row
                    one.reporter.fail(f"{path}/{name}", error, "delete")
    await found.place.remove(found.path)
    if counted:
        one.reporter.folders += entry.kind is EntryKind.FOLDER
        one.reporter.files += entry.kind is not EntryKind.FOLDER
