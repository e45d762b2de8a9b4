"""The files of a project that say what software it needs: found, read, understood."""

from __future__ import annotations

import os
import posixpath
import re
import stat
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from msgspec.structs import replace

from labbox.files.bounded import At
from labbox.files.reading import names_in, read_plain
from labbox.files.software import unused
from labbox.files.software.asked import FileKind, ProjectFile, Requirements, Software
from labbox.files.software.condas import read_environment_yml
from labbox.files.software.locks import read_lock, read_pipfile, read_pipfile_lock, read_pylock
from labbox.files.software.plain import read_packages
from labbox.files.software.pyproject import read_pyproject
from labbox.files.software.reading import MAX_FILE, Lookup, Reading
from labbox.files.software.recipes import read_recipe
from labbox.files.software.requirements import RequirementsReader
from labbox.files.software.setups import read_setup_cfg, read_setup_py
from labbox.model import Value
from labbox.protocol import Finding
from labbox.text import visible_line

_KINDS: Final[dict[str, FileKind]] = {
    "requirements.txt": "requirements",
    "pyproject.toml": "pyproject",
    "environment.yml": "conda",
    "environment.yaml": "conda",
    "apt.txt": "apt",
    "Dockerfile": "dockerfile",
    "uv.lock": "uv-lock",
    "Pipfile.lock": "pipfile-lock",
    "Pipfile": "pipfile",
    "setup.cfg": "setup-cfg",
    "setup.py": "setup-py",
    "runtime.txt": "runtime",
    ".python-version": "runtime",
    "poetry.lock": "poetry-lock",
    "pdm.lock": "pdm-lock",
    "pylock.toml": "pylock",
}
_LOCKS: Final[tuple[FileKind, ...]] = ("uv-lock", "poetry-lock", "pdm-lock", "pylock")  # of a pyproject.toml
# Taken where nothing of their kind has its proper name; the first one that is there.
_VARIANTS: Final[dict[str, FileKind]] = {
    "env.yml": "conda",
    "env.yaml": "conda",
    "conda.yml": "conda",
    "conda.yaml": "conda",
    "requirements.in": "requirements",
    "requirements/base.txt": "requirements",
    "requirements/requirements.txt": "requirements",
    "requirements/main.txt": "requirements",
    "requirements/prod.txt": "requirements",
    "requirements/production.txt": "requirements",
}
_BINDERS: Final = ("binder", ".binder")  # as repo2docker has it: what stands there is meant, and nothing else
_OF_BINDER: Final = ("requirements", "conda", "apt", "runtime")
_ASIDE: Final = (*(f"{one}/" for one in _BINDERS), "requirements/", "packrat/")  # folders of such files
_PROPER: Final[dict[FileKind, str]] = {
    "requirements": "requirements.txt",
    "conda": "environment.yml",
    "apt": "apt.txt",
}
_OF_PIP: Final[tuple[FileKind, ...]] = ("requirements", "pyproject", "pipfile-lock", "pipfile", "pylock")
_MOST_TOLD: Final = 8  # files of one folder
_PIPFILES: Final[tuple[FileKind, ...]] = ("pipfile-lock", "pipfile")
_ONCE: Final = ("requirements", "pyproject", "conda", "apt", "dockerfile")  # where two of a kind are refused
_MOST_NAMES: Final = 1_000
_MOST_LINKS: Final = 8  # one after another
_SHOWN: Final = 200  # characters
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
        files += _named(descriptor, prefix, _KINDS, reading)
    files = _binder(folders, files, reading)
    for descriptor, prefix in folders:
        known = {file.kind for file in files}
        for file in _named(descriptor, prefix, _VARIANTS, reading):
            if file.kind not in known:
                known.add(file.kind)
                files.append(file)
    _twice(files, reading)
    software = understand(files, reading, places)
    software = replace(software, roots=_roots(code if code is not None else top, files))
    _locks_left(files, reading)
    for descriptor, prefix in folders:
        _unused(descriptor, prefix, files, software, reading)
    findings = list(reading.findings)
    used = [file for file in files if file.name in reading.used]
    if used and not any(one.level == "error" for one in findings):
        named = " and ".join(file.name for file in used)
        text = f"{named} describe{'s' if len(used) == 1 else ''} the environment"
        findings.append(Finding(level="ok", text=text))
    kept = used if software.recipe is None else files  # what stands beside a Dockerfile may be copied by it
    return Found(files=tuple(kept), software=software, findings=tuple(findings))


