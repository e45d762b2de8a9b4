r"""Names as archives have them, made harmless: no name leads out of the folder where it is shown or unpacked.

What stands in an archive was put there by others: ``/etc/passwd``, ``../../.ssh/authorized_keys``,
``C:\Windows\x``, names with NUL, names too long for any disk.
"""

from __future__ import annotations

import hashlib
import re
from typing import Final, NamedTuple

from labbox.locations import NAME_BYTES

_DRIVE: Final = re.compile(r"[A-Za-z]:")
UP: Final = "(..)"  # how ``..`` is shown

OUTSIDE: Final = "its name leads out of the archive"
ABSOLUTE: Final = "its name begins at the root of a disk"
UNUSABLE: Final = "no disk keeps such a name"
DEEP: Final = "it lies in too many folders inside each other"


class Clean(NamedTuple):
    """A name in parts, each fit to be the name of one file."""

    parts: tuple[str, ...]  # none: the top itself
    flag: str = ""  # what is wrong with the name as it stood
    refused: bool = False  # it is shown, and never unpacked


def clean(raw: str, depth: int) -> Clean:
    """The parts of a name with ``/`` between them; `depth`: most parts."""
    flag, refused = "", False
    if raw.startswith("/") or _DRIVE.match(raw):
        flag = ABSOLUTE
    parts: list[str] = []
    for part in raw.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            parts.append(UP)
            flag, refused = OUTSIDE, True
            continue
        if "\0" in part:
            part = part.replace("\0", "␀")
            flag, refused = flag if refused else UNUSABLE, True
        if len(part) * 3 > NAME_BYTES and len(_bytes(part)) > NAME_BYTES:
            part = _shortened(part)
            flag, refused = flag if refused else UNUSABLE, True
        parts.append(part)
    if len(parts) > depth:
        return Clean((*parts[:1], _shortened("/".join(parts[1:])).replace("/", "⧸")), DEEP, refused=True)
    return Clean(tuple(parts), flag, refused)


def leads_inside(folder: tuple[str, ...], target: str) -> bool:
    """Whether a symbolic link in `folder` says a place below the top, whatever other links there are.

    ``..`` counts only at the beginning: behind a name it climbs from wherever that name leads.
    """
    if target.startswith("/") or "\0" in target or not target:
        return False
    climbs = 0
    named = False
    for part in target.split("/"):
        if part in ("", "."):
            continue
        if part == "..":
            if named:
                return False
            climbs += 1
        else:
            named = True
    return climbs <= len(folder)


def decoded(data: bytes) -> str:
    """Bytes of a name as text; what is not UTF-8 is kept as `os.fsdecode` keeps it."""
    return data.decode("utf-8", "surrogateescape")


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _shortened(name: str) -> str:
    data = _bytes(name)
    digest = hashlib.blake2b(data, digest_size=8).hexdigest()  # two long names stay two
    return data[:150].decode("utf-8", "ignore") + "…" + digest
