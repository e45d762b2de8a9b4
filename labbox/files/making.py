"""Making one tree: copy or link what a walk found, flush it, give it its name.

Everything is opened relative to the folders that the walk came through and compared with what it saw there.
What is no longer the same ends the snapshot.
"""

from __future__ import annotations

import ctypes
import errno
import os
import secrets
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import Final, NamedTuple

from blake3 import blake3

from labbox.errors import LabboxError
from labbox.files.copying import copy_and_hash, write_all
from labbox.files.following import Meter
from labbox.files.known import Known
from labbox.files.listing import FOLDER_FLAGS, File, Folder, changed, settles_in, shown, stamp_of
from labbox.files.removing import remove_below
from labbox.files.tree import MANIFEST, TREE, Half, Tree, manifest_of, mode_of, object_name

_FEW: Final = 500  # so many files and folders are flushed one by one, more by flushing the whole file system
_LARGE: Final = 1 << 20  # bytes of a file that is worth waiting for
_MOMENT: Final = 0.025  # seconds
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_libc: Final = ctypes.CDLL(None, use_errno=True)
_libc.sync_file_range.argtypes = [ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint]
_WRITE: Final = 2  # SYNC_FILE_RANGE_WRITE of <linux/fs.h>


class Places(NamedTuple):
    """The open folders of one person's snapshots: the top one and, in it, contents and unfinished trees."""

    top: int
    objects: int
    making: int


def make_tree(places: Places, half: Half, known: Known, meter: Meter) -> Tree:
    """Make the tree of one half; `known` learns what was read.

    LabboxError "conflict" where it changes meanwhile.
    """
    return _Making(places, half, known, meter).run()


