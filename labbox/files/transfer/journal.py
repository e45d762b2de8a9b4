"""What a transfer writes down so that it can go on after a cut, and be taken back after its end.

`journal`: lines of JSON, only ever added to. The first one gives the transfer its tag, by which its
unfinished files are called, and the time it began. What is finished needs no line: a file that stands where
it belongs with its source's size and time, changed after that beginning, is finished, since its time is set
last of all. Large files leave lines, since half of one is worth keeping: which source it was and how far it
had come.

`undo.jsonl`: a line for each thing that was put somewhere, written before it gets its name.
"""

from __future__ import annotations

import errno
import os
import secrets
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, Self

import msgspec

from labbox.errors import LabboxError
from labbox.files.transfer.system import write_out
from labbox.locations import path_of, path_text

JOURNAL: Final = "journal"
UNDO: Final = "undo.jsonl"
REPORT: Final = "report.jsonl"
SYNC_EVERY: Final = 2.0  # seconds between two times that lines are forced to the disk
_NEW: Final = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC


class Large(msgspec.Struct, frozen=True):
    """A large file on its way: its source as it was, and how many bytes are at the target for certain."""

    path: str
    size: int
    mtime: int
    inode: int
    done: int


class Undoable(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that was put at `path` (a location's text), as it was then.

    `what`: "made" a file, link or folder; "moved" here from `was`; "replaced" something that is lost; "void"
    takes back the line before for this path.
    """

    what: str
    path: str
    was: str = ""
    kind: str = ""
    size: int = 0
    mtime: int = 0
    inode: int = 0
    at: int = 0  # when, nanoseconds of the clock that stamps files


class Journal:
    """The three files in a job's folder."""

    def __init__(self, folder: int, *, may_lack: bool = False) -> None:
        """`folder`: the open folder of the job; a journal that is in it is gone on with.

        `may_lack`: what is done needs no journal to be gone on with, so on a full disk it goes without.
        """
        self.lacking = False  # what was to be written down did not fit
        self._may_lack = may_lack
        self.folder = os.dup(folder)
        self._journal = self._open(JOURNAL, 0o600)
        self._undo = self._open(UNDO, 0o600)
        self.report = self._open(REPORT, 0o644)
        self.large: dict[str, Large] = {}
        self._synced = time.monotonic()
        first = self._read()
        self.resumed = first is not None
        if first is None:
            self.tag, self.began = secrets.token_hex(6), time.time_ns()
            self._append(self._journal, {"tag": self.tag, "began": self.began})
            if not self.lacking:
                os.fsync(self._journal)
        else:
            self.tag, self.began = first

    @classmethod
    def at(cls, where: Path | int, *, may_lack: bool = False) -> Self:
        """A journal in a folder, by its path or its descriptor."""
        if isinstance(where, int):
            return cls(where, may_lack=may_lack)
        folder = os.open(where, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            return cls(folder, may_lack=may_lack)
        finally:
            os.close(folder)

    def _open(self, name: str, mode: int) -> int:
        try:
            return os.open(name, _NEW, mode, dir_fd=self.folder)
        except OSError as error:
            self._lack(error)
            return os.open(os.devnull, os.O_RDWR | os.O_CLOEXEC)

    def _lack(self, error: OSError) -> None:
        if not self._may_lack or error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise error
        self.lacking = True

    def _read(self) -> tuple[str, int] | None:
        """Take in what an earlier run wrote; a last line that was cut short does not count."""
        first: tuple[str, int] | None = None
        for row in _rows(self._journal):
            if first is None:
                tag, began = row.get("tag"), row.get("began")
                if not isinstance(tag, str) or not isinstance(began, int):
                    raise LabboxError("internal", "cannot go on with this transfer: its journal is damaged")
                first = tag, began
            elif "large" in row:
                large = msgspec.convert(row["large"], Large)
                if large.done < 0:
                    self.large.pop(path_of(large.path), None)
                else:
                    self.large[path_of(large.path)] = large
        end = os.lseek(self._journal, 0, os.SEEK_END)
        if end and os.pread(self._journal, 1, end - 1) != b"\n":
            self._write(self._journal, b"\n")
        return first

    def note_large(self, path: str, size: int, mtime: int, inode: int, done: int) -> None:
        """A large file is at the target up to `done`; negative: it is finished."""
        large = Large(path_text(path), size, mtime, inode, done)
        self._append(self._journal, {"large": large})
        if time.monotonic() - self._synced >= SYNC_EVERY:
            write_out(self._journal)
            self._synced = time.monotonic()

    def note_undo(self, line: Undoable) -> None:
        """Something is about to get its name."""
        self._append(self._undo, line)

    def _append(self, file: int, row: object) -> None:
        self._write(file, msgspec.json.encode(row) + b"\n")

    def _write(self, file: int, data: bytes) -> None:
        try:
            while data:
                data = data[os.write(file, data) :]
        except OSError as error:
            self._lack(error)

    def close(self) -> None:
        """Everything is on its way to the disk, and the files are closed.

        No fsync: it would wait for all that was copied before it, which `cp` does not do either.
        """
        for file in (self._journal, self._undo, self.report):
            try:
                if not self.lacking:
                    write_out(file)
            finally:
                os.close(file)
        os.close(self.folder)


def undo_lines(folder: int) -> Iterator[Undoable]:
    """What a finished transfer put where, the last thing first; of a thing put twice, the last word only."""
    try:
        file = os.open(UNDO, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
    except FileNotFoundError:
        return
    try:
        for line in _backwards(file):
            try:
                yield msgspec.json.decode(line, type=Undoable)
            except msgspec.DecodeError:  # cut short by a crash
                continue
    finally:
        os.close(file)


def _backwards(file: int) -> Iterator[bytes]:
    place = os.lseek(file, 0, os.SEEK_END)
    rest = b""
    while place > 0:
        count = min(place, 1 << 16)
        place -= count
        first, *whole = (os.pread(file, count, place) + rest).split(b"\n")
        yield from (line for line in reversed(whole) if line)
        rest = first
    if rest:
        yield rest


def _rows(file: int) -> Iterator[dict[str, Any]]:
    with os.fdopen(os.dup(file), "rb") as lines:
        lines.seek(0)
        for line in lines:
            try:
                row = msgspec.json.decode(line)
            except msgspec.DecodeError:
                continue
            if isinstance(row, dict):
                yield row
