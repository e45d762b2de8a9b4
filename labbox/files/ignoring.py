"""What never belongs to a project that is handed in: caches, histories, leavings of editors.

`job.toml` adds patterns with `ignore`. A pattern without a slash is compared with each name, one with a slash
with the path below the project; a slash at its end keeps it to folders; ``*`` does not cross a slash, ``**``
does.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import Final

from labbox.errors import LabboxError
from labbox.files.masks import expression

IGNORED_FOLDERS: Final = frozenset(
    {
        ".git", ".hg", ".svn", ".bzr",
        "__pycache__", ".ipynb_checkpoints", ".pytest_cache", ".mypy_cache", ".ruff_cache", ".tox", ".nox",
        ".idea", ".vscode", ".vs", ".Rproj.user", ".Trash", ".Trashes", ".Spotlight-V100", ".fseventsd",
        "System Volume Information", "$RECYCLE.BIN", "__MACOSX",
    }
)  # fmt: skip
IGNORED_FILES: Final = frozenset(
    {".DS_Store", "Thumbs.db", "desktop.ini", ".Rhistory", ".python_history", ".octave_hist", ".directory"}
)
IGNORED_ENDINGS: Final = (".pyc", ".pyo", ".swp", ".swo", "~", ".asv", ".partial")
VIRTUAL_ENVIRONMENT: Final = "pyvenv.cfg"  # a folder that holds it is one, made for another machine

_MOST_WORDS: Final = 200_000  # characters of all expressions

Ignore = Callable[[str, str, bool], bool]
"""Whether a path stays out: (path below the project, name, is it a folder)."""


def ignoring(patterns: Iterable[str] = ()) -> Ignore:
    """The rule for what stays out: the built-in names and these patterns."""
    by_name: list[str] = []
    by_path: list[str] = []
    for pattern in patterns:
        only_folders = pattern.endswith("/")
        stripped = pattern.strip("/")
        wanted = expression(stripped, path=True) + ("/" if only_folders else "/?")
        (by_path if "/" in pattern.rstrip("/") else by_name).append(wanted)
    if sum(map(len, (*by_name, *by_path))) > _MOST_WORDS:
        raise LabboxError(
            "limit",
            "cannot leave out so many patterns at once",
            "ignore folders in job.toml instead of files",
        )
    names = re.compile("|".join(by_name)) if by_name else None
    paths = re.compile("|".join(by_path)) if by_path else None

    def stays_out(path: str, name: str, folder: bool) -> bool:
        if name in IGNORED_FOLDERS if folder else (name in IGNORED_FILES or name.endswith(IGNORED_ENDINGS)):
            return True
        tail = "/" if folder else ""
        if names is not None and names.fullmatch(name + tail):
            return True
        return paths is not None and paths.fullmatch(path + tail) is not None

    return stays_out
