"""The files of a project that say what software it needs: found, read, understood."""

from __future__ import annotations

import os
import stat
from typing import Final

from labbox.files.bounded import At
from labbox.files.reading import read_plain
from labbox.files.software.asked import FileKind, ProjectFile, Requirements, Software
from labbox.files.software.condas import read_environment_yml
from labbox.files.software.plain import read_packages
from labbox.files.software.pyproject import read_pyproject
from labbox.files.software.reading import MAX_FILE, Lookup, Reading
from labbox.files.software.recipes import read_recipe
from labbox.files.software.requirements import RequirementsReader
from labbox.model import Value
from labbox.protocol import Finding

_KINDS: Final[dict[str, FileKind]] = {
    "requirements.txt": "requirements",
    "pyproject.toml": "pyproject",
    "environment.yml": "conda",
    "environment.yaml": "conda",
    "apt.txt": "apt",
    "Dockerfile": "dockerfile",
}
_MISTAKEN: Final = {
    "requirement.txt": "requirements.txt",
    "Requirements.txt": "requirements.txt",
    "requirements.txt.txt": "requirements.txt",
    "dockerfile": "Dockerfile",
    "Dockerfile.txt": "Dockerfile",
    "conda.yml": "environment.yml",
    "packages.txt": "apt.txt",
}
_FLAGS: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC


class Found(Value):
    """The files, what they ask for together, and what is wrong with them."""

    files: tuple[ProjectFile, ...]
    software: Software
    findings: tuple[Finding, ...]


def find_software(top: int, code: int | None, places: frozenset[str], at: At) -> Found:
    """What stands in the open project folder `top`, and in its `code/` if it has one.

    `places` are the addresses that the box uses anyway, which a line may repeat.
    """
    folders = [(top, "")] if code is None else [(top, ""), (code, "code/")]
    reading = Reading(_below(folders), at)
    files: list[ProjectFile] = []
    for descriptor, prefix in folders:
        for name, kind in _KINDS.items():
            content = _read(descriptor, name, prefix + name, reading)
            if content is not None:
                files.append(ProjectFile(kind=kind, name=prefix + name, content=content))
        _mistaken(descriptor, prefix, reading)
    _twice(files, reading)
    software = understand(files, reading, places)
    findings = list(reading.findings)
    if files and not any(one.level == "error" for one in findings):
        named = " and ".join(file.name for file in files)
        text = f"{named} describe{'s' if len(files) == 1 else ''} the environment"
        findings.append(Finding(level="ok", text=text))
    return Found(files=tuple(files), software=software, findings=tuple(findings))


def understand(files: list[ProjectFile], reading: Reading, places: frozenset[str]) -> Software:
    """What these files ask for; what cannot be used stands in the findings. The first of a kind counts."""
    first = {file.kind: file for file in reversed(files)}
    reader = RequirementsReader(reading, places)
    conda = packages = recipe = None
    requires = ""
    if (file := first.get("conda")) is not None:
        conda = read_environment_yml(file.name, file.content, reading, reader)
    if (file := first.get("requirements")) is not None:
        reader.file(file.name, file.content)
    elif (file := first.get("pyproject")) is not None:
        parsed = read_pyproject(file.name, file.content, reading)
        if parsed is not None:
            reader.more(parsed)
            requires = parsed.requires_python
    if (file := first.get("apt")) is not None:
        packages = read_packages(file.name, file.content, reading)
    if (file := first.get("dockerfile")) is not None:
        recipe = read_recipe(file.name, file.content, reading)
    asked: Requirements | None = reader.result(requires)
    if asked == Requirements(requirements=()):
        asked = None
    return Software(
        requirements=asked,
        conda=conda,
        packages=packages or (),
        recipe=recipe,
    )


def _read(descriptor: int, name: str, shown: str, reading: Reading) -> bytes | None:
    try:
        content = read_plain(descriptor, name, MAX_FILE)
    except PermissionError:
        reading.error(shown, None, "you may not read it", f"make it readable: chmod u+r {shown}")
        return None
    if content is not None and len(content) > MAX_FILE:
        reading.error(shown, None, f"it is larger than {MAX_FILE >> 20} MiB", "list only what is needed")
        return None
    return None if content is None else in_utf8(content)


def in_utf8(data: bytes) -> bytes:
    """A text in UTF-8 without a mark: PowerShell writes UTF-16, editors of Windows put a mark in front."""
    for mark, encoding in ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig")):
        if data.startswith(mark):
            return data.decode(encoding, "replace").encode("utf-8", "replace")
    return data


def _below(folders: list[tuple[int, str]]) -> Lookup:
    """Files that others include: by their path in the project, reached without following links."""

    def find(name: str) -> bytes | None:
        for descriptor, prefix in reversed(folders):
            if prefix and not name.startswith(prefix):
                continue
            content = _read_path(descriptor, name.removeprefix(prefix).split("/"))
            if content is not None:
                return content
        return None

    return find


def _read_path(folder: int, parts: list[str]) -> bytes | None:
    descriptor = os.dup(folder)
    try:
        for number, part in enumerate(parts, start=1):
            flags = _FLAGS if number == len(parts) else _FLAGS | os.O_DIRECTORY
            below = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            return None
        with os.fdopen(os.dup(descriptor), "rb") as file:
            return file.read(MAX_FILE + 1)
    except (OSError, ValueError):
        return None
    finally:
        os.close(descriptor)


def _twice(files: list[ProjectFile], reading: Reading) -> None:
    first: dict[str, str] = {}
    for file in files:
        before = first.setdefault(file.kind, file.name)
        if before != file.name:
            reading.findings.append(
                Finding(
                    level="error",
                    text=f"cannot tell which is meant: {before} or {file.name}",
                    hint=f"put everything into one of them and remove the other: {before}",
                    file=file.name,
                )
            )


def _mistaken(descriptor: int, prefix: str, reading: Reading) -> None:
    for name, meant in _MISTAKEN.items():
        if _stands(descriptor, name) and not _stands(descriptor, meant):
            text = f"{prefix}{name} is not used: labbox looks for {meant}"
            reading.warn(prefix + name, None, text, f"rename it to {meant}")


def _stands(descriptor: int, name: str) -> bool:
    """Whether a plain file of that name stands in the folder and can be read."""
    try:
        return read_plain(descriptor, name, 0) is not None
    except PermissionError:
        return False
