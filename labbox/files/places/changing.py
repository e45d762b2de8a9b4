"""What changes a folder of the box's own disk: each function is one deed, done by system calls.

Rights are changed through a descriptor that was opened without following links: by a path, the last part
could become a link between the look and the deed, and what it leads to would be changed.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from labbox.files import sharing
from labbox.files.places.base import Attributes
from labbox.files.places.disks import Disks
from labbox.files.places.resolving import Spot
from labbox.files.places.syscalls import rename_without_replacing

_ACCESS_LISTS: Final = ("system.posix_acl_access", "system.posix_acl_default")
_UNABLE: Final = (errno.EOPNOTSUPP, errno.EPERM, errno.EMLINK, errno.ENOSYS)


def make_folder(spot: Spot, mode: int | None) -> None:
    """Make one folder; exactly with `mode` and the group bit that it inherits, whatever the umask."""
    if mode is None:
        os.mkdir(spot.name, dir_fd=spot.folder)
        share(spot)
        return
    os.mkdir(spot.name, mode & 0o777, dir_fd=spot.folder)
    with _itself(spot) as (path, found):
        wanted = mode | (found.st_mode & stat.S_ISGID)
        if stat.S_IMODE(found.st_mode) != wanted and stat.S_ISDIR(found.st_mode):
            os.chmod(path, wanted)  # noqa: PTH101 - of a descriptor


def share(spot: Spot) -> None:
    """Let the people of a shared folder read and change what was just made in it; elsewhere nothing."""
    with _beside(spot) as (folder, name):
        if sharing.is_shared(folder):
            sharing.open_to_group(folder, name)


def rename(source: Spot, target: Spot, *, replace: bool) -> None:
    """Move; FileExistsError where something is there and `replace` does not allow it.

    What comes to a shared folder from another one becomes its people's.
    """
    _move(source, target, replace=replace)
    if _above(source).st_gid != _above(target).st_gid:
        with _beside(target) as (folder, name):
            sharing.take_in(folder, name)


def _move(source: Spot, target: Spot, *, replace: bool) -> None:
    if replace:
        if _same(source, target) and not _same_but_for_case(source, target):
            os.unlink(source.name, dir_fd=source.folder)  # two names of one file: the kernel would keep both
            return
        os.replace(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)
        return
    try:
        rename_without_replacing(source.name, target.name, source.folder, target.folder)
    except OSError as error:
        if error.errno == errno.EINVAL:
            _rename_with_care(source, target)
        elif error.errno == errno.EEXIST and _same(source, target) and _same_but_for_case(source, target):
            _rename(source, target)
        else:
            raise


def remove(spot: Spot) -> None:
    """Remove a file, a link or an empty folder."""
    try:
        os.unlink(spot.name, dir_fd=spot.folder)
    except (IsADirectoryError, PermissionError):
        if not stat.S_ISDIR(os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False).st_mode):
            raise
        os.rmdir(spot.name, dir_fd=spot.folder)


def symlink(spot: Spot, target: str, disks: Disks) -> None:
    """Make a link that says `target`."""
    if not target or "\0" in target:
        raise OSError(errno.ENOENT, os.strerror(errno.ENOENT))
    with _able(spot, disks):
        os.symlink(target, spot.name, dir_fd=spot.folder)


def hard_link(spot: Spot, target: Spot, disks: Disks) -> None:
    """Make another name of a file."""
    with _able(spot, disks):
        os.link(
            target.name, spot.name, src_dir_fd=target.folder, dst_dir_fd=spot.folder, follow_symlinks=False
        )


def xattrs(spot: Spot) -> dict[str, bytes]:
    """The attributes that a copy should keep."""
    kept: dict[str, bytes] = {}
    try:
        names = os.listxattr(spot.path, follow_symlinks=False)
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return kept
        raise
    for name in names:
        if name.startswith("user.") or name in _ACCESS_LISTS:
            try:
                kept[name] = os.getxattr(spot.path, name, follow_symlinks=False)
            except OSError as error:
                if error.errno not in (errno.ENODATA, errno.EOPNOTSUPP):
                    raise
    return kept


def change(spot: Spot, attributes: Attributes, disks: Disks) -> None:
    """Set what the disk keeps and the caller may set; owner first, since that resets rights; time last."""
    descriptor = os.open(spot.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=spot.folder)
    try:
        found = os.fstat(descriptor)
        path = f"/proc/self/fd/{descriptor}"
        if disks.kind(found.st_dev, descriptor).posix:
            _give(path, found, attributes)
            if not stat.S_ISLNK(found.st_mode):  # a link has neither
                _set_xattrs(path, attributes)
                if attributes.mode is not None:
                    os.chmod(path, attributes.mode)  # noqa: PTH101 - of a descriptor
        if attributes.mtime is not None:
            os.utime(path, ns=(found.st_atime_ns, attributes.mtime))
    finally:
        os.close(descriptor)


def _give(path: str, found: os.stat_result, attributes: Attributes) -> None:
    """Set owner and group; who may not give files away keeps them."""
    for uid, gid in ((attributes.uid, None), (None, attributes.gid)):
        if uid in (None, found.st_uid) and gid in (None, found.st_gid):
            continue
        try:
            os.chown(path, -1 if uid is None else uid, -1 if gid is None else gid)
        except PermissionError:
            if os.geteuid() == 0:
                raise


def _set_xattrs(path: str, attributes: Attributes) -> None:
    for name, value in (attributes.xattrs or {}).items():
        try:
            os.setxattr(path, name, value)
        except OSError as error:
            if error.errno != errno.EOPNOTSUPP:
                raise


def _rename_with_care(source: Spot, target: Spot) -> None:
    """Rename where the disk has no such call: a file gets a second name first, which never replaces.

    A folder replaces an empty folder at most. Only on disks without hard links may a file that appears
    between the look and the deed be replaced.
    """
    found = os.stat(source.name, dir_fd=source.folder, follow_symlinks=False)
    if not stat.S_ISDIR(found.st_mode):
        try:
            os.link(
                source.name,
                target.name,
                src_dir_fd=source.folder,
                dst_dir_fd=target.folder,
                follow_symlinks=False,
            )
        except OSError as error:
            if error.errno not in _UNABLE:
                raise
        else:
            try:
                os.unlink(source.name, dir_fd=source.folder)
            except OSError:
                os.unlink(target.name, dir_fd=target.folder)
                raise
            return
    if _is_there(target):
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))
    _rename(source, target)


def _rename(source: Spot, target: Spot) -> None:
    os.rename(source.name, target.name, src_dir_fd=source.folder, dst_dir_fd=target.folder)


def _is_there(spot: Spot) -> bool:
    try:
        os.stat(spot.name, dir_fd=spot.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _same(one: Spot, other: Spot) -> bool:
    """Whether both are the same file, by two names or by one."""
    try:
        found = os.stat(one.name, dir_fd=one.folder, follow_symlinks=False)
        there = os.stat(other.name, dir_fd=other.folder, follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (found.st_dev, found.st_ino) == (there.st_dev, there.st_ino)


def _same_but_for_case(one: Spot, other: Spot) -> bool:
    """Whether a disk that does not tell case (or composed letters) apart has but one entry for both."""
    if _folded(one.name) != _folded(other.name):
        return False
    found, there = _above(one), _above(other)
    return (found.st_dev, found.st_ino) == (there.st_dev, there.st_ino)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFD", name.rpartition("/")[2]).casefold()


def _above(spot: Spot) -> os.stat_result:
    above = spot.name.rpartition("/")[0]
    if spot.folder is not None and not above:
        return os.fstat(spot.folder)
    return os.stat(above or "/", dir_fd=spot.folder)


@contextmanager
def _beside(spot: Spot) -> Iterator[tuple[int, str]]:
    """The folder that an entry stands in, opened, and its name there."""
    above, _, name = spot.name.rpartition("/")
    path = above or ("/" if spot.folder is None else ".")
    folder = os.open(path, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=spot.folder)
    try:
        yield folder, name
    finally:
        os.close(folder)


@contextmanager
def _itself(spot: Spot) -> Iterator[tuple[str, os.stat_result]]:
    """A path that leads to this very entry, whatever happens to its name, and how it is."""
    descriptor = os.open(spot.name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=spot.folder)
    try:
        yield f"/proc/self/fd/{descriptor}", os.fstat(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _able(spot: Spot, disks: Disks) -> Iterator[None]:
    """Tell a disk that has no links from one where the caller may not make any: both say EPERM."""
    try:
        yield
    except PermissionError as error:
        above = spot.name.rpartition("/")[0] or ("/" if spot.folder is None else ".")
        descriptor = os.open(above, os.O_PATH | os.O_CLOEXEC, dir_fd=spot.folder)
        try:
            if not disks.kind(os.fstat(descriptor).st_dev, descriptor).posix:
                raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP)) from error
        finally:
            os.close(descriptor)
        raise
