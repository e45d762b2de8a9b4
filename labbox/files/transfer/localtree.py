"""Copying and moving trees between folders of this machine: the walk, and what happens at taken names.

Whatever is new at the target is built under a temporary name beside its place (".labbox-TAG-….part") and
renamed once it is whole, a folder with all that is below it: inside such a folder files are written under
their own names, which is what makes it as fast as `cp`. What goes into folders that are there already is
renamed file by file.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import Final

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.files.removing import remove_below
from labbox.files.transfer.deciding import (
    Deed,
    Side,
    decide,
    into_itself,
    names_beside,
    no_beginning,
    onto_itself,
    special,
    taken,
)
from labbox.files.transfer.frames import Frame, Placed, part_name
from labbox.files.transfer.hardlinks import Anchor
from labbox.files.transfer.localfiles import Bench, Files, is_copy
from labbox.files.transfer.localmove import remove_copied
from labbox.files.transfer.selection import PART, Selection
from labbox.files.transfer.sweeping import sweep_below
from labbox.files.transfer.system import identity, lstat, open_beneath, rename_new
from labbox.files.transfer.undonotes import UndoNotes
from labbox.files.transfer.walking import Descent, lies_in, moved_meanwhile
from labbox.model import Conflict

_EARLIER: Final = 50_000_000  # nanoseconds by which the clock that stamps files may lag behind
_TRIES: Final = 3  # where somebody else takes the name meanwhile


class LocalTree:
    """Copies or moves one source after the other; made for one run."""

    def __init__(
        self, bench: Bench, selection: Selection, notes: UndoNotes, *, moving: bool, folds: bool = False
    ) -> None:
        """`notes`: where it is written what was put where; `folds`: the target takes a and A for one name."""
        self._bench, self._selection, self._notes, self._moving = bench, selection, notes, moving
        notes.moving = moving
        self._files = Files(bench)
        self._reporter, self._journal = bench.reporter, bench.journal
        self._folds = folds

    def take(self, source: int, name: str, target: int, wanted: str, path: str) -> None:
        """Bring `name` in the open folder `source` to `wanted` in the open folder `target`.

        `path`: how reports call it; a failure is a row there. `Unwanted` passes through
        after everything unfinished was removed.
        """
        self._bench.links.begin(target)
        found = lstat(source, name)
        if found is None:
            if self._moving and self._journal.resumed and self._arrived(target, wanted):
                return
            raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), name)
        if stat.S_ISDIR(found.st_mode) and lies_in(target, identity(found)):
            there = lstat(target, wanted)
            raise onto_itself(path) if there and identity(there) == identity(found) else into_itself(path)
        self._source, self._target = Descent(source), Descent(target)
        top = Frame(name="", out="", path="", fresh=False, anchor=Anchor(""))
        top.inherits = self._inherits = bool(os.fstat(target).st_mode & stat.S_ISGID)
        self._stack = [top]
        try:
            self._one(top, name, wanted, path, folder=stat.S_ISDIR(found.st_mode))
            self._walk()
        except (OSError, LabboxError) as error:
            # the way back is lost: what is unfinished goes, the next source is taken
            self._remove_unfinished(target)
            self._reporter.fail(self._stack[-1].path or path, error, self._doing)
        except BaseException:
            self._remove_unfinished(target)
            if self._journal.resumed:
                sweep_below(target, wanted, self._journal.tag)
            raise
        finally:
            self._source.close()
            self._target.close()

    @property
    def _doing(self) -> str:
        return "move" if self._moving else "copy"

    def _arrived(self, target: int, wanted: str) -> bool:
        there = lstat(target, wanted)
        return there is not None and there.st_ctime_ns >= self._journal.began - _EARLIER

    def _walk(self) -> None:
        while True:
            frame = self._stack[-1]
            name = next(frame.waiting, None)
            if name is not None:
                path = frame.below(name)
                self._attempt(frame, name, name, path, folder=True)
                continue
            if len(self._stack) == 1:
                return
            self._leave(frame)

    def _attempt(self, frame: Frame, name: str, wanted: str, path: str, *, folder: bool) -> None:
        """One entry; its failure is a row and nothing more."""
        depth = len(self._stack)
        try:
            self._one(frame, name, wanted, path, folder=folder)
        except (OSError, LabboxError) as error:
            if len(self._stack) != depth:
                raise
            self._reporter.fail(path, error, self._doing)

    def _one(self, frame: Frame, name: str, wanted: str, path: str, *, folder: bool) -> None:
        self._bench.tick()
        self._check_case(frame, name)
        if frame.fresh:
            if folder:
                self._enter(frame, name, name, path, fresh=True)
            else:
                self._new(frame, name, name, path)
            return
        for _ in range(_TRIES):
            try:
                return self._beside(frame, name, wanted, path, folder=folder)
            except FileExistsError:  # somebody put something there between our look and our rename
                continue
        raise taken(path)

    def _beside(self, frame: Frame, name: str, wanted: str, path: str, *, folder: bool) -> None:
        """Bring an entry into a folder that others use too."""
        found = os.stat(name, dir_fd=self._source.present, follow_symlinks=False)
        if stat.S_ISDIR(found.st_mode) != folder:
            raise moved_meanwhile()
        if _kind(found) is EntryKind.OTHER and not self._moving:
            raise special(path)
        there = lstat(self._target.present, wanted)
        if there is None:
            return self._place(frame, name, wanted, path, found)
        if identity(there) == identity(found):
            if self._selection.conflict(path) is not Conflict.RENAME or self._moving:
                raise onto_itself(path)
        elif folder and stat.S_ISDIR(there.st_mode):
            return self._merge(name, wanted, path)
        elif self._is_ours(name, found, wanted, there):
            return self._count_done(name, path, found)
        policy = self._selection.conflict(path)
        deed = decide(policy, _side(found), _side(there), path)
        if deed is Deed.SKIP:
            self._reporter.skip(path, policy)
            self._reporter.moved += found.st_size
        elif deed is Deed.RENAME:
            self._under_other_name(frame, name, wanted, path, found)
        elif deed is Deed.APPEND:
            self._append(name, wanted, path)
        else:
            self._place(frame, name, wanted, path, found, replace=True)
        return None

    def _under_other_name(
        self, frame: Frame, name: str, wanted: str, path: str, found: os.stat_result
    ) -> None:
        for other in names_beside(wanted, folder=stat.S_ISDIR(found.st_mode)):
            there = lstat(self._target.present, other)
            if there is None:
                return self._place(frame, name, other, path, found)
            if self._is_ours(name, found, other, there):
                return self._count_done(name, path, found)

    def _append(self, name: str, wanted: str, path: str) -> None:
        self._notes.replaced(self._path_below_top(wanted))
        found = self._files.append(self._source.present, name, self._target.present, wanted, path)
        if found is None:
            raise no_beginning(path)
        self._count(found)
        self._gone_from_source(name, found)

    def _place(
        self, frame: Frame, name: str, wanted: str, path: str, found: os.stat_result, *, replace: bool = False
    ) -> None:
        """Bring an entry to a name that is free, or whose file is to be replaced."""
        folder = stat.S_ISDIR(found.st_mode)
        if self._moving and self._renamed(name, wanted, path, found, replace=replace):
            return
        if folder:
            piecewise = self._moving and not self._selection.whole(path)
            out = wanted if piecewise else part_name(self._journal.tag, wanted)
            self._enter(frame, name, out, path, fresh=not piecewise, wanted=wanted)
            return
        if _kind(found) is EntryKind.OTHER:
            raise special(path)
        out = part_name(self._journal.tag, wanted)
        try:
            read, made = self._make(name, out, path)
            made = made or os.stat(out, dir_fd=self._target.present, follow_symlinks=False)
            self._put(name, out, wanted, made, replace=replace)
        except BaseException:
            with suppress(OSError):
                os.unlink(out, dir_fd=self._target.present)
            raise
        if read.st_nlink > 1 and stat.S_ISREG(read.st_mode):
            self._bench.links.made(read, frame.anchor, frame.under(wanted), made)
        self._count(read)
        self._gone_from_source(name, read)

    def _put(self, name: str, out: str, wanted: str, made: os.stat_result, *, replace: bool) -> None:
        here = self._target.present
        if replace:
            self._notes.replaced(self._path_below_top(wanted))
            os.rename(out, wanted, src_dir_fd=here, dst_dir_fd=here)
            return
        self._notes.made(self._path_below_top(wanted), self._source_path(name), made)
        try:
            rename_new(here, out, here, wanted)
        except OSError:
            self._notes.void(self._path_below_top(wanted))
            raise

    def _renamed(self, name: str, wanted: str, path: str, found: os.stat_result, *, replace: bool) -> bool:
        """Move by renaming; False where that cannot be, and it takes a copy."""
        folder = stat.S_ISDIR(found.st_mode)
        if folder and not self._selection.whole(path):
            return False
        here, there = self._source.present, self._target.present
        where = self._path_below_top(wanted)
        if replace:
            self._notes.replaced(where)
        else:
            self._notes.moved(where, self._source_path(name), found)
        try:
            if replace:
                os.rename(name, wanted, src_dir_fd=here, dst_dir_fd=there)
            else:
                rename_new(here, name, there, wanted)
        except OSError as error:
            if not replace:
                self._notes.void(where)
            if error.errno == errno.EXDEV:
                return False
            raise
        self._count(found)
        self._reporter.moved += found.st_size
        return True

    def _make(self, name: str, out: str, path: str) -> tuple[os.stat_result, os.stat_result | None]:
        here, there = self._source.present, self._target.present
        try:
            return self._files.copy(here, name, there, out, path, inherits=self._inherits)
        except OSError as error:
            if error.errno != errno.ELOOP:
                raise
        found = os.stat(name, dir_fd=here, follow_symlinks=False)
        if not stat.S_ISLNK(found.st_mode):
            raise moved_meanwhile()
        self._files.link(here, name, there, out, found)
        return found, None

    def _new(self, frame: Frame, name: str, out: str, path: str) -> None:
        """A file or link inside a folder that is ours alone."""
        found, made = self._make(name, out, path)
        if found.st_nlink > 1 and stat.S_ISREG(found.st_mode):
            made = made or os.stat(out, dir_fd=self._target.present, follow_symlinks=False)
            self._bench.links.made(found, frame.anchor, frame.under(out), made)
        self._count(found)

    def _enter(self, frame: Frame, name: str, out: str, path: str, *, fresh: bool, wanted: str = "") -> None:
        """Make a folder and go into both."""
        found = self._source.enter(name)
        try:
            try:
                os.mkdir(out, 0o700, dir_fd=self._target.present)
            except FileExistsError:
                if not self._journal.resumed or not fresh:
                    raise
            self._target.enter(out)
        except BaseException:
            self._source.leave()
            raise
        if wanted and fresh:
            anchor = Anchor(self._path_below_top(out))
            below = Frame(name, out, path, fresh, anchor, "", found, wanted)
        else:
            anchor, under = frame.anchor, frame.under(out)
            below = Frame(name, out, path, fresh, anchor, under, found, "")
        os.fchmod(self._target.present, 0o700)  # an earlier run may have come as far as the mode
        self._begin(below)

    def _merge(self, name: str, wanted: str, path: str) -> None:
        """Go into two folders that are both there."""
        self._source.enter(name)
        try:
            found = self._target.enter(wanted)
        except BaseException:
            self._source.leave()
            raise
        top = self._stack[-1]
        below = Frame(name, wanted, path, False, top.anchor, top.under(wanted), None, "")
        self._inherits = bool(found.st_mode & stat.S_ISGID)
        self._begin(below)

    def _begin(self, frame: Frame) -> None:
        """Bring over all that is no folder; folders wait."""
        self._stack.append(frame)
        frame.inherits = self._inherits
        wants, path = self._selection.wants, frame.path
        simple = not self._selection.partial
        with os.scandir(self._source.present) as entries:
            for entry in entries:
                name = entry.name
                below = f"{path}/{name}"
                folder = entry.is_dir(follow_symlinks=False)
                if (PART.fullmatch(name) is not None) if simple else not wants(below, name, folder=folder):
                    continue
                if folder:
                    frame.folders.append(name)
                elif not entry.is_file(follow_symlinks=False) and not entry.is_symlink() and frame.fresh:
                    self._reporter.fail(below, special(below))  # never opened: some devices act on that
                else:
                    self._attempt(frame, name, name, below, folder=False)
        frame.waiting = frame.folders.drain()

    def _leave(self, frame: Frame) -> None:
        """All in a folder is done: give it its attributes, go up, give it its name."""
        if frame.found is not None:
            try:
                self._bench.keeper.keep(
                    self._source.present, self._target.present, frame.found, inherits=self._inherits
                )
            except OSError as error:
                self._reporter.fail(frame.path, error, self._doing)
            self._reporter.folders += 1
        if not frame.fresh and self._journal.resumed:
            self._sweep()
        self._source.leave()
        self._target.leave()
        self._stack.pop()
        above = self._stack[-1]
        self._inherits = above.inherits
        if frame.wanted:
            self._finish(above, frame)
        elif self._moving and not frame.fresh:
            self._remove_empty(frame.name)

    def _finish(self, above: Frame, frame: Frame) -> None:
        """Give a whole folder its name; where that was taken meanwhile, bring its files in one by one."""
        here = self._target.present
        try:
            made = os.stat(frame.out, dir_fd=here, follow_symlinks=False)
            self._put(frame.name, frame.out, frame.wanted, made, replace=False)
        except FileExistsError:
            remove_below(here, frame.out, self._bench.tick)
            (above.names or set()).discard(frame.name.casefold())
            self._attempt(above, frame.name, frame.wanted, frame.path, folder=True)
            return
        except OSError as error:
            self._reporter.fail(frame.path, error, self._doing)
            with suppress(OSError, LabboxError):
                remove_below(here, frame.out, self._bench.tick)
            return
        frame.anchor.path = self._path_below_top(frame.wanted)
        if self._moving:
            placed = Placed(self._source.present, frame.name, here, frame.wanted, frame.path)
            remove_copied(placed, self._bench)

    def _remove_empty(self, name: str) -> None:
        try:
            os.rmdir(name, dir_fd=self._source.present)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise

    def _gone_from_source(self, name: str, read: os.stat_result) -> None:
        """A moved file was copied: it leaves its old place if it is still what was copied."""
        if not self._moving:
            return
        now = lstat(self._source.present, name)
        if now is None:
            return
        if identity(now) != identity(read) or not is_copy(read, now):
            raise LabboxError(
                "conflict",
                "cannot remove the original: it was changed after it was copied",
                "compare the two",
            )
        os.unlink(name, dir_fd=self._source.present)

    def _is_ours(self, name: str, found: os.stat_result, out: str, there: os.stat_result) -> bool:
        """Whether an earlier run of this very transfer put it there."""
        if not self._journal.resumed or there.st_ctime_ns < self._journal.began - _EARLIER:
            return False
        if stat.S_ISLNK(found.st_mode) and stat.S_ISLNK(there.st_mode):
            said = os.readlink(name, dir_fd=self._source.present)
            return said == os.readlink(out, dir_fd=self._target.present)
        return stat.S_ISREG(found.st_mode) and is_copy(found, there)

    def _count_done(self, name: str, path: str, found: os.stat_result) -> None:
        self._count(found)
        self._reporter.moved += found.st_size
        self._gone_from_source(name, found)

    def _count(self, found: os.stat_result) -> None:
        if stat.S_ISREG(found.st_mode):
            self._reporter.files += 1
            self._reporter.size += found.st_size
        elif stat.S_ISLNK(found.st_mode):
            self._reporter.links += 1
        else:
            self._reporter.folders += 1

    def _check_case(self, frame: Frame, name: str) -> None:
        """At a target to which a and A are one name, the second of two such names is a failure."""
        if not self._folds:
            return
        if frame.names is None:
            frame.names = set()
        folded = name.casefold()
        if folded in frame.names:
            raise LabboxError(
                "conflict",
                "cannot copy it: at the target its name is the same as another's, which differs in case only",
                "rename one of the two",
            )
        frame.names.add(folded)

    def _sweep(self) -> None:
        """Remove what an earlier run left unfinished in the present folder."""
        mine = f".labbox-{self._journal.tag}-"
        with os.scandir(self._target.present) as entries:
            left = [entry.name for entry in entries if entry.name.startswith(mine)]
        for name in left:
            with suppress(OSError, LabboxError):
                remove_below(self._target.present, name, self._bench.tick)

    def _remove_unfinished(self, target: int) -> None:
        """Nobody wants it any more: what has no final name yet goes."""
        for frame in self._stack:
            if frame.wanted and frame.fresh:
                top = os.dup(target)
                above, _, out = frame.anchor.path.rpartition("/")
                try:
                    with suppress(OSError, LabboxError):
                        self._remove_at(top, above, out)
                finally:
                    os.close(top)
                return

    def _remove_at(self, top: int, above: str, out: str) -> None:
        folder = open_beneath(top, above)
        try:
            remove_below(folder, out, lambda: None)
        finally:
            os.close(folder)

    def _path_below_top(self, name: str) -> str:
        return "/".join([*(frame.out for frame in self._stack[1:]), name])

    def _source_path(self, name: str) -> str:
        return "/".join([*(frame.name for frame in self._stack[1:]), name])


def _kind(found: os.stat_result) -> EntryKind:
    if stat.S_ISREG(found.st_mode):
        return EntryKind.FILE
    if stat.S_ISDIR(found.st_mode):
        return EntryKind.FOLDER
    return EntryKind.LINK if stat.S_ISLNK(found.st_mode) else EntryKind.OTHER


def _side(found: os.stat_result) -> Side:
    return Side(_kind(found), found.st_size, found.st_mtime_ns)
