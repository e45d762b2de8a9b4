"""What an environment is made from, what comes out, and how its making is followed."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Protocol

import msgspec

from labbox.custom import Template
from labbox.files.software.asked import FileKind as FileKind
from labbox.files.software.asked import Software
from labbox.model import Progress, Value

Report = Callable[[Progress | str], None]
"""Follows a build: a `Progress` moves its bar, a `str` is one line for the log of the job that asked."""


class EnvFile(Value):
    """One file that describes a project's software; `name` is its path: "code/requirements.txt".

    It is kept for the record, and stands beside a Dockerfile in its build; nobody here reads what it says.
    """

    kind: FileKind
    name: str
    content: bytes


class Context(Protocol):
    """A snapshot's code tree, for a Dockerfile; packed by a process of the person's."""

    @property
    def name(self) -> str:
        """The same for the same content of the same person."""

    async def pack(self, recipe: str, beside: Mapping[str, bytes]) -> IO[bytes]:
        """The tree as a build context; this Dockerfile and the files `beside` stand with a `code/`."""


class EnvironmentPlan(Value):
    """All that decides what software a run gets.

    `software` is what the project's `files` say, as a process of the person's understood them; `image` is one
    that the job itself asks for and goes before the template's. `asker` decides nothing: in whose places it
    is made.
    """

    template: Template
    software: Software = Software()
    files: tuple[EnvFile, ...] = ()
    context: Context | None = None
    image: str | None = None
    asker: str = ""


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
