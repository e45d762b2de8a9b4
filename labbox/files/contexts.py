"""A folder as a build context: a tar of its files, less what its .dockerignore names.

Patterns are Docker's: the last one that fits a path or a folder above it decides, `!` takes back. They are
matched evenly, without backtracking, and stand under a limit of time.
"""

from __future__ import annotations

import io
import os
import re
import stat
import tarfile
import time
from collections.abc import Mapping
from typing import IO, Final

from labbox.errors import LabboxError
from labbox.files.following import Meter
from labbox.files.listing import MAX_DEPTH
from labbox.files.masks import expression
from labbox.files.reading import read_plain

IGNORE: Final = ".dockerignore"
RECIPE: Final = "Dockerfile"
_MAX_IGNORE: Final = 256 * 1024  # bytes
_MAX_PATTERNS: Final = 1_000
_LONGEST: Final = 1_000  # characters of a pattern
_SECONDS: Final = 600.0
_BRACES: Final = re.compile(r"(?<!\\)([{}])")  # plain characters to Docker
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

Rules = tuple[tuple[bool, re.Pattern[str]], ...]
"""In order: whether it takes back, and what it fits."""


def pack(tree: int, target: IO[bytes], recipe: str, beside: Mapping[str, bytes], meter: Meter) -> None:
    """Write the open folder `tree` into the open file `target`; `recipe` is the Dockerfile that steps copy.

    Where the folder has none, it is the `code/` that stands with the Dockerfile and the files `beside`.
    LabboxError where the .dockerignore cannot be used.
    """
    meter.begin("build context", unit="files")
    packing = _Packing(read_rules(tree), meter)
    flat = read_plain(tree, RECIPE, 0) is not None
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        packing.folder(archive, tree, "", "" if flat else "code/", tuple(False for _ in packing.rules))
        for name, content in {**({} if flat else beside), RECIPE: recipe.encode()}.items():
            made = tarfile.TarInfo(name)
            made.size, made.mode = len(content), 0o644
            archive.addfile(made, io.BytesIO(content))


def read_rules(tree: int) -> Rules:
    """What the folder's .dockerignore says; patterns of one kind that follow each other are one rule."""
    content = read_plain(tree, IGNORE, _MAX_IGNORE)
    if content is None:
        return ()
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    lines = content[:_MAX_IGNORE].decode(encoding, "replace").splitlines()
    patterns = [line.strip() for line in lines if line.strip() and not line.startswith("#")]
    if len(patterns) > _MAX_PATTERNS or any(len(one) > _LONGEST for one in patterns):
        raise LabboxError(
            "invalid",
            f"cannot use {IGNORE}: it has more than {_MAX_PATTERNS:,} patterns, or one of over {_LONGEST:,} "
            "characters",
            "name folders instead of files",
        )
    kinds: list[tuple[bool, list[str]]] = []
    for pattern in patterns:
        back = pattern.startswith("!")
        bare = "/".join(
            part for part in pattern.removeprefix("!").strip().split("/") if part not in ("", ".")
        )
        if not bare or ".." in bare.split("/"):
            continue
        if not kinds or kinds[-1][0] != back:
            kinds.append((back, []))
        kinds[-1][1].append(expression(_BRACES.sub(r"\\\1", bare), path=True))
    return tuple((back, re.compile("|".join(ones))) for back, ones in kinds)


class _Packing:
    def __init__(self, rules: Rules, meter: Meter) -> None:
        self.rules = rules
        self._meter = meter
        self._until = time.monotonic() + _SECONDS
        self._last_back = max((number for number, (back, _) in enumerate(rules) if back), default=-1)

    def folder(
        self,
        archive: tarfile.TarFile,
        descriptor: int,
        path: str,
        prefix: str,
        above: tuple[bool, ...],
        depth: int = 0,
    ) -> None:
        """What stands in an open folder; `above`: which rules fit a folder above it."""
        if depth > MAX_DEPTH:
            raise LabboxError("invalid", "cannot pack the code: it is nested too deeply", "flatten it")
        for name in sorted(os.listdir(descriptor)):
            inner = f"{path}{name}"
            if inner in (RECIPE, IGNORE):  # whoever builds has their own
                continue
            if time.monotonic() > self._until:
                raise LabboxError(
                    "limit",
                    f"cannot pack the code for its Dockerfile: it takes more than {_SECONDS:.0f} s",
                    f"make the code smaller, or {IGNORE} plainer",
                )
            fits = tuple(
                before or rule.fullmatch(inner) is not None
                for before, (_, rule) in zip(above, self.rules, strict=True)
            )
            decided = max((number for number, fit in enumerate(fits) if fit), default=None)
            out = decided is not None and not self.rules[decided][0]
            status = os.stat(name, dir_fd=descriptor, follow_symlinks=False)
            if not out:
                self._add(archive, descriptor, name, prefix + inner, status)
            if stat.S_ISDIR(status.st_mode) and not (
                out and decided is not None and decided > self._last_back
            ):
                below = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=descriptor)
                try:
                    self.folder(archive, below, f"{inner}/", prefix, fits, depth + 1)
                finally:
                    os.close(below)

    def _add(
        self, archive: tarfile.TarFile, folder: int, name: str, shown: str, status: os.stat_result
    ) -> None:
        entry = tarfile.TarInfo(shown)
        entry.mode, entry.mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
        self._meter.moved(1)
        if stat.S_ISDIR(status.st_mode):
            entry.type = tarfile.DIRTYPE
            archive.addfile(entry)
        elif stat.S_ISLNK(status.st_mode):
            entry.type, entry.linkname = tarfile.SYMTYPE, os.readlink(name, dir_fd=folder)
            archive.addfile(entry)
        elif stat.S_ISREG(status.st_mode):
            descriptor = os.open(name, _FLAGS, dir_fd=folder)
            with os.fdopen(descriptor, "rb") as file:
                entry.size = os.fstat(descriptor).st_size
                archive.addfile(entry, file)
