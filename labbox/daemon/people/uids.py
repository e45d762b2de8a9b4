"""Which numeric ids are free for users: not the system's, not NSS's, not lent to others' containers."""

from __future__ import annotations

import grp
import pwd
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path
from typing import Final

from labbox.errors import LabboxError

OWN: Final = 3  # of the installer, of the builder, of the shared folder: just below the first user's
_SUBORDINATE: Final = (Path("/etc/subuid"), Path("/etc/subgid"))


def taken_ranges(files: Collection[Path] = _SUBORDINATE) -> tuple[range, ...]:
    """The ids lent to users of the system for their containers (subuid(5)); other lines are skipped."""
    return tuple(ids for file in files for ids in _subordinate(file))


def check_ids(first: int, allotted: Mapping[int, str], taken: Collection[range]) -> None:
    """LabboxError "conflict" where an id of ours is somebody else's as well. Asks NSS, which may block."""
    for uid in (*range(first - OWN, first + 1), *allotted):
        stranger = id_owner(uid)
        if stranger is None and any(uid in ids for ids in taken):
            stranger = "the range of a user in /etc/subuid or /etc/subgid"
        if stranger is not None:
            ours = allotted.get(uid, "labbox itself" if uid < first else "new users")
            raise LabboxError(
                "conflict",
                f"cannot use the id {uid} for {ours}: it belongs to {stranger} as well",
                "set first_uid in the section [people] of box.toml to a number with free ids above it"
                if uid not in allotted
                else f"give {stranger} another id",
            )


def id_owner(uid: int) -> str | None:
    """The user or group of the system that has this id. Asks NSS, which may block."""
    try:
        return f"the system's user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        pass
    try:
        return f"the system's group {grp.getgrgid(uid).gr_name}"
    except KeyError:
        return None


def _subordinate(file: Path) -> Iterator[range]:
    try:
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        fields = line.strip().split(":")
        if len(fields) == 3 and fields[1].isdecimal() and fields[2].isdecimal():
            yield range(int(fields[1]), int(fields[1]) + int(fields[2]))
