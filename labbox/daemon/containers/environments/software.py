"""Images: the base, a template's or a job's own, with Debian packages, or made by a project's Dockerfile."""

from __future__ import annotations

import asyncio
import contextlib
import fnmatch
import os
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import IO, Final, Protocol

from labbox.custom import ContainerSettings
from labbox.daemon.containers.aptaccess import keep_run
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.debian import archive_access
from labbox.daemon.containers.environments import throwaway
from labbox.daemon.containers.environments.folders import digest
from labbox.daemon.containers.environments.index import PackageIndex
from labbox.daemon.containers.environments.plan import Context, EnvFile, Report
from labbox.daemon.containers.environments.throwaway import Errand
from labbox.daemon.containers.environments.ways import Ways
from labbox.daemon.containers.images import build_image, context_of, find_image, pull_image
from labbox.daemon.containers.outside import Outside
from labbox.errors import LabboxError
from labbox.files.software.asked import Recipe
from labbox.files.software.dockerfile import BASE, OWN_REPOSITORY, Refused, check_lines, is_own, whole_name
from labbox.files.software.plain import is_package
from labbox.model import Progress
from labbox.text import visible_line

LABEL: Final = "labbox.environment"
_DOCKERFILE: Final = "Dockerfile"
_OUTSIDE_SECONDS: Final = 7200  # the longest build
_NOBODY: Final = 65534


class BaseImage(Protocol):
    """Gives the job base image: `labbox.daemon.containers.base.BaseImage`."""

    async def ensure(self, report: Report) -> str:
        """The image's id; makes the image where it is missing."""


