"""Reading small plain files through the descriptor of the folder that they stand in."""

from __future__ import annotations

import os
import stat

_FLAGS = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC


def read_plain(folder: int, name: str, limit: int) -> bytes | None:
    """Up to `limit` + 1 bytes of a plain file; None where there is none (a link or a device is none).

    PermissionError where it may not be read. More than `limit` bytes tell the caller that it is too large.
    """
    try:
        descriptor = os.open(name, _FLAGS, dir_fd=folder)
    except PermissionError:
        raise
    except OSError:
        return None
    try:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        parts = []
        left = limit + 1
        while left > 0 and (part := os.read(descriptor, min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
        return b"".join(parts)
    finally:
        os.close(descriptor)


def names_in(descriptor: int) -> list[str]:
    """The names in an open folder."""
    return os.listdir(descriptor)