def understand(files: list[ProjectFile], reading: Reading, places: frozenset[str]) -> Software:
    """What these files ask for; what cannot be used stands in the findings. The first of a kind counts."""
    first = {file.kind: file for file in reversed(files)}
    reader = RequirementsReader(reading, places)
    conda = packages = recipe = None
    if (file := first.get("conda")) is not None:
        conda = read_environment_yml(file.name, file.content, reading, reader)
    requires = _python_wishes(first, reader, reading)
    reader.miss_extras()
    if (file := first.get("apt")) is not None:
        packages = read_packages(file.name, file.content, reading)
    if (file := first.get("dockerfile")) is not None:
        recipe = read_recipe(file.name, file.content, reading)
    python = ""
    if (file := first.get("runtime")) is not None:
        python = _runtime(file, reading)
    pipfile = next((one for one in files if one.kind in _PIPFILES and one.name in reading.used), None)
    if pipfile is not None and requires:  # a wish as a runtime.txt has it, and with the same answer
        if not python:
            python, file = requires.removeprefix("==").removesuffix(".*"), pipfile
        requires = ""
    asked: Requirements | None = reader.result(requires)
    if asked == Requirements(requirements=()):
        asked = None
    return Software(
        requirements=asked,
        conda=conda,
        packages=packages or (),
        recipe=recipe,
        python=python,
        python_file=file.name if file is not None and python else "",
    )


def _python_wishes(first: dict[FileKind, ProjectFile], reader: RequirementsReader, reading: Reading) -> str:
    """Pip's packages: of the first file that names any. Returns the Python that they need."""
    if (file := first.get("requirements")) is not None:
        reader.file(file.name, file.content)
        return _own(first, reader, reading) if reader.itself else ""
    return _own(first, reader, reading)


def _own(first: dict[FileKind, ProjectFile], reader: RequirementsReader, reading: Reading) -> str:
    """What the project's own description of itself names."""
    if (file := first.get("pyproject")) is not None:
        parsed = read_pyproject(file.name, file.content, reading, reader)
        if parsed is not None:
            if (lock := next((first[kind] for kind in _LOCKS if kind in first), None)) is not None:
                read_lock(lock.kind, lock.name, lock.content, reading, reader)
            return parsed
        reading.used.discard(file.name)
    if (file := first.get("pylock")) is not None:
        return read_pylock(file.name, file.content, reading, reader)
    if (file := first.get("pipfile-lock")) is not None:
        return _series(read_pipfile_lock(file.name, file.content, reading, reader))
    if (file := first.get("pipfile")) is not None:
        return _series(read_pipfile(file.name, file.content, reading, reader))
    requires = ""
    if (file := first.get("setup-cfg")) is not None:
        requires = read_setup_cfg(file.name, file.content, reading, reader)
    if (file := first.get("setup-py")) is not None:
        requires = read_setup_py(file.name, file.content, reading, reader) or requires
    return requires


def _series(python: str) -> str:
    return f"=={python}.*" if python else ""


def _runtime(file: ProjectFile, reading: Reading) -> str:
    """The series of Python in a runtime.txt or .python-version; "" where it names another thing."""
    reading.begin(file.name, file.content)
    lines = [
        line.split("#", 1)[0].strip() for line in (reading.text(file.name, file.content) or "").splitlines()
    ]
    named = [line for line in lines if line]
    match = re.fullmatch(r"(?:python-?|cpython-?)?(3\.\d{1,2})(?:\.\d+)?", named[0]) if named else None
    if match is not None and len(named) > 1:
        text = f"{file.name} names several Pythons: {match[1]} is used"
        reading.warn(file.name, None, text, "leave one of them")
    if match is None:
        reading.used.discard(file.name)
        hint = "write python-3.11 into it, or name an image in job.toml: image = …"
        reading.warn(file.name, None, f"{file.name} is not used: it names no Python that is known", hint)
    return match[1] if match else ""


def _named(
    descriptor: int, prefix: str, kinds: Mapping[str, FileKind], reading: Reading
) -> list[ProjectFile]:
    found = []
    for name, kind in kinds.items():
        content = _read(descriptor, name, prefix + name, reading)
        if content is not None:
            found.append(ProjectFile(kind=kind, name=prefix + name, content=content))
    return found


def _binder(folders: list[tuple[int, str]], files: list[ProjectFile], reading: Reading) -> list[ProjectFile]:
    """The files of a `binder/` folder instead of those beside it, where there is one."""
    for descriptor, prefix in folders:
        for folder in _BINDERS:
            named = {f"{folder}/{name}": kind for name, kind in _KINDS.items() if kind in _OF_BINDER}
            found = _named(descriptor, prefix, named, reading)
            if not found:
                continue
            for file in files:
                if file.kind != "dockerfile":
                    text = f"{file.name} is not used: {prefix}{folder}/ says what the project needs"
                    reading.warn(file.name, None, text, f"move what is missing there into {prefix}{folder}/")
            return [*found, *(file for file in files if file.kind == "dockerfile")]
    return files


def _roots(code: int, files: list[ProjectFile]) -> tuple[str, ...]:
    """From where a project is imported that would be installed elsewhere: `src/`, and its top."""
    roots = []
    with suppress(OSError):
        below = os.open("src", _FLAGS | os.O_DIRECTORY, dir_fd=code)
        try:
            if any(_is_importable(below, name) for name in sorted(names_in(below))[:_MOST_NAMES]):
                roots.append("src")
        finally:
            os.close(below)
    if any(file.kind in ("pyproject", "setup-py", "setup-cfg") for file in files):
        roots.append("")
    return tuple(roots)


