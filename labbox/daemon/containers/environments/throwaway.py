"""Containers that do one thing for us and are gone: ask an image's Python, build what came as source."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.volumes import covers, declared
from labbox.errors import LabboxError
from labbox.model import GIB, MIB, Value
from labbox.text import decode, visible_line

if TYPE_CHECKING:
    import docker

_KEPT_LINES: Final = 200
_VOLUME: Final = 256 * MIB  # of each folder that an image declares as a volume
_LONGEST_LINE: Final = 4096  # characters of a line that are kept
_REMOVE_SECONDS: Final = 30.0
LABEL: Final = "labbox.throwaway"
_OURS: Final[set[str]] = set()  # the names of those that this process has begun and not yet removed


class Bind(Value):
    """A folder or file of this machine in the container."""

    source: Path
    target: str
    writable: bool = False


class Errand(Value):
    """What to run: as an ordinary uid, without capabilities, on a read-only root with a `/tmp` of its own."""

    image: str
    command: tuple[str, ...]
    uid: int
    binds: tuple[Bind, ...] = ()
    network: str = "none"
    memory: int = 4 * GIB  # bytes
    processes: int = 512
    seconds: float = 60.0
    cwd: str = "/"


class Outcome(Value):
    """How it ended: the exit code and the last lines it wrote, both streams together."""

    code: int
    lines: tuple[str, ...]


async def run(
    connection: Connection,
    owner: str,
    errand: Errand,
    *,
    env: Mapping[str, str] | None = None,
    say: Callable[[str], None] | None = None,
    name: str = "",
) -> Outcome:
    """Run an errand to its end; `say` gets each line as it comes. The container is removed in any case.

    `owner` names this box, so that what a killed daemon leaves behind is found again.

    LabboxError "unavailable" where the engine does not answer or time is up.
    """
    name = name or f"labbox-throwaway-{os.urandom(6).hex()}"
    _OURS.add(name)
    try:
        return await _run(connection, owner, errand, env or {}, say, name)
    finally:
        _OURS.discard(name)


async def _run(
    connection: Connection,
    owner: str,
    errand: Errand,
    env: Mapping[str, str],
    say: Callable[[str], None] | None,
    name: str,
) -> Outcome:
    await connection.call(lambda api: _create(api, name, owner, errand, env))
    try:
        await connection.call(lambda api: api.start(name))
        lines: deque[str] = deque(maxlen=_KEPT_LINES)
        partial = b""

        def each(message: dict[str, Any]) -> None:
            nonlocal partial
            *whole, partial = (partial + message["data"]).split(b"\n")
            partial = partial[-_LONGEST_LINE:]
            for raw in whole:
                line = visible_line(decode(raw.rstrip(b"\r"))[:_LONGEST_LINE])
                lines.append(line)
                if say is not None and line.strip():
                    say(line)

        await connection.stream(lambda api: _output(api, name), each, seconds=errand.seconds)
        if partial:
            each({"data": b"\n"})
        code = await connection.call(lambda api: int(api.wait(name)["StatusCode"]))
        return Outcome(code=code, lines=tuple(lines))
    finally:
        await asyncio.shield(
            connection.call(
                lambda api: api.remove_container(name, force=True, v=True), seconds=_REMOVE_SECONDS
            )
        )


async def remove_left_behind(connection: Connection, owner: str) -> None:
    """Remove containers that an earlier daemon did not live to remove; `owner` names this box."""

    def work(api: docker.APIClient) -> None:
        import docker.errors

        for container in api.containers(all=True, filters={"label": f"{LABEL}={owner}"}):
            if _OURS.isdisjoint(str(one).removeprefix("/") for one in container["Names"] or ()):
                with contextlib.suppress(docker.errors.NotFound):  # ours, which has ended meanwhile
                    api.remove_container(container["Id"], force=True, v=True)

    await connection.call(work)


def _create(api: docker.APIClient, name: str, owner: str, errand: Errand, env: Mapping[str, str]) -> None:
    import docker.types

    tmp = {"/tmp": "rw,exec,size=2g,mode=1777"}  # noqa: S108 - the container's own
    taken = {*tmp, *(bind.target for bind in errand.binds)}
    host = api.create_host_config(
        binds=[f"{bind.source}:{bind.target}:{'rw' if bind.writable else 'ro'}" for bind in errand.binds],
        network_mode=errand.network,
        cap_drop=["ALL"],
        security_opt=["no-new-privileges"],
        read_only=True,
        tmpfs={**covers(declared(api, errand.image), taken, _VOLUME, errand.uid), **tmp},
        mem_limit=errand.memory,
        memswap_limit=errand.memory,
        pids_limit=errand.processes,
        init=True,
        log_config=docker.types.LogConfig(type="json-file", config={"max-size": "16m"}),
    )
    api.create_container(
        errand.image,
        list(errand.command),
        name=name,
        user=f"{errand.uid}:{errand.uid}",
        environment={"HOME": "/tmp", "LANG": "C.UTF-8", **env},  # noqa: S108 - as above
        working_dir=errand.cwd,
        host_config=host,
        entrypoint=[],
        labels={LABEL: owner},
    )


def _output(api: docker.APIClient, name: str) -> Iterator[dict[str, Any]]:
    # not attach(): a container that ends at once may be gone before it is attached to
    for data in api.logs(name, stdout=True, stderr=True, stream=True, follow=True):
        yield {"data": data}


def failure(outcome: Outcome, what: str, hint: str) -> LabboxError:
    """A failed errand in a sentence, with the end of what it wrote."""
    said = " / ".join(line for line in outcome.lines[-6:] if line.strip()) or "it wrote nothing"
    return LabboxError("invalid", f"cannot {what} (exit code {outcome.code}): {said}", hint)
