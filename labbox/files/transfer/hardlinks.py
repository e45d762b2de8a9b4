"""Files with several names: a copied tree has them under several names again, not as several files."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from typing import Final

from labbox.files.transfer.reporting import Reporter
from labbox.files.transfer.system import identity, lstat, open_beneath

_MOST: Final = 100_000  # files of which further names are waited for at once; about 40 MB


class Anchor:
    """A folder below the target under which copies are found; its path changes when it gets its name."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        """`path`: below the target's top."""
        self.path = path


class Links:
    """Remembers copies of files that have further names."""

    def __init__(self, reporter: Reporter) -> None:
        """Remember none."""
        self._reporter = reporter
        self._known: dict[tuple[int, int], tuple[Anchor, str, tuple[int, int], int]] = {}
        self._top = -1

    def begin(self, top: int) -> None:
        """Paths are below this open folder from now on."""
        self._known.clear()
        self._top = top

    def made(self, source: os.stat_result, anchor: Anchor, below: str, target: os.stat_result) -> None:
        """A file with `st_nlink` names was copied to `below` the anchor."""
        if identity(source) in self._known:
            return
        if len(self._known) >= _MOST:
            self._reporter.not_kept("so many files have several names that some were copied more than once")
            return
        self._known[identity(source)] = (anchor, below, identity(target), source.st_nlink - 1)

    def again(self, source: os.stat_result, target: int, out: str) -> bool:
        """Give an earlier copy of that file the name `out` too; False where there is none or it cannot be."""
        known = self._known.get(identity(source))
        if known is None:
            return False
        anchor, below, wanted, left = known
        if left <= 1:
            del self._known[identity(source)]
        else:
            self._known[identity(source)] = (anchor, below, wanted, left - 1)
        path = f"{anchor.path}/{below}" if anchor.path else below
        above, _, name = path.rpartition("/")
        try:
            return self._linked(above, name, wanted, target, out)
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EMLINK, errno.EOPNOTSUPP, errno.EXDEV, errno.ENOSYS):
                self._reporter.not_kept("the target keeps no second names of files: they are files there")
            return False

    def _linked(self, above: str, name: str, wanted: tuple[int, int], target: int, out: str) -> bool:
        present = lstat(target, out)
        if present is not None:
            return identity(present) == wanted
        folder = open_beneath(self._top, above)
        try:
            os.link(name, out, src_dir_fd=folder, dst_dir_fd=target, follow_symlinks=False)
        finally:
            os.close(folder)
        made = lstat(target, out)
        if made is not None and identity(made) == wanted:
            return True
        with suppress(FileNotFoundError):  # another file stands there now: that one was not meant
            os.unlink(out, dir_fd=target)
        return False
