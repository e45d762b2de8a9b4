"""What an environment is made from, what comes out, and how its making is followed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Literal

import msgspec

from labbox.custom import Template
from labbox.model import Progress, Value

FileKind = Literal["requirements", "pyproject", "conda", "apt", "dockerfile"]

Report = Callable[[Progress | str], None]
"""Follows a build: a `Progress` moves its bar, a `str` is one line for the log of the job that asked."""


class EnvFile(Value):
    """One file that describes a project's software; `name` is its path: "code/requirements.txt"."""

    kind: FileKind
    name: str
    content: bytes


class EnvironmentPlan(Value):
    """All that decides what software a run gets.

    `context` is the snapshot's code tree, for a Dockerfile; `image` is one that the job itself asks for and
    goes before the template's.
    """

    template: Template
    files: tuple[EnvFile, ...] = ()
    context: Path | None = None
    image: str | None = None

    def file(self, kind: FileKind) -> EnvFile | None:
        """The plan's file of a kind."""
        return next((file for file in self.files if file.kind == kind), None)


class Prepared(Value):
    """An environment that stands ready.

    `image` is what a container is made from (an id, so that no tag moved under it), `digest` names its
    content. `environment` is the folder to mount read-only at its own path, None where the image has all that
    is needed. `path` goes before the image's own PATH; `env` is what else the run's environment needs. `lock`
    lists what was installed, exactly, for the record of the job. `command` and `cwd` are the image's own,
    where a Dockerfile of the project made it.
    """

    image: str
    digest: str
    environment: Path | None = None
    name: str = ""
    path: tuple[str, ...] = ()
    env: dict[str, str] = msgspec.field(default_factory=dict)
    lock: str = ""
    command: tuple[str, ...] = ()
    cwd: str = ""
