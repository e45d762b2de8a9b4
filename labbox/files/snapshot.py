"""Snapshots: what was handed in, kept as trees that nobody changes and that are named by their content.

All of one person's snapshots stand in one folder, given by a descriptor, that the person cannot reach by any
path:

    tree-HASH/            a snapshot; HASH is the BLAKE3 of its manifest
    tree-HASH.manifest    "KIND MODE SIZE DIGEST PATH NUL" for each entry, by path; KIND is d, f or l
    objects/ab/cdef…      one name more for each file of the trees, by its digest ("x" behind it: executable)
    known/                what was in which file when it was last handed in (`labbox.files.known`)
    making/               trees that are not finished; left over ones are removed by the next snapshot
    lock                  held shared while a snapshot is made, alone while trees are removed

An unchanged file is never read again and no content is stored twice: trees share inodes by hard links. A tree
gets its name in one step, after its content is on disk, so a crash leaves a whole tree or none.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from blake3 import blake3

from labbox.errors import LabboxError
from labbox.files import known as known_files
from labbox.files.following import Meter
from labbox.files.known import Known
from labbox.files.listing import FOLDER_FLAGS, Listing
from labbox.files.locking import exclusive_lock, shared_lock, try_exclusive_lock
from labbox.files.making import Places, make_tree
from labbox.files.reading import names_in
from labbox.files.removing import remove_below
from labbox.files.tree import MANIFEST, TREE, Half, Tree, manifest_of
from labbox.text import format_bytes

_OBJECTS, _KNOWN, _MAKING = "objects", "known", "making"


class Snapshots:
    """One person's snapshots, below the folder that `descriptor` holds open; make it with `opened`."""

    def __init__(self, top: int, objects: int, known: int, making: int) -> None:
        """Take the open folders; `opened` opens and closes them."""
        self._top, self._objects, self._known, self._making = top, objects, known, making

    def load_known(self, project: tuple[int, int]) -> Known:
        """What is known of the project folder with this device and inode."""
        return known_files.load(self._known, known_files.table_name(project))

    def save_known(self, project: tuple[int, int], known: Known) -> None:
        """Replace what is known of a project folder."""
        known_files.save(self._known, known_files.table_name(project), known)

    def take(self, half: Half, known: Known, meter: Meter, room: int | None = None) -> Tree:
        """Make the tree of one folder, or find that it is here already; `known` is brought up to date.

        `room` is how many more bytes the person may store. LabboxError: "invalid" for what cannot be handed
        in, "conflict" where it changes meanwhile, "limit" and "unavailable" where there is no room.
        """
        for problem in half.listing.problems:
            if problem.fatal:
                raise problem.error()
        tree = self._present(half, known)
        if tree is not None:
            return tree
        self._check_room(half.listing, known, room)
        try:
            return make_tree(Places(self._top, self._objects, self._making), half, known, meter)
        except OSError as error:
            raise _disk_error(error) from error

    def _present(self, half: Half, known: Known) -> Tree | None:
        """The tree, where every file is known and the tree made of them exists."""
        try:
            manifest = manifest_of(half, lambda file: known[file.stamp])
        except KeyError:
            return None
        name = TREE + blake3(manifest).hexdigest()
        try:
            os.stat(name, dir_fd=self._top, follow_symlinks=False)
            os.utime(name + MANIFEST, dir_fd=self._top, follow_symlinks=False)  # in use: not to be pruned
        except FileNotFoundError:
            return None
        return Tree(name=name, files=half.listing.total, size=half.listing.size)

    def _check_room(self, listing: Listing, known: Known, room: int | None) -> None:
        needed = sum(min(file.size, file.stored) for file in listing.files() if file.stamp not in known)
        if room is not None and needed > room:
            raise LabboxError(
                "limit",
                f"cannot hand in {format_bytes(needed)}: you may store {format_bytes(max(0, room))} more",
                "delete results that you no longer need, or ask an administrator for a higher limit",
            )
        disk = os.fstatvfs(self._top)
        free = disk.f_bavail * disk.f_frsize
        if needed > free:
            raise LabboxError(
                "unavailable",
                f"cannot hand in {format_bytes(needed)}: the box has {format_bytes(free)} free",
                "delete files that you no longer need, or tell an administrator",
            )

    def prune(self, keep: frozenset[str], unused_since: float, meter: Meter) -> int:
        """Remove the trees that are neither in `keep` nor used since the moment (seconds of the epoch).

        Returns how many. Content that no tree holds any more goes with them.
        """
        removed = 0
        for name in sorted(names_in(self._top)):
            meter.tick()
            if not name.startswith(TREE) or not name.endswith(MANIFEST):
                continue
            tree = name.removesuffix(MANIFEST)
            used = os.stat(name, dir_fd=self._top, follow_symlinks=False).st_mtime
            if tree in keep or used >= unused_since:
                continue
            with suppress(FileNotFoundError):  # a crash came between manifest and tree
                remove_below(self._top, tree, meter.tick)
            os.unlink(name, dir_fd=self._top)
            removed += 1
        if removed:
            self._drop_objects(meter)
        return removed

    def _drop_objects(self, meter: Meter) -> None:
        for shard in names_in(self._objects):
            descriptor = os.open(shard, FOLDER_FLAGS, dir_fd=self._objects)
            try:
                with os.scandir(descriptor) as entries:
                    alone = [one.name for one in entries if one.stat(follow_symlinks=False).st_nlink == 1]
                for name in alone:
                    os.unlink(name, dir_fd=descriptor)
                    meter.tick()
            finally:
                os.close(descriptor)


@contextmanager
def opened(descriptor: int, meter: Meter, *, alone: bool = False) -> Iterator[Snapshots]:
    """The snapshots below an open folder, locked: shared to take some, `alone` to remove some."""
    for name in (_OBJECTS, _KNOWN, _MAKING):
        with suppress(FileExistsError):
            os.mkdir(name, 0o700, dir_fd=descriptor)
    lock = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=descriptor)
    folders: list[int] = []
    try:
        folders.extend(os.open(name, FOLDER_FLAGS, dir_fd=descriptor) for name in (_OBJECTS, _KNOWN, _MAKING))
        if try_exclusive_lock(lock):  # nobody else is here: what is unfinished was left by a crash
            for name in names_in(folders[2]):
                remove_below(folders[2], name, meter.tick)
        if alone:
            exclusive_lock(lock, meter.tick)
        else:
            shared_lock(lock, meter.tick)
        yield Snapshots(descriptor, *folders)
    finally:
        for one in (*folders, lock):
            os.close(one)


def _disk_error(error: OSError) -> LabboxError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return LabboxError(
            "unavailable",
            "cannot keep what you hand in: the box's disk is full",
            "delete files that you no longer need, or tell an administrator",
        )
    return LabboxError(
        "unavailable",
        f"cannot keep what you hand in: {os.strerror(error.errno or 0)}",
        "try again; if it goes on, tell an administrator: a disk may be failing",
    )
