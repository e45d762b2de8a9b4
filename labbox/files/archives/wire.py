"""What a child that reads an archive and its parent say to each other.

The child sends frames over a socket, and long blocks through memory that both map: a few slots, each of which
is the child's again once the parent has let go of it. Nothing is unpickled; everything has a type and a cap.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Annotated, Final

import msgspec

from labbox.errors import Code, LabboxError
from labbox.files.archives.member import Member, What, Where
from labbox.files.archives.names import decoded
from labbox.text import visible_line

HEAD: Final = struct.Struct("<cI")  # which frame, and its length in bytes
SLOT: Final = 1 << 20  # bytes of a slot
SLOTS: Final = 4
ANSWER: Final = 1 << 20  # bytes that a child may ask of the archive at once
SHARED: Final = ANSWER + SLOTS * SLOT
INLINE: Final = 16 << 10  # a block so short goes through the socket
MOST_FRAME: Final = 32 << 20
_LARGEST: Final = (1 << 63) - 1

# From the child.
ENTRY: Final = b"M"
BLOCK: Final = b"B"  # of the present file, in a slot
SHORT: Final = b"b"  # the same, in the frame
END: Final = b"E"  # of that file
FAILED: Final = b"F"  # why there is no more of it
STANDS: Final = b"S"  # the answer about one file: where its bytes are; nothing where they come packed
READ: Final = b"R"  # a wish to read the archive
DONE: Final = b"D"
BROKEN: Final = b"X"  # why all has ended

# From the parent, one byte each, some with a number or a text behind it.
FREE: Final = b"c"  # a slot
YES: Final = b"y"
NO: Final = b"n"
GOT: Final = b"r"  # so much was read
OPEN: Final = b"o"  # a file
NEXT: Final = b"g"  # block of it
CLOSE: Final = b"q"

AT: Final = struct.Struct("<QIB")  # of BLOCK: offset in the file, length, slot
SHORT_AT: Final = struct.Struct("<Q")  # of SHORT: offset in the file; the bytes follow
ASKED: Final = struct.Struct("<QI")  # of READ: offset in the archive, length
NUMBER: Final = struct.Struct("<I")  # behind GOT, OPEN, NEXT, CLOSE


class Comes(IntEnum):
    """What follows an entry."""

    NOTHING = 0  # its bytes, if it has any, stand in the archive as they are, at `stands`
    BLOCKS = 1
    ASKED = 2  # blocks, if the parent says that it wants them


_Size = Annotated[int, msgspec.Meta(ge=0, le=_LARGEST)]


class _Where(msgspec.Struct, array_like=True, frozen=True):
    offset: _Size
    packed: _Size
    method: int
    crc: _Size
    stretches: tuple[tuple[_Size, _Size], ...] | None


class _Row(msgspec.Struct, array_like=True, frozen=True):
    name: bytes
    what: What
    size: _Size
    mtime: int
    mode: Annotated[int, msgspec.Meta(ge=0, le=0o7777)] | None
    uid: int | None
    gid: int | None
    target: bytes | None
    where: _Where | None
    encrypted: bool
    stands: _Size | None
    comes: Comes


class Told(msgspec.Struct, frozen=True):
    """An entry as it came over."""

    member: Member
    stands: int | None
    comes: Comes


_encode: Final = msgspec.msgpack.Encoder().encode
_decode: Final = msgspec.msgpack.Decoder(_Row).decode


def packed(member: Member, stands: int | None = None, comes: Comes = Comes.NOTHING) -> bytes:
    """An entry as bytes."""
    where = member.where
    return _encode(
        _Row(
            _raw(member.name),
            member.what,
            min(max(0, member.size), _LARGEST),
            min(max(-_LARGEST, member.mtime), _LARGEST),
            None if member.mode is None else member.mode & 0o7777,
            _owner(member.uid),
            _owner(member.gid),
            None if member.target is None else _raw(member.target),
            None if where is None else _Where(*where),
            member.encrypted,
            stands,
            comes,
        )
    )


def unpacked(data: bytes | bytearray | memoryview) -> Told:
    """The entry again; msgspec's error where it is none."""
    row = _decode(data)
    where = row.where
    member = Member(
        decoded(row.name),
        row.what,
        row.size,
        row.mtime,
        row.mode,
        row.uid,
        row.gid,
        None if row.target is None else decoded(row.target),
        None
        if where is None
        else Where(where.offset, where.packed, where.method, where.crc, where.stretches),
        row.encrypted,
    )
    return Told(member, row.stands, row.comes)


def packed_error(error: LabboxError) -> bytes:
    """An error as bytes."""
    return msgspec.msgpack.encode((error.code, _plain(error.message), _plain(error.hint)))


def unpacked_error(data: bytes | bytearray | memoryview) -> LabboxError:
    """The error again, harmless to show; msgspec's error where it is none."""
    code, message, hint = msgspec.msgpack.decode(data, type=tuple[Code, str, str])
    return LabboxError(code, visible_line(message[:2000]), visible_line(hint[:2000]))


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _plain(text: str) -> str:
    return text.encode("utf-8", "replace").decode()


def _owner(number: int | None) -> int | None:
    return number if number is not None and -_LARGEST <= number <= _LARGEST else None
