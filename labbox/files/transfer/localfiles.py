"""Copying one plain file or link between two open folders of this machine."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

from labbox.files.transfer import content
from labbox.files.transfer.attributes import Keeper
from labbox.files.transfer.deciding import changing, damaged, special, taken
from labbox.files.transfer.hardlinks import Links
from labbox.files.transfer.journal import Journal
from labbox.files.transfer.reporting import Reporter
from labbox.files.transfer.system import CREATE, READ, REOPEN

LARGE: Final = 1 << 20  # bytes; half of such a file is worth keeping


@dataclass
class Bench:
    """What all copies of one transfer share."""

    reporter: Reporter
    journal: Journal
    breathe: Callable[[], None]  # reports, waits in a pause, raises where nobody wants it any more
    verify: bool
    keeper: Keeper
    ways: content.Ways
    links: Links

    def tick(self) -> None:
        """To be called between any two files."""
        if self.reporter.due():
            self.breathe()

    def moved(self, count: int) -> None:
        """So many more bytes are done."""
        self.reporter.moved += count
        if self.reporter.due():
            self.breathe()


class Files:
    """Copies files for one transfer."""

    def __init__(self, bench: Bench) -> None:
        """`bench`: what they share."""
        self._bench = bench

    def copy(
        self, source: int, name: str, target: int, out: str, path: str, *, inherits: bool
    ) -> tuple[os.stat_result, os.stat_result | None]:
        """Make `out` in the folder `target` a copy of `name` in `source`; what was copied, and what was made.

        `out` is complete only once its time is its source's. It is gone where this raises. None: it was
        linked to an earlier copy, or an earlier run had finished it.
        """
        opened = os.open(name, READ, dir_fd=source)
        try:
            found = os.fstat(opened)
            if not stat.S_ISREG(found.st_mode):
                raise special(path)
            if found.st_nlink > 1 and self._bench.links.again(found, target, out):
                self._bench.reporter.moved += found.st_size
                return found, None
            made, start = self._target(opened, found, target, out, path)
            if made < 0:
                self._bench.reporter.moved += found.st_size
                return found, None
            try:
                found = self._filled(opened, found, made, start, path)
                self._bench.keeper.keep(opened, made, found, inherits=inherits)
                after = os.fstat(made)
            except Exception:
                with suppress(OSError):
                    os.unlink(out, dir_fd=target)
                raise
            finally:
                os.close(made)
            return found, after
        finally:
            os.close(opened)

    def append(self, source: int, name: str, target: int, out: str, path: str) -> os.stat_result | None:
        """Go on behind what stands in `out`; None where that is not the source's beginning."""
        opened = os.open(name, READ, dir_fd=source)
        try:
            found = os.fstat(opened)
            made = os.open(out, REOPEN, dir_fd=target)
            try:
                start = os.fstat(made).st_size
                if not stat.S_ISREG(found.st_mode) or not stat.S_ISREG(os.fstat(made).st_mode):
                    raise special(path)
                if start > found.st_size or not content.same_tail(opened, made, start):
                    return None
                self._bench.reporter.moved += start
                found = self._filled(opened, found, made, start, path)
                self._bench.keeper.keep(opened, made, found, inherits=False)
            finally:
                os.close(made)
            return found
        finally:
            os.close(opened)

    def link(self, source: int, name: str, target: int, out: str, found: os.stat_result) -> None:
        """Make a symbolic link that says the same."""
        says = os.readlink(name, dir_fd=source)
        try:
            os.symlink(says, out, dir_fd=target)
        except FileExistsError:
            if not self._bench.journal.resumed:
                raise
            os.unlink(out, dir_fd=target)  # of an earlier run, which knew an older source
            os.symlink(says, out, dir_fd=target)
        self._bench.keeper.keep_link(target, out, found)

    def _target(
        self, opened: int, found: os.stat_result, target: int, out: str, path: str
    ) -> tuple[int, int]:
        """The file to write and where to begin in it; -1 where it is complete."""
        try:
            return os.open(out, CREATE, 0o600, dir_fd=target), 0
        except FileExistsError:
            if not self._bench.journal.resumed:
                raise taken(path) from None
        there = os.stat(out, dir_fd=target, follow_symlinks=False)
        if is_copy(found, there):
            return -1, 0
        if stat.S_ISREG(there.st_mode) and there.st_nlink == 1 and there.st_uid == os.geteuid():
            made = os.open(out, REOPEN, dir_fd=target)
            start = self._half(opened, found, made, path)
            os.ftruncate(made, start)
            self._bench.reporter.moved += start
            return made, start
        os.unlink(out, dir_fd=target)
        return os.open(out, CREATE, 0o600, dir_fd=target), 0

    def _half(self, opened: int, found: os.stat_result, made: int, path: str) -> int:
        """How much of what an earlier run left is certain to be the source's beginning."""
        noted = self._bench.journal.large.get(path)
        if noted is None or (noted.size, noted.mtime, noted.inode) != _version(found):
            return 0
        start = min(os.fstat(made).st_size, found.st_size)
        start -= start % 4096
        return start if start and content.same_tail(opened, made, start) else 0

    def _filled(self, opened: int, found: os.stat_result, made: int, start: int, path: str) -> os.stat_result:
        """Bring all bytes over, a second time where the source changed or the copy came out wrong."""
        bench, large = self._bench, found.st_size >= LARGE
        if large:
            bench.journal.note_large(path, *_version(found), start)
            bench.reporter.current = path
        before = bench.reporter.moved - start
        for second in (False, True):
            right = self._once(opened, found, made, start)
            after = os.fstat(opened)
            unchanged = right is not None and _version(after) == _version(found)
            if unchanged and right:
                if large:
                    bench.journal.note_large(path, *_version(found), -1)
                return found
            if second:
                bench.reporter.moved = before
                raise changing(path) if not unchanged else damaged(path)
            found, start = after, 0
            bench.reporter.moved = before
            os.ftruncate(made, 0)
            os.lseek(opened, 0, os.SEEK_SET)
            os.lseek(made, 0, os.SEEK_SET)
        raise AssertionError("unreachable")

    def _once(self, opened: int, found: os.stat_result, made: int, start: int) -> bool | None:
        """Copy once; None where the source had another length, False where the copy does not verify."""
        bench = self._bench
        if not bench.verify:
            device = os.fstat(made).st_dev if found.st_size > content.SMALL else 0
            done = content.copy_content(opened, made, found, start, bench.moved, bench.ways, device)
            return True if done == found.st_size else None
        done, digest = content.copy_and_sum(opened, made, found, start, bench.moved)
        if done != found.st_size:
            return None
        return content.sum_from_disk(made, done, bench.moved) == digest


def is_copy(source: os.stat_result, target: os.stat_result) -> bool:
    """Whether a target is finished: the time is set last of all."""
    return (
        stat.S_IFMT(source.st_mode) == stat.S_IFMT(target.st_mode)
        and source.st_size == target.st_size
        and source.st_mtime_ns == target.st_mtime_ns
    )


def _version(found: os.stat_result) -> tuple[int, int, int]:
    return found.st_size, found.st_mtime_ns, found.st_ino
