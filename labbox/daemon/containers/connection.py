"""The line to the container engine: calls in thread pools of their own, and whether it answers.

The docker library blocks, and the default executor has few threads: every call goes through one of two pools
here, so that a build of minutes never stands before the start of a job. Each thread keeps a connection alive.

The library is imported by the first call, in its thread: nobody who logs in after a crash waits for that.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any, Final, TypeVar

from labbox.errors import LabboxError
from labbox.text import visible_line

if TYPE_CHECKING:
    import docker

T = TypeVar("T")

DEFAULT_URL: Final = "unix:///var/run/docker.sock"
CALL_SECONDS: Final = 60.0  # for one answer of the engine
GREET_SECONDS = 15.0  # for the answers that cost it nothing
_SILENT_SECONDS: Final = 900.0  # a build or a pull that says nothing for so long is given up
_SLOW_AT_ONCE: Final = 16  # builds and pulls: of several people, each of whom has few places (places.py)
_NEWEST_API: Final = (
    1,
    44,
)  # what this code was written for; an older engine is spoken to in its own version


class Connection:
    """One container engine on a Unix socket."""

    def __init__(self, url: str | None = None) -> None:
        """Use the engine at `url`, else at DOCKER_HOST, else where Debian's listens; opens nothing yet."""
        self.url = url or os.environ.get("DOCKER_HOST") or DEFAULT_URL
        if not self.url.startswith("unix://"):
            raise LabboxError(
                "invalid",
                f"cannot use the container engine at {self.url}: labbox needs one on this machine",
                f"name its socket, as in {DEFAULT_URL}",
            )
        self.socket_path = self.url.removeprefix("unix://")
        self.version = ""
        self.api_version = "1.41"
        self.cgroup_driver = ""  # "cgroupfs" or "systemd", as the engine says
        self.lacking_init: str | None = (
            None  # its name for the first program of a container that it cannot run
        )
        self.on_failure: Callable[[], None] = lambda: (
            None
        )  # called in the event loop: the engine did not answer
        self._quick = ThreadPoolExecutor(8, thread_name_prefix="engine")
        self._slow = ThreadPoolExecutor(_SLOW_AT_ONCE, thread_name_prefix="engine-slow")
        self._mine = threading.local()
        self._closing = threading.Event()

    async def call(self, work: Callable[[docker.APIClient], T], *, seconds: float = CALL_SECONDS) -> T:
        """Run `work` with a client of the engine in a thread; LabboxError for all that goes wrong there.

        Raises "unavailable" where the engine does not answer within `seconds`, "not_found", "conflict" and
        "invalid" as the engine says.
        """
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(seconds):
                return await loop.run_in_executor(self._quick, self._guarded, work, CALL_SECONDS)
        except TimeoutError:
            self.on_failure()
            raise _unreachable(self.url, f"no answer in {seconds:.0f} s") from None
        except LabboxError as error:
            if error.code == "unavailable":
                self.on_failure()
            raise

    async def stream(
        self,
        work: Callable[[docker.APIClient], Iterator[dict[str, Any]]],
        each: Callable[[dict[str, Any]], None],
        *,
        seconds: float = 3600.0,
    ) -> None:
        """Run a build, a pull or an import; `each` gets what the engine says of it, in the event loop.

        When the caller is cancelled, or after `seconds`, the engine is left at its next word and gives up.
        Raises as `call`; what a message says of an error is for `each` to see.
        """
        loop = asyncio.get_running_loop()
        given_up = threading.Event()

        def run(api: docker.APIClient) -> None:
            for message in work(api):
                if given_up.is_set() or self._closing.is_set():
                    api.close()  # the engine ends what nobody listens to
                    return
                loop.call_soon_threadsafe(each, message)

        try:
            async with asyncio.timeout(seconds):
                await loop.run_in_executor(self._slow, self._guarded, run, _SILENT_SECONDS)
        except TimeoutError:
            raise _unreachable(self.url, f"not done after {seconds:.0f} s") from None
        finally:
            given_up.set()

    async def greet(self) -> None:
        """Ask the engine who it is, and speak in its version of the API from now on."""
        version = await self.call(lambda api: api.version(api_version=False), seconds=GREET_SECONDS)
        theirs = tuple(int(part) for part in str(version["ApiVersion"]).split("."))
        self.version = str(version["Version"])
        self.api_version = ".".join(str(part) for part in min(theirs, _NEWEST_API))
        info = await self.call(lambda api: api.info(), seconds=GREET_SECONDS)
        self.cgroup_driver = str(info.get("CgroupDriver", ""))
        unknown = (info.get("InitCommit") or {}).get("ID") == "N/A"  # it asks the program for its version
        self.lacking_init = str(info.get("InitBinary") or "docker-init") if unknown else None

    async def ping(self) -> None:
        """LabboxError "unavailable" where the engine does not answer at once."""
        await self.call(lambda api: api.ping(), seconds=GREET_SECONDS)

    def close(self) -> None:
        """Give up what still waits for the engine; threads end with their last answer."""
        self._closing.set()
        for pool in (self._quick, self._slow):
            pool.shutdown(wait=False, cancel_futures=True)

    def _guarded(self, work: Callable[[docker.APIClient], T], silence: float) -> T:
        """Run in a thread of a pool, with that thread's client."""
        import docker.errors
        import requests

        try:
            self._knock()
            return work(self._client(silence))
        except (docker.errors.APIError, docker.errors.DockerException, requests.RequestException) as error:
            raise translate(error, self.url) from error
        except OSError as error:
            raise _unreachable(self.url, error.strerror or str(error)) from error

    def _knock(self) -> None:
        """OSError where nobody listens; the docker library would leave a socket open when it finds out."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knocking:
            knocking.settimeout(GREET_SECONDS)
            knocking.connect(self.socket_path)

    def _client(self, silence: float) -> docker.APIClient:
        import docker

        client: docker.APIClient | None = getattr(self._mine, "client", None)
        if client is None or self._mine.version != self.api_version:
            client = docker.APIClient(self.url, version=self.api_version, timeout=silence)
            client.trust_env = False  # a proxy of the box is not on the way to its own engine
            self._mine.client, self._mine.version = client, self.api_version
        return client


def translate(error: Exception, url: str) -> LabboxError:
    """What the docker library raised, in a sentence for people."""
    import docker.errors
    import requests

    if isinstance(error, docker.errors.APIError):
        said = visible_line(str(error.explanation or error)).strip()
        match error.status_code:
            case 404:
                return LabboxError("not_found", f"cannot find it in the container engine: {said}")
            case 409:
                return LabboxError("conflict", f"cannot do this in the container engine now: {said}")
            case 400:
                return LabboxError("invalid", f"cannot do this in the container engine: {said}")
            case _:
                return LabboxError("internal", f"cannot do this in the container engine: {said}")
    if isinstance(error, requests.Timeout):
        return _unreachable(url, "it does not answer")
    return _unreachable(url, _innermost(error))


def _unreachable(url: str, why: str) -> LabboxError:
    return LabboxError(
        "unavailable",
        f"cannot reach the container engine at {url.removeprefix('unix://')}: {why}",
        "start it on the box: systemctl start docker, or ./autoboot.sh engine where no systemd runs",
    )


def _innermost(error: BaseException) -> str:
    """The cause at the bottom of the library's nested errors, as the system words it."""
    while True:
        below = error.__cause__ or error.__context__
        if below is None:
            break
        error = below
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return visible_line(str(error)) or type(error).__name__