class Images:
    """Finds or makes the image of a run."""

    def __init__(
        self,
        connection: Connection,
        base: BaseImage,
        settings: ContainerSettings,
        index: PackageIndex,
        ways: Ways,
        outside: Outside,
        owner: str,
        scratch: Path,
    ) -> None:
        """`index` tells our own builds the proxy, `ways` lead out of people's; `owner` names this box.

        `outside`: the network of people's builds.
        """
        self._connection = connection
        self._base = base
        self._settings = settings
        self._index = index
        self._ways, self._outside = ways, outside
        self._owner = owner
        self._scratch = scratch

    async def base(self, report: Report) -> str:
        """The id of the job base image."""
        return await self._base.ensure(report)

    async def named(self, name: str, report: Report) -> str:
        """The id of an image that a template or a job names; pulled where the engine has none.

        A name is a name: the beginning of an id would lead to other people's images.
        """
        if not whole_name(name) or is_own(whole_name(name)):
            raise LabboxError(
                "invalid",
                f"cannot use the image {visible_line(name)}: that is no image name",
                'such as "python:3.12"',
            )
        found = await self._find_by_name(name)
        if found is None and self._settings.pull:
            await pull_image(self._connection, name if _has_tag(name) else f"{name}:latest", report)
            found = await self._find_by_name(name)
        if found is None:
            raise LabboxError(
                "not_found",
                f"cannot find the image {visible_line(name)}: the engine has none of that name",
                "check the name, or ask whoever runs the box to load it",
            )
        return found

    async def with_packages(self, image: str, packages: Sequence[str], report: Report, *, ours: bool) -> str:
        """The id of `image` with Debian packages added.

        In an image that is not `ours`, apt is anybody's program: it is told no password.
        """
        words = sorted(set(packages))
        if not words:
            return image
        for word in words:  # they come from a process of the person's, and go to a shell
            if not is_package(word):
                raise LabboxError("invalid", f"cannot add “{visible_line(word)[:80]}”: it is no package name")
        if not ours:
            await self._check_triggers(image, image)
        tag = f"{OWN_REPOSITORY}:{digest('apt-1', image, *words)}"
        found = await find_image(self._connection, tag)
        if found is not None:
            return str(found["Id"])
        await self._add_packages(tag, image, words, report, ours=ours)
        return await self._id(tag)

    async def from_dockerfile(
        self, recipe: Recipe, context: Context | None, others: Sequence[EnvFile], base: str, report: Report
    ) -> str:
        """The id of the image that a project's Dockerfile makes, where the box allows that.

        `others`: the project's files that describe its software, which may stand beside the Dockerfile.
        """
        if not self._settings.dockerfiles:
            raise LabboxError(
                "forbidden",
                f"cannot build {visible_line(recipe.file)}: this box does not allow Dockerfiles",
                "use requirements.txt, environment.yml or apt.txt, or ask whoever runs the box to allow them",
            )
        for each in check_bases(recipe, self._settings.bases):
            await self._check_triggers(await self.named(each, report), each)
        # A name that only this box has: no registry may give us another image of that name.
        content = recipe.text(base)
        beside = {}
        if recipe.file == _DOCKERFILE:
            beside = {
                one.name: one.content for one in others if "/" not in one.name and one.name != recipe.file
            }
        known = [part for name, data in sorted(beside.items()) for part in (name, data)]
        tree = "" if context is None else context.name
        tag = f"{OWN_REPOSITORY}:{digest('dockerfile-4', recipe.file, content, tree, *known)}"
        found = await find_image(self._connection, tag)
        if found is not None:
            return str(found["Id"])
        if context is None:
            archive = context_of({_DOCKERFILE: content.encode()})
        else:
            archive = await context.pack(content, beside)  # theirs: what is built is `content` all the same
        with archive:
            await self._build_theirs(content, archive, tag, recipe.file, report)
        return await self._id(tag)

    async def own_command(self, image: str) -> tuple[tuple[str, ...], str]:
        """What an image runs by itself (its entry point and command, a shell's words included), and where."""
        found = (await find_image(self._connection, image) or {}).get("Config") or {}
        words = (*(found.get("Entrypoint") or ()), *(found.get("Cmd") or ()))
        return words, str(found.get("WorkingDir") or "/")

    async def exists(self, image: str) -> bool:
        """Whether the engine still has an image."""
        return await find_image(self._connection, image) is not None

    async def remove(self, image: str) -> bool:
        """Remove an image that was made here; whether there is nothing left to do about it.

        One that a container or another image needs stays for now; one that was not made here, or got a name
        from somebody else, stays for good.
        """
        found = await find_image(self._connection, image)
        if found is None:
            return True
        names = found.get("RepoTags") or []
        if names != [((found.get("Config") or {}).get("Labels") or {}).get(LABEL)]:
            return True
        try:
            await self._connection.call(lambda api: api.remove_image(image))
        except LabboxError as error:
            if error.code not in ("conflict", "not_found"):
                raise
            return error.code == "not_found"
        return True

    async def _check_triggers(self, image: str, name: str) -> None:
        """Refuse an image with steps for whoever builds on it: they would be done unseen."""
        config = (await find_image(self._connection, image) or {}).get("Config") or {}
        if config.get("OnBuild"):
            raise LabboxError(
                "forbidden",
                f"cannot build on {visible_line(name)[:200]}: it brings steps of its own (ONBUILD)",
                "start from another image, or write its steps into the Dockerfile",
            )

    async def _find_by_name(self, name: str) -> str | None:
        image = await find_image(self._connection, name)
        if image is None:
            return None
        known = [*(image.get("RepoTags") or ()), *(image.get("RepoDigests") or ())]
        wanted = name if _has_tag(name) else f"{name}:latest"
        short = wanted.removeprefix("docker.io/").removeprefix("library/")
        return str(image["Id"]) if wanted in known or short in known else None

    async def _id(self, tag: str) -> str:
        image = await find_image(self._connection, tag)
        if image is None:
            raise LabboxError("unavailable", "cannot find the image that was just made", "try again")
        return str(image["Id"])

    async def _add_packages(
        self, tag: str, image: str, words: Sequence[str], report: Report, *, ours: bool
    ) -> None:
        """Run our own words in it; what fails in them are package names, or the way to the archive."""
        said: list[str] = []

        def listen(what: Progress | str) -> None:
            if isinstance(what, str):
                said.append(what)
                del said[:-50]
            report(what)

        try:
            if not ours:
                async with self._way_out(report) as (network, arguments):
                    await self._install(tag, image, words, listen, network, arguments, limited=True)
            elif access := await asyncio.to_thread(archive_access):
                await self._install_with_access(tag, image, words, listen, access)
            else:
                network, arguments = self._settings.build_network, self._index.proxy_arguments()
                await self._install(tag, image, words, listen, network, arguments)
        except LabboxError as error:
            if error.code != "invalid":
                raise
            _check_engine(error)
            raise _apt_error(said) from error

    async def _install(
        self,
        tag: str,
        image: str,
        words: Sequence[str],
        report: Report,
        network: str,
        arguments: dict[str, str],
        *,
        limited: bool = False,
    ) -> None:
        await build_image(
            self._connection,
            f"FROM {image}\nUSER root\nRUN {_apt_script(words)}\n".encode(),
            tag,
            report,
            phase="packages",
            build_args=arguments,
            labels={LABEL: tag},
            network=network,
            limited=limited,
        )

    async def _install_with_access(
        self, tag: str, image: str, words: Sequence[str], report: Report, access: str
    ) -> None:
        await keep_run(
            self._connection,
            image,
            _apt_script(words),
            tag,
            report,
            said=access,
            env=self._index.proxy_arguments(),
            scratch=self._scratch,
            network=self._settings.build_network,
            changes=[f"LABEL {LABEL}={tag}"],
        )

    async def _build_theirs(
        self, content: str, archive: IO[bytes], tag: str, name: str, report: Report
    ) -> None:
        async with self._way_out(report) as (network, arguments):
            await self._build_on(network, arguments, content, archive, tag, name, report)

    @contextlib.asynccontextmanager
    async def _way_out(self, report: Report) -> AsyncIterator[tuple[str, dict[str, str]]]:
        """The network of a person's build, and what it is told of proxies: no password.

        Where the box has a proxy, which may want a password and stand on this machine, or builds would get
        the machine's own network, the build joins that of a container in which a way of ours is open.
        """
        network, arguments = self._settings.build_network, self._index.proxy_arguments()
        walled = await self._outside.instead_of(network)
        if network != "host" and not {"http_proxy", "https_proxy"} & arguments.keys():
            yield walled, arguments
            return
        base = await self.base(report)
        async with self._ways.open() as way:
            opened = asyncio.get_running_loop().create_future()
            errand = Errand(
                image=base,
                command=way.command("sleep", str(_OUTSIDE_SECONDS)),
                uid=_NOBODY,
                binds=way.binds,
                network=walled,
                seconds=_OUTSIDE_SECONDS,
            )
            name = f"labbox-throwaway-{os.urandom(6).hex()}"

            def hear(line: str) -> None:
                if line == "ready" and not opened.done():
                    opened.set_result(None)

            holding = asyncio.create_task(
                throwaway.run(self._connection, self._owner, errand, say=hear, name=name)
            )
            try:
                await asyncio.wait((holding, opened), timeout=60, return_when=asyncio.FIRST_COMPLETED)
                if not opened.done():
                    raise LabboxError("unavailable", "cannot open a way out for a build", "try again")
                yield f"container:{name}", way.index.proxy_arguments()
            finally:
                opened.cancel()
                holding.cancel()
                await asyncio.gather(holding, return_exceptions=True)

    async def _build_on(
        self,
        network: str,
        arguments: dict[str, str],
        content: str,
        archive: IO[bytes],
        tag: str,
        name: str,
        report: Report,
    ) -> None:
        step, said = "", list[str]()

        def listen(what: Progress | str) -> None:
            nonlocal step
            if isinstance(what, str):
                if re.match(r"Step \d+/\d+ : ", what):
                    step = what
                    said.clear()
                else:
                    said.append(what)
                    del said[:-6]
            report(what)

        try:
            await build_image(
                self._connection,
                content.encode(),
                tag,
                listen,
                build_args=arguments,
                labels={LABEL: tag},
                network=network,
                context=archive,
                limited=True,
            )
        except LabboxError as error:
            if error.code not in ("invalid", "internal", "not_found"):
                raise
            _check_engine(error)
            where = f"{step[5:].replace(' : ', ': ', 1)}: " if step else ""
            end = " / ".join(said) or error.message.rpartition(": ")[2]
            raise LabboxError(
                "invalid",
                f"cannot build {visible_line(name)}: {'step ' if step else ''}{where}{end}",
                "correct that step and submit again",
            ) from error


