"""Which folder the words of a command are meant from: the project's, or that of its code."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Collection, Sequence
from typing import Final

_PIECES: Final = re.compile(r"[\s;|&<>()'\"=,:]+")  # of a word that may be a line for a shell
_LONGEST: Final = 1 << 16  # characters of a command that are looked at


def names_from(command: Sequence[str], top: int, code: int, aside: Collection[str] = ()) -> bool:
    """Whether a command names something that is found from the open folder `top`, and not from `code`.

    Names `aside` are found from both.
    """
    left = _LONGEST
    for number, word in enumerate(command):
        for piece in _PIECES.split(word[:left]):
            path = piece.removeprefix("./")
            parts = path.split("/")
            if not path or ".." in parts or parts[0] in ("", *aside):
                continue
            if number == 0 and "/" not in piece:  # a program's name
                continue
            kind = _kind(path, top)
            if kind and (kind == stat.S_IFREG or "/" in path) and not _kind(path, code):
                return True
        left = max(0, left - len(word))
    return False


def _kind(path: str, folder: int) -> int:
    try:
        return stat.S_IFMT(os.stat(path, dir_fd=folder).st_mode)
    except (OSError, ValueError):
        return 0
