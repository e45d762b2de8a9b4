"""Making and starting a container by name, once, whoever asks how often; in a thread."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Collection
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from labbox.daemon.containers.run import RunSpec, prepare_spool
from labbox.daemon.containers.states import ContainerState, parse_state
from labbox.daemon.containers.volumes import covers, declared
from labbox.errors import LabboxError

if TYPE_CHECKING:
    import docker

_NAMED_SECONDS: Final = 5.0


def start(api: docker.APIClient, run: RunSpec, config: dict[str, Any], made: Callable[[str], None]) -> None:
    """Create and start; a container of that name is started where it never was, else left as it is.

    One that cannot be started is removed again. `made` is told the container's id, before it starts.
    """
    import docker.errors

    prepare_spool(run)
    host = config["HostConfig"]
    taken = {*host["Tmpfs"], *(mount["Target"] for mount in host["Mounts"])}
    host["Tmpfs"] |= covers(declared(api, run.image), taken, run.tmp_bytes, run.uid)
    try:
        made(str(api.create_container_from_config(config, run.name)["Id"]))
    except docker.errors.APIError as error:
        if error.status_code != 409:
            raise
        number, found = _named(api, run.name)
        if found is None:  # the one before it was still being removed
            number = str(api.create_container_from_config(config, run.name)["Id"])
        made(number)
        if found is not None and found.status != "created":
            return
    try:
        api.start(run.name)
    except docker.errors.APIError:
        api.remove_container(run.name, v=True, force=True)
        remove_volumes(api, run.name)
        raise


def remove(api: docker.APIClient, name: str, volumes: Collection[str] | None) -> None:
    """Remove a container, running or not, with its volumes; those that are gone already are no error.

    `volumes`: their names where they are known; None: the engine is asked for them.
    """
    import docker.errors

    with suppress(docker.errors.NotFound):
        api.remove_container(name, v=True, force=True)
    if volumes is None:
        remove_volumes(api, name)
    for one in volumes or ():
        with suppress(docker.errors.NotFound):
            api.remove_volume(one)


def remove_volumes(api: docker.APIClient, name: str) -> None:
    """Let go of the volumes of a container that is gone: its layers, unmounted by now."""
    import docker.errors

    for one in (api.volumes(filters={"name": name}) or {}).get("Volumes") or ():
        if str(one["Name"]).rpartition(".")[0] == name:
            with suppress(docker.errors.NotFound):
                api.remove_volume(one["Name"])


def sweep_volumes(api: docker.APIClient, label: str, containers: Collection[str]) -> None:
    """Let go of volumes of this box whose container is gone."""
    for one in (api.volumes(filters={"label": label}) or {}).get("Volumes") or ():
        name = str(one["Name"]).rpartition(".")[0]
        if name and name not in containers:
            remove_volumes(api, name)


_HELD: Final = re.compile(
    r"start shim: mkdir .*: file exists|id already in use|container with (that|given) id already exists"
    r"|task \S+: already exists",
    re.IGNORECASE,
)
_MISSING: Final = re.compile(r"bind source path does not exist: (\S+)")


def _named(api: docker.APIClient, name: str) -> tuple[str, ContainerState | None]:
    """Id and state of a container whose name is taken: a moment before it is there, when two make it at once.

    No state where one was being removed, and is gone by now.
    """
    import docker.errors

    end = time.monotonic() + _NAMED_SECONDS
    removing = False
    while True:
        try:
            inspected = api.inspect_container(name)
        except docker.errors.NotFound:
            if removing:
                return "", None
            if time.monotonic() > end:
                raise
        else:
            found = parse_state(inspected)
            if found.status != "removing" or time.monotonic() > end:
                return str(inspected["Id"]), found
            removing = True
        time.sleep(0.01)


def is_held(error: LabboxError) -> bool:
    """Whether an engine that was killed over a start does not know what became of it, and starts nothing."""
    return _HELD.search(error.message) is not None


def start_error(run: RunSpec, error: LabboxError) -> LabboxError:
    """The engine's words with what they mean for the person whose run it was."""
    if error.code == "not_found" and "image" in error.message.lower():
        return LabboxError(
            "not_found", f"cannot start {run.name}: the engine has no image {run.image}", error.hint
        )
    if "docker-init" in error.message:
        return LabboxError(
            "unavailable",
            f"cannot start {run.name}: the engine has no docker-init",
            "apt-get install tini on the box",
        )
    if is_held(error):
        return LabboxError(
            "unavailable",
            f"cannot start {run.name}: the engine, which was killed, still holds the beginning of it",
            "it is tried again by itself",
        )
    missing = _MISSING.search(error.message)
    if missing is not None:
        return LabboxError(
            "unavailable",
            f"cannot start {run.name}: {missing[1]} is not there on the machine of the container engine",
            "labbox status says what is missing; the engine must see the files of this machine",
        )
    if error.code == "unavailable":
        return error
    said = error.message.rpartition("container engine: ")[2] or error.message
    return LabboxError(error.code, f"cannot start {run.name}: {said}", error.hint)
