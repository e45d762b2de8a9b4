"""Walking a folder through descriptors: what stands in it, and what must not be handed in.

Every folder is opened relative to its parent and without following links, so that nothing outside can be
reached, whatever is renamed meanwhile. Names are text as `os.fsdecode` makes it; undecodable bytes survive.
"""

from __future__ import annotations

import os
import re
import stat
import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from labbox.errors import LabboxError
from labbox.files.following import Tick, no_tick
from labbox.files.ignoring import VIRTUAL_ENVIRONMENT, Ignore
from labbox.model import Value
from labbox.text import visible_line

MAX_ENTRIES: Final = 2_000_000
MAX_DEPTH: Final = 128  # folders inside each other; each holds a descriptor while it is walked
MAX_PATH: Final = 3000  # bytes; the kernel takes 4096, and the box's own folders stand in front
FOLDER_FLAGS: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ANNEXED: Final = re.compile(r"(?:^|/)\.git/annex/objects/")
_STAMP: Final = struct.Struct("<QQqqq")
_HALVES: Final = (["code"], ["input"], ["output"])  # what stands beside a tree when it runs: /code, /input…
TICK_EVERY: Final = 256  # entries between two looks at the clock


class Problem(Value):
    """Why a path cannot be handed in, or is left out (not `fatal`); `path` is relative, may be hostile."""

    path: str
    text: str
    hint: str
    fatal: bool = True

    def error(self) -> LabboxError:
        """The problem as the error that ends a snapshot."""
        return LabboxError("invalid", f"cannot hand in {shown(self.path)}: {self.text}", self.hint)


class File(NamedTuple):
    """A regular file as it was when walked."""

    name: str
    path: str  # relative to the tree's top
    executable: bool
    size: int  # bytes
    stamp: bytes  # device, inode, size, mtime and ctime: equal stamps, equal content
    stored: int  # bytes on disk, less than `size` where it has holes


class Link(NamedTuple):
    """A symbolic link that stays inside the project."""

    name: str
    path: str
    target: str


class Folder(NamedTuple):
    """A folder and what stands directly in it; `identity` is device and inode."""

    name: str
    path: str  # "" for the top
    depth: int
    identity: tuple[int, int]
    files: list[File]
    links: list[Link]


class Listing(NamedTuple):
    """A walked tree: folders in the order in which a walk enters them, the top first."""

    folders: list[Folder]
    problems: list[Problem]

    def files(self) -> Iterator[File]:
        """All regular files."""
        for folder in self.folders:
            yield from folder.files

    @property
    def total(self) -> int:
        """How many regular files."""
        return sum(len(folder.files) for folder in self.folders)

    @property
    def size(self) -> int:
        """Their bytes together."""
        return sum(file.size for file in self.files())

    def signature(self) -> dict[str, object]:
        """What tells whether a second walk found the same."""
        found: dict[str, object] = {}
        for folder in self.folders:
            found[folder.path] = folder.identity
            found.update((file.path, (file.stamp, file.executable)) for file in folder.files)
            found.update((link.path, link.target) for link in folder.links)
        return found


def shown(path: str) -> str:
    """A path from outside in quotes, on one line, with its end kept where it is long."""
    line = visible_line(path)
    return f"“{line}”" if len(line) <= 160 else f"“{line[:60]}…{line[-90:]}”"


def stamp_of(found: os.stat_result) -> bytes:
    """Device, inode, size and both times of a file, packed."""
    return _STAMP.pack(found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns)


def settles_in(stamp: bytes, now: int) -> float:
    """Seconds from `now` (nanoseconds) until a change is sure to get another ctime; 0 where it is so already.

    Kernels before 6.13 stamp with their tick (at most 10 ms); FAT and old NFS keep whole seconds, FAT two of
    them. A file read before that cannot be told from one that changed right afterwards.
    """
    changed_at: int = _STAMP.unpack(stamp)[4]
    window = 2_100_000_000 if changed_at % 1_000_000 == 0 else 20_000_000
    return max(0.0, (changed_at + window - now) / 1e9)


