"""Deleting for good, at any depth: what cannot be deleted is named, the rest goes."""

from __future__ import annotations

import asyncio
import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

from labbox.errors import LabboxError
from labbox.files.places.base import Attributes, Entry, EntryKind
from labbox.files.places.errors import meaning
from labbox.files.transfer.asked import Spot, open_parent, sources_of, spot
from labbox.files.transfer.reporting import Reporter
from labbox.files.transfer.running import Run
from labbox.files.transfer.selection import Selection
from labbox.files.transfer.spill import Names
from labbox.files.transfer.system import FOLDER
from labbox.files.transfer.trash import forget
from labbox.files.transfer.walking import Descent
from labbox.locations import name_of


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
            if source.parent.name == "files":
                await forget(found)  # what was in the trash: its note goes with it
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(called, error, "delete")


def erase_local(one: Run, found: Spot) -> None:
    """In a thread: delete one source on this machine."""
    parent, name = open_parent(found)
    try:
        selection = one.selection if one.selection.partial else None
        Eraser(one.reporter, one.breathe, selection).erase(parent, name, name_of(found.location))
    finally:
        os.close(parent)


class Eraser:
    """Deletes trees through descriptors; gives owners the right to empty a folder where it is missing."""

    def __init__(
        self, reporter: Reporter, breathe: Callable[[], None], selection: Selection | None = None
    ) -> None:
        """`breathe`: called now and then; `selection`: what is to go, None for all."""
        self._reporter, self._breathe = reporter, breathe
        self._wants = selection.wants if selection is not None else None

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
                    self._breathe()
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
    """Delete an entry of any place with all below it.

    `counted`: what is deleted counts, and what stays is a row; otherwise LabboxError at the first that stays.
    """
    entry = await found.place.entry(found.path)
    way: list[tuple[Spot, str, Iterator[str]]] = []
    if entry.kind is EntryKind.FOLDER:
        way.append((found, path, await _files_of(found, entry, one, path, counted=counted)))
    else:
        await found.place.remove(found.path)
        one.reporter.files += counted
    while way:
        present, at, waiting = way[-1]
        name = next(waiting, None)
        try:
            if name is None:
                way.pop()
                await present.place.remove(present.path)
                one.reporter.folders += counted
                continue
            below = present.below(name)
            entry = await below.place.entry(below.path)
            if entry.kind is EntryKind.FOLDER:
                path = f"{at}/{name}"
                way.append((below, path, await _files_of(below, entry, one, path, counted=counted)))
        except LabboxError as error:
            if error.code == "not_found":
                continue
            if not counted or error.code == "unavailable":
                raise
            if error.code != "conflict":  # not empty: what stayed in it has its own row
                one.reporter.fail(at if name is None else f"{at}/{name}", error, "delete")


async def _files_of(found: Spot, entry: Entry, one: Run, path: str, *, counted: bool) -> Iterator[str]:
    """Delete all in a folder that is no folder; those wait."""
    if entry.mode is not None and entry.mode & 0o700 != 0o700:
        with suppress(LabboxError):
            await found.place.change(found.path, Attributes(mode=entry.mode | 0o700))
    folders = Names()
    async for batch in found.place.list(found.path, full=False):
        for child in batch:
            if counted:  # tidying up waits in no pause
                await one.tick()
            if child.kind is EntryKind.FOLDER:
                folders.append(child.name)
                continue
            try:
                await found.place.remove(found.below(child.name).path)
                one.reporter.files += counted
            except LabboxError as error:
                if error.code == "not_found":
                    continue
                if not counted or error.code == "unavailable":
                    raise
                one.reporter.fail(f"{path}/{child.name}", error, "delete")
    return folders.drain()


async def erase_for_good(found: Spot) -> bool:
    """Delete something of this machine without a report, as when the trash expires; whether all went."""
    if not found.local:
        return False  # a place elsewhere has its own trash, and is tidied there
    reporter = Reporter("deleting")

    def work() -> None:
        parent, name = open_parent(found)
        try:
            Eraser(reporter, lambda: None).erase(parent, name, name)
        finally:
            os.close(parent)

    await asyncio.to_thread(work)
    return reporter.failed == 0
