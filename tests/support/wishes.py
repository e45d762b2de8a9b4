"""What files ask for, in tests that have no worker; and a folder as the context of a Dockerfile."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import IO, cast

from labbox.errors import LabboxError
from labbox.files.contexts import pack
from labbox.files.following import Meter
from labbox.files.software.asked import FileKind, ProjectFile, Software
from labbox.files.software.finding import understand
from labbox.files.software.reading import Lookup, Reading

NAMES: Mapping[FileKind, str] = {
    "requirements": "requirements.txt",
    "pyproject": "pyproject.toml",
    "conda": "environment.yml",
    "apt": "apt.txt",
    "dockerfile": "Dockerfile",
    "uv-lock": "uv.lock",
}


def asked(
    *files: tuple[FileKind, str | bytes],
    lookup: Lookup = lambda _name: None,
    places: frozenset[str] = frozenset(),
    prefix: str = "",
) -> Software:
    """What they ask for; LabboxError with the first thing that is wrong."""
    reading = Reading(lookup)
    found = understand(
        [
            ProjectFile(
                kind=kind,
                name=prefix + NAMES[kind],
                content=text if isinstance(text, bytes) else text.encode(),
            )
            for kind, text in files
        ],
        reading,
        places,
    )
    for finding in reading.findings:
        if finding.level == "error":
            line = f"line {finding.line} of " if finding.line else ""
            raise LabboxError("invalid", finding.text.replace("use ", f"use {line}", 1), finding.hint)
    return found


class Tree:
    """A folder as a context, named by its content wherever it stands."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @property
    def name(self) -> str:
        known = hashlib.sha256()
        for path in sorted(self.folder.rglob("*")):
            known.update(f"{path.relative_to(self.folder)} {path.lstat().st_mode:o}".encode())
            known.update(path.read_bytes() if path.is_file() else b"")
        return known.hexdigest()

    async def pack(self, recipe: str, beside: Mapping[str, bytes]) -> IO[bytes]:
        file = cast(IO[bytes], tempfile.TemporaryFile())
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            pack(descriptor, file, recipe, beside, Meter())
        finally:
            os.close(descriptor)
        file.seek(0)
        return file
