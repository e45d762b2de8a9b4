"""Locks and lists of other tools: Pipfile.lock, Pipfile, uv.lock."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from labbox.files.software.asked import LONGEST, Line
from labbox.files.software.pyproject import read_toml
from labbox.files.software.reading import Reading, shown
from labbox.files.software.requirements import RequirementsReader

_NAME: Final = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?", re.ASCII)
_MARKERS: Final = ("sys_platform", "platform_system", "os_name", "python_version")
_VERSION: Final = re.compile(r"[A-Za-z0-9.!+_-]{1,100}", re.ASCII)


def read_pipfile_lock(name: str, content: bytes, reading: Reading, reader: RequirementsReader) -> str:
    """The packages of its section "default"; returns the Python that it asks for, "" for any."""
    reading.begin(name, content)
    text = reading.text(name, content)
    if text is None:
        return ""
    try:
        document = json.loads(text, parse_int=str)
    except (ValueError, RecursionError):
        reading.error(name, None, "it is not valid JSON", "make it anew with: pipenv lock")
        return ""
    packages = document.get("default") if isinstance(document, dict) else None
    if not isinstance(packages, dict):
        reading.error(name, None, "it has no section “default”", "make it anew with: pipenv lock")
        return ""
    for package, about in packages.items():
        _entry(package, about, name, reading, reader)
    meta = document.get("_meta")
    requires = meta.get("requires") if isinstance(meta, dict) else None
    return _python(requires)


def read_pipfile(name: str, content: bytes, reading: Reading, reader: RequirementsReader) -> str:
    """The packages of its table [packages]; returns the Python that it asks for, "" for any."""
    document = read_toml(name, content, reading)
    if document is None:
        return ""
    packages = document.get("packages", {})
    if not isinstance(packages, dict):
        reading.error(name, None, "[packages] is no table", 'write [packages] and numpy = "*"')
        return ""
    for package, about in packages.items():
        _entry(package, about, name, reading, reader)
    return _python(document.get("requires"))


def read_uv_lock(name: str, content: bytes, reading: Reading) -> tuple[Line, ...]:
    """The versions that it settles, as constraints; a package that it has in several is left open."""
    document = read_toml(name, content, reading)
    packages = document.get("package", []) if document is not None else []
    found: dict[str, set[str]] = {}
    for package in packages if isinstance(packages, list) else []:
        reading.line(name)
        if not isinstance(package, dict) or not isinstance(package.get("source"), dict):
            continue
        version, called = package.get("version"), package.get("name")
        if "registry" not in package["source"] or not isinstance(called, str) or not isinstance(version, str):
            continue
        if len(called) <= LONGEST and _NAME.fullmatch(called) and _VERSION.fullmatch(version):
            found.setdefault(called, set()).add(version)
    return tuple(
        Line(text=f"{called}=={min(versions)}", file=name, number=0)
        for called, versions in found.items()
        if len(versions) == 1
    )


def _entry(package: str, about: Any, name: str, reading: Reading, reader: RequirementsReader) -> None:
    reading.line(name)
    table = about if isinstance(about, dict) else {"version": about}
    if any(key in table for key in ("git", "path", "file", "hg", "svn")):
        if table.get("path") in (".", "./."):
            return  # the project itself
        why = f"“{shown(package)}” comes from an address or a folder, and packages come from the box's index"
        hint = f"name a version that the index has, or put its code into your folder: {shown(package)}"
        reading.error(name, None, why, hint)
        return
    version = table.get("version", "*")
    extras = table.get("extras", [])
    markers = [table["markers"]] if isinstance(table.get("markers"), str) else []
    markers += [f"{key} {table[key]}" for key in _MARKERS if isinstance(table.get(key), str)]
    text = package
    if isinstance(extras, list) and extras:
        text += f"[{','.join(map(str, extras))}]"
    if isinstance(version, str) and version.strip() not in ("", "*"):
        text += version if version.strip()[:1] in "=<>!~" else f"=={version}"
    if markers:
        text += f" ; {' and '.join(markers)}"
    hashes = table.get("hashes", [])
    if isinstance(hashes, list):
        text += "".join(
            f" --hash={one}" for one in hashes if isinstance(one, str) and not re.search(r"\s", one)
        )
    reader.line(text, name, 0)


def _python(requires: Any) -> str:
    if not isinstance(requires, dict):
        return ""
    version = requires.get("python_version") or requires.get("python_full_version")
    match = re.match(r"3\.\d{1,2}", version) if isinstance(version, str) else None
    return match[0] if match else ""
