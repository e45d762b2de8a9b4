"""A mark on the disk for each attempt that is being prepared: it counts the deaths of the daemon over it.

The mark stands in the attempt's spool, where no run is yet, while its environment is made; it goes with any
end of that which the daemon lives to see. It need not outlive a power cut.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

MOST_DEATHS: Final = 2
_MARK: Final = "preparing"
_FLAGS: Final = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW | os.O_CLOEXEC


def begin(spool: Path) -> int:
    """Set the mark; how often the daemon has died over it before. On a disk that takes none: 0."""
    try:
        spool.mkdir(mode=0o711, parents=True, exist_ok=True)
        descriptor = os.open(spool / _MARK, _FLAGS, 0o600)
        try:
            deaths = os.fstat(descriptor).st_size
            os.write(descriptor, b"+")
        finally:
            os.close(descriptor)
    except OSError:
        return 0
    return deaths


def end(spool: Path) -> None:
    """Take the mark away."""
    with suppress(OSError):
        (spool / _MARK).unlink()
