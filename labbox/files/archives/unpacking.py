"""Unpacking: one pass through an archive into a fresh folder, and nothing anywhere else.

Symbolic links are made last, and only those that lead to a place in the folder whatever other links there
are; so nothing is ever written through one. Devices, pipes and setuid bits are
left out and named. What is wrong with one entry does not keep the others from coming.
"""

from __future__ import annotations

from typing import Final

from labbox.errors import LabboxError
from labbox.files.archives.chain import Parts
from labbox.files.archives.folders import Target
from labbox.files.archives.hooks import Hooks
from labbox.files.archives.limits import Limits
from labbox.files.archives.member import Member, Reader, What
from labbox.files.archives.names import ABSOLUTE, clean, leads_inside
from labbox.files.listing import shown
from labbox.files.places.base import EntryKind
from labbox.files.places.errors import NoRoomError

_PLAIN: Final = 0o777  # no setuid, setgid, sticky
_TAKEN: Final = "something else in the archive has the same name"


class Unpacking:
    """One archive on its way into a folder; blocks."""

    def __init__(self, reader: Reader, target: Target, hooks: Hooks, limits: Limits) -> None:
        """`target`: a folder that holds nothing yet."""
        self._reader, self._target, self._hooks, self._limits = reader, target, hooks, limits
        self._size = self._entries = self._names = 0
        self._folders: dict[Parts, tuple[int | None, int | None]] = {}
        self._links: dict[Parts, tuple[str, int]] = {}
        self._left_out: Parts | None = None

    def run(self) -> None:
        """Unpack all; LabboxError where the archive is damaged or goes beyond a limit, so all must go."""
        for member in self._reader.members():
            self._entries += 1
            self._limits.check_entries(self._reader.label, self._entries)
            cleaned = clean(member.name, self._limits.depth)
            path = "/".join(cleaned.parts)
            self._hooks.tick(path)
            if not cleaned.parts:
                self._folders[()] = (_plain_mode(member), member.mtime)
                continue
            if not self._wanted(cleaned.parts, path, member.what is What.FOLDER):
                continue
            if cleaned.refused:
                self._refuse(path, cleaned.flag)
                continue
            if cleaned.flag == ABSOLUTE:
                self._hooks.not_kept(
                    "names that begin at the root of a disk were put below the folder instead"
                )
            try:
                self._one(member, cleaned.parts, path)
            except NoRoomError:
                raise
            except LabboxError as error:
                if error.code == "limit":
                    raise
                self._hooks.fail(path, error)
        self._make_links()
        self._settle()

    def _wanted(self, parts: Parts, path: str, folder: bool) -> bool:
        """Whether neither it nor a folder above it is left out."""
        if self._left_out is not None and parts[: len(self._left_out)] == self._left_out:
            return False
        for count in range(1, len(parts)):
            above = parts[:count]
            if above not in self._folders and not self._hooks.wants("/".join(above), above[-1], folder=True):
                self._left_out = above
                return False
        if self._hooks.wants(path, parts[-1], folder=folder):
            return True
        if folder:
            self._left_out = parts
        return False

    def _one(self, member: Member, parts: Parts, path: str) -> None:
        match member.what:
            case What.FOLDER:
                self._target.folder(parts)
                self._note_folders(parts)
                self._folders[parts] = (_plain_mode(member), member.mtime)
                self._hooks.done(path, EntryKind.FOLDER, 0)
            case What.FILE:
                self._file(member, parts, path)
            case What.SAME:
                self._same(member, parts, path)
            case What.LINK:
                self._note_link(member, parts, path)
            case What.SPECIAL:
                self._refuse(path, "it is a device or a pipe")

    def _file(self, member: Member, parts: Parts, path: str) -> None:
        self._size += _held(member)
        self._limits.check_size(self._reader.label, self._size, self._reader.size)
        self._drop_link(parts, path)
        blocks = self._reader.blocks(member)
        first = next(blocks, None)  # what cannot be read is not even begun
        writing = self._target.file(parts)
        if writing.replaced is not None:
            self._hooks.replaced(path, writing.replaced)
        self._note_folders(parts[:-1])
        try:
            while first is not None:
                writing.write(*first)
                self._hooks.moved(len(first[1]))
                first = next(blocks, None)
        except BaseException:
            writing.drop()
            raise
        writing.finish(member.size, _plain_mode(member), member.mtime)
        if member.mode is not None and member.mode & ~_PLAIN:
            self._hooks.not_kept(f"{shown(path)} may not run with the rights of its owner or group any more")
        self._hooks.done(path, EntryKind.FILE, member.size)

    def _same(self, member: Member, parts: Parts, path: str) -> None:
        other = clean(member.target or "", self._limits.depth)
        if other.refused or not other.parts:
            self._refuse(
                path, f"it is another name of {shown(member.target or '')}, which is not in the archive"
            )
            return
        self._drop_link(parts, path)
        try:
            made = self._target.same(parts, other.parts)
        except LabboxError as error:
            if error.code not in ("not_found", "conflict", "invalid"):
                raise
            self._refuse(path, f"it is another name of {shown(member.target or '')}, which was not unpacked")
            return
        if not made:
            self._refuse(path, "the target keeps no second names of files")
            return
        self._note_folders(parts[:-1])
        self._hooks.done(path, EntryKind.FILE, 0)

    def _note_link(self, member: Member, parts: Parts, path: str) -> None:
        if member.target is None or not leads_inside(parts[:-1], member.target):
            self._refuse(path, f"it is a link that leads out of the folder, to {shown(member.target or '')}")
            return
        self._drop_link(parts, path)
        self._count_name(path + member.target)
        self._links[parts] = member.target, member.mtime

    def _drop_link(self, parts: Parts, path: str) -> None:
        """The last of a name counts."""
        if self._links.pop(parts, None) is not None:
            self._hooks.replaced(path, None)

    def _note_folders(self, parts: Parts) -> None:
        """Folders that only the names of others tell of get a mode in the end."""
        for count in range(len(parts), 0, -1):
            if parts[:count] in self._folders:
                return
            self._count_name("/".join(parts[:count]))
            self._folders[parts[:count]] = (None, None)

    def _count_name(self, name: str) -> None:
        """Links and folders are held in memory until the end."""
        self._names += len(name) + 200
        if self._names > self._limits.listed_names * 2:
            raise LabboxError(
                "limit",
                f"cannot take all of {shown(self._reader.label)}: its folders and links fill the memory",
                "unpack it with tar in a job",
            )

    def _make_links(self) -> None:
        for parts, (says, mtime) in self._links.items():
            path = "/".join(parts)
            self._hooks.tick(path)
            try:
                self._target.link(parts, says, mtime)
                self._note_folders(parts[:-1])
            except NoRoomError:
                raise
            except LabboxError as error:
                self._hooks.fail(path, error if error.code != "conflict" else _refused(path, _TAKEN))
                continue
            self._hooks.done(path, EntryKind.LINK, 0)

    def _settle(self) -> None:
        """Modes and times of folders, the deepest first: what is made in one changes its time."""
        for parts in sorted(self._folders, key=len, reverse=True):
            mode, mtime = self._folders[parts]
            try:
                self._target.settle(parts, mode, mtime)
            except LabboxError as error:
                self._hooks.fail("/".join(parts), error)

    def _refuse(self, path: str, why: str) -> None:
        self._hooks.fail(path, _refused(path, why))


def _refused(path: str, why: str) -> LabboxError:
    return LabboxError("invalid", f"cannot unpack {shown(path)}: {why}", "it was left out")


def _plain_mode(member: Member) -> int | None:
    return None if member.mode is None else member.mode & _PLAIN


def _held(member: Member) -> int:
    """Bytes of a file that are written; holes cost nothing."""
    where = member.where
    if where is None or where.stretches is None:
        return member.size
    return sum(length for _, length in where.stretches)
