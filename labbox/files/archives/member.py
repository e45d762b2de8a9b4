"""One entry of an archive as its reader tells of it, before its name is made harmless."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum, auto
from typing import NamedTuple, Protocol

from labbox.errors import LabboxError
from labbox.files.listing import shown


class What(Enum):
    """What an entry of an archive is."""

    FILE = auto()
    FOLDER = auto()
    LINK = auto()
    SAME = auto()  # another name of the file `target`
    SPECIAL = auto()  # a device or a pipe


class Where(NamedTuple):
    """Where the bytes of a file are; what each number means is its reader's business."""

    offset: int
    packed: int  # bytes in the archive
    method: int = 0
    crc: int = 0
    stretches: tuple[tuple[int, int], ...] | None = (
        None  # of a file with holes: (start, length) of what is none
    )


class Member(NamedTuple):
    """One entry."""

    name: str  # as it stands there, with / between its parts
    what: What
    size: int = 0
    mtime: int = 0  # nanoseconds of the epoch
    mode: int | None = None  # permission bits, setuid and the like included
    uid: int | None = None
    gid: int | None = None
    target: str | None = None
    where: Where | None = None
    encrypted: bool = False


class Reader(Protocol):
    """An archive that is open for reading; every call blocks and has no effect but reading."""

    label: str
    size: int  # bytes of the archive itself
    mtime_step: int  # nanoseconds between two times that it can tell apart

    def members(self) -> Iterator[Member]:
        """All entries in the order of the archive; LabboxError where it is damaged."""
        ...

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """Offsets and bytes of the member that `members` gave last, without holes; checked at the end."""
        ...

    def opened(self, member: Member) -> Content:
        """The bytes of any member, at any offset."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


class Content(Protocol):
    """The bytes of one file of an archive."""

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes; fewer only at the end."""
        ...

    def close(self) -> None:
        """Let go of it."""
        ...


def encrypted(name: str, archive: str) -> LabboxError:
    """A file that takes a password."""
    return LabboxError(
        "invalid",
        f"cannot read {shown(name)} in {shown(archive)}: it is encrypted",
        "unpack it with 7z or unzip where you may type its password",
    )
