"""The files of a project that say what software it needs."""

from __future__ import annotations

from typing import Final, Literal

from labbox.files import environmentyml, requirementstxt
from labbox.files.reading import read_plain
from labbox.model import Value
from labbox.protocol import Finding

FileKind = Literal["requirements", "pyproject", "conda", "apt", "dockerfile"]

MAX_BYTES: Final = 1 << 20
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


class ProjectFile(Value):
    """A file that describes the environment; `name` is relative to the project: "code/requirements.txt"."""

    kind: FileKind
    name: str
    content: bytes


def find_dependencies(top: int, code: int | None) -> tuple[tuple[ProjectFile, ...], list[Finding]]:
    """What stands in the open project folder `top`, and in its `code/` if it has one."""
    places = [(top, "")] if code is None else [(top, ""), (code, "code/")]
    files: list[ProjectFile] = []
    findings: list[Finding] = []
    for descriptor, prefix in places:
        for name, kind in _KINDS.items():
            content = _read(descriptor, name, prefix + name, findings)
            if content is not None:
                files.append(ProjectFile(kind=kind, name=prefix + name, content=content))
        findings += _mistaken(descriptor, prefix)
    findings += _twice(files)
    for file in files:
        if file.kind == "requirements":
            findings += requirementstxt.check(file.content, file.name)
        elif file.kind == "conda":
            findings += environmentyml.check(file.content, file.name)
    if files and not any(one.level == "error" for one in findings):
        named = " and ".join(file.name for file in files)
        text = f"{named} describe{'s' if len(files) == 1 else ''} the environment"
        findings.append(Finding(level="ok", text=text))
    return tuple(files), findings


def _read(descriptor: int, name: str, shown: str, findings: list[Finding]) -> bytes | None:
    try:
        content = read_plain(descriptor, name, MAX_BYTES)
    except PermissionError:
        hint = f"make it readable: chmod u+r {shown}"
        findings.append(
            Finding(level="error", text=f"cannot read {shown}: you may not", hint=hint, file=shown)
        )
        return None
    if content is not None and len(content) > MAX_BYTES:
        text = f"cannot use {shown}: it is larger than {MAX_BYTES >> 20} MiB"
        findings.append(Finding(level="error", text=text, hint="make it shorter", file=shown))
        return None
    if content is not None and name == "requirements.txt":
        return requirementstxt.to_text(content)
    return content


def _twice(files: list[ProjectFile]) -> list[Finding]:
    found: list[Finding] = []
    first: dict[str, str] = {}
    for file in files:
        before = first.setdefault(file.kind, file.name)
        if before != file.name:
            text = f"cannot tell which is meant: {before} or {file.name}"
            hint = f"put everything into one of them and remove the other: {before}"
            found.append(Finding(level="error", text=text, hint=hint, file=file.name))
    return found


def _mistaken(descriptor: int, prefix: str) -> list[Finding]:
    found: list[Finding] = []
    for name, meant in _MISTAKEN.items():
        if read_plain_exists(descriptor, name) and not read_plain_exists(descriptor, meant):
            text = f"{prefix}{name} is not used: labbox looks for {meant}"
            found.append(
                Finding(level="warning", text=text, hint=f"rename it to {meant}", file=prefix + name)
            )
    return found


def read_plain_exists(descriptor: int, name: str) -> bool:
    """Whether a plain file of that name stands in the folder and can be read."""
    try:
        return read_plain(descriptor, name, 0) is not None
    except PermissionError:
        return False
