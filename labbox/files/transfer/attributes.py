"""What a copy keeps of a file besides its bytes: owner, mode, extended attributes, access lists, times."""

from __future__ import annotations

import errno
import os
import stat
from typing import Final

from labbox.files.places.base import Attributes
from labbox.files.transfer.reporting import Reporter

_KEPT: Final = ("user.", "system.posix_acl_")
_KEPT_BY_ROOT: Final = (*_KEPT, "security.capability", "trusted.")
_NONE: Final = (errno.EOPNOTSUPP, errno.ENOTSUP, errno.ENOSYS, errno.EINVAL)


class Keeper:
    """Sets on copies what their sources have, and says once what a target cannot keep."""

    def __init__(self, reporter: Reporter) -> None:
        """For one transfer, with the ids of this process."""
        self._reporter = reporter
        self._uid, self._gid, self._root = os.geteuid(), os.getegid(), os.geteuid() == 0
        self._kept = _KEPT_BY_ROOT if self._root else _KEPT
        self._no_xattrs: set[int] = set()  # devices that have none

    def keep(self, source: int, target: int, found: os.stat_result, *, inherits: bool = False) -> None:
        """Set all on an open file or folder; the time last, for it says that all is there.

        `inherits`: the folder gives its own group to what is in it, as shared folders do.
        """
        mode = stat.S_IMODE(found.st_mode)
        if not self._own(target, found, inherits=inherits) and not stat.S_ISDIR(found.st_mode):
            mode &= 0o1777  # a program that ran as its owner would run as somebody else now
        if inherits and stat.S_ISDIR(found.st_mode):
            mode |= stat.S_ISGID
        try:
            os.fchmod(target, mode)
        except PermissionError:
            self._reporter.not_kept("the target keeps no modes: who may read and write was not kept")
        if found.st_dev not in self._no_xattrs:
            self._xattrs(source, target, found.st_dev)
        try:
            os.utime(target, ns=(found.st_atime_ns, found.st_mtime_ns))
        except PermissionError:
            self._reporter.not_kept("the target keeps no times: when files were changed was not kept")

    def keep_simple(self, target: int, wanted: Attributes) -> None:
        """Set what comes from another place; the time last."""
        kept = wanted.uid is None or wanted.gid is None or self._chown(target, wanted.uid, wanted.gid)
        if wanted.mode is not None:
            os.fchmod(target, wanted.mode if kept and wanted.uid is not None else wanted.mode & 0o1777)
        if wanted.mtime is not None:
            os.utime(target, ns=(wanted.mtime, wanted.mtime))

    def keep_link(self, folder: int, name: str, found: os.stat_result) -> None:
        """Set what a symbolic link can have."""
        if self._root and (found.st_uid, found.st_gid) != (self._uid, self._gid):
            os.chown(name, found.st_uid, found.st_gid, dir_fd=folder, follow_symlinks=False)
        try:
            os.utime(name, ns=(found.st_atime_ns, found.st_mtime_ns), dir_fd=folder, follow_symlinks=False)
        except OSError as error:
            if error.errno not in (*_NONE, errno.EPERM):
                raise
            self._reporter.not_kept("the target keeps no times of links")

    def _own(self, target: int, found: os.stat_result, *, inherits: bool) -> bool:
        """Give it to the source's owner and group; whether it is theirs now."""
        if self._root:
            same = not inherits and found.st_uid == self._uid and found.st_gid == self._gid
            return same or self._chown(target, found.st_uid, found.st_gid)
        kept = found.st_uid == self._uid
        if not kept:
            self._reporter.not_kept("files of other people are yours now: only root gives files away")
        if found.st_gid != self._gid and not inherits:
            kept = self._chown(target, -1, found.st_gid) and kept
        return kept

    def _chown(self, target: int, uid: int, gid: int) -> bool:
        try:
            os.fchown(target, uid, gid)
        except OSError as error:
            if error.errno not in (*_NONE, errno.EPERM, errno.EACCES):
                raise
            self._reporter.not_kept("the target does not keep who owns a file, or its group")
            return False
        return True

    def _xattrs(self, source: int, target: int, device: int) -> None:
        try:
            names = os.listxattr(source)
        except OSError as error:
            if error.errno not in _NONE:
                raise
            self._no_xattrs.add(device)
            return
        for name in names:
            if not name.startswith(self._kept):
                continue
            try:
                os.setxattr(target, name, os.getxattr(source, name))
            except OSError as error:
                if error.errno in (errno.ENODATA, errno.ENOENT):
                    continue  # taken away meanwhile
                what = "access lists" if name.startswith("system.") else "extended attributes"
                self._reporter.not_kept(f"the target does not keep all {what}")
