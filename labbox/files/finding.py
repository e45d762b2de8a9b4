"""All files below a folder of this machine, or those among them that fit: for flat views and searches."""

from __future__ import annotations

import mmap
import os
import time
from collections.abc import Callable
from typing import Final, NamedTuple

from labbox.files.directory import Kind, Row, kind_of
from labbox.files.masks import matcher
from labbox.files.needles import Needle

BATCH: Final = 400
MOST: Final = 200_000  # entries that are gathered
TELL_EVERY: Final = 0.2  # seconds between two reports


class Looked(NamedTuple):
    """How far a search is."""

    folders: int = 0
    entries: int = 0
    read: int = 0  # bytes of files
    unread: int = 0  # folders and files that could not be read


def gather(
    folder: str,
    found: Callable[[list[Row]], None],
    going_on: Callable[[], bool],
    *,
    mask: str = "*",
    text: str = "",
    hidden: bool = False,
    case: bool = False,
    folders: bool = False,
    tell: Callable[[Looked], None] = lambda _looked: None,
) -> bool:
    """Hand over entries below a folder in batches, their names relative to it; whether that was all.

    `text`: only files that hold it, see `needles`. Links are not followed. `tell` hears now
    and then how far it is.
    """
    fits, wanted = matcher(mask or "*", case=case), Needle(text, case=case)
    waiting, batch, count = [""], list[Row](), 0
    gone_through = looked_at = read = unread = 0
    told = time.monotonic()
    while waiting:
        if not going_on():
            return False
        below = waiting.pop()
        try:
            entries = list(os.scandir(os.path.join(folder, below)))  # noqa: PTH118 - as text, many
        except OSError:
            unread += 1
            continue
        gone_through += 1
        for entry in entries:
            if time.monotonic() - told > TELL_EVERY:
                told = time.monotonic()
                tell(Looked(gone_through, looked_at, read, unread))
                found(batch)
                batch = []
            if entry.name[0] == "." and not hidden:
                continue
            looked_at += 1
            name = f"{below}/{entry.name}" if below else entry.name
            try:
                about = entry.stat(follow_symlinks=False)
            except OSError:
                continue
            kind = kind_of(entry.path, about.st_mode)
            if kind is Kind.FOLDER:
                waiting.append(name)
                if not folders or wanted:
                    continue
            if not fits(entry.name):
                continue
            if wanted:
                read += about.st_size if kind is Kind.FILE else 0
                if kind is not Kind.FILE or not _holds(entry.path, wanted):
                    continue
            batch.append(Row(name, kind, about.st_size, about.st_mtime_ns, about.st_mode & 0o7777))
            count += 1
            if len(batch) == BATCH:
                found(batch)
                batch = []
            if count == MOST:
                found(batch)
                return False
            if not going_on():
                return False
    found(batch)
    tell(Looked(gone_through, looked_at, read, unread))
    return True


def _holds(path: str, wanted: Needle) -> bool:
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        size = os.fstat(descriptor).st_size
        if size < wanted.least:
            return False
        if size <= 1 << 20:
            return wanted.inside(os.read(descriptor, 1 << 20))
        with mmap.mmap(descriptor, 0, prot=mmap.PROT_READ) as whole:
            step, over = 1 << 22, wanted.over
            return any(wanted.inside(whole[start : start + step + over]) for start in range(0, size, step))
    except (OSError, ValueError):
        return False
    finally:
        os.close(descriptor)
