"""The second half of a move to another file system: what was copied whole leaves its old place."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import suppress

from labbox.errors import LabboxError
from labbox.files.transfer.frames import Placed
from labbox.files.transfer.localfiles import Bench, is_copy
from labbox.files.transfer.spill import Names
from labbox.files.transfer.system import lstat, sync_file_system
from labbox.files.transfer.walking import Descent


def remove_copied(placed: Placed, bench: Bench) -> None:
    """Remove every original that stands unchanged at the target; what was not copied stays."""
    sync_file_system(placed.target)  # the only copy must not be one that a power cut takes
    with Descent(placed.source) as source, Descent(placed.target) as target:
        source.enter(placed.name)
        target.enter(placed.wanted)
        way: list[tuple[str, str, Iterator[str]]] = [
            (placed.name, placed.path, _remove_files(source, target, placed.path, bench))
        ]
        while way:
            _name, path, waiting = way[-1]
            child = next(waiting, None)
            if child is None:
                _up(source, target, way, bench)
                continue
            below = f"{path}/{child}"
            try:
                source.enter(child)
            except (OSError, LabboxError) as error:
                bench.reporter.fail(below, error, "move")
                continue
            try:
                target.enter(child)
            except (OSError, LabboxError):
                source.leave()  # it was not copied, and that was said
                continue
            way.append((child, below, _remove_files(source, target, below, bench)))


def _up(source: Descent, target: Descent, way: list[tuple[str, str, Iterator[str]]], bench: Bench) -> None:
    name, path, _waiting = way.pop()
    source.leave()
    target.leave()
    try:
        os.rmdir(name, dir_fd=source.present)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            bench.reporter.fail(path, error, "move")


def _remove_files(source: Descent, target: Descent, path: str, bench: Bench) -> Iterator[str]:
    folders = Names()
    with os.scandir(source.present) as entries:
        for entry in entries:
            bench.tick()
            if entry.is_dir(follow_symlinks=False):
                folders.append(entry.name)
                continue
            below = f"{path}/{entry.name}"
            with suppress(FileNotFoundError):
                try:
                    _remove_one(source.present, target.present, entry.name, below, bench)
                except FileNotFoundError:
                    raise
                except OSError as error:
                    bench.reporter.fail(below, error, "move")
    return folders.drain()


def _remove_one(source: int, target: int, name: str, path: str, bench: Bench) -> None:
    copy = lstat(target, name)
    if copy is None:
        return  # it was not copied, and that was said
    found = os.stat(name, dir_fd=source, follow_symlinks=False)
    if stat.S_ISLNK(found.st_mode) and stat.S_ISLNK(copy.st_mode):
        same = os.readlink(name, dir_fd=source) == os.readlink(name, dir_fd=target)
    else:
        same = stat.S_ISREG(found.st_mode) and is_copy(found, copy)
    if same:
        os.unlink(name, dir_fd=source)
        return
    bench.reporter.row(
        path, "conflict", f"cannot remove the original “{path}”: it was changed after it was copied"
    )
