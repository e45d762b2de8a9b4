"""Lists that may be long: a few thousand are held, the rest lies in a file without a name."""

from __future__ import annotations

import heapq
import json
import tempfile
from collections.abc import Iterator
from typing import IO, Final

from labbox.files.places.base import Entry, EntryKind

HELD: Final = 20_000  # names or entries in memory


class Names:
    """Names in the order in which they came, given back last one first while few, else first one first."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._held: list[str] = []
        self._file: IO[bytes] | None = None
        self._waiting = 0

    def append(self, name: str) -> None:
        """Add one."""
        self._held.append(name)
        if len(self._held) >= HELD:
            if self._file is None:
                self._file = tempfile.TemporaryFile()
            self._file.seek(0, 2)
            for one in self._held:
                data = one.encode("utf-8", "surrogateescape")
                self._file.write(data + b"\0")
            self._waiting += len(self._held)
            self._held.clear()

    def __bool__(self) -> bool:
        """Whether there are any."""
        return bool(self._held) or self._waiting > 0

    def drain(self) -> Iterator[str]:
        """All of them, once."""
        while self._held:
            yield self._held.pop()
        if self._file is None:
            return
        with self._file as file:
            file.seek(0)
            rest = b""
            while block := file.read(1 << 16):
                *whole, rest = (rest + block).split(b"\0")
                for one in whole:
                    self._waiting -= 1
                    yield one.decode("utf-8", "surrogateescape")
        self._file = None


class Sorted:
    """Entries by name, in the order of their bytes, however many."""

    def __init__(self) -> None:
        """Hold nothing."""
        self._held: list[tuple[bytes, Entry]] = []
        self._runs: list[IO[bytes]] = []

    def add(self, entry: Entry) -> None:
        """Take one in."""
        self._held.append((entry.name.encode("utf-8", "surrogateescape"), entry))
        if len(self._held) >= HELD:
            self._held.sort(key=_name)
            run = tempfile.TemporaryFile()
            run.writelines(json.dumps(one).encode("ascii") + b"\n" for _bytes, one in self._held)
            self._runs.append(run)
            self._held = []

    def __iter__(self) -> Iterator[Entry]:
        """The entries in order."""
        self._held.sort(key=_name)
        ways = [_run(run) for run in self._runs]
        for _bytes, entry in heapq.merge(*ways, iter(self._held), key=_name):
            yield entry

    def close(self) -> None:
        """Let go of the files."""
        for run in self._runs:
            run.close()
        self._runs.clear()
        self._held.clear()


def _name(item: tuple[bytes, Entry]) -> bytes:
    return item[0]


def _run(file: IO[bytes]) -> Iterator[tuple[bytes, Entry]]:
    file.seek(0)
    for line in file:
        name, kind, size, mtime, mode, uid, gid, links, identity, *rest = json.loads(line)
        same = None if identity is None else (identity[0], identity[1])
        entry = Entry(name, EntryKind(kind), size, mtime, mode, uid, gid, links, same, *rest)
        yield name.encode("utf-8", "surrogateescape"), entry
