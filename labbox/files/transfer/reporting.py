"""What a transfer tells: progress, a row for everything that failed, a summary at the end."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Callable
from typing import Final

import msgspec

from labbox.errors import LabboxError
from labbox.files.places.errors import meaning
from labbox.locations import path_text
from labbox.model import FINISHING, Conflict, Progress
from labbox.protocol import Failure, TransferSummary
from labbox.text import visible_line

REPORT_EVERY: Final = 0.1  # seconds
KEPT: Final = 1000  # failures and lines in a summary; all of them stand in the report
_SMOOTHING: Final = 3.0  # seconds over which the rate forgets
_LINES_HELD: Final = 200

Breathe = Callable[[Progress], None]


class Reporter:
    """Counts and rows of one transfer; used from one thread at a time."""

    def __init__(self, phase: str, report_file: int | None = None) -> None:
        """`report_file`: where every row is written as a line of JSON; it stays open."""
        self.phase = phase
        self.folders = self.files = self.links = self.size = self.skipped = self.failed = 0
        self.line_count = 0
        self.undoable = False
        self.moved = 0  # bytes done for the progress, holes and files found done included
        self.total: int | None = None
        self.files_total: int | None = None
        self.unit = "bytes"
        self.current = ""
        self._file = report_file
        self._held: list[bytes] = []
        self._failures: list[Failure] = []
        self._lines: list[str] = []
        self._not_kept: dict[str, None] = {}
        self._seen = time.monotonic()
        self._seen_done = 0
        self._rate: float | None = None
        self._encode = msgspec.json.Encoder().encode

    def fail(self, path: str, error: LabboxError | OSError, doing: str = "copy") -> None:
        """Name what could not be done; `path` as `TransferSpec.only` has it, undecodable bytes as is."""
        if isinstance(error, OSError):
            error = meaning(error.errno, doing, path)
        text = error.message if not error.hint else f"{error.message}: {error.hint}"
        self.row(path, error.code, text)

    def row(self, path: str, code: str, text: str) -> None:
        """Name what could not be done, in words of one's own."""
        self.failed += 1
        failure = Failure(path=path_text(path), code=code, text=visible_line(text))
        if len(self._failures) < KEPT:
            self._failures.append(failure)
        self._write({"failure": failure})

    def line(self, text: str) -> None:
        """A result line of compare, find or checksum."""
        self.line_count += 1
        text = path_text(text)
        if len(self._lines) < KEPT:
            self._lines.append(text)
        self._write({"line": text})

    def skip(self, path: str, policy: Conflict) -> None:
        """What is there stays, as was decided; told where that was asked for."""
        self.skipped += 1
        if policy is Conflict.LEAVE:
            self.not_kept(f"“{visible_line(path)}” was left out: something of that name is there already")

    def not_kept(self, sentence: str) -> None:
        """Say once that something could not be kept."""
        if sentence not in self._not_kept and len(self._not_kept) < KEPT:
            self._not_kept[sentence] = None
            self._write({"not_kept": sentence})

    def due(self) -> bool:
        """Whether it is time to report."""
        return time.monotonic() - self._seen >= REPORT_EVERY

    def progress(self) -> Progress:
        """How far it is; takes the rate from what has come since the last time."""
        done = self.moved if self.unit == "bytes" else self.files
        now = time.monotonic()
        elapsed = now - self._seen
        if elapsed > 0:
            present = (done - self._seen_done) / elapsed
            weight = min(1.0, elapsed / _SMOOTHING)
            self._rate = present if self._rate is None else self._rate + weight * (present - self._rate)
        self._seen, self._seen_done = now, done
        total = self.total if self.unit == "bytes" else self.files_total
        remaining = max(0.0, total - done) / self._rate if total is not None and self._rate else None
        return Progress(
            phase=FINISHING if total and done >= total else self.phase,
            done=done,
            total=None if total is None else max(total, done),
            unit=self.unit,
            rate=self._rate,
            remaining=remaining,
            files=self.files + self.links,
            files_total=self.files_total,
            current=visible_line(self.current),
        )

    def summary(self) -> TransferSummary:
        """What was done and what was not."""
        self.flush()
        return TransferSummary(
            folders=self.folders,
            files=self.files,
            links=self.links,
            size=self.size,
            skipped=self.skipped,
            failed=self.failed,
            failures=tuple(self._failures),
            not_kept=tuple(self._not_kept),
            lines=tuple(self._lines),
            line_count=self.line_count,
            undoable=self.undoable,
        )

    def _write(self, row: object) -> None:
        if self._file is None:
            return
        self._held.append(self._encode(row) + b"\n")
        if len(self._held) >= _LINES_HELD:
            self.flush()

    def flush(self) -> None:
        """Write the rows that are held."""
        if self._file is not None and self._held:
            data = b"".join(self._held)
            self._held.clear()
            try:
                while data:
                    data = data[os.write(self._file, data) :]
            except OSError as error:
                if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                    raise
                self._file = None  # the summary has the first of them
                self.not_kept("all rows of the report: the disk is full")
