"""The way to a test's folder, for those who act as somebody else: pytest closes its own folder to others."""

from __future__ import annotations

import os
from pathlib import Path

_COMMON = (Path("/"), Path("/tmp"), Path("/var/tmp"))


def passable(folder: Path) -> None:
    """Let everybody pass through this folder and those above it that are ours, not see into them."""
    for above in (folder, *folder.parents):
        found = above.stat()
        if above not in _COMMON and found.st_uid == os.geteuid() and found.st_mode & 0o011 != 0o011:
            above.chmod(found.st_mode | 0o011)
