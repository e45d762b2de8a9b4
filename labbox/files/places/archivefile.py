"""An open file of an archive."""

from __future__ import annotations

from typing import Final

from labbox.files.archives.member import Content
from labbox.files.places.base import Entry, Handle
from labbox.files.places.errors import read_only
from labbox.files.places.threads import Threads

KIND: Final = "an archive"


class ArchiveFile(Handle):
    """An open file of an archive."""

    def __init__(self, content: Content, entry: Entry, threads: Threads) -> None:
        """Owns the content."""
        self._content, self._entry, self._threads = content, entry, threads
        self._open = True

    async def read(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes from `offset`."""
        size = max(0, min(size, self._entry.size - offset))
        return await self._threads.read(self._content.read_at, offset, size) if size else b""

    async def write(self, offset: int, data: bytes | memoryview) -> None:
        """Refused."""
        raise read_only("write", self._entry.name, KIND)

    async def flush(self, *, durable: bool = False) -> None:
        """Nothing was written."""

    async def truncate(self, size: int) -> None:
        """Refused."""
        raise read_only("resize", self._entry.name, KIND)

    async def entry(self) -> Entry:
        """How the list tells of it."""
        return self._entry

    async def close(self) -> None:
        """Let go of what was unpacked for it."""
        if self._open:
            self._open = False
            if self._threads.closed:
                self._content.close()
            else:
                await self._threads.change(self._content.close)
