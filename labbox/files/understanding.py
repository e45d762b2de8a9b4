"""What a project folder's own files say, understood in a child with bounds; see `bounded`."""

from __future__ import annotations

from typing import Final

import msgspec
from msgspec.structs import replace

from labbox.files import jobtoml
from labbox.files.bounded import At, bounded
from labbox.files.following import Tick
from labbox.files.jobtoml import JobFile
from labbox.files.reading import names_in, read_plain
from labbox.files.software import unused
from labbox.files.software.asked import MAX_REQUIREMENTS, ProjectFile, Requirements, Software
from labbox.files.software.finding import Found, find_software, in_utf8, understand
from labbox.files.software.reading import Reading
from labbox.files.software.scripts import read_script
from labbox.model import Value
from labbox.protocol import Finding

_ENDINGS: Final = (".txt", ".toml", ".yml", ".yaml", ".lock", ".in")
_NAMES: Final = frozenset(
    {
        "pipfile", "setup.py", "setup.cfg", ".python-version", "postbuild", "description", "install.r",
        "binder", ".binder", "requirements", "packrat", "src",
    }
)  # fmt: skip


class Understood(Value):
    """job.toml, and what the other files ask for; findings about job.toml stand apart."""

    job: JobFile
    job_findings: tuple[Finding, ...]
    found: Found


_NOTHING = Understood(job=JobFile(), job_findings=(), found=Found(files=(), software=Software(), findings=()))


def understand_folder(top: int, code: int | None, places: frozenset[str], tick: Tick) -> Understood:
    """Of the open folder and its open `code/`, where that is its code.

    LabboxError "limit" where understanding it takes more than it is worth.
    """
    if not _anything(top, code):
        return _NOTHING
    data = bounded(lambda at: msgspec.msgpack.encode(_understood(top, code, places, at)), tick=tick)
    return msgspec.msgpack.decode(data, type=Understood)


def understand_script(
    name: str, content: bytes, software: Software, places: frozenset[str], tick: Tick
) -> Found:
    """What is asked for when the script that runs says itself what it needs (PEP 723)."""

    def work(at: At) -> bytes:
        reading = Reading(at=at)
        wanted = read_script(name, content, reading, places)
        whole = software if wanted is None else replace(software, requirements=_both(software, wanted))
        return msgspec.msgpack.encode(Found(files=(), software=whole, findings=tuple(reading.findings)))

    return msgspec.msgpack.decode(bounded(work, tick=tick), type=Found)


def _both(software: Software, more: Requirements) -> Requirements:
    asked = software.requirements
    if asked is None:
        return more
    return replace(
        asked,
        requirements=(*asked.requirements, *more.requirements)[:MAX_REQUIREMENTS],
        requires_python=more.requires_python or asked.requires_python,
    )


def understand_files(files: tuple[ProjectFile, ...], places: frozenset[str], tick: Tick) -> Found:
    """What files ask for that were handed in by an earlier version of labbox, without those they include."""

    def work(at: At) -> bytes:
        held = {file.name: file.content for file in files}
        reading = Reading(held.get, at)
        software = understand(list(files), reading, places)
        return msgspec.msgpack.encode(Found(files=files, software=software, findings=tuple(reading.findings)))

    return msgspec.msgpack.decode(bounded(work, tick=tick), type=Found)


def _anything(top: int, code: int | None) -> bool:
    """Whether there is a file that could say something; a look at the names spares most a child."""
    here = [name for folder in (top, code) if folder is not None for name in names_in(folder)]
    return any(may_speak(name) for name in here)


def may_speak(name: str) -> bool:
    """Whether a name is one of a file that describes software or a job."""
    lower = name.lower()
    return (
        lower == jobtoml.NAME
        or lower.endswith(_ENDINGS)
        or lower in _NAMES
        or "dockerfile" in lower
        or unused.seems(name)
    )


def _understood(top: int, code: int | None, places: frozenset[str], at: At) -> Understood:
    at(jobtoml.NAME)
    job, findings = JobFile(), tuple[Finding, ...]()
    try:
        data = read_plain(top, jobtoml.NAME, jobtoml.MAX_BYTES)
    except PermissionError:
        findings = (
            Finding(
                level="error",
                text=f"cannot read {jobtoml.NAME}: you may not",
                hint=f"make it readable: chmod u+r {jobtoml.NAME}",
                file=jobtoml.NAME,
            ),
        )
    else:
        if data is not None:
            job, findings = jobtoml.read(in_utf8(data))
    return Understood(job=job, job_findings=findings, found=find_software(top, code, places, at))
