"""The list of an archive as a tree of harmless names: plain data, made by one thread, read by others.

The last entry of a name counts, as it does when the archive is unpacked. Where a name is a file and a folder
too, the folder keeps it and the file stands beside it. What is odd is kept as a sentence for its path.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, TypeAlias

import msgspec

from labbox.errors import LabboxError
from labbox.files.archives.limits import Limits, too_much
from labbox.files.archives.member import Member, Reader, What
from labbox.files.archives.names import Clean, clean, leads_inside
from labbox.files.places.base import EntryKind

FLAGS_KEPT: Final = 1000
_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(Member).decode
_KINDS: Final = {
    What.FILE: EntryKind.FILE,
    What.FOLDER: EntryKind.FOLDER,
    What.LINK: EntryKind.LINK,
    What.SAME: EntryKind.FILE,
    What.SPECIAL: EntryKind.OTHER,
}

TWICE: Final = "it is in the archive more than once; the last one counts"
BOTH: Final = "it is a file and a folder"
LINK_OUT: Final = "it is a link that leads out of the archive"
NO_SUCH: Final = "it is another name of a file that is not in the archive"
SPECIAL: Final = "it is a device or a pipe"
TRUSTED: Final = "it would run with its owner's rights"


Child: TypeAlias = "Node | bytes"
"""A plain file is kept as bytes: a million of them cost a third of the memory, and the collector no time."""


class Node:
    """One name in the tree; `member` None: a folder that only the names of others tell of."""

    __slots__ = ("children", "links", "member")

    def __init__(self, member: Member | None, folder: bool) -> None:
        """`folder`: it has children, perhaps none yet."""
        self.member = member
        self.children: dict[str, Child] | None = {} if folder else None
        self.links: list[int] | None = (
            None  # of files with several names: how many, and the number of the file
        )

    @property
    def kind(self) -> EntryKind:
        """What it is."""
        if self.children is not None or self.member is None:
            return EntryKind.FOLDER
        return _KINDS[self.member.what]


def node_of(child: Child) -> Node:
    """What a folder holds under a name, as a node."""
    return Node(_decode(child), folder=False) if isinstance(child, bytes) else child


class Index:
    """All names of an archive; while `fill` runs, others may look at what is there already."""

    def __init__(self, label: str, limits: Limits) -> None:
        """Empty."""
        self.top = Node(None, folder=True)
        self.flags: dict[str, str] = {}  # path: what is odd about it; the first ones
        self.flagged = 0
        self.entries = 0
        self.size = 0  # bytes of all files
        self.done = False
        self.problem: LabboxError | None = None  # why it is not whole
        self._label, self._limits = label, limits
        self._names = 0
        self._numbers = 0

    def fill(self, reader: Reader) -> Iterator[None]:
        """Read all entries; stops between any two, so that the caller can breathe or end it."""
        try:
            for member in reader.members():
                self.entries += 1
                self._limits.check_entries(self._label, self.entries, listed=True)
                self._names += len(member.name) + len(member.target or "")
                if self._names > self._limits.listed_names:
                    raise too_much(self._label, "its names alone would fill the memory")
                self._add(member)
                yield
        except LabboxError as error:
            self.problem = error
        self.done = True

    def _add(self, member: Member) -> None:
        cleaned = clean(member.name, self._limits.depth)
        if cleaned.flag:
            self._flag("/".join(cleaned.parts), cleaned.flag)
        if not cleaned.parts:
            if member.what is What.FOLDER:
                self.top.member = member._replace(name="")
            return
        folder = self._folder(cleaned)
        name = cleaned.parts[-1]
        path = "/".join(cleaned.parts)
        there = folder.get(name)
        if member.what is What.FOLDER:
            self._add_folder(folder, name, path, there, member)
            return
        node = self._made(member, path)
        if isinstance(there, Node) and there.children is not None:
            self._flag(path, BOTH)
            folder[self._beside(folder, name)] = node
            return
        if there is not None:
            self._flag(path, TWICE)
        folder[name] = node

    def _add_folder(
        self, folder: dict[str, Child], name: str, path: str, there: Child | None, member: Member
    ) -> None:
        member = member._replace(name="")
        if there is None:
            folder[name] = Node(member, folder=True)
        elif isinstance(there, Node) and there.children is not None:
            if there.member is not None:
                self._flag(path, TWICE)
            there.member = member
        else:
            self._flag(path, BOTH)
            folder[self._beside(folder, name)] = there
            folder[name] = Node(member, folder=True)

    def _made(self, member: Member, path: str) -> Child:
        self.size += member.size
        if member.mode is not None and member.mode & 0o6000 and member.what is What.FILE:
            self._flag(path, TRUSTED)
        if member.what is What.SPECIAL:
            self._flag(path, SPECIAL)
        if member.what is What.LINK and not leads_inside(tuple(path.split("/")[:-1]), member.target or ""):
            self._flag(path, LINK_OUT)
        if member.what is What.SAME:
            return self._same(member, path)
        member = member._replace(name="")  # the tree holds it already
        return _encode(member) if member.target is None else Node(member, folder=False)

    def _same(self, member: Member, path: str) -> Node:
        """Another name of a file that came before."""
        cleaned = clean(member.target or "", self._limits.depth)
        found: Node | None = self.top
        for part in cleaned.parts:
            children = None if found is None else found.children
            child = None if children is None else children.get(part)
            found = None if child is None else node_of(child)
            if isinstance(child, bytes) and children is not None and found is not None:
                children[part] = found  # it has several names: they share what is said of it
        if cleaned.refused or found is None or found.member is None or found.member.what is not What.FILE:
            self._flag(path, NO_SUCH)
            return Node(member._replace(name="", what=What.SPECIAL), folder=False)
        if found.links is None:
            self._numbers += 1
            found.links = [1, self._numbers]
        found.links[0] += 1
        node = Node(found.member, folder=False)
        node.links = found.links
        return node

    def _folder(self, cleaned: Clean) -> dict[str, Child]:
        """The children of the folder of a name, made where they are missing."""
        children = self.top.children
        assert children is not None  # noqa: S101
        for number, part in enumerate(cleaned.parts[:-1]):
            there = children.get(part)
            if there is None:
                there = children[part] = Node(None, folder=True)
                self.entries += 1
                self._limits.check_entries(self._label, self.entries, listed=True)
            elif isinstance(there, bytes) or there.children is None:
                self._flag("/".join(cleaned.parts[: number + 1]), BOTH)
                children[self._beside(children, part)] = there
                there = children[part] = Node(None, folder=True)
            assert there.children is not None  # noqa: S101
            children = there.children
        return children

    def _beside(self, folder: dict[str, Child], name: str) -> str:
        """A name that is free: "a (file)"."""
        data = name.encode("utf-8", "surrogateescape")[:200].decode("utf-8", "ignore")
        found = f"{data} (file)"
        while found in folder:
            self._numbers += 1  # never tried twice: a hostile list would make that slow
            found = f"{data} (file {self._numbers})"
        return found

    def _flag(self, path: str, what: str) -> None:
        self.flagged += 1
        if len(self.flags) < FLAGS_KEPT:
            self.flags[path] = what
