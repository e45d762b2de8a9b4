"""What git keeps in place of data: pointers of Git LFS and git-annex (DataLad), submodules that are empty."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from enum import Enum
from typing import Final

from labbox.files.following import Tick
from labbox.files.listing import Listing, is_annexed
from labbox.files.reading import read_plain

_LFS: Final = b"version https://git-lfs.github.com/spec/v1\n"
# What git-annex keeps in an unlocked file's place, and git in a link's where disks have no links.
_ANNEX: Final = re.compile(rb"/annex/objects/\S|(?:\.\./)*\.git/annex/objects/\S")
_LEAST, _MOST = 24, 1024  # bytes; those of LFS have at most 1024 by its specification
_HEAD: Final = 512  # bytes that are looked at
_MOST_LOOKED: Final = 2000  # files of that size that are looked into
_MOST_FOUND: Final = 20
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_MODULES: Final = ".gitmodules"
_MODULE: Final = re.compile(r"^[ \t]*path[ \t]*=[ \t]*\"?(.+?)/?\"?[ \t\r]*$", re.MULTILINE)


class Stand(Enum):
    """What stands for data that is not there: in words, and what to do."""

    LFS = (
        "pointers of Git LFS, not the data that they stand for",
        "fetch the data with `git lfs pull` and copy the folder here (scp -r, rsync); "
        "a push to this box brings no data of Git LFS",
    )
    ANNEX = (
        "pointers of git-annex (DataLad), not the data that they stand for",
        "fetch the data with `git annex get .`, put it in their places with `git annex unlock .` and copy "
        "the folder here (scp -r, rsync); a push to this box brings no data of git-annex",
    )
    MODULE = (
        "submodules, and empty here",
        "fetch them with `git submodule update --init --recursive` and copy the folder here (scp -r, rsync); "
        "a push to this box brings no submodules",
    )


def pointers(folder: int, listing: Listing, tick: Tick) -> list[tuple[str, Stand]]:
    """The paths of the first pointers below an open folder that was listed."""
    found = [
        (link.path, Stand.ANNEX) for each in listing.folders for link in each.links if is_annexed(link.target)
    ][:_MOST_FOUND]
    looked = 0
    for file in listing.files():
        if not _LEAST <= file.size <= _MOST:
            continue
        looked += 1
        if looked > _MOST_LOOKED or len(found) >= 2 * _MOST_FOUND:
            break
        tick()
        try:
            descriptor = os.open(file.path, _FLAGS, dir_fd=folder)
        except OSError:
            continue  # what cannot be read is told elsewhere
        try:
            head = os.read(descriptor, _HEAD)
        finally:
            os.close(descriptor)
        if head.startswith(_LFS):
            found.append((file.path, Stand.LFS))
        elif _ANNEX.match(head):
            found.append((file.path, Stand.ANNEX))
    return found


def modules(top: int) -> frozenset[str]:
    """The paths that an open folder calls submodules."""
    text = (read_plain(top, _MODULES, 1 << 16) or b"").decode("utf-8", "surrogateescape")
    return frozenset(_MODULE.findall(text))


def empty(listing: Listing) -> Iterator[str]:
    """The folders below the top that hold nothing."""
    full = {
        "/".join(parts[:count])
        for folder in listing.folders
        if folder.files or folder.links
        for parts in (folder.path.split("/"),)
        for count in range(1, len(parts) + 1)
    }
    inner = {folder.path.rpartition("/")[0] for folder in listing.folders if folder.depth}
    yield from (each.path for each in listing.folders if each.depth and each.path not in full | inner)
