"""The passwords of the box's package archives: our own builds that fetch there see them, no image holds them.

apt has them in two places: in addresses of its sources, and in `auth.conf` (apt_auth.conf(5)). A build step
cannot be lent a file, a container can: what is mounted there is no part of the image that it becomes.
"""

from __future__ import annotations

import asyncio
import os
import re
import shlex
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import unquote

from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.images import Report
from labbox.errors import LabboxError
from labbox.text import decode, visible_line

if TYPE_CHECKING:
    import docker

_CREDENTIALS: Final = re.compile(r"^([a-z0-9+.-]+://)([^/\s@]*)@(\S*)$", re.IGNORECASE)
_FOLDER: Final = "/etc/apt/auth.conf.d"
_SETTINGS: Final = f"{_FOLDER}/settings.sh"  # no name that apt reads
_SECONDS: Final = 7200.0
_REMOVE_SECONDS: Final = 60.0


def bare_address(address: str) -> str:
    """An address without a name and password."""
    return _CREDENTIALS.sub(r"\1\3", address)


def access(etc_apt: Path, addresses: Sequence[str]) -> str:
    """What apt_auth.conf(5) says on this box, and what these addresses of sources hold; "" for nothing."""
    files = sorted((etc_apt / "auth.conf", *etc_apt.glob("auth.conf.d/*")))
    read = [one for one in files if one.is_file() and one.suffix in ("", ".conf")]
    found = [path.read_text().strip() for path in read]
    for address in dict.fromkeys(addresses):
        if match := _CREDENTIALS.match(address):
            login, _, password = match[2].partition(":")
            place = bare_address(address).rstrip("/")
            found.append(f"machine {place} login {unquote(login)} password {unquote(password)}")
    return "".join(f"{one}\n" for one in found if one)


def as_netrc(said: str) -> str:
    """The same in the form that other programs read: by names of machines alone."""
    return re.sub(
        r"\bmachine(\s+)(?:[a-z0-9+.-]+://)?([^/:\s]+)\S*", r"machine\1\2", said, flags=re.IGNORECASE
    )


async def keep_run(
    connection: Connection,
    image: str,
    script: str,
    name: str,
    report: Report,
    *,
    said: str,
    env: Mapping[str, str],
    scratch: Path,
    network: str,
    changes: Sequence[str],
) -> None:
    """Run a script of our own as root on `image`, with what apt `said` and `env`, and name what it leaves.

    `changes` are instructions of a Dockerfile that say what the new image is like.

    LabboxError "invalid" with the end of the output where the script fails.
    """
    container = f"labbox-making-{os.urandom(6).hex()}"
    last: list[str] = []
    partial = b""

    def each(message: dict[str, Any]) -> None:
        nonlocal partial
        *whole, partial = (partial + message["data"]).split(b"\n")
        for raw in whole:
            line = visible_line(decode(raw))
            if line.strip():
                report(line)
                last.append(line)
                del last[:-3]

    await asyncio.to_thread(scratch.mkdir, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=scratch, prefix="access-") as folder:
        _write(Path(folder) / "box.conf", said)
        exported = "".join(f"export {key}={shlex.quote(value)}\n" for key, value in env.items())
        _write(Path(folder) / Path(_SETTINGS).name, exported)
        await connection.call(lambda api: _create(api, container, image, script, folder, network, changes))
        try:
            await connection.call(lambda api: api.start(container))
            await connection.stream(lambda api: _output(api, container), each, seconds=_SECONDS)
            each({"data": b"\n"})
            code = await connection.call(lambda api: int(api.wait(container)["StatusCode"]))
            if code != 0:
                raise LabboxError(
                    "invalid",
                    f"cannot build the image {name}: its packages ended with code {code}",
                    "the end of its output: " + " / ".join(last) if last else "",
                )
            repository, _, tag = name.partition(":")
            settings = ["ENTRYPOINT []", 'CMD ["/bin/sh"]', *changes]
            await connection.call(
                lambda api: api.commit(container, repository, tag or "latest", changes=settings),
                seconds=_SECONDS,
            )
        finally:
            await asyncio.shield(
                connection.call(
                    lambda api: api.remove_container(container, force=True, v=True), seconds=_REMOVE_SECONDS
                )
            )


def _write(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text)


def _create(
    api: docker.APIClient,
    container: str,
    image: str,
    script: str,
    folder: str,
    network: str,
    changes: Sequence[str],
) -> None:
    host = api.create_host_config(binds=[f"{folder}:{_FOLDER}:ro"], network_mode=network)
    api.create_container(
        image,
        ["/bin/sh", "-c", f". {_SETTINGS}\n{script}"],
        name=container,
        user="0:0",
        environment=[word for one in changes if one.startswith("ENV ") for word in shlex.split(one[4:])],
        host_config=host,
        entrypoint=[],
    )


def _output(api: docker.APIClient, container: str) -> Iterator[dict[str, Any]]:
    for data in api.logs(container, stdout=True, stderr=True, stream=True, follow=True):
        yield {"data": data}
