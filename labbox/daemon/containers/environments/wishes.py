"""What the files of a project ask for, put together."""

from __future__ import annotations

import os
import stat
from pathlib import Path, PurePosixPath
from typing import Final

from labbox.daemon.containers.environments.conda import CondaPlan, read_environment_yml
from labbox.daemon.containers.environments.plan import EnvironmentPlan
from labbox.daemon.containers.environments.requirements import (
    Lookup,
    Requirements,
    parse_lines,
    parse_pyproject,
    parse_requirements,
    satisfies,
)
from labbox.errors import LabboxError
from labbox.text import visible_line

_MAX_INCLUDED: Final = 1 << 20  # bytes of a file that a requirements.txt includes


def read_wishes(
    plan: EnvironmentPlan, places: frozenset[str]
) -> tuple[Requirements | None, CondaPlan | None]:
    """What the project asks of Python and of conda; pip's part of environment.yml is Python's."""
    wishes: list[Requirements] = []
    conda = None
    if (file := plan.file("conda")) is not None:
        conda = read_environment_yml(file)
        if conda.pip:
            wishes.append(parse_lines(conda.pip, file.name))
    if (file := plan.file("requirements")) is not None:
        wishes.append(parse_requirements(file, _lookup(plan), places))
    elif (file := plan.file("pyproject")) is not None and (parsed := parse_pyproject(file)) is not None:
        wishes.append(parsed)
    if not wishes:
        return None, conda
    merged = Requirements(
        requirements=tuple(line for wish in wishes for line in wish.requirements),
        constraints=tuple(line for wish in wishes for line in wish.constraints),
        prereleases=any(wish.prereleases for wish in wishes),
        requires_python=next((wish.requires_python for wish in wishes if wish.requires_python), ""),
    )
    return merged, conda


def check_python(requirements: Requirements, version: str) -> None:
    """LabboxError where the project excludes the Python that it would get."""
    if requirements.requires_python and not satisfies(version, requirements.requires_python):
        raise LabboxError(
            "invalid",
            f"cannot use Python {version}: the project requires {visible_line(requirements.requires_python)}",
            "loosen requires-python, or name an image with that Python, such as python:3.12",
        )


def _lookup(plan: EnvironmentPlan) -> Lookup:
    """Finds files that a requirements.txt includes: the plan's own, else those of the code's snapshot."""

    def find(name: str) -> bytes | None:
        for file in plan.files:
            if file.name == name:
                return file.content
        path = PurePosixPath(name)
        if plan.context is None or path.is_absolute() or ".." in path.parts:
            return None
        inside = PurePosixPath(*path.parts[1:]) if path.parts[:1] == ("code",) else path
        for candidate in (path, inside):
            if candidate.parts and (content := _read_below(plan.context, candidate)) is not None:
                return content
        return None

    return find


def _read_below(folder: Path, path: PurePosixPath) -> bytes | None:
    """A plain file below a folder, reached without following links; None where there is no such one."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        for number, part in enumerate(path.parts, start=1):
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            if number < len(path.parts):
                flags |= os.O_DIRECTORY
            below = os.open(part, flags, dir_fd=descriptor)
            os.close(descriptor)
            descriptor = below
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_size > _MAX_INCLUDED:
            return None
        return os.read(descriptor, _MAX_INCLUDED)
    except OSError:
        return None
    finally:
        os.close(descriptor)
