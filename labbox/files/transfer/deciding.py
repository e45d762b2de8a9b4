"""What happens where the target has something of that name already: one rule for every kind of place."""

from __future__ import annotations

import re
from collections.abc import Iterator
from enum import Enum
from typing import Final, NamedTuple

from labbox.errors import LabboxError
from labbox.files.places.base import EntryKind
from labbox.locations import NAME_BYTES, archive_ending
from labbox.model import Conflict
from labbox.text import visible_line

_NUMBERED: Final = re.compile(r" \(([0-9]{1,6})\)$")


class Deed(Enum):
    """What to do with a file whose name is taken."""

    REPLACE = "replace"
    SKIP = "skip"
    RENAME = "rename"
    APPEND = "append"


class Side(NamedTuple):
    """What the decision looks at."""

    kind: EntryKind
    size: int
    mtime: int


def decide(policy: Conflict, source: Side, target: Side, path: str, step: int = 1) -> Deed:
    """What to do; LabboxError "conflict" where it is left and counts as not done.

    `step`: nanoseconds between two times that both sides can tell apart. A folder is never replaced by a
    file, nor a file by a folder.
    """
    match policy:
        case Conflict.SKIP | Conflict.LEAVE:
            return Deed.SKIP
        case Conflict.RENAME:
            return Deed.RENAME
        case Conflict.FAIL:
            raise taken(path)
    folders = (source.kind is EntryKind.FOLDER, target.kind is EntryKind.FOLDER)
    if any(folders):
        what = (
            "a folder stands where a file should go"
            if folders[1]
            else "a file stands where a folder should go"
        )
        raise LabboxError(
            "conflict",
            f"cannot copy “{visible_line(path)}”: {what}",
            "remove it, or keep both",
        )
    if target.kind is EntryKind.OTHER:
        raise taken(path)
    match policy:
        case Conflict.NEWER:
            return Deed.REPLACE if source.mtime // step > target.mtime // step else Deed.SKIP
        case Conflict.RESUME:
            if source.kind is not EntryKind.FILE or target.kind is not EntryKind.FILE:
                raise taken(path)
            if target.size == source.size:
                return Deed.SKIP
            if target.size > source.size:
                raise no_beginning(path)
            return Deed.APPEND
        case _:
            return Deed.REPLACE


def taken(path: str) -> LabboxError:
    """Something of that name is there and stays."""
    return LabboxError(
        "conflict",
        f"cannot copy “{visible_line(path)}”: something of that name is there already",
        "choose what happens then: skip, overwrite, newer, rename or resume",
    )


def no_beginning(path: str) -> LabboxError:
    """What is there is not the first part of the source."""
    return LabboxError(
        "conflict",
        f"cannot go on with “{visible_line(path)}”: what is there is not its beginning",
        "overwrite it, or keep both",
    )


def onto_itself(path: str) -> LabboxError:
    """Source and target are one file."""
    return LabboxError(
        "invalid", f"cannot put “{visible_line(path)}” onto itself", "choose another folder or another name"
    )


def into_itself(path: str) -> LabboxError:
    """The target lies in the source."""
    return LabboxError(
        "invalid", f"cannot put “{visible_line(path)}” into itself", "choose a folder outside it"
    )


def special(path: str) -> LabboxError:
    """A device, a pipe or a socket."""
    return LabboxError(
        "invalid", f"cannot copy “{visible_line(path)}”: it is a device, a pipe or a socket", "leave it out"
    )


def changing(path: str) -> LabboxError:
    """It changed while it was read, twice."""
    return LabboxError(
        "conflict",
        f"cannot copy “{visible_line(path)}”: it changes while it is read",
        "try again later",
    )


def damaged(path: str) -> LabboxError:
    """What was written is not what was read, twice."""
    return LabboxError(
        "internal",
        f"cannot copy “{visible_line(path)}”: what the disk gives back is not what was written",
        "check the disk at the target",
    )


def names_beside(name: str, *, folder: bool) -> Iterator[str]:
    """Names to try for a second one: "data (2).csv", "data (3).csv"…, never longer than a name may be."""
    ending = "" if folder else _ending(name)
    stem = name[: len(name) - len(ending)] if ending else name
    number = 2
    if found := _NUMBERED.search(stem):
        stem, number = stem[: found.start()], int(found[1]) + 1
    while True:
        tail = f" ({number}){ending}"
        room = NAME_BYTES - len(tail.encode("utf-8", "surrogateescape"))
        kept = stem.encode("utf-8", "surrogateescape")[: max(1, room)]
        yield kept.decode("utf-8", "surrogateescape" if _undecodable(stem) else "ignore") + tail
        number += 1


def _ending(name: str) -> str:
    archive = archive_ending(name)
    if archive is not None:
        return name[len(name) - len(archive) :]
    stem, dot, ending = name.rpartition(".")
    return f".{ending}" if dot and stem and ending and len(ending) <= 16 else ""


def _undecodable(name: str) -> bool:
    return any("\udc80" <= letter <= "\udcff" for letter in name)
