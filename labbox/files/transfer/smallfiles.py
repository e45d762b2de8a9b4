"""Small files between this machine and another place, each with one step of blocking work on this side.

The files are opened below the folder where the transfer begins, through no link: what another puts in the way
leads nowhere. Whatever is out of the ordinary (a path too long for the kernel, a change meanwhile, holes) is
left to the way for all files.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, Final, TypeVar

from labbox.errors import LabboxError
from labbox.files.places.base import Attributes, Entry
from labbox.files.places.errors import meaning
from labbox.files.transfer.asked import Spot
from labbox.files.transfer.attributes import Keeper
from labbox.files.transfer.system import CREATE, READ, open_file_beneath
from labbox.files.transfer.together import Together

_T = TypeVar("_T")
SMALL: Final = 1 << 17  # bytes


class LocalEnd:
    """The side of a transfer that is on this machine."""

    def __init__(self, top: int, base: str) -> None:
        """`top`: the open folder that is `base` in its place; it is this object's from now on."""
        self._top = top
        self._together = Together()
        self._base = base.rstrip("/") + "/"

    def close(self) -> None:
        """Let go of the folder."""
        os.close(self._top)

    async def read(self, found: Spot, entry: Entry) -> bytes | None:
        """The whole of a small file; None where it is not what its entry said."""
        below = self._below(found)
        return None if below is None else await self._together.do(self._read, below, entry)

    async def write(self, found: Spot, data: bytes, attributes: Attributes, keeper: Keeper) -> bool:
        """Make a small file with its attributes; False where that has to be tried in another way."""
        below = self._below(found)
        if below is None:
            return False
        return await self._together.do(self._write, below, data, attributes, keeper)

    async def read_many(self, files: Sequence[tuple[Spot, Entry]]) -> list[bytes | None]:
        """The whole of each; None where it is not what its entry said."""
        return await self._together.do(
            self._each, self._read, [(self._below(found), entry) for found, entry in files]
        )

    async def write_many(
        self, files: Sequence[tuple[Spot, bytes, Attributes]], keeper: Keeper
    ) -> list[bool | None]:
        """Make each; not True where that has to be tried in another way, where nothing is then."""
        wanted = [(self._below(found), data, attributes, keeper) for found, data, attributes in files]
        return await self._together.do(self._each, self._write, wanted)

    @staticmethod
    def _each(work: Callable[..., _T], files: list[tuple[Any, ...]]) -> list[_T | None]:
        made: list[_T | None] = []
        for below, *rest in files:
            try:
                made.append(None if below is None else work(below, *rest))
            except LabboxError:  # the other way tells why
                made.append(None)
        return made

    def _below(self, found: Spot) -> str | None:
        if not found.path.startswith(self._base) or len(found.path) > 1000:
            return None
        return found.path[len(self._base) :]

    def _read(self, below: str, entry: Entry) -> bytes | None:
        try:
            opened = open_file_beneath(self._top, below, READ)
        except OSError:
            return None  # the other way tells why
        try:
            data = os.read(opened, entry.size + 1)
            found = os.fstat(opened)  # after it: a change meanwhile shows
            same = stat.S_ISREG(found.st_mode) and _version(found) == (entry.size, entry.mtime)
            return data if same and len(data) == entry.size else None
        except OSError:
            return None
        finally:
            os.close(opened)

    def _write(self, below: str, data: bytes, attributes: Attributes, keeper: Keeper) -> bool:
        try:
            made = open_file_beneath(self._top, below, CREATE, 0o600)
        except OSError:
            return False
        try:
            rest = memoryview(data)
            while rest:
                rest = rest[os.write(made, rest) :]
            keeper.keep_simple(made, attributes)
        except OSError as error:
            raise self._failed(below, error) from error
        finally:
            os.close(made)
        return True

    def _failed(self, below: str, error: OSError) -> LabboxError:
        with suppress(OSError):
            above, _, name = below.rpartition("/")
            folder = open_file_beneath(self._top, above or ".", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.unlink(name, dir_fd=folder)
            finally:
                os.close(folder)
        return meaning(error.errno, "copy", below)


def _version(found: os.stat_result) -> tuple[int, int]:
    return found.st_size, found.st_mtime_ns
