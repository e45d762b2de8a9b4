"""What comes out of a packed stream, kept while it is looked at: any offset can be read, and read again.

Nothing is unpacked before it is asked for. Little is kept in memory, more in a file without a name in the
user's own cache, which is gone with the process.
"""

from __future__ import annotations

import os
import tempfile
import threading
from collections.abc import Generator
from contextlib import suppress
from pathlib import Path
from typing import IO, Final

from labbox.errors import LabboxError
from labbox.files.archives.limits import Limits, too_much
from labbox.files.archives.source import closed
from labbox.files.places.errors import explained
from labbox.text import format_bytes

_IN_MEMORY: Final = 4 << 20


def cache_folder() -> str:
    """The user's own cache, or where temporary files go."""
    for folder in (os.environ.get("XDG_CACHE_HOME", ""), os.environ.get("HOME", "")):
        if not folder.startswith("/"):
            continue
        made = Path(folder if folder == os.environ.get("XDG_CACHE_HOME") else f"{folder}/.cache") / "labbox"
        with suppress(OSError):
            made.mkdir(mode=0o700, parents=True, exist_ok=True)
            if os.access(made, os.W_OK):
                return str(made)
    return tempfile.gettempdir()


class Spool:
    """The bytes of a stream, at any offset; calls may come from several threads."""

    def __init__(self, blocks: Generator[bytes, None, None], label: str, limits: Limits) -> None:
        """Read `blocks` as far as is asked for."""
        self._blocks = blocks
        self._label, self._limits = label, limits
        self._memory = bytearray()
        self._file: IO[bytes] | None = None
        self._got = 0
        self._ended = self._closed = False
        self._problem: LabboxError | None = None
        self._lock = threading.Lock()

    def read_at(self, offset: int, size: int) -> bytes:
        """Up to `size` bytes."""
        with self._lock:
            if self._closed:
                raise closed(self._label)
            while self._got < offset + size and not self._ended:
                if self._problem is not None:
                    raise self._problem
                try:
                    self._more()
                except LabboxError as error:
                    self._problem = error  # its blocks have ended with that
                    raise
            if self._file is None:
                return bytes(self._memory[offset : offset + size])
            with explained("read", self._label):
                return os.pread(self._file.fileno(), size, offset)

    def close(self) -> None:
        """Let go of what is kept."""
        with self._lock:
            self._closed = True
            self._blocks.close()
            self._memory = bytearray()
            if self._file is not None:
                self._file.close()

    def _more(self) -> None:
        block = next(self._blocks, None)
        if block is None:
            self._ended = True
            return
        if self._got + len(block) > self._limits.kept:
            raise too_much(
                self._label,
                f"more than {format_bytes(self._limits.kept)} would be kept on disk to look at it",
            )
        with explained("keep", self._label):
            if self._file is None and self._got + len(block) <= _IN_MEMORY:
                self._memory += block
            else:
                if self._file is None:
                    self._file = tempfile.TemporaryFile(dir=cache_folder())
                    self._write(bytes(self._memory))
                    self._memory = bytearray()
                self._write(block)
        self._got += len(block)

    def _write(self, data: bytes) -> None:
        assert self._file is not None  # noqa: S101
        left = memoryview(data)
        while left:
            left = left[os.write(self._file.fileno(), left) :]
