"""Locks and lists of other tools: Pipfile, Pipfile.lock, and those that settle a pyproject.toml."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, Final

from labbox.files.software.asked import LONGEST, FileKind, normal
from labbox.files.software.pyproject import read_toml, refuse_source
from labbox.files.software.reading import Reading, shown
from labbox.files.software.requirements import RequirementsReader
from labbox.model import Value

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


def read_lock(
    kind: FileKind, name: str, content: bytes, reading: Reading, reader: RequirementsReader
) -> None:
    """What a lock settles of the packages that are asked for so far: versions and hashes, as constraints.

    Packages that are not needed may come from anywhere; a needed one that is not from an index is refused.
    """
    document = read_toml(name, content, reading)
    tables = document.get(_TABLES.get(kind, "package"), []) if document is not None else []
    packages: dict[str, list[_Package]] = {}
    for table in tables if isinstance(tables, list) else []:
        reading.line(name)
        if isinstance(table, dict) and (package := _PARSERS[kind](table)) is not None:
            packages.setdefault(normal(package.name), []).append(package)
    needed, further = set[str](), [line.package for line in reader.asked]
    while further:
        if (one := further.pop()) not in needed:
            needed.add(one)
            further += [normal(need) for package in packages.get(one, ()) for need in package.needs]
    for one in sorted(needed & packages.keys()):
        _settle(packages[one], name, reading, reader)
    always = (line.package for line in reader.asked if ";" not in line.text)
    missing = [one for one in dict.fromkeys(always) if one not in packages]
    if missing and document is not None:
        text = f"{name} says nothing of {shown(', '.join(missing))}: it is older than what names them"
        reading.warn(name, None, text, f"make it anew with: {_AGAIN[kind]}")


class _Package(Value):
    """A package of a lock; `itself` is the project, `elsewhere` tells one that no index has."""

    name: str
    version: str
    marker: str
    itself: bool
    elsewhere: bool
    hashes: tuple[str, ...]
    needs: tuple[str, ...]


def _settle(several: list[_Package], name: str, reading: Reading, reader: RequirementsReader) -> None:
    """Constraints of one package; where it stands in several versions, of those that say for whom."""
    versions = {one.version for one in several}
    for one in several:
        if one.itself:
            continue
        if one.elsewhere:
            refuse_source(one.name, name, reading)
        elif len(versions) == 1 or one.marker:
            marker = one.marker if len(versions) > 1 else ""
            reader.settled(f"{one.name}=={one.version}{f' ; {marker}' if marker else ''}", one.hashes, name)


def _package(
    table: dict[str, Any],
    *,
    marker: str = "",
    itself: bool = False,
    elsewhere: bool,
    files: list[Any],
    needs: list[Any],
) -> _Package | None:
    called, version = table.get("name"), table.get("version", "")
    if not isinstance(called, str) or len(called) > LONGEST or not _NAME.fullmatch(called):
        return None
    if not isinstance(version, str) or (not _VERSION.fullmatch(version) and not (elsewhere or itself)):
        return None
    hashes = [one.get("hash") if isinstance(one, dict) else one for one in files]
    return _Package(
        name=called,
        version=version,
        marker=marker if len(marker) + len(called) + len(version) < LONGEST - 10 else "",
        itself=itself,
        elsewhere=elsewhere,
        hashes=tuple(one for one in hashes if isinstance(one, str)),
        needs=tuple(one for one in needs if isinstance(one, str) and len(one) <= LONGEST),
    )


def _of_uv(table: dict[str, Any]) -> _Package | None:
    source = table.get("source")
    if not isinstance(source, dict) or ("virtual" in source and source["virtual"] != "."):
        return None
    markers = table.get("resolution-markers")
    each = [f"({one})" for one in markers if isinstance(one, str)] if isinstance(markers, list) else []
    itself = "." in (source.get("virtual"), source.get("editable"))
    more = table.get("optional-dependencies", {})
    needs = [table.get("dependencies"), *(more.values() if isinstance(more, dict) and not itself else ())]
    return _package(
        table,
        marker=" or ".join(each),
        itself=itself,
        elsewhere="registry" not in source and not itself,
        files=[*_list(table.get("wheels")), table.get("sdist")],
        needs=[one.get("name") for part in needs for one in _list(part) if isinstance(one, dict)],
    )


def _of_poetry(table: dict[str, Any]) -> _Package | None:
    source, needs = table.get("source"), table.get("dependencies")
    marker = table.get("markers")
    return _package(
        table,
        marker=marker if isinstance(marker, str) else "",
        elsewhere=isinstance(source, dict) and source.get("type") in ("git", "url", "file", "directory"),
        files=_list(table.get("files")),
        needs=list(needs) if isinstance(needs, dict) else [],
    )


def _of_pdm(table: dict[str, Any]) -> _Package | None:
    marker = table.get("marker")
    needs = [one for one in _list(table.get("dependencies")) if isinstance(one, str)]
    return _package(
        table,
        marker=marker if isinstance(marker, str) else "",
        itself=table.get("path") in (".", "./."),
        elsewhere=any(key in table for key in ("git", "hg", "svn", "path", "url")),
        files=_list(table.get("files")),
        needs=[match[0] for one in needs if (match := _NAME.match(one[:LONGEST]))],
    )


def _of_pylock(table: dict[str, Any]) -> _Package | None:
    marker = table.get("marker")
    files = [one for one in (*_list(table.get("wheels")), table.get("sdist")) if isinstance(one, dict)]
    tables = [one["hashes"] for one in files if isinstance(one.get("hashes"), dict)]
    needs = [one.get("name") for one in _list(table.get("dependencies")) if isinstance(one, dict)]
    folder = table.get("directory")
    return _package(
        table,
        marker=marker if isinstance(marker, str) else "",
        itself=isinstance(folder, dict) and folder.get("path") in (".", "./."),
        elsewhere=any(key in table for key in ("vcs", "directory", "archive")),
        files=[_strongest(one) for one in tables],
        needs=needs,
    )


def _strongest(hashes: dict[str, Any]) -> str:
    kind = next((one for one in ("sha256", "sha512", "sha384", *hashes) if one in hashes), "")
    return f"{kind}:{hashes.get(kind)}"


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


_PARSERS: Final[dict[str, Callable[[dict[str, Any]], _Package | None]]] = {
    "uv-lock": _of_uv,
    "poetry-lock": _of_poetry,
    "pdm-lock": _of_pdm,
    "pylock": _of_pylock,
}
_TABLES: Final = {"pylock": "packages"}
_AGAIN: Final = {
    "uv-lock": "uv lock",
    "poetry-lock": "poetry lock",
    "pdm-lock": "pdm lock",
    "pylock": "uv export --format pylock.toml --output-file pylock.toml",
}


def read_pylock(name: str, content: bytes, reading: Reading, reader: RequirementsReader) -> str:
    """All packages of a pylock.toml that stands alone; returns the Python that it needs, "" for any."""
    document = read_toml(name, content, reading)
    if document is None:
        return ""
    for table in _list(document.get("packages")):
        reading.line(name)
        package = _of_pylock(table) if isinstance(table, dict) else None
        if package is None:
            reading.error(name, None, "a package in it has no name or no version", "make it anew")
        elif package.elsewhere and not package.itself:
            refuse_source(package.name, name, reading)
        elif not package.itself:
            marker = f" ; {package.marker}" if package.marker else ""
            hashes = "".join(f" --hash={one}" for one in package.hashes)
            reader.line(f"{package.name}=={package.version}{marker}{hashes}", name, 0)
    requires = document.get("requires-python", "")
    return requires[:LONGEST] if isinstance(requires, str) else ""


def _entry(package: str, about: Any, name: str, reading: Reading, reader: RequirementsReader) -> None:
    reading.line(name)
    table = about if isinstance(about, dict) else {"version": about}
    if any(key in table for key in ("git", "path", "file", "hg", "svn")):
        if table.get("path") in (".", "./."):
            return  # the project itself
        refuse_source(package, name, reading)
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
    if not isinstance(hashes, list) or not all(
        isinstance(one, str) and one.split() == [one] for one in hashes
    ):
        why = f"the hashes of “{shown(package)}” are no list of texts without spaces"
        reading.error(name, None, why, "make it anew with: pipenv lock")
        return
    reader.line(text + "".join(f" --hash={one}" for one in hashes), name, 0)


def _python(requires: Any) -> str:
    if not isinstance(requires, dict):
        return ""
    version = requires.get("python_version") or requires.get("python_full_version")
    match = re.match(r"3\.\d{1,2}", version) if isinstance(version, str) else None
    return match[0] if match else ""
