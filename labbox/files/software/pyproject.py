"""The dependencies in a pyproject.toml; the project itself is not installed: its code runs from ``/code``."""

from __future__ import annotations

import tomllib
from collections.abc import Collection
from typing import Any, Final

from labbox.files.software.asked import LONGEST, normal
from labbox.files.software.poetry import OtherWordsError, extras_of, is_optional, lines_of
from labbox.files.software.reading import Reading, shown
from labbox.files.software.requirements import Entry, RequirementsReader

_OF_DEVELOPMENT: Final = frozenset(
    {
        "all", "dev", "develop", "development", "test", "tests", "testing", "doc", "docs", "lint", "linting",
        "format", "typing", "types", "type-check", "mypy", "ci", "release", "build", "pre-commit",
    }
)  # fmt: skip
_LIST_THEM: Final = "list what the run needs in [project] dependencies, or in a requirements.txt"
_PIXI: Final = "write an environment.yml with: pixi workspace export conda-environment environment.yml"
_TABLES: Final = (
    (("pixi", "dependencies"), _PIXI),
    (("pixi", "pypi-dependencies"), _PIXI),
    (("pixi", "feature"), _PIXI),
    (("conda-lock", "dependencies"), "list them in an environment.yml"),
    (("hatch", "envs", "default", "dependencies"), _LIST_THEM),
    (("flit", "metadata", "requires"), _LIST_THEM),
    (("rye", "dependencies"), _LIST_THEM),
)
_ELSEWHERE: Final = ("git", "url", "path", "file", "workspace", "hg", "svn")


def read_pyproject(name: str, content: bytes, reading: Reading, reader: RequirementsReader) -> str | None:
    """Its dependencies; returns the Python that it needs. None where it names neither."""
    document = read_toml(name, content, reading)
    if document is None:
        return None
    project = document.get("project")
    tool = document.get("tool")
    if not isinstance(project, dict):
        _tables(tool, name, reading)
        poetry = tool.get("poetry") if isinstance(tool, dict) else None
        return _of_poetry(poetry, tool, name, reading, reader) if isinstance(poetry, dict) else None
    dependencies = project.get("dependencies", [])
    dynamic = project.get("dynamic", [])
    if isinstance(dynamic, list) and "dependencies" in dynamic:
        files = _from_files(document, "dependencies")
        if files:
            extras = _extras(document, name, reading)
            reader.project(name, files, extras)
            _left_out(document.get("dependency-groups"), extras, name, reading, reader)
            return _requires(project)
        reading.error(
            name,
            None,
            "its build makes the dependencies (dynamic)",
            "list them in [project] dependencies or in a requirements.txt",
        )
        return None
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        hint = 'write dependencies = ["numpy", "scipy>=1.10"]'
        reading.error(name, None, "[project] dependencies is not a list of texts", hint)
        return None
    called = project.get("name")
    extras = _extras(document, name, reading)
    lines = [(each, 0) for each in dependencies]
    before = len(reader.asked)
    reader.project(name, lines, extras, called if isinstance(called, str) else "")
    _left_out(document.get("dependency-groups"), extras, name, reading, reader)
    _tables(tool, name, reading)
    _sources(tool, name, reading, reader)
    requires = _requires(project)
    return requires if dependencies or requires or len(reader.asked) > before else None


def _of_poetry(
    poetry: dict[str, Any], tool: Any, name: str, reading: Reading, reader: RequirementsReader
) -> str | None:
    """The same of a project that has tables of Poetry's alone."""
    table = poetry.get("dependencies")
    lines: list[Entry] = []
    optional: dict[str, list[str]] = {}
    requires = ""
    for package, value in table.items() if isinstance(table, dict) else ():
        try:
            found = list(lines_of(package, value))
        except OtherWordsError:
            if package != "python":
                why = f"“{shown(package)}” is asked for in words that are Poetry's alone: {shown(str(value))}"
                reading.error(name, None, why, f'give one range: {shown(package)} = ">=1.0,<3"')
            continue
        if package == "python":
            requires = (found or [""])[0].removeprefix(package).partition(" ;")[0]
        elif is_optional(value):
            optional[normal(package)] = found
        else:
            lines += [(line, 0) for line in found]
    extras = {extra: [(one, 0) for one in each] for extra, each in extras_of(poetry, optional).items()}
    called, before = poetry.get("name"), len(reader.asked)
    reader.project(name, lines, extras, called if isinstance(called, str) else "")
    groups = poetry.get("group")
    _left_out(groups if isinstance(groups, dict) else {}, extras, name, reading, reader)
    _sources(tool, name, reading, reader)
    return requires if requires or len(reader.asked) > before else None


