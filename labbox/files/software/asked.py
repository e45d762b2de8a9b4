"""What a project asks for, as it goes from the person's process to the box: plain values with caps.

Whoever gets these reads no file of the project any more, whatever the environment is then made of.
"""

from __future__ import annotations

import re
from typing import Final, Literal

import msgspec

from labbox.model import Value

MAX_REQUIREMENTS: Final = 5_000  # of a project, constraints included
MAX_SPECS: Final = 2_000  # of conda's
MAX_PACKAGES: Final = 500  # of Debian's
LONGEST: Final = 1_000  # characters of one requirement, spec or name
_BASE: Final = re.compile(r"(^FROM |^(?:ONBUILD )?COPY (?:--\S+ )*--from=)labbox/base:latest(?= |\Z)")
_PIP_ALONE: Final = frozenset({"python", "pip"})

FileKind = Literal[
    "requirements",
    "pyproject",
    "conda",
    "apt",
    "dockerfile",
    "uv-lock",
    "pipfile-lock",
    "pipfile",
    "setup-cfg",
    "setup-py",
    "runtime",
    "poetry-lock",
    "pdm-lock",
    "pylock",
]


class ProjectFile(Value):
    """A file that describes the environment; `name` is relative to the project: "code/requirements.txt"."""

    kind: FileKind
    name: str
    content: bytes


class Line(Value):
    """One requirement and where it was written; `hashes` are "sha256:…" as they stand there."""

    text: str
    file: str
    number: int
    hashes: tuple[str, ...] = ()

    @property
    def package(self) -> str:
        """The package that it names."""
        return normal(re.split(r"[^A-Za-z0-9._-]", self.text, maxsplit=1)[0])

    @property
    def version(self) -> str:
        """The one version that it names, "" for any other wish."""
        match = re.fullmatch(r"[^=<>!~;]+==+ ?([^ ,;*]+) ?(?:;.*)?", self.text)
        return match[1] if match else ""


class Requirements(Value):
    """What to resolve: requirements and constraints in order of writing."""

    requirements: tuple[Line, ...]
    constraints: tuple[Line, ...] = ()
    prereleases: bool = False
    requires_python: str = ""
    require_hashes: bool = False

    def text(self) -> str:
        """The requirements as one flat file, a requirement a line."""
        return "".join(f"{line.text}\n" for line in self.requirements)

    def constraint_text(self) -> str:
        """The constraints in the same form."""
        return "".join(f"{line.text}\n" for line in self.constraints)

    @property
    def in_hash_mode(self) -> bool:
        """Whether nothing may be installed whose hash does not stand here, as pip has it."""
        return self.require_hashes or any(line.hashes for line in self.requirements)

    def hash_text(self) -> str:
        """The hashes that are asked for, as a part of names."""
        lines = (line for line in (*self.requirements, *self.constraints) if line.hashes)
        asked = "".join(f"{line.text} {' '.join(line.hashes)}\n" for line in lines)
        return f"{asked}required\n" if self.in_hash_mode else asked

    def hashed(self, name: str, version: str) -> tuple[Line, ...]:
        """The lines with hashes of a package; where one names this version, no other version's."""
        lines = (*self.requirements, *self.constraints)
        named = [line for line in lines if line.hashes and line.package == normal(name)]
        if any(line.version == version for line in named):
            named = [line for line in named if line.version in ("", version)]
        return tuple(named)

    def at(self, position: int) -> Line | None:
        """The requirement at a byte offset of `text()`."""
        end = 0
        for line in self.requirements:
            end += len(line.text.encode()) + 1
            if position < end:
                return line
        return None


class CondaPlan(Value):
    """What an environment.yml asks for; what it asks of pip stands among the requirements."""

    file: str
    specs: tuple[str, ...]
    channels: tuple[str, ...]
    variables: dict[str, str] = msgspec.field(default_factory=dict)  # for the run

    @property
    def needs_conda(self) -> bool:
        """Whether there is anything that pip does not do: more than a Python and pip."""
        return any(spec_name(spec) not in _PIP_ALONE for spec in self.specs)

    @property
    def requires_python(self) -> str:
        """What Python it asks for, in pip's words: "==3.11.*" for conda's "python=3.11"."""
        for spec in self.specs:
            version = spec.removeprefix("python").strip()
            if spec_name(spec) == "python" and version:
                return (
                    f"=={version.strip('= ').removesuffix('.*')}.*"
                    if version[0] in "=0123456789"
                    else version
                )
        return ""

    def key(self) -> tuple[str, ...]:
        """Words that name what is asked."""
        return (*self.specs, "", *self.channels)


class Recipe(Value):
    """A Dockerfile, in the lines that are built (`dockerfile.canonical`)."""

    file: str
    lines: tuple[str, ...]
    command: bool = False  # whether it says what its image runs

    @property
    def on_base(self) -> bool:
        """Whether it uses the box's own base image."""
        return any(_BASE.search(line) for line in self.lines)

    def text(self, base: str) -> str:
        """The Dockerfile with `base` for the box's base image."""
        return "".join(_BASE.sub(rf"\g<1>{base}", line) + "\n" for line in self.lines)


class Software(Value):
    """All that decides what software a run gets, of what the project's files say."""

    requirements: Requirements | None = None
    conda: CondaPlan | None = None
    packages: tuple[str, ...] = ()  # Debian's
    recipe: Recipe | None = None
    python: str = ""  # the series that a runtime.txt asks for, such as "3.10"
    python_file: str = ""
    roots: tuple[str, ...] = ()  # folders below the code from which it is imported, "" for its top

    def key(self) -> bytes:
        """The same for the same wishes."""
        return msgspec.json.encode(self)


def normal(name: str) -> str:
    """A package's name as indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def spec_name(spec: str) -> str:
    """The package that a conda spec names."""
    return re.split(r"[\s=<>!~\[;]", spec.rpartition("::")[2], maxsplit=1)[0].lower()
