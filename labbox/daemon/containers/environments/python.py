"""Python environments by uv: resolved without running anybody's code, each wheel installed once."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import msgspec

from labbox.daemon.containers.environments.complaints import explain
from labbox.daemon.containers.environments.folders import Folders, digest
from labbox.daemon.containers.environments.plan import Report
from labbox.daemon.containers.environments.programs import Programs
from labbox.daemon.containers.environments.target import PythonTarget
from labbox.errors import LabboxError
from labbox.files.software.asked import Line, Requirements
from labbox.model import Progress, Value
from labbox.text import visible_line

_RESOLVE_LIMIT: Final = 300.0  # seconds; uv itself gives up on an index that does not answer
_INSTALL_LIMIT: Final = 3600.0  # seconds; several GB over a slow line
_HELPER_LIMIT: Final = 900.0  # seconds
_AT_ONCE: Final = 8  # packages that are fetched at the same time
_RETRY_AFTER: Final = 2.0  # seconds before the one retry of ours; uv has tried three times by then

CompileElsewhere = Callable[[Sequence[Path], PythonTarget], Awaitable[None]]
"""Compiles folders with a Python that is not the daemon's, in a container."""


class Locked(Value):
    """One package of a lock: whichever wheel has one of these hashes."""

    name: str
    version: str
    hashes: tuple[str, ...]  # sha256
    asked: tuple[str, ...] = ()  # the person's own, of other kinds: "sha512:…"

    def line(self) -> str:
        """The package as a line of a requirements.txt that pip understands too."""
        hashes = self.asked or tuple(f"sha256:{each}" for each in self.hashes)
        return " ".join((f"{self.name}=={self.version}", *(f"--hash={each}" for each in hashes)))