class _Walk:
    def __init__(self, ignore: Ignore, excluded: frozenset[str], prefix: str, tick: Tick) -> None:
        self._ignore = ignore
        self._excluded = excluded  # names at the top that are no part of the tree
        self._prefix = prefix  # what people see before a path: "input/"
        self._tick = tick
        self._mine = os.geteuid()
        self._seen = 0
        self.folders: list[Folder] = []
        self.problems: list[Problem] = []

    def folder(self, descriptor: int, name: str, path: str, depth: int) -> None:
        found = os.fstat(descriptor)
        folder = Folder(name, path, depth, (found.st_dev, found.st_ino), [], [])
        self.folders.append(folder)
        prefix = f"{path}/" if path else ""
        below: list[str] = []
        with os.scandir(descriptor) as entries:
            for entry in entries:
                self._count()
                own = prefix + entry.name
                is_folder = entry.is_dir(follow_symlinks=False)
                if (not path and entry.name in self._excluded) or self._ignore(
                    self._prefix + own, entry.name, is_folder
                ):
                    continue
                if len(own) > MAX_PATH // 4 and len(os.fsencode(own)) > MAX_PATH:
                    self._problem(own, f"its path is longer than {MAX_PATH} bytes", "use shorter names")
                elif is_folder:
                    below.append(entry.name)
                else:
                    self._entry(folder, entry, own, depth, descriptor)
        for one in sorted(below):
            self._enter(descriptor, one, prefix + one, depth + 1)

    def _count(self) -> None:
        self._seen += 1
        if self._seen % TICK_EVERY == 0:
            self._tick()
        if self._seen > MAX_ENTRIES:
            raise LabboxError(
                "limit",
                f"cannot hand in a folder with more than {MAX_ENTRIES:,} files",
                "pack them into one archive in input/ and unpack that in the job",
            )

    def _enter(self, parent: int, name: str, path: str, depth: int) -> None:
        if depth > MAX_DEPTH:
            self._problem(path, f"more than {MAX_DEPTH} folders stand inside each other", "make it flatter")
            return
        try:
            descriptor = os.open(name, FOLDER_FLAGS, dir_fd=parent)
        except PermissionError:
            self._unreadable(path)
            return
        except OSError as error:
            raise changed(self._prefix + path) from error
        try:
            if _holds(descriptor, VIRTUAL_ENVIRONMENT):
                hint = "list the packages in requirements.txt; labbox makes the environment"
                self._problem(path, "a virtual environment is left out", hint, fatal=False)
            else:
                self.folder(descriptor, name, path, depth)
        except PermissionError:
            self._unreadable(path)
        finally:
            os.close(descriptor)

    def _entry(self, folder: Folder, entry: os.DirEntry[str], path: str, depth: int, parent: int) -> None:
        try:
            found = entry.stat(follow_symlinks=False)
            if stat.S_ISLNK(found.st_mode):
                self._link(folder, entry.name, path, depth, os.readlink(entry.name, dir_fd=parent))
                return
        except OSError as error:
            raise changed(self._prefix + path) from error
        if not stat.S_ISREG(found.st_mode):
            self._problem(
                path,
                f"{_kind(found.st_mode)} is left out",
                "remove it, or leave it: only files go along",
                False,
            )
            return
        if not found.st_mode & stat.S_IRUSR and found.st_uid == self._mine != 0:
            self._unreadable(path)
            return
        folder.files.append(
            File(
                entry.name,
                path,
                bool(found.st_mode & 0o100),
                found.st_size,
                stamp_of(found),
                found.st_blocks * 512,
            )
        )

    def _link(self, folder: Folder, name: str, path: str, depth: int, target: str) -> None:
        if _stays_inside(target, depth, bool(self._prefix)):
            folder.links.append(Link(name, path, target))
            return
        if is_annexed(target):
            self._problem(
                path,
                "it is a link of git-annex (DataLad) to data that stands outside what is handed in",
                "put the data in its place with `git annex get .` and `git annex unlock .`",
            )
            return
        self._problem(
            path,
            f"it is a link out of the project, to {shown(target)}",
            "copy what it points to into the project, or use a relative link that stays inside",
        )

    def _unreadable(self, path: str) -> None:
        hint = "make it readable (chmod u+r), remove it, or add it to ignore in job.toml"
        self._problem(path, "you may not read it", hint)

    def _problem(self, path: str, text: str, hint: str, fatal: bool = True) -> None:
        self.problems.append(Problem(path=self._prefix + path, text=text, hint=hint, fatal=fatal))


def walk(
    descriptor: int,
    ignore: Ignore,
    *,
    excluded: frozenset[str] = frozenset(),
    prefix: str = "",
    tick: Tick = no_tick,
) -> Listing:
    """List the folder that `descriptor` holds open.

    `excluded` names are left out at the top. `prefix` ("input/") says that the folder is one half of a
    project: its name goes before paths that people see, and links may climb out of it to reach the other
    half. LabboxError("conflict") where the folder changes while it is read.
    """
    walking = _Walk(ignore, excluded, prefix, tick)
    try:
        walking.folder(descriptor, "", "", 0)
    except PermissionError as error:
        raise LabboxError(
            "forbidden", "cannot read the folder: you may not", "make it readable: chmod u+rx"
        ) from error
    return Listing(walking.folders, walking.problems)


def changed(path: str) -> LabboxError:
    """A path is no longer what it was when it was first looked at."""
    return LabboxError(
        "conflict",
        f"cannot hand in {shown(path) if path else 'the folder'}: it changed while it was being copied",
        "wait until nothing writes to it any more, then submit again",
    )


def is_annexed(target: str) -> bool:
    """Whether a link leads to where git-annex keeps data, which never goes along."""
    return _ANNEXED.search(target) is not None


def _stays_inside(target: str, depth: int, half: bool) -> bool:
    """Whether a link `depth` levels below a tree's top ends in what is handed in, by its text alone.

    Dots are taken at the front only: the folders that they climb are real ones, since the walk came through
    them.
    """
    if target.startswith("/") or "\0" in target:
        return False
    parts = [part for part in target.split("/") if part not in ("", ".")]
    climbs = 0
    while climbs < len(parts) and parts[climbs] == "..":
        climbs += 1
    if ".." in parts[climbs:]:
        return False
    return climbs <= depth or (half and climbs == depth + 1 and parts[climbs : climbs + 1] in _HALVES)


def _holds(descriptor: int, name: str) -> bool:
    try:
        os.stat(name, dir_fd=descriptor, follow_symlinks=False)
    except OSError:
        return False
    return True


def _kind(mode: int) -> str:
    kinds = {stat.S_IFIFO: "a FIFO", stat.S_IFSOCK: "a socket"}
    return kinds.get(stat.S_IFMT(mode), "a device")
