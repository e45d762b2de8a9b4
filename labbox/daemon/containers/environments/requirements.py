"""What a project asks of Python: requirements.txt and pyproject.toml, checked line by line.

A person's file is data here. Lines that would make the trusted installer read files of this machine, run
a project's own build or go to other places than the box's indexes are refused, each with its line and the way
out.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable
from pathlib import PurePosixPath
from typing import Final, NoReturn

from labbox.daemon.containers.environments.plan import EnvFile
from labbox.errors import LabboxError
from labbox.model import Value
from labbox.text import visible_line

_OPTION: Final = re.compile(r"(-[A-Za-z]|--[A-Za-z][\w-]*)(?:\s*=\s*|\s+|(?<=-[A-Za-z])|$)(.*)")
_IGNORED: Final = frozenset(
    {
        "--prefer-binary",
        "--require-hashes",
        "--only-binary",
        "--no-cache-dir",
        "--use-feature",
        "--progress-bar",
    }
)
_PLACES: Final = {
    "-i": "--index-url",
    "--index-url": "--index-url",
    "--pypi-url": "--index-url",
    "--extra-index-url": "--extra-index-url",
    "-f": "--find-links",
    "--find-links": "--find-links",
    "--no-index": "--no-index",
    "--trusted-host": "--trusted-host",
}
_ARCHIVES: Final = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz", ".tar.xz")
_MAX_LINES: Final = 20_000
_MAX_DEPTH: Final = 10  # of files that include files

Lookup = Callable[[str], bytes | None]
"""Gives the content of a file of the project by its relative name, None where there is none."""


class Line(Value):
    """One requirement and where it was written."""

    text: str
    file: str
    number: int


class Requirements(Value):
    """What to resolve: requirements and constraints in order of writing."""

    requirements: tuple[Line, ...]
    constraints: tuple[Line, ...] = ()
    prereleases: bool = False
    requires_python: str = ""

    def text(self) -> str:
        """The requirements as one flat file, a requirement a line."""
        return "".join(f"{line.text}\n" for line in self.requirements)

    def constraint_text(self) -> str:
        """The constraints in the same form."""
        return "".join(f"{line.text}\n" for line in self.constraints)

    def at(self, position: int) -> Line | None:
        """The requirement at a byte offset of `text()`."""
        end = 0
        for line in self.requirements:
            end += len(line.text.encode()) + 1
            if position < end:
                return line
        return None


def parse_requirements(file: EnvFile, lookup: Lookup, places: frozenset[str] = frozenset()) -> Requirements:
    """Read a requirements.txt and what it includes; LabboxError("invalid") names file, line and way out.

    `places` are the addresses that the box uses anyway: a line that names one of them changes nothing.
    """
    reader = _Reader(lookup, places)
    reader.read(file.name, file.content, constraint=False, depth=0)
    return reader.result()


def parse_lines(lines: tuple[str, ...], file: str) -> Requirements:
    """Requirements that stand as a list in another file, as pip's do in environment.yml."""
    reader = _Reader(lambda _name: None, frozenset())
    for text in lines:
        reader.line(text, file, 0, constraint=False, depth=0)
    return reader.result()


def parse_pyproject(file: EnvFile) -> Requirements | None:
    """The dependencies in ``[project]``; None where the file names none (it only configures tools).

    The project itself is not installed: its code runs from ``/code``.
    """
    try:
        document = tomllib.loads(_text(file.name, file.content))
    except tomllib.TOMLDecodeError as error:
        raise LabboxError(
            "invalid",
            f"cannot read {visible_line(file.name)}: {visible_line(str(error))}",
            "correct that line",
        ) from error
    project = document.get("project")
    if not isinstance(project, dict):
        if "poetry" in document.get("tool", {}):
            raise LabboxError(
                "invalid",
                f"cannot read the dependencies in {visible_line(file.name)}: they are in a table of Poetry's",
                "move them to [project] dependencies, or write a requirements.txt with `poetry export`",
            )
        return None
    dependencies = project.get("dependencies", [])
    if "dependencies" in project.get("dynamic", []):
        raise LabboxError(
            "invalid",
            f"cannot read the dependencies in {visible_line(file.name)}: its build makes them (dynamic)",
            "list them in [project] dependencies or in a requirements.txt",
        )
    if not isinstance(dependencies, list) or not all(isinstance(item, str) for item in dependencies):
        raise LabboxError(
            "invalid",
            f"cannot read {visible_line(file.name)}: [project] dependencies is not a list of texts",
            'write dependencies = ["numpy", "scipy>=1.10"]',
        )
    parsed = parse_lines(tuple(dependencies), file.name)
    requires = project.get("requires-python", "")
    if not parsed.requirements and not requires:
        return None
    return Requirements(requirements=parsed.requirements, requires_python=str(requires))


def satisfies(version: str, specifier: str) -> bool:
    """Whether a Python version fits a ``requires-python`` such as ``>=3.9,<4``; unknown forms pass."""
    have = _numbers(version)
    for clause in specifier.split(","):
        match = re.fullmatch(r"\s*(~=|==|!=|<=|>=|<|>)\s*(\d+(?:\.\d+)*)(\.\*)?\s*", clause)
        if match is None:
            continue
        operator, wanted = match[1], _numbers(match[2])
        cut = have[: len(wanted)] if match[3] else have
        width = max(len(cut), len(wanted))
        left, right = (numbers + (0,) * (width - len(numbers)) for numbers in (cut, wanted))
        fits = {
            "==": left == right,
            "!=": left != right,
            "<=": left <= right,
            ">=": left >= right,
            "<": left < right,
            ">": left > right,
            "~=": left >= right and have[: len(wanted) - 1] == wanted[:-1],
        }
        if not fits[operator]:
            return False
    return True


