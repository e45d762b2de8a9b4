"""The Pythons of images: asked what they are, and made to compile what only they can read."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.environments import throwaway
from labbox.daemon.containers.environments.folders import Folders, furnish
from labbox.daemon.containers.environments.plan import Report
from labbox.daemon.containers.environments.programs import Programs
from labbox.daemon.containers.environments.shared import SharedWork
from labbox.daemon.containers.environments.target import PROBE, PythonTarget, decode_target
from labbox.daemon.containers.environments.throwaway import Bind, Errand
from labbox.errors import LabboxError

_COMPILE_SECONDS: Final = 900.0


class Interpreters:
    """Runs the Python of an image in containers without a network."""

    def __init__(
        self,
        connection: Connection,
        programs: Programs,
        folders: Folders,
        workers: int,
        owner: str,
        *,
        builder: int | None,
    ) -> None:
        """`owner` names this box on its containers; `builder` is their uid, None without root."""
        self._connection = connection
        self._programs = programs
        self._folders = folders
        self._workers = workers
        self._owner = owner
        self._builder = builder
        self._known: dict[str, PythonTarget] = {}
        self.probes = SharedWork[PythonTarget]()

    async def of(self, image: str, report: Report) -> PythonTarget:
        """What Python an image has; asked once for each image, by a container that sees nothing.

        LabboxError "invalid" where it has none.
        """
        if image in self._known:
            return self._known[image]
        path = self._folders.notes / "images" / image.rpartition(":")[2]
        try:
            self._known[image] = decode_target(path.read_bytes())
        except (FileNotFoundError, msgspec.DecodeError):
            self._known[image] = await self.probes.do(image, lambda _tell: self._ask(image, path), report)
        return self._known[image]

    async def compile(
        self, image: str, folders: Sequence[Path], python: str, prefix: tuple[Path, Path] | None = None
    ) -> None:
        """Compile folders with `python` of an image: it reads them, and writes into a room of its own.

        An image may be anybody's. So it runs under an id that owns nothing else, and the installer copies
        what it wrote; the folders' files themselves are hard links that others' caches share.

        `prefix` is a conda environment that the Python stands in: where it is, and what path it was made for.
        """
        binds = [Bind(source=self._programs.helper_source(), target="/labbox/helper.py")]
        binds += [Bind(source=folder, target=str(folder)) for folder in folders]
        room = self._folders.cache / "built" / f"bytecode-{os.urandom(6).hex()}"
        rooms = [room / str(number) for number in range(len(folders))]
        await asyncio.to_thread(self._furnish, (room, *rooms))
        binds.append(Bind(source=room, target="/labbox/made", writable=True))
        if prefix is not None:
            binds.append(Bind(source=prefix[0], target=str(prefix[1])))
        request = msgspec.json.encode(
            {
                "action": "compile",
                "folders": [str(folder) for folder in folders],
                "into": [f"/labbox/made/{one.name}" for one in rooms],
                "workers": self._workers,
            }
        )
        script = 'printf %s "$LABBOX_REQUEST" | "$0" -I -S /labbox/helper.py -1 -1'
        errand = Errand(
            image=image,
            command=("sh", "-c", script, python),
            uid=self._uid(),
            binds=tuple(binds),
            seconds=_COMPILE_SECONDS,
        )
        env = {"LABBOX_REQUEST": request.decode()}
        try:
            outcome = await throwaway.run(self._connection, self._owner, errand, env=env)
            if outcome.code != 0:
                raise throwaway.failure(
                    outcome, "compile the packages with the image's Python", "use another image"
                )
            pairs = [(str(folder), str(made)) for folder, made in zip(folders, rooms, strict=True)]
            await self._programs.helper({"action": "adopt", "folders": pairs}, seconds=_COMPILE_SECONDS)
        finally:
            await asyncio.to_thread(shutil.rmtree, room, ignore_errors=True)

    def _furnish(self, rooms: Sequence[Path]) -> None:
        for folder in rooms:
            furnish(folder, 0o755, self._builder)

    async def _ask(self, image: str, path: Path) -> PythonTarget:
        errand = Errand(image=image, command=("python3", "-I", "-S", "-c", PROBE), uid=self._uid())
        try:
            outcome = await throwaway.run(self._connection, self._owner, errand)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            raise _no_python() from error  # the engine found no such program
        if outcome.code != 0 or not outcome.lines:
            raise _no_python()
        try:
            target = decode_target(outcome.lines[-1])
        except msgspec.DecodeError as error:
            raise _no_python() from error
        await asyncio.to_thread(path.write_bytes, msgspec.json.encode(target))
        return target

    def _uid(self) -> int:
        return os.getuid() if self._builder is None else self._builder


def _no_python() -> LabboxError:
    return LabboxError(
        "invalid",
        "cannot install Python packages: the image of this job has no python3 that works",
        "use an image with Python 3, or leave requirements.txt out",
    )