class Pythons:
    """Resolves requirements and puts environments together, all as the trusted installer."""

    def __init__(self, programs: Programs, folders: Folders, workers: int) -> None:
        """`workers` processes compile bytecode at once."""
        self._programs = programs
        self._folders = folders
        self._workers = workers

    async def resolve(
        self, requirements: Requirements, target: PythonTarget, links: Path | None = None
    ) -> tuple[Locked, ...]:
        """Find the versions that fit, from wheels alone.

        `links` is a folder of wheels to use beside the index. NeedsBuildError where something exists
        as source only; LabboxError in words otherwise.
        """
        async with self.stage() as folder:
            (folder / "requirements.in").write_text(requirements.text(), "utf-8")
            arguments = ["pip", "compile", "requirements.in", "--quiet", "--no-build", "--generate-hashes"]
            arguments += ["--no-header", "--format", "pylock.toml", "--output-file", "pylock.toml"]
            arguments += _for(target)
            if requirements.constraints:
                (folder / "constraints.in").write_text(requirements.constraint_text(), "utf-8")
                arguments += ["--constraints", "constraints.in"]
            if requirements.prereleases:
                arguments += ["--prerelease", "allow"]
            ended = await self._programs.uv(arguments, seconds=_RESOLVE_LIMIT, folder=folder, links=links)
            if ended.code != 0:
                first = requirements.requirements[0].file if requirements.requirements else "the project"
                explain(ended.err, requirements, first)
            locked = _locked(await self._programs.lock(folder / "pylock.toml"))
        built = await asyncio.to_thread(_built, links)
        return tuple(one if one.name in built else _as_asked(one, requirements) for one in locked)

    async def resolve_patiently(
        self, requirements: Requirements, target: PythonTarget, report: Report, links: Path | None = None
    ) -> tuple[Locked, ...]:
        """As `resolve`, once more after a pause where the index did not answer."""
        try:
            return await self.resolve(requirements, target, links)
        except LabboxError as error:
            if error.code != "unavailable":
                raise
            report(f"{error.message}; trying again")
            await asyncio.sleep(_RETRY_AFTER)
            return await self.resolve(requirements, target, links)

    async def make(
        self,
        name: str,
        locked: Sequence[Locked],
        target: PythonTarget,
        report: Report,
        *,
        record: dict[str, Any],
        compile_elsewhere: CompileElsewhere,
        links: Path | None = None,
        prefix: Path | None = None,
        alone: str = "",
    ) -> Path:
        """The folder of the environment `name`, made from the packages in `locked`.

        Wheels are shared by all whose bytecode this box's own Python makes. `alone` names what else has a
        hand in them (the image whose Python compiles, conda's packages): only who has the same shares those.
        `prefix` is a conda environment under its temporary name, which gets the packages and then its name.
        """
        keys = {each.name: self._key(each, target, alone) for each in locked}
        stands = self._folders.stands
        missing = [each for each in locked if not stands(self._folders.wheel(keys[each.name]))]
        publish: list[tuple[str, str]] = []
        if missing:
            publish = await self._install(missing, keys, target, report, compile_elsewhere, links)
        wheels = [str(self._folders.wheel(keys[each.name])) for each in locked]
        final = self._folders.environment(name)
        work = prefix or final.with_name(f"{name}.tmp-{os.urandom(6).hex()}")
        report(Progress(phase="environment", done=len(locked), total=len(locked), unit="packages"))
        await self._programs.helper(
            {
                "action": "assemble",
                "publish": publish,
                "wheels": wheels,
                "work": str(work),
                "final": str(final),
                "layout": prefix is None,
                "executable": target.executable,
                "version": target.series,
                "full_version": target.full_version,
                "record": record,
            },
            seconds=_HELPER_LIMIT,
        )
        return final

    @asynccontextmanager
    async def stage(self) -> AsyncIterator[Path]:
        """A folder of the installer's for one step, gone afterwards."""
        folder = Path(tempfile.mkdtemp(dir=self._folders.cache / "stage"))
        if self._programs.uid is not None:
            os.chown(folder, self._programs.uid, self._programs.uid)
        try:
            yield folder
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _key(self, locked: Locked, target: PythonTarget, alone: str) -> str:
        hand = "" if target.reads_our_bytecode else alone
        return digest("wheel-2", locked.name, locked.version, target.tag, hand, *locked.hashes, *locked.asked)

    async def _install(
        self,
        missing: Sequence[Locked],
        keys: dict[str, str],
        target: PythonTarget,
        report: Report,
        compile_elsewhere: CompileElsewhere,
        links: Path | None,
    ) -> list[tuple[str, str]]:
        """Fetch wheels, each into a folder of its own with bytecode; (temporary name, name) of each."""
        mark = os.urandom(6).hex()
        folders = {each.name: f"{self._folders.wheel(keys[each.name])}.tmp-{mark}" for each in missing}
        counted = 0
        gate = asyncio.Semaphore(_AT_ONCE)

        async def fetch(each: Locked, folder: Path) -> None:
            nonlocal counted
            async with gate:
                await self._fetch(each, folder, target, links)
            counted += 1
            report(Progress(phase="packages", done=counted, total=len(missing), unit="packages"))

        report(Progress(phase="packages", done=0, total=len(missing), unit="packages"))
        async with self.stage() as top:
            places = [top / str(number) for number in range(len(missing))]
            try:
                async with asyncio.TaskGroup() as group:
                    for each, place in zip(missing, places, strict=True):
                        group.create_task(fetch(each, place))
            except ExceptionGroup as failed:
                raise failed.exceptions[0] from failed
            wheels = [
                {
                    "stage": str(place / "prefix"),
                    "folder": folders[each.name],
                    "name": each.name,
                    "version": each.version,
                }
                for each, place in zip(missing, places, strict=True)
            ]
            answer = await self._programs.helper({"action": "stage", "wheels": wheels}, seconds=_HELPER_LIMIT)
        if "refused" in answer:
            raise LabboxError(
                "invalid",
                f"cannot install {answer['name']}=={answer['version']}: {visible_line(answer['refused'])}",
                "its wheel is not what a wheel of that name may be: ask for another version",
            )
        await self._compile([Path(folder) for folder in folders.values()], target, report, compile_elsewhere)
        return [(folders[each.name], str(self._folders.wheel(keys[each.name]))) for each in missing]

    async def _fetch(self, package: Locked, folder: Path, target: PythonTarget, links: Path | None) -> None:
        """Install one package into a prefix in its folder, with nothing of another in it."""
        await asyncio.to_thread(self._furnish, folder, package)
        arguments = ["pip", "install", "--no-build", "--no-deps", "--require-hashes"]
        arguments += ["--prefix", "prefix", "--requirements", "lock.txt", *_for(target)]
        ended = await self._programs.uv(arguments, seconds=_INSTALL_LIMIT, folder=folder, links=links)
        if ended.code != 0:
            lines = (Line(text=package.line(), file="lock", number=0),)
            explain(ended.err, Requirements(requirements=lines), f"{package.name}=={package.version}")

    def _furnish(self, folder: Path, package: Locked) -> None:
        folder.mkdir()
        if self._programs.uid is not None:
            os.chown(folder, self._programs.uid, self._programs.uid)
        (folder / "lock.txt").write_text(f"{package.line()}\n", "utf-8")

    async def _compile(
        self, folders: Sequence[Path], target: PythonTarget, report: Report, elsewhere: CompileElsewhere
    ) -> None:
        if not target.reads_our_bytecode:
            await elsewhere(folders, target)
            return
        done, total = 0, None

        def on_message(message: dict[str, Any]) -> None:
            nonlocal done, total
            total = message.get("total", total)
            done += message.get("compiled", 0)
            report(Progress(phase="bytecode", done=done, total=total, unit="files"))

        await self._programs.helper(
            {"action": "compile", "folders": [str(folder) for folder in folders], "workers": self._workers},
            seconds=_HELPER_LIMIT,
            on_message=on_message,
        )


