"""Which secrets this box has made: one that is gone is not made anew without being told.

The list stands beside the folder `secrets`, so that a folder that was lost whole shows as well. Who knows
that a secret is lost for good says so by a file `NAME.lost` in the folder; the next start makes a new one.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError

_LIST: Final = "secrets.made"
_LOST: Final = ".lost"


def take(path: Path, make: Callable[[], None], cost: str, *, made: bool = False) -> bool:
    """See that the secret is there; True where `make` was called for it.

    `cost` completes "if it is lost for good, …"; `made`: that it was made once is known from elsewhere.
    LabboxError "unavailable" where it was made before and is gone.
    """
    if has_lost(path):
        make()
        path.with_name(path.name + _LOST).unlink()
        _note(path)
        return True
    if not path.exists():
        if made or path.name in _noted(path):
            raise refusal(path, "it was made before and is gone", cost)
        make()
        _note(path)
        return True
    _note(path)
    return False


def has_lost(path: Path) -> bool:
    """Whether somebody said that this secret is lost for good."""
    return path.with_name(path.name + _LOST).exists()


def refusal(path: Path, why: str, cost: str, what: str = "use the secret") -> LabboxError:
    """That a secret cannot be used, with both ways out."""
    return LabboxError(
        "unavailable",
        f"cannot {what} {path}: {why}",
        f"restore it from a backup and start again. If it is lost for good, {cost};"
        f" then: touch {path.with_name(path.name + _LOST)}",
    )


def write(path: Path, data: bytes) -> None:
    """A secret whole or not at all, readable by the box alone, and on the disk."""
    fresh = path.with_name(f".{path.name}.new")
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)


def _noted(path: Path) -> list[str]:
    try:
        return (path.parent.parent / _LIST).read_text("utf-8").split()
    except FileNotFoundError:
        return []


def _note(path: Path) -> None:
    noted = _noted(path)
    if path.name not in noted:
        write(
            path.parent.parent / _LIST, "".join(f"{name}\n" for name in sorted([*noted, path.name])).encode()
        )
