"""Snapshots: what was handed in, kept as read-only trees that are named by their content.

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

import ctypes
import errno
import os
import secrets
import stat
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Final, NamedTuple

from blake3 import blake3

from labbox.errors import LabboxError
from labbox.files import known as known_files
from labbox.files.copying import copy_and_hash, write_all
from labbox.files.following import Meter
from labbox.files.known import Known
from labbox.files.listing import FOLDER_FLAGS, File, Folder, Listing, changed, shown, stamp_of
from labbox.files.locking import exclusive_lock, shared_lock, try_exclusive_lock
from labbox.files.reading import names_in
from labbox.files.removing import remove_below
from labbox.model import Value
from labbox.text import format_bytes

_OBJECTS, _KNOWN, _MAKING = "objects", "known", "making"
_TREE: Final = "tree-"
_MANIFEST: Final = ".manifest"
_FEW: Final = 16  # so many files and folders are flushed one by one, more by flushing the whole file system
_READ_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_WRITE_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_libc: Final = ctypes.CDLL(None, use_errno=True)


class Tree(Value):
    """A snapshot: the folder `name` holds `files` with `size` bytes; `added` of them were not here before."""

    name: str
    files: int
    size: int
    added: int = 0


class Half(NamedTuple):
    """One folder to take: where it is open, what was found, links to add at its top, how to look again."""

    descriptor: int
    listing: Listing
    again: Callable[[], Listing]
    prefix: str = ""
    links: tuple[tuple[str, str], ...] = ()


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
            return _Making(self, half, known, meter).run()
        except OSError as error:
            raise _disk_error(error) from error

    def _present(self, half: Half, known: Known) -> Tree | None:
        """The tree, where every file is known and the tree made of them exists."""
        try:
            manifest = manifest_of(half, lambda file: known[file.stamp])
        except KeyError:
            return None
        name = _TREE + blake3(manifest).hexdigest()
        try:
            os.stat(name, dir_fd=self._top, follow_symlinks=False)
            os.utime(name + _MANIFEST, dir_fd=self._top, follow_symlinks=False)  # in use: not to be pruned
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
            if not name.startswith(_TREE) or not name.endswith(_MANIFEST):
                continue
            tree = name.removesuffix(_MANIFEST)
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


def manifest_of(half: Half, digest_of: Callable[[File], bytes]) -> bytes:
    """The manifest of a tree: every entry with its kind, mode, size, digest and path, sorted by path."""
    lines: list[tuple[bytes, bytes]] = []
    for folder in half.listing.folders:
        if folder.path:
            lines.append((os.fsencode(folder.path), b"d 0755 0 -"))
        for file in folder.files:
            mode = "0555" if file.executable else "0444"
            lines.append(
                (os.fsencode(file.path), f"f {mode} {file.size} {digest_of(file).hex()}".encode("ascii"))
            )
        lines.extend(_link_line(link.path, link.target) for link in folder.links)
    lines.extend(_link_line(name, target) for name, target in half.links)
    lines.sort()
    return b"".join(b"%b %b\0" % (line, path) for path, line in lines)


def _link_line(path: str, target: str) -> tuple[bytes, bytes]:
    raw = os.fsencode(target)
    return os.fsencode(path), b"l 0777 %d %b" % (len(raw), blake3(raw).hexdigest().encode("ascii"))


class _Making:
    """One tree on its way from a project to its final name."""

    def __init__(self, snapshots: Snapshots, half: Half, known: Known, meter: Meter) -> None:
        self._top, self._making = snapshots._top, snapshots._making  # noqa: SLF001 - one idea in two classes
        self._objects = snapshots._objects  # noqa: SLF001 - one idea in two classes
        self._half, self._known, self._meter = half, known, meter
        self._digests: dict[str, bytes] = {}  # by path: of all files
        self._new: list[tuple[str, str]] = []  # path and object name of those that no object holds yet
        self._read = False  # whether anything was read from the project
        self._added = 0
        self._name = secrets.token_hex(8)

    def run(self) -> Tree:
        listing = self._half.listing
        unknown = sum(file.size for file in listing.files() if file.stamp not in self._known)
        self._meter.begin("copying", unknown)
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
        for file in listing.files():
            if file.settled:
                self._known[file.stamp] = self._digests[file.path]
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
                _object_name(digest, file),
                file.name,
                src_dir_fd=self._objects,
                dst_dir_fd=target,
                follow_symlinks=False,
            )
        except FileNotFoundError:
            return False
        except OSError as error:
            if error.errno == errno.EMLINK:  # ext4 ends at 65,000 names
                os.unlink(_object_name(digest, file), dir_fd=self._objects)  # the next copy takes its place
                return False
            raise
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
        self._new.append((file.path, _object_name(digest, file)))
        self._added += file.size
        return digest

    def _copy_open(self, file: File, source: int, folder: int) -> bytes | None:
        """Copy an open file; None where it is not the one that was walked, or not as long."""
        before = os.fstat(source)
        if not stat.S_ISREG(before.st_mode) or stamp_of(before) != file.stamp:
            return None
        target = os.open(file.name, _WRITE_FLAGS, 0o600, dir_fd=folder)
        try:
            digest, length = copy_and_hash(source, target, file.size, self._meter.moved)
            os.fchmod(target, 0o555 if file.executable else 0o444)
        finally:
            os.close(target)
        return digest if length == file.size else None

    def _link_over(self, digest: bytes, file: File, folder: int) -> bool:
        """Replace a fresh copy by the same content that is here already, if it is."""
        try:
            os.stat(_object_name(digest, file), dir_fd=self._objects, follow_symlinks=False)
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
        name = _TREE + blake3(manifest).hexdigest()
        self._meter.begin("writing to disk")
        self._flush(tree)
        for path, object_name in self._new:
            self._adopt(tree, path, object_name)
        self._write_manifest(name + _MANIFEST, manifest)
        try:
            os.rename(self._name, name, src_dir_fd=self._making, dst_dir_fd=self._top)
        except OSError as error:
            if error.errno not in (
                errno.ENOTEMPTY,
                errno.EEXIST,
            ):  # the same project, handed in twice at once
                raise
        os.fsync(self._top)
        return name

    def _flush(self, tree: int) -> None:
        folders = self._half.listing.folders
        if len(self._new) + len(folders) > _FEW:
            if _libc.syncfs(tree) != 0:
                number = ctypes.get_errno()
                raise OSError(number, os.strerror(number))
            return
        for path in (*(path for path, _ in self._new), *(folder.path or "." for folder in folders)):
            descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=tree)
            try:
                os.fsync(descriptor)
            finally:
                os.close(descriptor)

    def _adopt(self, tree: int, path: str, object_name: str) -> None:
        """Give a new file its name by content, or take the one that got it first."""
        if self._link_into_objects(tree, path, object_name):
            return
        temporary = self._name + ".copy"
        try:
            os.link(
                object_name,
                temporary,
                src_dir_fd=self._objects,
                dst_dir_fd=self._making,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno != errno.EMLINK:
                raise
            os.unlink(object_name, dir_fd=self._objects)  # its place is for one that can take more names
            self._link_into_objects(tree, path, object_name)
        else:
            os.rename(temporary, path, src_dir_fd=self._making, dst_dir_fd=tree)

    def _link_into_objects(self, tree: int, path: str, object_name: str) -> bool:
        """Whether the new file got its name by content; False where another file has it."""
        with suppress(FileExistsError):
            os.mkdir(object_name[:2], 0o700, dir_fd=self._objects)
        try:
            os.link(path, object_name, src_dir_fd=tree, dst_dir_fd=self._objects, follow_symlinks=False)
        except FileExistsError:
            return False
        return True

    def _write_manifest(self, name: str, manifest: bytes) -> None:
        temporary = self._name + _MANIFEST
        descriptor = os.open(temporary, _WRITE_FLAGS, 0o444, dir_fd=self._making)
        try:
            write_all(descriptor, manifest)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.rename(temporary, name, src_dir_fd=self._making, dst_dir_fd=self._top)


def _object_name(digest: bytes, file: File) -> str:
    name = digest.hex()
    return f"{name[:2]}/{name[2:]}{'x' if file.executable else ''}"


def _close(pair: Sequence[int]) -> None:
    for descriptor in pair:
        os.close(descriptor)


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