def _built(links: Path | None) -> frozenset[str]:
    """The packages that were built here: of their sources pip has checked the hashes."""
    names = () if links is None else (path.name.partition("-")[0] for path in links.iterdir())
    return frozenset(re.sub(r"[-_.]+", "-", name).lower() for name in names)


def _as_asked(locked: Locked, requirements: Requirements) -> Locked:
    """A package with the hashes that the person asks for; LabboxError with both where they are others."""
    lines = requirements.hashed(locked.name, locked.version)
    if requirements.in_hash_mode and not any(line in requirements.requirements for line in lines):
        raise LabboxError(
            "invalid",
            f"cannot install {locked.name}=={locked.version}: it is needed by another package, "
            "and stands in no line with a --hash of its own",
            "list it with its hash (pip-compile --generate-hashes), or remove all hashes",
        )
    for line in lines:
        fit = tuple(each for each in locked.hashes if f"sha256:{each}" in line.hashes)
        others = tuple(each for each in line.hashes if not each.startswith("sha256:"))
        if fit:
            locked = msgspec.structs.replace(locked, hashes=fit)
        elif others:  # the installer reckons these when it has the file
            locked = msgspec.structs.replace(locked, asked=others)
        else:
            have = ", ".join(f"sha256:{each}" for each in locked.hashes[:3])
            more = " …" if len(locked.hashes) > 3 else ""
            wanted = ", ".join(line.hashes[:3])
            where = f"line {line.number} of {line.file}" if line.number else line.file
            raise LabboxError(
                "invalid",
                f"cannot install {locked.name}=={locked.version}: {visible_line(where)} asks for {wanted}, "
                f"and what the index has is {have}{more}",
                "correct the hash if the version is meant; else somebody else's file stands in its place",
            )
    return locked


def _for(target: PythonTarget) -> list[str]:
    words = ["--python-version", target.full_version]
    return [*words, "--python-platform", target.platform] if target.platform else words


def _locked(packages: Sequence[dict[str, Any]]) -> tuple[Locked, ...]:
    """The packages of a lock, by name."""
    found = []
    for one in packages:
        if one["unhashed"]:
            raise LabboxError(
                "invalid",
                f"cannot install {one['package']}=={one['version']}: its index gives no sha256 of it",
                "whoever runs the box can use an index that does",
            )
        found.append(Locked(name=one["package"], version=one["version"], hashes=tuple(one["hashes"])))
    return tuple(sorted(found, key=lambda each: each.name))
