"""What was handed in, as it was understood: all that a run needs besides its resources."""

from __future__ import annotations

from pathlib import Path

import msgspec

from labbox.daemon.containers.environments import EnvFile
from labbox.files.software.asked import Software
from labbox.model import JobSpec, Scope, Value
from labbox.protocol import Inspection


class Fetched(Value):
    """A folder that another job fetches: `name` in that job's output."""

    job: int
    name: str


class Handed(Value):
    """A submission after inspection; what a run of it needs.

    `code`, `input` and `beside` name trees below the owner's snapshots; None where there is no such folder.
    `template` is None for a command that runs in the base image or in `image`. `only` is a transfer's: what
    its last attempt could not do, in the form of `TransferSpec.only`; empty: all of it. `fetched`: the folder
    is not here yet, and nothing else is known. `software` is what `files` ask for; None where an earlier
    version of labbox took them in.
    `bound`: the scope of the token that it was submitted with; it
    limits all that is ever done for the job.
    """

    command: tuple[str, ...]
    entry: str | None = None
    template: str | None = None
    files: tuple[EnvFile, ...] = ()
    software: Software | None = None
    image: str | None = None
    env: dict[str, str] = msgspec.field(default_factory=dict)
    network: bool = False
    stdin: bool = False
    code: str | None = None
    input: str | None = None
    beside: str | None = None  # what else stands beside the code: then the run sees the whole folder
    at_top: bool = False  # and starts in it
    only: tuple[str, ...] = ()
    fetched: Fetched | None = None
    bound: Scope | None = None


def trees(handed: Handed) -> tuple[str, ...]:
    """The snapshots that a submission uses."""
    return tuple(name for name in (handed.code, handed.input, handed.beside) if name is not None)


class Project(Value):
    """A project folder: what was found in it, and, where it can run, what a job of it needs and asks for.

    `asked` is what the person says, and where they say nothing, the folder's `job.toml`.
    """

    inspection: Inspection
    handed: Handed | None = None
    asked: JobSpec = JobSpec()
    added: int = 0  # bytes that its snapshot took on disk


def encode(value: Handed | JobSpec) -> str:
    """JSON for the store."""
    return msgspec.json.encode(value).decode()


def decode_handed(text: str) -> Handed:
    """What the store kept."""
    return msgspec.json.decode(text, type=Handed)


def decode_spec(text: str) -> JobSpec:
    """What the store kept."""
    return msgspec.json.decode(text, type=JobSpec)


def tree(state: Path, owner: str, name: str | None) -> Path | None:
    """Where a snapshot stands; None where there is none."""
    return None if name is None else state / "snapshots" / owner / name
