"""Groups of jobs: which names they may have, and which limits.

A group is its owner's: a name on their jobs, and how many of these may run at once.
"""

from __future__ import annotations

import re
from typing import Final

from labbox.errors import LabboxError
from labbox.text import visible_line

MOST_AT_ONCE: Final = 1_000_000
TRANSFERS: Final = "transfers"  # the group of transfers that were put into no other one
TRANSFERS_AT_ONCE: Final = (
    2  # of it, unless its owner says otherwise: more copies at once only wait for the disk
)
_FORM: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}", re.ASCII)
_RESERVED: Final = frozenset({"none"})  # says "in no group" where a job is changed


def parse_group(text: str) -> str:
    """A group's name as a person wrote it; LabboxError "invalid" for what cannot be one."""
    name = text[:200].strip()
    if len(text) > 200 or not _FORM.fullmatch(name) or name in _RESERVED:
        raise LabboxError(
            "invalid",
            f"cannot use “{visible_line(text[:80])}” as the name of a group",
            "letters a-z and digits, then also . _ and -, 40 in all, as in sims-2026",
        )
    return name


def default_parallel(name: str) -> int | None:
    """How many jobs of a group of this name run at once as long as nobody has said anything of it."""
    return TRANSFERS_AT_ONCE if name == TRANSFERS else None


def parse_change(text: str) -> str:
    """The group into which a job shall go, empty for “none”: out of the one it is in."""
    return "" if text.strip() in ("", "none") else parse_group(text)


def check_parallel(parallel: int | None) -> None:
    """LabboxError "invalid" for a number of jobs that no group can run at once; None is no limit."""
    if parallel is not None and not 1 <= parallel <= MOST_AT_ONCE:
        raise LabboxError(
            "invalid",
            f"cannot run {parallel} jobs of a group at once",
            f"from 1 to {MOST_AT_ONCE:,}; `labbox job hold --group NAME` lets none of it start",
        )
