"""What the disk under a path can keep, by its kind; a place may span several disks."""

from __future__ import annotations

import errno
import fcntl
import os
import re
import struct
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from labbox.files.places.base import Traits

SECOND: Final = 1_000_000_000
_GET_FLAGS: Final = 0x8008_6601  # FS_IOC_GETFLAGS
_OCTAL: Final = re.compile(r"\\([0-7]{3})")  # how a space in a path stands there
_FOLDED: Final = 0x4000_0000  # FS_CASEFOLD_FL: names in this folder are compared without case


class _Kind(NamedTuple):
    posix: bool = True  # modes, owners, links, attributes
    case_sensitive: bool = True
    mtime_step: int = 1
    symlinks: bool = True


# Sources: the file systems' own pages of the kernel's documentation; times as their formats keep them.
_KINDS: Final = {
    "vfat": _Kind(False, False, 2 * SECOND, False),
    "msdos": _Kind(False, False, 2 * SECOND, False),
    "exfat": _Kind(False, False, 10_000_000, False),
    "ntfs3": _Kind(False, False, 100),
    "ntfs": _Kind(False, False, 100),
    "fuseblk": _Kind(False, False, 100),  # ntfs-3g, as a rule
    "cifs": _Kind(False, False, 100),
    "smb3": _Kind(False, False, 100),
    "hfsplus": _Kind(True, False, SECOND),
    "iso9660": _Kind(mtime_step=SECOND),
    "udf": _Kind(mtime_step=1000),
    "ext2": _Kind(mtime_step=SECOND),
    "ext3": _Kind(mtime_step=SECOND),
}


class Disks:
    """The disks seen so far."""

    def __init__(self, parallel: int, block: int) -> None:
        """`parallel` operations at once and `block` bytes at once are worth having."""
        self._parallel, self._block = parallel, block
        self._kinds: dict[int, _Kind] = {}

    def traits(self, folder: int) -> Traits:
        """What is kept in an open folder (O_PATH will do)."""
        found = os.fstat(folder)
        kind = self.kind(found.st_dev, folder)
        room = os.statvfs(folder)
        # The kernel stamps a change with all that the disk keeps: a ctime of whole seconds is no chance.
        step = max(kind.mtime_step, 1 if found.st_ctime_ns % SECOND else SECOND)
        return Traits(
            writable=not room.f_flag & os.ST_RDONLY,
            modes=kind.posix,
            owners=kind.posix and os.geteuid() == 0,
            symlinks=kind.symlinks,
            hard_links=kind.posix,
            xattrs=kind.posix and _keeps_xattrs(folder),
            sparse=kind.posix,
            case_sensitive=kind.case_sensitive and not _folds(folder),
            mtime_step=step,
            name_bytes=room.f_namemax or 255,
            local=True,
            parallel=self._parallel,
            block=self._block,
        )

    def kind(self, device: int, folder: int) -> _Kind:
        """The kind of the disk with this device number, on which `folder` is open."""
        if device not in self._kinds:
            self._kinds[device] = _KINDS.get(_type_of(device, folder), _Kind())
        return self._kinds[device]


def _type_of(device: int, folder: int) -> str:
    """The file system's name in the kernel: "ext4"; "" where it is not told."""
    number = f"{os.major(device)}:{os.minor(device)}"
    path = ""
    with suppress(OSError):  # too long to be told
        path = os.readlink(f"/proc/self/fd/{folder}")  # noqa: PTH115 - text here, and may be any bytes
    best, name = -1, ""
    with Path("/proc/self/mountinfo").open(encoding="utf-8", errors="surrogateescape") as lines:
        for line in lines:
            fields = line.split(" ")
            kind = fields[fields.index("-") + 1]
            if fields[2] == number:
                return kind
            top = _OCTAL.sub(lambda found: chr(int(found[1], 8)), fields[4])
            if (path == top or path.startswith(top.rstrip("/") + "/")) and len(top) > best:
                best, name = len(top), kind  # btrfs gives each subvolume a number of its own
    return name


def _keeps_xattrs(folder: int) -> bool:
    """Whether ``user.*`` attributes can be: some made-up disks, and tmpfs before Linux 6.6, have none."""
    try:
        os.getxattr(f"/proc/self/fd/{folder}", "user.labbox")
    except OSError as error:
        return error.errno != errno.EOPNOTSUPP
    return True


def _folds(folder: int) -> bool:
    try:
        descriptor = os.open(f"/proc/self/fd/{folder}", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        answer = fcntl.ioctl(descriptor, _GET_FLAGS, bytes(8))
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return bool(struct.unpack("I", answer[:4])[0] & _FOLDED)