def _tables(tool: Any, name: str, reading: Reading) -> None:
    """Name the tables of other tools that list packages."""
    for words, hint in _TABLES:
        table: Any = tool
        for word in words:
            table = table.get(word) if isinstance(table, dict) else None
        if table:
            text = f"[tool.{'.'.join(words)}] in {name} is not used"
            reading.warn(name, None, text, hint)


def _sources(tool: Any, name: str, reading: Reading, reader: RequirementsReader) -> None:
    """Say where the tables of uv or Poetry would take packages from elsewhere than the box's index."""
    for words in (("uv", "sources"), ("poetry", "dependencies")):
        table: Any = tool
        for word in words:
            table = table.get(word) if isinstance(table, dict) else None
        tables = {normal(key): value for key, value in table.items()} if isinstance(table, dict) else {}
        for package in dict.fromkeys(line.package for line in reader.asked):
            found = tables.get(package)
            each = [one for one in (found if isinstance(found, list) else [found]) if isinstance(one, dict)]
            if any(key in one for one in each for key in _ELSEWHERE):
                refuse_source(package, name, reading)
            elif any(key in one for one in each for key in ("index", "source")):
                text = f"“{shown(package)}” is taken from the box's index, not from the one that {name} names"
                hint = "whoever runs the box can add an index in custom/box.toml or pip.conf"
                reading.warn(name, None, text, hint)


def refuse_source(package: str, name: str, reading: Reading) -> None:
    """Say of a package in the file `name` that no index has it."""
    why = f"“{shown(package)}” comes from an address or a folder, and packages come from the box's index"
    hint = f"name a version that the index has, or put its code into your folder: {shown(package)}"
    reading.error(name, None, why, hint)


def _requires(project: dict[str, Any]) -> str:
    requires = project.get("requires-python", "")
    return requires[:LONGEST] if isinstance(requires, str) else ""


def _from_files(document: dict[str, Any], *keys: str) -> list[Entry]:
    """The files from which setuptools is told to take the dependencies, as lines that include them."""
    table: Any = document.get("tool")
    for key in ("setuptools", "dynamic", *keys, "file"):
        table = table.get(key) if isinstance(table, dict) else None
    files = [table] if isinstance(table, str) else table
    if not isinstance(files, list) or not all(isinstance(one, str) for one in files):
        return []
    return [(f"-r {one}", 0) for one in files[:20]]


def _extras(document: dict[str, Any], name: str, reading: Reading) -> dict[str, list[Entry]]:
    """The extras of the project, whether the table or a file lists them."""
    found: dict[str, list[Entry]] = {}
    table = document["project"].get("optional-dependencies", {})
    for extra, lines in table.items() if isinstance(table, dict) else ():
        reading.line(name)
        if isinstance(lines, list) and all(isinstance(one, str) for one in lines):
            found[extra] = [(one, 0) for one in lines]
    dynamic: Any = document.get("tool")
    for key in ("setuptools", "dynamic", "optional-dependencies"):
        dynamic = dynamic.get(key) if isinstance(dynamic, dict) else None
    for extra in dynamic if isinstance(dynamic, dict) else ():
        found.setdefault(extra, _from_files(document, "optional-dependencies", extra))
    return found


def _left_out(
    table: Any, extras: Collection[str], name: str, reading: Reading, reader: RequirementsReader
) -> None:
    """Name what a run may need and does not get: groups, and extras that nobody asks for."""
    groups = [one for one in table if normal(one) not in _OF_DEVELOPMENT] if isinstance(table, dict) else []
    if groups:
        text = f"{name}: what its groups of dependencies list is not installed: {shown(', '.join(groups))}"
        reading.warn(name, None, text, "list what the run needs in its own dependencies, too")
    left = [one for one in extras if normal(one) not in _OF_DEVELOPMENT and not reader.wants(one)]
    if left:
        text = f"{name}: what its extras list is not installed: {shown(', '.join(left))}"
        hint = f"write into requirements.txt what the run needs: -e .[{shown(left[0])}]"
        reading.warn(name, None, text, hint)


def read_toml(name: str, content: bytes, reading: Reading) -> dict[str, Any] | None:
    """A TOML file; None, and an error with its line, where it is none."""
    reading.begin(name, content)
    text = reading.text(name, content)
    if text is None:
        return None
    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
    except tomllib.TOMLDecodeError as error:
        words, _, place = str(error).rpartition(" (at ")
        number = place.removeprefix("line ").partition(",")[0]
        line = int(number) if number.isdigit() else None
        reading.error(name, line, f"it is not valid TOML: {shown(words or str(error))}", "correct that line")
    except (RecursionError, ValueError):
        reading.error(name, None, "it is nested too deeply, or holds a number without end", "make it plainer")
    return None
