"""Git LFS pointers: small texts in place of data that git does not carry itself."""

from __future__ import annotations

import os
from typing import Final

from labbox.files.following import Tick
from labbox.files.listing import Listing

_BEGINS: Final = b"version https://git-lfs.github.com/spec/v1\n"
_LEAST, _MOST = 100, 1024  # bytes, as its specification has it
_MOST_LOOKED: Final = 500  # files of that size that are looked into
_MOST_FOUND: Final = 20
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


def pointers(folder: int, listing: Listing, tick: Tick) -> list[str]:
    """The paths of the first pointers below an open folder that was listed."""
    found: list[str] = []
    looked = 0
    for file in listing.files():
        if not _LEAST <= file.size <= _MOST:
            continue
        looked += 1
        if looked > _MOST_LOOKED or len(found) >= _MOST_FOUND:
            break
        tick()
        try:
            descriptor = os.open(file.path, _FLAGS, dir_fd=folder)
        except OSError:
            continue  # what cannot be read is told elsewhere
        try:
            if os.read(descriptor, len(_BEGINS)) == _BEGINS:
                found.append(file.path)
        finally:
            os.close(descriptor)
    return found