def check_bases(recipe: Recipe, allowed: Sequence[str]) -> tuple[str, ...]:
    """Refuse images that the box does not allow builds to start or copy from; an empty list allows all.

    Those that it uses are given, but for the box's own and the empty one.
    """
    try:
        images = check_lines(recipe.lines).images  # the lines come from a process of the person's
    except Refused as refused:
        raise LabboxError(
            "invalid", f"cannot build {visible_line(recipe.file)}: {refused.why}", refused.hint
        ) from refused
    for image in images if allowed else ():
        _check_base(image, allowed, recipe.file)
    return tuple(image for image in images if image not in (BASE, "scratch"))


def _check_base(image: str, allowed: Sequence[str], name: str) -> None:
    repository = re.sub(r":[^:/]*\Z", "", image.partition("@")[0])
    names = {image, repository, f"docker.io/{image}", f"docker.io/library/{image}"}
    if not any(fnmatch.fnmatchcase(each, pattern) for each in names for pattern in allowed):
        raise LabboxError(
            "forbidden",
            f"cannot build {visible_line(name)}: this box does not allow to start from {visible_line(image)}",
            f"start from one of: {', '.join(allowed)}",
        )


def _has_tag(name: str) -> bool:
    return "@" in name or ":" in name.rpartition("/")[2]