class _Reader:
    def __init__(self, lookup: Lookup, places: frozenset[str]) -> None:
        self._lookup = lookup
        self._places = places
        self._requirements: list[Line] = []
        self._constraints: list[Line] = []
        self._prereleases = False

    def result(self) -> Requirements:
        return Requirements(
            requirements=tuple(self._requirements),
            constraints=tuple(self._constraints),
            prereleases=self._prereleases,
        )

    def read(self, name: str, content: bytes, *, constraint: bool, depth: int) -> None:
        first, joined = 0, ""
        for number, raw in enumerate(_text(name, content).splitlines(), start=1):
            first = first or number
            if raw.endswith("\\"):
                joined += raw[:-1]
                continue
            self.line(joined + raw, name, first, constraint=constraint, depth=depth)
            first, joined = 0, ""
        if joined:
            self.line(joined, name, first, constraint=constraint, depth=depth)

    def line(self, raw: str, file: str, number: int, *, constraint: bool, depth: int) -> None:
        text = re.sub(r"(^|\s)#.*$", "", raw).strip()
        if not text:
            return
        if len(self._requirements) >= _MAX_LINES:
            raise LabboxError(
                "invalid", f"cannot use {visible_line(file)}: it has more than {_MAX_LINES} lines"
            )
        if text.startswith("-"):
            self._option(text, file, number, constraint=constraint, depth=depth)
            return
        _refuse_places(text, file, number)
        into = self._constraints if constraint else self._requirements
        into.append(Line(text=text, file=file, number=number))

    def _option(self, text: str, file: str, number: int, *, constraint: bool, depth: int) -> None:
        match = _OPTION.match(text)
        name, value = (match[1], match[2].strip()) if match else (text, "")
        if name in ("-r", "--requirement", "-c", "--constraint"):
            self._include(
                value, file, number, constraint=constraint or name in ("-c", "--constraint"), depth=depth
            )
        elif name == "--pre":
            self._prereleases = True
        elif name in _PLACES:
            if value.rstrip("/") not in self._places:
                _refuse(
                    file,
                    number,
                    f"packages come from the box's own index, not from {_PLACES[name]} of a project",
                    "remove the line; whoever runs the box can name the index in custom/box.toml or pip.conf",
                )
        elif name in ("-e", "--editable"):
            _refuse(
                file,
                number,
                "-e installs a project's own folder, and /code cannot be written",
                "remove the line and list what the project needs; its code is importable from /code as it is",
            )
        elif name not in _IGNORED:
            _refuse(file, number, f"{visible_line(name)} is not understood here", "remove the line")

    def _include(self, value: str, file: str, number: int, *, constraint: bool, depth: int) -> None:
        path = PurePosixPath(file).parent / value
        parts: list[str] = []
        for part in path.parts:
            if part == ".." and parts:
                parts.pop()
            elif part in ("..", "/"):
                _refuse(
                    file,
                    number,
                    f"{visible_line(value)} is outside of the project",
                    "put it beside this file",
                )
            else:
                parts.append(part)
        name = "/".join(parts)
        content = None if "://" in value else self._lookup(name)
        if content is None:
            _refuse(
                file,
                number,
                f"there is no file {visible_line(value)} in the project",
                "add it or remove the line",
            )
        if depth >= _MAX_DEPTH:
            _refuse(file, number, "files include each other without end", "remove one of the -r lines")
        self.read(name, content, constraint=constraint, depth=depth + 1)


def _refuse_places(text: str, file: str, number: int) -> None:
    """Refuse what is no name: addresses, paths and archives."""
    bare = text.split(" --hash", 1)[0].split(";", 1)[0].strip()
    name, at, address = bare.partition("@")
    if (at and ("/" in address or ":" in address)) or "://" in bare:
        _refuse(
            file,
            number,
            f"{visible_line(bare)} names an address, and packages come from the box's index",
            f"write {visible_line(name.strip()) or 'name'}==VERSION"
            if at and "://" not in name
            else "write name==VERSION",
        )
    if bare.startswith((".", "/", "~")) or bare.endswith(_ARCHIVES):
        _refuse(
            file,
            number,
            f"{visible_line(bare)} is a file or folder, and packages come from the box's index",
            "write the package's name; the project's own code is importable from /code as it is",
        )


def _refuse(file: str, number: int, why: str, hint: str) -> NoReturn:
    where = f"line {number} of {visible_line(file)}" if number else visible_line(file)
    raise LabboxError("invalid", f"cannot use {where}: {why}", hint)


def _text(name: str, content: bytes) -> str:
    """The text of a file; Windows writes UTF-16 and marks UTF-8."""
    encoding = "utf-16" if content.startswith((b"\xff\xfe", b"\xfe\xff")) else "utf-8-sig"
    try:
        text = content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content[: error.start].count(b"\n") + 1
        raise LabboxError(
            "invalid",
            f"cannot read line {line} of {visible_line(name)}: it is not text",
            "save the file as UTF-8",
        ) from error
    if "\0" in text:
        raise LabboxError(
            "invalid", f"cannot read {visible_line(name)}: it is not text", "save the file as UTF-8"
        )
    return text


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.split("+")[0])[:4])
