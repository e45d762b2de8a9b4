"""Programs that the trusted installer runs: uv and the helpers, with its own ids and nothing of the daemon's.

As root the daemon starts them under the installer's uid, which owns environments and caches and nothing else.
Without root they run as the one person.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import stat
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import uv

from labbox.daemon.containers.environments.index import PackageIndex
from labbox.daemon.containers.killed import gone
from labbox.errors import LabboxError
from labbox.model import Value
from labbox.text import decode, visible_line

_KEPT: Final = 256 * 1024  # bytes of output kept for messages, from the end
_LONGEST_LINE: Final = 8 * 1024 * 1024  # bytes: an answer with all records of a large environment
_READ: Final = 64 * 1024
_LOCK_SECONDS: Final = 120.0
_HELPERS: Final = Path(__file__).parent

Listen = Callable[[str], None]


class Ended(Value):
    """How a program ended: its exit code and the end of what it wrote."""

    code: int
    out: str
    err: str


class Programs:
    """Starts programs as the installer, each in a process group of its own that ends with its caller."""

    def __init__(self, state: Path, uid: int | None, index: PackageIndex) -> None:
        """`uid` is the installer's, None without root."""
        self.uid = uid
        self._options = index.uv_options()
        self._cache = state / "environments-cache"
        self._tools = state / "tools"
        self._environment = {
            "PATH": "/usr/local/bin:/usr/bin:/bin",
            "HOME": str(self._cache),
            "LANG": "C.UTF-8",
            "TMPDIR": str(self._cache / "tmp"),
            "UV_CACHE_DIR": str(self._cache / "uv"),
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_NO_PROGRESS": "1",
            **index.for_uv(),
        }

    async def uv(
        self,
        arguments: Sequence[str],
        *,
        seconds: float,
        folder: Path,
        listen: Listen | None = None,
        links: Path | None = None,
    ) -> Ended:
        """Run uv; `listen` hears each line of its standard error, `links` is a folder of more wheels."""
        words = (str(self.uv_binary()), *arguments, *self._options, "--python", str(self._python()))
        env = self._environment
        if links is not None:
            known = env.get("UV_FIND_LINKS", "")
            env = {**env, "UV_FIND_LINKS": f"{known},{links}".lstrip(",")}
        return await self._run(words, seconds=seconds, listen=listen, folder=folder, switch=True, env=env)

    async def helper(
        self,
        request: Mapping[str, Any],
        *,
        seconds: float,
        on_message: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Let the helper do one request; its answer. LabboxError("unavailable") where the disk refuses."""
        return await self._ask("helper.py", request, seconds, on_message, ("-I", "-S"))

    async def conda(
        self,
        request: Mapping[str, Any],
        *,
        seconds: float,
        on_message: Callable[[dict[str, Any]], None] | None = None,
    ) -> dict[str, Any]:
        """Let the conda client do one request; its answer may be an ``error`` in its own words."""
        return await self._ask("conda_helper.py", request, seconds, on_message, ("-I",))

    async def lock(self, path: Path) -> list[dict[str, Any]]:
        """The packages of a pylock.toml, as the helper tells of them: package, version, wheels, hashes."""
        found: list[dict[str, Any]] = []
        await self.helper(
            {"action": "lock", "path": str(path)}, seconds=_LOCK_SECONDS, on_message=found.append
        )
        return found

    def helper_source(self) -> Path:
        """The helper as a file, for containers that compile with a Python of their own."""
        return self._reachable(_HELPERS / "helper.py")

    def forwarder(self) -> Path:
        """The program that opens a way inside of containers, as a file for them."""
        return self._reachable(_HELPERS / "forward.py")

    def uv_binary(self) -> Path:
        """A copy of uv that the installer and containers can read; LabboxError where there is no uv."""
        try:
            found = Path(uv.find_uv_bin())
        except FileNotFoundError as error:
            raise LabboxError(
                "unavailable",
                "cannot make a Python environment: the box has no uv",
                "whoever runs the box installs it again: ./autoboot.sh install",
            ) from error
        return self._reachable(found)

    async def _ask(
        self,
        name: str,
        request: Mapping[str, Any],
        seconds: float,
        on_message: Callable[[dict[str, Any]], None] | None,
        flags: tuple[str, ...],
    ) -> dict[str, Any]:
        # These start with the daemon's ids, since its Python and packages may stand where only it can read,
        # and give the ids up as the first thing they do.
        ids = ("-1", "-1") if self.uid is None else (str(self.uid), str(self.uid))
        answer: dict[str, Any] = {}

        def hear(line: str) -> None:
            message = msgspec.json.decode(line)
            if "done" in message:
                answer.update(message["done"])
            elif "error" in message:
                answer.update(message)
            elif on_message is not None:
                on_message(message)

        ended = await self._run(
            (sys.executable, *flags, str(_HELPERS / name), *ids),
            seconds=seconds,
            listen=hear,
            listen_out=True,
            data=msgspec.json.encode(request),
            folder=Path("/"),
            switch=False,
        )
        if "errno" in answer:
            raise disk_error(OSError(answer["errno"], answer["error"], answer["path"]))
        if ended.code != 0 and "error" not in answer:
            raise LabboxError(
                "internal",
                f"cannot make the environment: {name} ended with {ended.code}: {_last_line(ended.err)}",
                "try again; if it stays so, tell whoever runs the box",
            )
        return answer

    async def _run(
        self,
        words: Sequence[str],
        *,
        seconds: float,
        folder: Path,
        switch: bool,
        listen: Listen | None = None,
        listen_out: bool = False,
        data: bytes = b"",
        env: Mapping[str, str] | None = None,
    ) -> Ended:
        ids: dict[str, Any] = {}
        if switch and self.uid is not None:
            ids = {"user": self.uid, "group": self.uid, "extra_groups": []}
        process = await asyncio.create_subprocess_exec(
            *words,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            cwd=folder,
            env=env or self._environment,
            umask=0o022,
            start_new_session=True,
            limit=1 << 20,
            **ids,
        )
        if process.stdin is None or process.stdout is None or process.stderr is None:
            raise AssertionError("a process was started without its pipes")
        try:
            async with asyncio.timeout(seconds):
                out, err, _ = await asyncio.gather(
                    _read(process.stdout, listen if listen_out else None),
                    _read(process.stderr, None if listen_out else listen),
                    _write(process.stdin, data),
                )
                code = await process.wait()
        except TimeoutError as error:
            raise LabboxError(
                "unavailable",
                f"cannot make the environment: {Path(words[0]).name} took longer than {seconds:.0f} s",
                "try again; a slow index or disk may be the cause",
            ) from error
        finally:
            if process.returncode is None:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                await gone(process)
        return Ended(code=code, out=out, err=err)

    def _python(self) -> Path:
        """An interpreter that uv may look at: which one does not matter, the target's version is told."""
        base = Path(getattr(sys, "_base_executable", sys.executable)).resolve()
        for path in (base, Path("/usr/bin/python3"), Path("/usr/local/bin/python3")):
            if path.exists() and self._may_reach(path):
                return path
        raise LabboxError(
            "unavailable",
            f"cannot make environments: {base} cannot be read by the installer (uid {self.uid})",
            "install the system's python3",
        )

    def _reachable(self, path: Path) -> Path:
        """`path`, or a copy in the state folder where the installer cannot get to it (checkouts in /root)."""
        if self._may_reach(path):
            return path
        status = path.stat()
        copy = self._tools / f"{path.name}-{status.st_size}-{status.st_mtime_ns}"
        if not copy.exists():
            self._tools.mkdir(mode=0o755, exist_ok=True)
            partial = copy.with_name(f"{copy.name}.tmp-{os.getpid()}")
            shutil.copyfile(path, partial)
            partial.chmod(0o755)
            partial.rename(copy)
        return copy

    def _may_reach(self, path: Path) -> bool:
        if self.uid is None:
            return True
        return all(parent.stat().st_mode & stat.S_IXOTH for parent in path.resolve().parents) and bool(
            path.stat().st_mode & stat.S_IROTH
        )


def disk_error(error: OSError) -> LabboxError:
    """What the disk said, in a sentence."""
    if error.errno in (errno.EISDIR, errno.ENOTDIR):
        name = visible_line(Path(str(error.filename or "a name")).name)
        return LabboxError(
            "invalid",
            f"cannot put the packages together: “{name}” is a file in one and a folder in another",
            "leave one of the two out of what the project asks for",
        )
    return LabboxError(
        "unavailable",
        f"cannot write the environment: {visible_line((error.strerror or str(error)).lower())}",
        "make room on the disk of the state folder (`labbox status` shows it), then retry",
    )


async def _read(stream: asyncio.StreamReader, listen: Listen | None) -> str:
    """The end of a stream; each whole line goes to `listen`."""
    kept, partial = bytearray(), b""
    while data := await stream.read(_READ):
        kept += data
        del kept[:-_KEPT]
        if listen is not None:
            *lines, partial = (partial + data).split(b"\n")
            partial = partial[-_LONGEST_LINE:]
            for line in lines:
                listen(decode(line))
    return decode(bytes(kept))


async def _write(stream: asyncio.StreamWriter, data: bytes) -> None:
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it ended without reading
        stream.write(data)
        await stream.drain()
    stream.close()


def _last_line(text: str) -> str:
    lines = text.strip().splitlines()
    return visible_line(lines[-1]) if lines else "it said nothing"
