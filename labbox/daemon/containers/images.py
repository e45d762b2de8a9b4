"""Images in the engine: finding, pulling, building and importing them, with progress."""

from __future__ import annotations

import io
import os
import re
import secrets
import subprocess
import tarfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Final, cast

from labbox.daemon.containers.connection import Connection
from labbox.errors import LabboxError
from labbox.files.contexts import IGNORE
from labbox.model import Progress
from labbox.text import visible_line

if TYPE_CHECKING:
    import docker

Report = Callable[[Progress | str], None]
"""Follows the work: a `Progress` moves a bar, a `str` is one line for a log."""

_PULL_SECONDS: Final = 3600.0
_BUILD_SECONDS: Final = 7200.0
_CHUNK: Final = 1 << 20  # bytes
_LONGEST_LINE: Final = 1 << 16  # characters of what a step prints without ending the line
_STEP: Final = re.compile(r"Step (\d+)/(\d+) : ")
_CHATTER: Final = re.compile(r" ?---> |Removing intermediate container |Successfully ")
_ESCAPE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")  # colours that build steps print; noise in a log


async def find_image(connection: Connection, name: str) -> dict[str, Any] | None:
    """What the engine tells of an image it has (`Id`, `Config`, …); None where it has none of that name."""

    def work(api: docker.APIClient) -> dict[str, Any]:
        found: dict[str, Any] = api.inspect_image(name)
        return found

    try:
        return await connection.call(work)
    except LabboxError as error:
        if error.code == "not_found":
            return None
        raise


async def pull_image(connection: Connection, name: str, report: Report) -> None:
    """Get an image from its registry; LabboxError "not_found" where that fails, whatever the reason."""
    layers: dict[str, tuple[float, float]] = {}
    failure = ""

    def each(message: dict[str, Any]) -> None:
        nonlocal failure
        failure = str(message.get("error", "")) or failure
        detail = message.get("progressDetail") or {}
        if message.get("status") == "Downloading" and detail.get("total"):
            layers[str(message.get("id"))] = (float(detail.get("current", 0)), float(detail["total"]))
        elif (
            message.get("status") in ("Download complete", "Pull complete")
            and str(message.get("id")) in layers
        ):
            total = layers[str(message["id"])][1]
            layers[str(message["id"])] = (total, total)
        if layers:
            done, total = (sum(part) for part in zip(*layers.values(), strict=True))
            report(Progress(phase="image: download", done=done, total=total, unit="bytes"))

    def work(api: docker.APIClient) -> Iterator[dict[str, Any]]:
        stream: Iterator[dict[str, Any]] = api.pull(name, stream=True, decode=True)
        return stream

    report(f"pulling the image {visible_line(name)}")
    try:
        await connection.stream(work, each, seconds=_PULL_SECONDS)
    except LabboxError as error:
        if error.code == "unavailable":
            raise
        failure = error.message
    if failure:
        raise LabboxError(
            "not_found",
            f"cannot pull the image {visible_line(name)}: {visible_line(failure)}",
            "is its name right, and can this box reach that registry?",
        )


