"""Source distributions become wheels in a throwaway container, under an id that owns nothing else.

A build script is anybody's code. It runs as the builder in a container that sees one folder of its own, made
for this build alone, and cannot reach wheels, caches or environments. What it leaves there is data: wheels
with proper names of the packages that were to be built are copied by the installer, and only the environment
that asked for them uses them.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.environments import throwaway
from labbox.daemon.containers.environments.complaints import NeedsBuildError, explain, other_python
from labbox.daemon.containers.environments.folders import Folders
from labbox.daemon.containers.environments.index import PackageIndex
from labbox.daemon.containers.environments.lacking import lacking
from labbox.daemon.containers.environments.plan import Report
from labbox.daemon.containers.environments.programs import Programs
from labbox.daemon.containers.environments.target import PythonTarget
from labbox.daemon.containers.environments.throwaway import Bind, Errand, Outcome
from labbox.daemon.containers.environments.ways import Way, Ways
from labbox.daemon.containers.outside import Outside
from labbox.errors import LabboxError
from labbox.files.software.asked import Requirements
from labbox.model import Progress
from labbox.text import visible_line

_BUILD_SECONDS: Final = 3600.0
_TAKE_SECONDS: Final = 300.0
_CERTIFICATES: Final = "/labbox/ca.pem"

_NOISE: Final = re.compile(r"ready$|Looking in (?:indexes|links): |ERROR: Ignored the following ")
_VERSIONS: Final = re.compile(r" \(from versions: [^)]*\)")  # all that there ever were

_RESOLVE: Final = (
    "exec /labbox/uv pip compile requirements.in --quiet --generate-hashes --no-header"
    " --format pylock.toml --output-file pylock.toml --python python3 $LABBOX_MORE"
)
_BUILD: Final = (
    "/labbox/uv venv --quiet --python python3 tools"
    " && /labbox/uv pip install --quiet --python tools/bin/python $LABBOX_OPTIONS pip"
    ' && exec tools/bin/python -m pip wheel --no-deps --no-cache-dir --wheel-dir wheels "$@"'
)


class Builder:
    """Builds wheels from sources as the builder's uid."""

    def __init__(
        self,
        connection: Connection,
        programs: Programs,
        folders: Folders,
        index: PackageIndex,
        *,
        uid: int | None,
        network: str,
        outside: Outside,
        owner: str,
    ) -> None:
        """`uid` is the builder's, None without root; `owner` names this box on its containers.

        `network` is what the configuration says.
        """
        self._connection = connection
        self._programs = programs
        self._folders = folders
        self._index = index
        self._uid = uid
        self._network, self._outside = network, outside
        self._owner = owner
        self._ways = Ways(programs, folders, index)

    async def build(
        self,
        requirements: Requirements,
        image: str,
        target: PythonTarget,
        report: Report,
        needed: NeedsBuildError,
    ) -> Path:
        """A folder of wheels of whatever `requirements` need and only exists as source.

        LabboxError "invalid" with the end of the build's output where a build script fails.
        """
        mark = os.urandom(6).hex()
        room = self._folders.cache / "built" / f"room-{mark}"
        taken = self._folders.cache / "built" / mark
        try:
            await asyncio.to_thread(self._furnish, room, requirements)
            report(Progress(phase="build", done=0, unit="packages"))
            report("some packages have no wheel for this Python: building them from source")
            outcome = await self._run(room, image, _RESOLVE, (), requirements, report)
            if outcome.code != 0:
                self._explain(outcome, requirements)
            wanted = _without_wheels(await self._programs.lock(room / "pylock.toml"))
            if not wanted:
                raise LabboxError(
                    "invalid",
                    f"cannot build what is needed: {visible_line(str(needed))[:400]}",
                    "ask for other versions",
                )
            report(Progress(phase="build", done=0, total=len(wanted), unit="packages"))
            words = await asyncio.to_thread(_words, room, wanted, requirements)
            outcome = await self._run(
                room, image, _BUILD, words, requirements, _counting(report, len(wanted))
            )
            if outcome.code != 0:
                raise _wrong_python(outcome, wanted, target, requirements) or _build_error(outcome, wanted)
            request = {
                "action": "take",
                "source": str(room / "wheels"),
                "target": str(taken),
                "names": [_normal(each.split("==")[0]) for each in wanted],
            }
            answer = await self._programs.helper(request, seconds=_TAKE_SECONDS)
            if len(set(answer["taken"])) < len(wanted):
                raise LabboxError(
                    "invalid",
                    f"cannot build {', '.join(wanted)}: the build left no wheel",
                    "ask for other versions",
                )
            return taken
        finally:
            await asyncio.to_thread(shutil.rmtree, room, ignore_errors=True)

    async def discard(self, folder: Path) -> None:
        """Remove a folder that `build` gave, once its wheels are installed."""
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)

    def _furnish(self, room: Path, requirements: Requirements) -> None:
        for folder in (room, room / "wheels"):
            folder.mkdir()
            folder.chmod(0o755)
            if self._uid is not None:
                os.chown(folder, self._uid, self._uid)
        (room / "requirements.in").write_text(requirements.text(), "utf-8")
        (room / "constraints.in").write_text(requirements.constraint_text(), "utf-8")

    async def _run(
        self,
        room: Path,
        image: str,
        script: str,
        words: tuple[str, ...],
        requirements: Requirements,
        report: Callable[[str], None],
    ) -> Outcome:
        async with self._ways.open() as way:
            return await self._run_on(way, room, image, script, words, requirements, report)

    async def _run_on(
        self,
        way: Way,
        room: Path,
        image: str,
        script: str,
        words: tuple[str, ...],
        requirements: Requirements,
        report: Callable[[str], None],
    ) -> Outcome:
        binds, env = await asyncio.to_thread(self._surroundings, room, way)
        options = " ".join(self._index.uv_options())
        more = "--constraints constraints.in" if requirements.constraints else ""
        env |= {
            "UV_CACHE_DIR": "/build/cache",
            "UV_NO_CONFIG": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "HOME": "/build",
            "LABBOX_OPTIONS": options,
            "LABBOX_MORE": f"{options} {more} {'--prerelease allow' if requirements.prereleases else ''}",
        }
        errand = Errand(
            image=image,
            command=way.command("sh", "-c", script, "build", *words),
            uid=os.getuid() if self._uid is None else self._uid,
            binds=tuple(binds),
            network=await self._outside.instead_of(self._network),
            seconds=_BUILD_SECONDS,
            cwd="/build",
        )

        def say(line: str) -> None:
            if not _NOISE.match(line):
                report(_VERSIONS.sub("", line))

        return await throwaway.run(self._connection, self._owner, errand, env=env, say=say)

    def _surroundings(self, room: Path, way: Way) -> tuple[list[Bind], dict[str, str]]:
        """What the build sees of this machine, and the index settings in the words of that view."""
        binds = [Bind(source=room, target="/build", writable=True), *way.binds]
        binds.append(Bind(source=self._programs.uv_binary(), target="/labbox/uv"))
        binds += [
            Bind(source=folder, target=str(folder)) for folder in self._index.folders() if folder.is_dir()
        ]
        env = way.index.for_uv() | way.index.for_pip()
        certificates = self._index.certificates
        if certificates and Path(certificates).is_file():
            binds.append(Bind(source=Path(certificates).resolve(), target=_CERTIFICATES))
            env = {name: _CERTIFICATES if value == certificates else value for name, value in env.items()}
        return binds, env

    def _explain(self, outcome: Outcome, requirements: Requirements) -> None:
        text = "\n".join(outcome.lines)
        failed = re.search(r"Failed to build `?([\w.-]+)|Call to .* failed", text)
        if failed:
            raise _build_error(outcome, (failed[1] or "a package",))
        where = requirements.requirements[0].file if requirements.requirements else "the project"
        try:
            explain(text, requirements, where)
        except NeedsBuildError as error:
            raise LabboxError(
                "invalid", f"cannot build what {visible_line(where)} needs: {visible_line(str(error))[:400]}"
            ) from error