class _Making:
    """One tree on its way from a project to its final name."""

    def __init__(self, places: Places, half: Half, known: Known, meter: Meter) -> None:
        self._top, self._objects, self._making = places
        self._half, self._known, self._meter = half, known, meter
        self._digests: dict[str, bytes] = {}  # by path: of all files
        self._new: list[tuple[str, str]] = []  # path and object name of those that no object holds yet
        self._learned: Known = {}  # of files that were read after they had settled
        self._read = False  # whether anything was read from the project
        self._added = 0
        self._name = secrets.token_hex(8)

    def run(self) -> Tree:
        listing = self._half.listing
        unknown = [file for file in listing.files() if file.stamp not in self._known]
        self._meter.begin("copying", sum(file.size for file in unknown))
        _let_settle(unknown)
        os.mkdir(self._name, 0o755, dir_fd=self._making)
        tree = os.open(self._name, FOLDER_FLAGS, dir_fd=self._making)
        try:
            self._fill(tree)
            if self._read and self._half.again().signature() != listing.signature():
                raise changed(self._first_difference())
            name = self._finish(tree)
        finally:
            os.close(tree)
            with suppress(FileNotFoundError):  # it has its final name by now
                remove_below(self._making, self._name, lambda: None)
        self._known.update(self._learned)
        return Tree(name=name, files=listing.total, size=listing.size, added=self._added)

    def _first_difference(self) -> str:
        before, now = self._half.listing.signature(), self._half.again().signature()
        different = sorted(path for path in before.keys() | now.keys() if before.get(path) != now.get(path))
        return self._half.prefix + different[0] if different else ""

    def _fill(self, tree: int) -> None:
        """Copy or link everything, folder by folder; the stack holds the way down to the present one."""
        stack: list[tuple[int, int]] = []
        try:
            for folder in self._half.listing.folders:
                while len(stack) > folder.depth:
                    _close(stack.pop())
                stack.append(self._enter(folder, stack[-1] if stack else (self._half.descriptor, tree)))
                self._fill_folder(folder, *stack[-1])
        finally:
            while stack:
                _close(stack.pop())
        for name, target in self._half.links:
            os.symlink(target, name, dir_fd=tree)

    def _enter(self, folder: Folder, parents: tuple[int, int]) -> tuple[int, int]:
        if folder.depth == 0:
            return os.dup(parents[0]), os.dup(parents[1])
        try:
            source = os.open(folder.name, FOLDER_FLAGS, dir_fd=parents[0])
        except OSError as error:
            raise changed(self._half.prefix + folder.path) from error
        try:
            found = os.fstat(source)
            if (found.st_dev, found.st_ino) != folder.identity:
                raise changed(self._half.prefix + folder.path)
            os.mkdir(folder.name, 0o755, dir_fd=parents[1])
            return source, os.open(folder.name, FOLDER_FLAGS, dir_fd=parents[1])
        except BaseException:
            os.close(source)
            raise

    def _fill_folder(self, folder: Folder, source: int, target: int) -> None:
        for file in folder.files:
            digest = self._known.get(file.stamp)
            if digest is None or not self._link_object(digest, file, target):
                digest = self._copy(file, source, target)
            self._digests[file.path] = digest
            self._meter.tick()
        for link in folder.links:
            os.symlink(link.target, link.name, dir_fd=target)

    def _link_object(self, digest: bytes, file: File, target: int) -> bool:
        """Give the file of this content a name in the tree; False where none can take one more."""
        try:
            os.link(
                object_name(digest, file),
                file.name,
                src_dir_fd=self._objects,
                dst_dir_fd=target,
                follow_symlinks=False,
            )
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno == errno.EMLINK:  # ext4 ends at 65,000 names
                os.unlink(object_name(digest, file), dir_fd=self._objects)  # the next copy takes its place
                return False
            raise
        _set_mode(file, target)
        return True

    def _copy(self, file: File, source_folder: int, target_folder: int) -> bytes:
        self._read = True
        path = self._half.prefix + file.path
        try:
            source = os.open(file.name, _READ_FLAGS, dir_fd=source_folder)
        except PermissionError as error:
            raise LabboxError(
                "invalid",
                f"cannot hand in {shown(path)}: you may not read it",
                "make it readable (chmod u+r), remove it, or add it to ignore in job.toml",
            ) from error
        except OSError as error:
            raise changed(path) from error
        try:
            digest = self._copy_open(file, source, target_folder)
            after = os.fstat(source)
            if digest is None or stamp_of(after) != file.stamp:
                raise changed(path)
        finally:
            os.close(source)
        if self._link_over(digest, file, target_folder):
            return digest
        self._new.append((file.path, object_name(digest, file)))
        self._added += file.size
        return digest

    def _copy_open(self, file: File, source: int, folder: int) -> bytes | None:
        """Copy an open file; None where it is not the one that was walked, or not as long."""
        settled = settles_in(file.stamp, time.time_ns()) == 0
        before = os.fstat(source)
        if not stat.S_ISREG(before.st_mode) or stamp_of(before) != file.stamp:
            return None
        target = os.open(file.name, _WRITE_FLAGS, 0o600, dir_fd=folder)
        try:
            digest, length = copy_and_hash(source, target, file.size, self._meter.moved)
            os.fchmod(target, mode_of(file))
        finally:
            os.close(target)
        if length != file.size:
            return None
        if settled:
            self._learned[file.stamp] = digest
        return digest

    def _link_over(self, digest: bytes, file: File, folder: int) -> bool:
        """Replace a fresh copy by the same content that is here already, if it is."""
        try:
            os.stat(object_name(digest, file), dir_fd=self._objects, follow_symlinks=False)
        except FileNotFoundError:
            return False
        os.rename(file.name, self._name + ".copy", src_dir_fd=folder, dst_dir_fd=self._making)
        if self._link_object(digest, file, folder):
            os.unlink(self._name + ".copy", dir_fd=self._making)
            return True
        os.rename(self._name + ".copy", file.name, src_dir_fd=self._making, dst_dir_fd=folder)
        return False

    def _finish(self, tree: int) -> str:
        """Flush, share, name: in this order, so that no name ever stands for content that is not on disk."""
        manifest = manifest_of(self._half, lambda file: self._digests[file.path])
        name = TREE + blake3(manifest).hexdigest()
        self._meter.begin("writing to disk")
        self._flush(tree)
        for path, stored in self._new:
            self._adopt(tree, path, stored)
        self._write_manifest(name + MANIFEST, manifest)
        try:
            os.rename(self._name, name, src_dir_fd=self._making, dst_dir_fd=self._top)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise  # else the same project was handed in twice at once
        os.fsync(self._top)
        return name

    def _flush(self, tree: int) -> None:
        """Have all content on disk: by file, since flushing the file system waits for others' gigabytes too.

        Telling the kernel first to begin with all of them made this three times as fast for 500 files.
        """
        folders = [folder.path or "." for folder in self._half.listing.folders]
        paths = [*(path for path, _ in self._new), *folders]
        if len(paths) > _FEW:
            _check(_libc.syncfs(tree))
            return
        for begin in (True, False):
            for path in paths:
                descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tree)
                try:
                    if begin:
                        _libc.sync_file_range(
                            descriptor, 0, 0, _WRITE
                        )  # may be refused: the second turn counts
                    else:
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)

    def _adopt(self, tree: int, path: str, stored: str) -> None:
        """Give a new file its name by content, or take the one that got it first."""
        if self._link_into_objects(tree, path, stored):
            return
        temporary = self._name + ".copy"
        try:
            os.link(
                stored,
                temporary,
                src_dir_fd=self._objects,
                dst_dir_fd=self._making,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            os.unlink(stored, dir_fd=self._objects)  # its place is for one that can take more names
            self._link_into_objects(tree, path, stored)
        else:
            os.rename(temporary, path, src_dir_fd=self._making, dst_dir_fd=tree)

    def _link_into_objects(self, tree: int, path: str, stored: str) -> bool:
        """Whether the new file got its name by content; False where another file has it."""
        with suppress(FileExistsError):
            os.mkdir(stored[:2], 0o700, dir_fd=self._objects)
        try:
            os.link(path, stored, src_dir_fd=tree, dst_dir_fd=self._objects, follow_symlinks=False)
        except FileExistsError:
            return False
        return True

    def _write_manifest(self, name: str, manifest: bytes) -> None:
        temporary = self._name + MANIFEST
        descriptor = os.open(temporary, _WRITE_FLAGS, 0o444, dir_fd=self._making)
        try:
            write_all(descriptor, manifest)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=self._making, dst_dir_fd=self._top)


def _set_mode(file: File, folder: int) -> None:
    """Older snapshots could not be written: what they share with a new one can be from now on."""
    mode = os.stat(file.name, dir_fd=folder, follow_symlinks=False).st_mode
    if stat.S_IMODE(mode) != mode_of(file):
        os.chmod(file.name, mode_of(file), dir_fd=folder)


def _check(result: int) -> None:
    if result != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _let_settle(files: Sequence[File]) -> None:
    """Wait a moment for large files that were written just now: they need not be read again next time."""
    now = time.time_ns()
    waits = [settles_in(file.stamp, now) for file in files if file.size >= _LARGE]
    time.sleep(max((wait for wait in waits if wait <= _MOMENT), default=0))


def _close(pair: Sequence[int]) -> None:
    for descriptor in pair:
        os.close(descriptor)