def _is_importable(folder: int, name: str) -> bool:
    if name.endswith(".py"):
        return True
    with suppress(OSError):
        below = os.open(name, _FLAGS | os.O_DIRECTORY, dir_fd=folder)
        try:
            return any(one.endswith(".py") for one in names_in(below))
        finally:
            os.close(below)
    return False


def _unused(
    descriptor: int, prefix: str, files: list[ProjectFile], software: Software, reading: Reading
) -> None:
    """Tell of files that look as if they said what is needed, and are not used."""
    used = [file for file in files if file.name in reading.used]
    taken = {_PROPER.get(file.kind, file.name): file.name for file in used}
    of_pip = [file.name for file in used if file.kind in ("requirements", "pyproject")]
    taken |= {"pip": of_pip[0]} if of_pip else {}
    known = {file.name for file in files} | reading.used | set(_VARIANTS)
    for folder in ("", *_ASIDE):
        told = 0
        for name in sorted(_in_folder(descriptor, folder))[:_MOST_NAMES]:
            whole = prefix + folder + name
            if (
                whole in known
                or folder + name in _VARIANTS
                or told >= _MOST_TOLD
                or not unused.seems(folder + name)
            ):
                continue
            content = _read(descriptor, folder + name, whole, reading, warn=True)
            if content is not None:
                told += 1
                unused.tell(whole, content, software.packages, taken, reading)


def _in_folder(descriptor: int, folder: str) -> list[str]:
    if not folder:
        return names_in(descriptor)
    with suppress(OSError):
        below = os.open(folder, _FLAGS | os.O_DIRECTORY, dir_fd=descriptor)
        try:
            return names_in(below)
        finally:
            os.close(below)
    return []


def _locks_left(files: list[ProjectFile], reading: Reading) -> None:
    """Tell of locks that another file goes before, or that stand without the file that they settle."""
    used = next((one.name for one in files if one.name in reading.used and one.kind in _OF_PIP), "")
    for file in files:
        if file.kind not in (*_LOCKS, "pipfile-lock") or file.name in reading.used:
            continue
        if used:
            text = f"{file.name} is not used: {used} says what the project needs"
            reading.warn(file.name, None, text, f"remove {used} if {file.name} is meant, or remove that")
        else:
            hint = "put the pyproject.toml with its dependencies beside it, or write a requirements.txt"
            reading.warn(file.name, None, f"{file.name} is not used: it settles a pyproject.toml", hint)


def _read(descriptor: int, name: str, shown: str, reading: Reading, *, warn: bool = False) -> bytes | None:
    folder, _, base = name.rpartition("/")
    if folder or (leads := _link(descriptor, base)) is not None:
        content = reading.lookup(shown)
        if content is None and not folder:
            target = visible_line(str(leads))[:_SHOWN]
            text = f"{shown} is not used: it is a link to {target}, and the project has no such file"
            reading.warn(shown, None, text, "put the file itself into the project")
        return None if content is None or len(content) > MAX_FILE else in_utf8(content)
    try:
        content = read_plain(descriptor, name, MAX_FILE)
    except PermissionError:
        if warn:
            return None
        reading.error(shown, None, "you may not read it", f"make it readable: chmod u+r {shown}")
        return None
    if content is not None and len(content) > MAX_FILE:
        if warn:
            return content[:MAX_FILE]
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
    """Files that others include: by their path in the project; links lead where they lead inside of it."""

    def find(name: str, links: int = _MOST_LINKS) -> bytes | None:
        for descriptor, prefix in reversed(folders):
            if prefix and not name.startswith(prefix):
                continue
            content = _read_path(descriptor, name.removeprefix(prefix).split("/"))
            if isinstance(content, bytes):
                return content
            if content is not None and links > 0:
                target = posixpath.normpath(prefix + content)
                return None if target.startswith(("/", "../")) else find(target, links - 1)
        return None

    return find


def _read_path(folder: int, parts: list[str]) -> bytes | str | None:
    """What a file holds; where a link stands in the way, the path from the folder that it leads to."""
    descriptor = os.dup(folder)
    try:
        for number, part in enumerate(parts, start=1):
            if (target := _link(descriptor, part)) is not None:
                return posixpath.join(*parts[: number - 1], target, *parts[number:])
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


def _link(folder: int, name: str) -> str | None:
    """Where a link leads, as it is written; None for anything else."""
    try:
        return os.readlink(name, dir_fd=folder)
    except (OSError, ValueError):
        return None


def _twice(files: list[ProjectFile], reading: Reading) -> None:
    first: dict[str, ProjectFile] = {}
    for file in files:
        other = first.setdefault(file.kind, file)
        before = other.name
        if file.kind in _ONCE and other.content != file.content:
            reading.findings.append(
                Finding(
                    level="error",
                    text=f"cannot tell which is meant: {before} or {file.name}",
                    hint=f"put everything into one of them and remove the other: {before}",
                    file=file.name,
                )
            )