async def build_image(
    connection: Connection,
    recipe: bytes,
    name: str,
    report: Report,
    *,
    phase: str = "image: build",
    build_args: Mapping[str, str] | None = None,
    labels: Mapping[str, str] | None = None,
    network: str = "bridge",
    context: IO[bytes] | None = None,
    limited: bool = False,
) -> None:
    """Build a Dockerfile and tag the image; what the steps print goes to `report`.

    `context` is a tar of what the steps may copy; whatever else it holds, `recipe` is what is built.

    `limited` steps get half of the box's memory and processors at most, and give way to all others.

    LabboxError "invalid" with the end of the output where a step fails.
    """
    failure = rest = ""
    last_lines: list[str] = []

    def each(message: dict[str, Any]) -> None:
        nonlocal failure, rest
        failure = str(message.get("error", "")) or failure
        # The engine hands on each write of a step as it comes; apt writes "E", ":" and the sentence apart.
        piece = str(message.get("stream", ""))
        if _STEP.match(piece) or _CHATTER.match(piece):  # its own words follow a line that a step left open
            say(rest)
            rest = ""
        *lines, rest = (rest + piece).split("\n")
        for line in lines:
            say(line)
        if len(rest) > _LONGEST_LINE:
            say(rest)
            rest = ""

    def say(raw: str) -> None:
        for part in _ESCAPE.sub("", raw).splitlines():
            line = visible_line(part.rstrip())
            if not line.strip() or _CHATTER.match(line):
                continue
            if step := _STEP.match(line):
                report(Progress(phase=phase, done=int(step[1]) - 1, total=int(step[2])))
            report(line)
            last_lines.append(line)
            del last_lines[:-3]

    def work(api: docker.APIClient) -> Iterator[dict[str, Any]]:
        dockerfile = f".labbox-{secrets.token_hex(16)}"  # whoever made the context could not know it
        stream: Iterator[dict[str, Any]] = api.build(
            fileobj=_archive(dockerfile, recipe, context),
            custom_context=True,
            tag=name,
            rm=True,
            forcerm=True,
            decode=True,
            dockerfile=dockerfile,
            buildargs=dict(build_args or {}),
            labels=dict(labels or {}),
            network_mode=network,
            container_limits=_limits() if limited else None,
        )
        return stream

    await connection.stream(work, each, seconds=_BUILD_SECONDS)
    say(rest)
    if failure:
        raise LabboxError(
            "invalid",
            f"cannot build the image {name}: {visible_line(failure)}",
            "the end of its output: " + " / ".join(last_lines) if last_lines else "",
        )


def _archive(name: str, recipe: bytes, context: IO[bytes] | None) -> Iterator[bytes]:
    """A tar of `recipe` under `name`, and of what `context` holds.

    Ours come first, so that nothing ends the archive before them. When the engine has read the Dockerfile it
    takes out what the .dockerignore names, so that no step copies ours.
    """
    for own, content in ((name, recipe), (IGNORE, f"{IGNORE}\n{name}\n".encode())):
        entry = tarfile.TarInfo(own)
        entry.size, entry.mode = len(content), 0o644
        yield entry.tobuf() + content + bytes(-len(content) % tarfile.BLOCKSIZE)
    if context is None:
        yield bytes(2 * tarfile.BLOCKSIZE)
        return
    context.seek(0)
    while chunk := context.read(_CHUNK):
        yield chunk


def _limits() -> dict[str, Any]:
    memory = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") // 2
    processors = sorted(os.sched_getaffinity(0))
    half = processors[: max(1, len(processors) // 2)]
    return {
        "memory": memory,
        "memswap": memory,
        "cpushares": 128,
        "cpusetcpus": ",".join(str(number) for number in half),
    }


async def import_folder(connection: Connection, root: Path, name: str) -> None:
    """Make an image of one layer from a folder, as it is: owners, modes and all."""
    repository, _, tag = name.partition(":")

    def chunks() -> Iterator[bytes]:
        command = ["tar", "-C", str(root), "--numeric-owner", "--one-file-system", "-c", "."]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as archive:  # noqa: S603 - our own fixed words
            said = cast(IO[bytes], archive.stdout)  # a pipe was asked for
            while chunk := said.read(_CHUNK):
                yield chunk
        if archive.returncode != 0:
            raise LabboxError("unavailable", f"cannot read {root} to make the image {name}")

    def work(api: docker.APIClient) -> Iterator[dict[str, Any]]:
        api.import_image(
            src=chunks(), repository=repository, tag=tag, stream_src=True, changes=['CMD ["/bin/sh"]']
        )
        yield {}

    await connection.stream(work, lambda _message: None)


def context_of(files: Mapping[str, bytes]) -> IO[bytes]:
    """A build context in memory: without owners or times, so that equal files make equal contexts."""
    context = io.BytesIO()
    with tarfile.open(fileobj=context, mode="w") as archive:
        for name, content in sorted(files.items()):
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), 0o644
            archive.addfile(entry, io.BytesIO(content))
    context.seek(0)
    return context
