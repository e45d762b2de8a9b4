"""What another host tells of an entry, as every place tells it."""

from __future__ import annotations

import stat
from typing import Final

from labbox.files.places.base import Entry, EntryKind
from labbox.files.places.sftpwire import Stat

_SECOND: Final = 1_000_000_000
_KINDS: Final = {stat.S_IFREG: EntryKind.FILE, stat.S_IFDIR: EntryKind.FOLDER, stat.S_IFLNK: EntryKind.LINK}
_LETTERS: Final = {b"-": stat.S_IFREG, b"d": stat.S_IFDIR, b"l": stat.S_IFLNK}


def entry_of(
    name: str, found: Stat, target: str | None = None, leads_to_folder: bool = False, line: bytes = b""
) -> Entry:
    """The entry called `name`; `line`, as ``ls -l`` has it, where the mode does not say what it is."""
    mode = found.mode if found.mode is not None else _LETTERS.get(line[:1], 0)
    kind = _KINDS.get(stat.S_IFMT(mode), EntryKind.OTHER)
    folder = kind is EntryKind.FOLDER
    return Entry(
        name,
        kind,
        0 if folder else found.size or 0,
        (found.mtime or 0) * _SECOND,
        None if found.mode is None else mode & 0o7777,
        found.uid,
        found.gid,
        target=target,
        folder=folder or leads_to_folder,
    )


def seconds(mtime: int) -> int:
    """Nanoseconds as the protocol can carry them: whole seconds of 32 bits."""
    return max(0, min(0xFFFF_FFFF, mtime // _SECOND))
