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


class Parser(Protocol):
    """What understands one family of archives. It runs in a confined child alone: see `parsing`."""

    whole: bool  # all bytes come from one packed stream: `Where.offset` is a place in what comes out of it

    def members(self) -> Iterator[Member]:
        """All entries in the order of the archive; LabboxError where it is damaged."""
        ...

    def stands(self, member: Member) -> int | None:
        """Where the bytes of a file stand in the archive as they are; None where they come packed."""
        ...

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes]]:
        """Offsets and bytes of the packed file that `members` gave last, without holes, and checked."""
        ...

    def unpacked(self, member: Member) -> Iterator[bytes]:
        """The bytes of any packed file, or of the one stream."""
        ...


class Reader(Protocol):
    """An archive that is open for reading; every call blocks and has no effect but reading."""

    label: str
    size: int  # bytes of the archive itself
    mtime_step: int  # nanoseconds between two times that it can tell apart

    def members(self) -> Iterator[Member]:
        """All entries in the order of the archive; LabboxError where it is damaged."""
        ...

    def blocks(self, member: Member) -> Iterator[tuple[int, bytes | memoryview]]:
        """Offsets and bytes of the member that `members` gave last, without holes; checked at the end.

        Each is good until the next is asked for.
        """
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


def wrong(name: str, archive: str, why: str) -> LabboxError:
    """A file whose bytes are not what they should be; the others may be."""
    return LabboxError(
        "invalid",
        f"cannot read {shown(name)} in {shown(archive)}: {why}",
        "fetch the archive again from where it came, or test it there",
    )
