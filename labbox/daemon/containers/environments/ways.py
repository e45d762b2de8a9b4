"""The way from a build to its packages: through a program of the box's own, which keeps the passwords."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final

import msgspec

from labbox.daemon.containers.environments.folders import Folders, furnish
from labbox.daemon.containers.environments.index import PackageIndex
from labbox.daemon.containers.environments.programs import Programs
from labbox.daemon.containers.environments.throwaway import Bind
from labbox.daemon.containers.guard import plain_origin
from labbox.daemon.containers.killed import gone
from labbox.errors import LabboxError

_FIRST_PORT: Final = 3128  # of the loopback device inside
_READY_SECONDS: Final = 30.0
_INSIDE: Final = "/labbox/way"


class Way:
    """A way that is open: what a container gets of it."""

    def __init__(self, folder: Path, index: PackageIndex, origins: tuple[str, ...], forwarder: Path) -> None:
        """`index` is the box's; `origins` stand behind the ports from the second on."""
        self._folder, self._forwarder = folder, forwarder
        self._ports = {one: _FIRST_PORT + 1 + number for number, one in enumerate(origins)}
        proxy = f"http://127.0.0.1:{_FIRST_PORT}"
        self.index = msgspec.structs.replace(
            index,
            index_url=self._inside(index.index_url) if index.index_url else None,
            extra_index_urls=tuple(self._inside(one) for one in index.extra_index_urls),
            find_links=tuple(self._inside(one) for one in index.find_links),
            client_certificate=None,
            proxies={"http_proxy": proxy, "https_proxy": proxy, "no_proxy": "127.0.0.1,localhost"},
        )

    @property
    def binds(self) -> tuple[Bind, ...]:
        """What the container must see."""
        forwarder = Bind(source=self._forwarder, target="/labbox/forward.py")
        return Bind(source=self._folder, target=_INSIDE), forwarder

    def command(self, *words: str) -> tuple[str, ...]:
        """What to run so that `words` find the way open."""
        ports = [f"{_FIRST_PORT}={_INSIDE}/proxy.sock"]
        ports += [f"{port}={_INSIDE}/{port - _FIRST_PORT - 1}.sock" for port in self._ports.values()]
        return "python3", "-I", "-S", "/labbox/forward.py", *ports, "--", *words

    def _inside(self, place: str) -> str:
        if not place.startswith(("http://", "https://")):
            return place
        origin = plain_origin(place)
        rest = place.partition("://")[2].partition("/")[2]
        return f"http://127.0.0.1:{self._ports[origin]}/{rest}"


class Ways:
    """Opens ways, one for each build."""

    def __init__(self, programs: Programs, folders: Folders, index: PackageIndex) -> None:
        """`index` with all its passwords."""
        self._programs, self._folders, self._index = programs, folders, index

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Way]:
        """A way for as long as it is needed. LabboxError "unavailable" where it cannot be opened."""
        index = self._index
        places = [index.index_url or "", *index.extra_index_urls, *index.find_links]
        named: dict[str, str] = {}
        for place in places:
            if place.startswith(("http://", "https://")):
                origin = plain_origin(place)
                if origin not in named or "@" in place:
                    named[origin] = place
        folder = self._folders.cache / "built" / f"way-{os.urandom(6).hex()}"
        await asyncio.to_thread(self._furnish, folder)
        request = {
            "folder": str(folder),
            "origins": list(named.values()),
            "ports": [_FIRST_PORT + 1 + number for number in range(len(named))],
            "proxies": index.proxies,
            "certificates": index.certificates,
            "client_certificate": index.client_certificate,
            "trusted_hosts": index.trusted_hosts,
        }
        ids = ("-1", "-1") if self._programs.uid is None else (str(self._programs.uid),) * 2
        program = Path(__file__).with_name("fetching.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-I",
            str(program),
            *ids,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env={"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8"},
            start_new_session=True,
        )
        if process.stdin is None or process.stdout is None:
            raise AssertionError("a process was started without its pipes")
        try:
            process.stdin.write(msgspec.json.encode(request) + b"\n")
            async with asyncio.timeout(_READY_SECONDS):
                if await process.stdout.readline() != b"ready\n":
                    raise LabboxError("unavailable", "cannot open a way to the package index", "try again")
            yield Way(folder, index, tuple(named), self._programs.forwarder())
        finally:
            process.stdin.close()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await gone(process)
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _furnish(self, folder: Path) -> None:
        furnish(folder, 0o755, self._programs.uid)