def _without_wheels(packages: Sequence[dict[str, Any]]) -> tuple[str, ...]:
    """``name==version`` of what a lock has only as source; the lock is the builder's word, no more."""
    found = [f"{one['package']}=={one['version']}" for one in packages if not one["wheels"]]
    return tuple(
        each for each in found if re.fullmatch(r"[A-Za-z0-9][\w.-]*==[A-Za-z0-9][\w.!+-]*", each, re.ASCII)
    )


def _words(room: Path, wanted: tuple[str, ...], requirements: Requirements) -> tuple[str, ...]:
    """What pip is told to build: with the hashes that are asked for, which it checks of the sources."""
    hashes = {each: _asked_of(each, requirements) for each in wanted}
    if not requirements.in_hash_mode and not any(hashes.values()):
        return wanted
    lines = [" ".join((each, *(f"--hash={one}" for one in hashes[each]))) for each in wanted]
    (room / "wanted.txt").write_text("".join(f"{line}\n" for line in lines), "utf-8")
    return "--require-hashes", "--requirement", "wanted.txt"


def _asked_of(package: str, requirements: Requirements) -> tuple[str, ...]:
    name, _, version = package.partition("==")
    return tuple(dict.fromkeys(one for line in requirements.hashed(name, version) for one in line.hashes))