def _apt_script(packages: Sequence[str]) -> str:
    bare = sorted({re.split("[:=]", each, maxsplit=1)[0] for each in packages})
    known = "".join(  # apt-get takes a name that it does not know for a pattern, where it can be one
        f" && {{ apt-cache pkgnames | grep -Fxq -- {name}"
        f" || {{ echo E: Unable to locate package {name}; exit 100; }}; }}"
        for name in bare
        if set(name) & set(".+")
    )
    return (
        f"export DEBIAN_FRONTEND=noninteractive && apt-get update -q{known}"
        f" && apt-get install -q -y --no-install-recommends -- {' '.join(packages)}"
        " && rm -rf /var/lib/apt/lists/*"
    )


def _check_engine(error: LabboxError) -> None:
    """Raise what is the engine's fault, not the recipe's."""
    if re.search(
        r"failed to create (?:endpoint|shim|task)|network \S+ not found|no space left", error.message
    ):
        raise LabboxError(
            "unavailable",
            f"cannot build in the container engine: {error.message.partition(': ')[2] or error.message}",
            "restart the engine on the box, or make room on its disk",
        ) from error


def _apt_error(said: Sequence[str]) -> LabboxError:
    for line in said:
        if match := re.search(
            r"Unable to locate package (\S+)|Package '?([^' ]+)'? has no installation candidate", line
        ):
            return LabboxError(
                "invalid",
                f"cannot find the Debian package {match[1] or match[2]}",
                "check its name in apt.txt: `apt-cache search` on any Debian knows it",
            )
        if match := re.search(r"Version '(\S+)' for '(\S+)' was not found", line):
            return LabboxError(
                "invalid", f"cannot find version {match[1]} of the Debian package {match[2]}", "leave it out"
            )
    text = " ".join(said)
    if re.search(
        r"Could not resolve|Failed to fetch|Unable to connect|Connection (?:failed|timed out|refused)", text
    ):
        return LabboxError(
            "unavailable",
            "cannot reach the Debian archive from a build",
            "check the box's network, proxy and build_network",
        )
    if "No space left" in text or "You don't have enough free space" in text:
        return LabboxError(
            "unavailable", "cannot install Debian packages: no space left on the engine's disk", "make room"
        )
    end = " / ".join(line for line in said[-3:])
    return LabboxError(
        "invalid", f"cannot install the Debian packages: {end}", "correct apt.txt and submit again"
    )
