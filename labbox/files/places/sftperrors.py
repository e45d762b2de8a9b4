"""What a host's short answer means for people: looked into where it says no more than "failure"."""

from __future__ import annotations

import errno
import stat
from typing import Final

from labbox.errors import LabboxError
from labbox.files.places.errors import NoRoomError, meaning
from labbox.files.places.sftpwire import (
    BAD_MESSAGE,
    FAILURE,
    LSTAT,
    NO_SUCH_FILE,
    OP_UNSUPPORTED,
    PERMISSION_DENIED,
    Refusal,
    Stat,
    Wire,
    text,
)
from labbox.locations import NAME_BYTES
from labbox.text import visible_line

_NUMBERS: Final = {
    NO_SUCH_FILE: errno.ENOENT,
    PERMISSION_DENIED: errno.EACCES,
    OP_UNSUPPORTED: errno.EOPNOTSUPP,
    BAD_MESSAGE: errno.EINVAL,
}


class Explainer:
    """Turns refusals of one host into errors; `shown` is how a path stands in a message."""

    def __init__(self, wire: Wire, label: str) -> None:
        """`label`: "sftp://me@my-pc/"."""
        self._wire, self._label = wire, label

    def shown(self, path: str) -> str:
        """A path as its location has it."""
        return self._label + (path[2:] if path == "~" or path.startswith("~/") else path)

    async def told(
        self, refusal: Refusal, doing: str, path: str, way: bytes, onto: str = "", other: bytes = b""
    ) -> LabboxError:
        """What it means; `way` and `other` are the paths as they were sent."""
        number = _NUMBERS.get(refusal.code)
        if number == errno.EINVAL and _too_long(way, other):
            number = errno.ENAMETOOLONG
        elif doing == "move":
            number = await self._of_move(refusal, number, way, other)
        elif doing in ("make", "open", "write", "read", "remove") and number in (None, errno.ENOENT):
            number = await self._of_one(number, doing, way)
        if number is None and refusal.code == FAILURE:
            return await self.vague(refusal, doing, path, way)
        return meaning(number or errno.EIO, doing, self.shown(path), self.shown(onto) if onto else "")

    async def vague(self, refusal: Refusal, doing: str, path: str, way: bytes) -> LabboxError:
        """A failure that nothing can be seen of: a full disk, as long as that may be."""
        shown = self.shown(path)
        if doing in ("make", "write", "resize") and await self._is_full(way):
            return meaning(errno.ENOSPC, doing, shown)
        said = visible_line(refusal.text)[:200]
        reason = (
            f"the host says “{said}”" if said and said.lower() != "failure" else "the host does not say why"
        )
        if doing in ("write", "resize"):
            hint = "your share of its disk may be used up, or the disk may be failing"
            return NoRoomError("limit", f"cannot {doing} “{visible_line(shown)}”: {reason}", hint)
        return LabboxError("invalid", f"cannot {doing} “{visible_line(shown)}”: {reason}", "try it there")

    async def _of_one(self, number: int | None, doing: str, way: bytes) -> int | None:
        found = await self.look(way)
        if found is None or found.mode is None:
            return number
        if number == errno.ENOENT:  # it is there, and yet it is not: what was asked for needs a folder
            return errno.ENOENT if stat.S_ISLNK(found.mode) else errno.ENOTDIR
        if doing == "make":
            return errno.EEXIST
        if doing == "remove" and stat.S_ISDIR(found.mode):
            return errno.ENOTEMPTY
        return number

    async def _of_move(self, refusal: Refusal, number: int | None, way: bytes, other: bytes) -> int | None:
        if refusal.code not in (FAILURE, NO_SUCH_FILE):
            return number
        source, target = await self.look(way), await self.look(other)
        if source is None:
            return errno.ENOENT
        if other.startswith(way + b"/"):
            return errno.EINVAL
        if target is None:
            return errno.ENOENT if refusal.code == NO_SUCH_FILE else errno.EXDEV
        if refusal.code == NO_SUCH_FILE:
            return errno.ENOTDIR
        return errno.ENOTEMPTY if stat.S_ISDIR(target.mode or 0) else errno.EEXIST

    async def look(self, way: bytes) -> Stat | None:
        """What is there; None where nothing can be seen."""
        try:
            return await self._wire.stat(LSTAT, way)
        except Refusal:
            return None

    async def _is_full(self, way: bytes) -> bool:
        for path in (way, way.rpartition(b"/")[0] or b"/"):
            try:
                room = await space(self._wire, path)
            except Refusal:
                continue
            return room is not None and room[1] < 1 << 16
        return False


async def space(wire: Wire, way: bytes) -> tuple[int, int] | None:
    """Bytes of a disk, and how many are free for this user; None where the host does not say."""
    if not wire.has("statvfs@openssh.com"):
        return None
    reader = await wire.reply("statvfs@openssh.com", text(way))
    _block, unit, blocks, _free, available = (reader.long() for _ in range(5))
    return blocks * unit, available * unit


def _too_long(*ways: bytes) -> bool:
    return any(len(way) > 4095 or any(len(part) > NAME_BYTES for part in way.split(b"/")) for way in ways)