def _counting(report: Report, total: int) -> Callable[[str], None]:
    done = 0

    def say(line: str) -> None:
        nonlocal done
        report(line)
        if re.match(r"\s*Created wheel for ", line):
            done += 1
            report(Progress(phase="build", done=done, total=total, unit="packages"))

    return say


def _wrong_python(
    outcome: Outcome, wanted: tuple[str, ...], target: PythonTarget, requirements: Requirements
) -> LabboxError | None:
    """Pip leaves out what is for other Pythons: "1.21.6 Requires-Python >=3.7,<3.11"."""
    for line in outcome.lines:
        if "require a different python version" not in line:
            continue
        for name, _, version in (each.partition("==") for each in wanted):
            for left_out in line.partition("version:")[2].split(";"):
                number, said, needs = left_out.strip().partition(" Requires-Python ")
                if said and number == version:
                    return other_python(name, version, needs, target.version, requirements)
    return None


def _build_error(outcome: Outcome, packages: tuple[str, ...]) -> LabboxError:
    text = "\n".join(outcome.lines)
    if match := re.search(r"Expected (sha\d+) (?:or )?([0-9a-f]+)[\s\S]*?Got\s+([0-9a-f]+)", text):
        return LabboxError(
            "invalid",
            f"cannot build {', '.join(packages)}: the file asks for {match[1]}:{match[2]}, "
            f"and what the index has is {match[1]}:{match[3]}",
            "correct the hash if the version is meant; else somebody else's file stands in its place",
        )
    noise = re.compile(r"^\s*(?:note:|hint:|\[?notice\]?|\[end of output\]|$)|^\s*[╰│]─?>?\s*$")
    lines = [line.strip() for line in outcome.lines if not noise.match(line.strip())]
    failed = re.findall(
        r"(?:Failed to build(?: installable wheels for)?|ERROR: Failed building wheel for) `?([\w.-]+)",
        "\n".join(lines),
    )
    name = failed[0] if failed else ", ".join(packages)
    meaningful = [
        line
        for line in lines
        if not re.match(r"(?:ERROR: Failed|error: subprocess-exited|Failed to build)", line)
    ]
    if (lack := lacking(lines)) is not None:
        way = "name Debian's package of it in apt.txt"
        if lack.package:
            way = f"write {lack.package} into apt.txt"
        return LabboxError(
            "invalid",
            f"cannot build {visible_line(name)} from source: {lack.what} "
            f"({' / '.join(meaningful[-2:])[:400]})",
            f"{way}, a package a line; or ask for a version that has a wheel",
        )
    return LabboxError(
        "invalid",
        f"cannot build {visible_line(name)} from source: its build failed: {' / '.join(meaningful[-4:])}",
        "missing compilers and libraries can be named in apt.txt; or ask for a version that has a wheel",
    )


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
