"""The service: gives each job its environment, made at most once."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import msgspec

from labbox.custom import Configuration, Template
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.environments import throwaway
from labbox.daemon.containers.environments.complaints import NeedsBuildError
from labbox.daemon.containers.environments.conda import Condas
from labbox.daemon.containers.environments.folders import Folders, Known, digest
from labbox.daemon.containers.environments.index import read_package_index
from labbox.daemon.containers.environments.interpreters import Interpreters
from labbox.daemon.containers.environments.places import Places
from labbox.daemon.containers.environments.plan import EnvironmentPlan, Prepared, Report
from labbox.daemon.containers.environments.programs import Programs
from labbox.daemon.containers.environments.python import Locked, Pythons
from labbox.daemon.containers.environments.shared import SharedWork
from labbox.daemon.containers.environments.software import BaseImage, Images
from labbox.daemon.containers.environments.sources import Builder
from labbox.daemon.containers.environments.target import FALLBACK, PythonTarget
from labbox.daemon.containers.environments.ways import Ways
from labbox.daemon.containers.environments.wishes import check_python, satisfies
from labbox.daemon.containers.outside import Outside
from labbox.errors import LabboxError
from labbox.files.software.asked import CondaPlan, Requirements, Software
from labbox.text import visible_line

_log = logging.getLogger(__name__)

_START_LIMIT: Final = 30.0  # seconds until run() must have opened the folders
_HELPER_LIMIT: Final = 900.0  # seconds
_COMPILE_SECONDS: Final = 900.0


class Environments:
    """Prepares what runs need. `run` must be running; `prepare` may be called by many at once."""

    def __init__(
        self,
        connection: Connection,
        base: BaseImage,
        configuration: Configuration,
        state: Path,
        *,
        box: str,
        outside: Outside,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        """`box` is this box's id; `environ` the daemon's environment (its proxy and pip settings).

        `outside` is the network of people's builds, where the configuration names no other.
        """
        settings = configuration.settings
        root = os.geteuid() == 0
        installer = settings.people.first_uid - 1 if root else None
        builder = settings.people.first_uid - 2 if root else None
        index = read_package_index(os.environ if environ is None else environ, settings.index)
        workers = os.cpu_count() or 1
        self._connection = connection
        self._configuration = configuration
        self._box = box
        self._index_name = digest(*(f"{key}={value}" for key, value in sorted(index.for_uv().items())))
        self._folders = Folders(state, installer)
        self._programs = Programs(state, installer, index)
        self._images = Images(
            connection,
            base,
            settings.containers,
            index,
            Ways(self._programs, self._folders, index),
            outside,
            box,
            state / "scratch",
        )
        self._pythons = Pythons(self._programs, self._folders, workers)
        self._condas = Condas(self._programs, self._folders, index, settings.index.channels)
        self._builder = Builder(
            connection,
            self._programs,
            self._folders,
            index,
            uid=builder,
            network=settings.containers.build_network,
            outside=outside,
            owner=box,
        )
        self._interpreters = Interpreters(
            connection, self._programs, self._folders, workers, box, builder=builder
        )
        self._ready: dict[str, Prepared] = {}
        self._places = Places()
        self._askers: dict[str, Counter[str]] = {}  # of each plan that is being made
        self._plans = SharedWork[Prepared]()
        self._makes = SharedWork[Path]()
        self._open = asyncio.Event()
        self._published = asyncio.Event()

    async def run(self) -> None:
        """Clear away what an earlier daemon left unfinished, then hold the builds until cancelled."""
        unfinished = await asyncio.to_thread(self._folders.open)
        if unfinished:
            await self._programs.helper({"action": "remove", "folders": unfinished}, seconds=_HELPER_LIMIT)
        try:
            async with asyncio.TaskGroup() as group:
                self._plans.open(group)
                self._makes.open(group)
                self._interpreters.probes.open(group)
                group.create_task(self._remove_left_behind())
                self._open.set()
                while True:
                    await self._published.wait()
                    self._published.clear()
                    await self._settle()
        finally:
            self._open.clear()

    async def _remove_left_behind(self) -> None:
        """Beside the first builds: an engine that imports a large image keeps whoever asks it waiting."""
        with contextlib.suppress(LabboxError):  # no engine now: nothing of ours can run there either
            await throwaway.remove_left_behind(self._connection, self._box)

    async def _settle(self) -> None:
        """Have what was made flushed, off the way of whoever waits for it."""
        try:
            await asyncio.to_thread(self._folders.marks.settle)
        except OSError as error:
            _log.warning("environments made now will be made again after a power cut: %s", error)

    async def prepare(self, plan: EnvironmentPlan, report: Report) -> Prepared:
        """Make, or find, what a run needs; `report` follows the work.

        Whoever asks for the same at once shares one build, which goes on when the asker is cancelled; nobody
        waits for another person's builds of anything else (see places.py).
        LabboxError "invalid" where the project's files must change, "unavailable" where it may work later.
        """
        try:
            async with asyncio.timeout(_START_LIMIT):
                await self._open.wait()
        except TimeoutError:
            what = "cannot prepare environments: the box still clears away what an earlier daemon left"
            raise LabboxError("unavailable", what, "try again in a minute") from None
        _check_lines(plan.software)
        key = _plan_key(plan)
        known = self._ready.get(key)
        if known is not None and await self._still_stands(known):
            self._folders.use_image(known.image)
            return known
        askers = self._askers.setdefault(key, Counter())
        askers[plan.asker] += 1
        self._places.look_again()
        try:
            prepared = await self._plans.do(key, lambda tell: self._prepare(plan, tell), report)
        finally:
            askers[plan.asker] -= 1
            if not any(askers.values()):
                self._askers.pop(key, None)
        self._folders.use_image(prepared.image)
        self._ready[key] = prepared
        return prepared

    async def prune(self, unused_seconds: float, keep: frozenset[str] = frozenset()) -> int:
        """Remove environments, wheels and images made here not used for so long; how many environments went.

        `keep` are the names of the environments and the ids of the images that jobs use now.
        """
        environments, wheels = await asyncio.to_thread(self._folders.unused, unused_seconds, keep)
        folders = [str(path) for path in (*environments, *wheels)]
        if folders:
            await self._programs.helper({"action": "remove", "folders": folders}, seconds=_HELPER_LIMIT)
        gone = {path.name for path in environments}
        self._ready = {key: ready for key, ready in self._ready.items() if ready.name not in gone}
        for image in await asyncio.to_thread(self._folders.unused_images, unused_seconds, keep):
            if await self._images.remove(image):
                self._folders.forget_image(image)
        return len(environments)

    async def _still_stands(self, prepared: Prepared) -> bool:
        if prepared.environment is not None and not self._folders.stands(prepared.environment):
            return False
        return await self._images.exists(prepared.image)

    def _asking(self, plan: EnvironmentPlan) -> set[str]:
        """In whose places a plan is made: of who began it, and of all who wait for it."""
        return {plan.asker, *(+self._askers.get(_plan_key(plan), Counter()))}

    async def _prepare(self, plan: EnvironmentPlan, report: Report) -> Prepared:
        image = await self._image(plan, report)
        prepared = await self._furnished(plan, image, report)
        if plan.software.recipe is None:
            return prepared
        command, cwd = await self._images.own_command(image)
        return msgspec.structs.replace(prepared, command=command, cwd=cwd)

    async def _furnished(self, plan: EnvironmentPlan, image: str, report: Report) -> Prepared:
        """The environment of what the files ask for, on top of an image."""
        requirements, conda = plan.software.requirements, plan.software.conda
        software = plan.software
        if conda is None and software.python and software.recipe is None and plan.image is None:
            other = await self._with_other_python(image, software, report)
            if other is not None:
                return other
        if conda is not None and await self._needs_conda(image, conda, report):
            return await self._with_conda(image, conda, requirements, report)
        if requirements is None:
            return Prepared(image=image, digest=image)
        target = await self._interpreters.of(image, report)
        check_python(requirements, target.version)
        if not requirements.requirements:
            return Prepared(image=image, digest=image)
        lock, path, name = await self._python(plan, image, target, requirements, report)
        return Prepared(
            image=image,
            digest=image,
            environment=path,
            name=name,
            path=(str(path / "bin"),),
            env={"VIRTUAL_ENV": str(path)},
            lock=lock,
        )

    async def _image(self, plan: EnvironmentPlan, report: Report) -> str:
        """The image: by the project's Dockerfile, else the job's, the template's, the base; with packages."""
        template = plan.template
        recipe, extra, ours = plan.software.recipe, plan.software.packages, False
        if recipe is not None:
            base = await self._images.base(report) if recipe.on_base else ""
            async with self._places.of(lambda: self._asking(plan)):
                image = await self._images.from_dockerfile(recipe, plan.context, plan.files, base, report)
            self._folders.use_image(image)  # also where packages come on top
        elif plan.image is not None:
            image = await self._images.named(plan.image, report)
        elif template.image is not None:
            image = await self._images.named(template.image, report)
            extra = (*template.apt, *extra)
        else:
            template = self._runnable(template)
            image, ours = await self._images.base(report), True
            extra = (*template.apt, *extra)
        if ours or not extra:
            return await self._images.with_packages(image, extra, report, ours=ours)
        async with self._places.of(lambda: self._asking(plan)):  # its apt-get may be anybody's program
            return await self._images.with_packages(image, extra, report, ours=False)

    def _runnable(self, template: Template) -> Template:
        """`template`, or what it falls back to where it needs an image and names none."""
        if not template.unavailable and not template.fallback:
            return template
        fallback = self._configuration.template(template.fallback) if template.fallback else None
        if fallback is not None:
            return fallback
        raise LabboxError(
            "invalid",
            f"cannot run {visible_line(template.title)} here: {template.unavailable}",
            "name an image with --image or in job.toml; whoever runs the box can put one into the template",
        )

    async def _python(
        self,
        plan: EnvironmentPlan,
        image: str,
        target: PythonTarget,
        requirements: Requirements,
        report: Report,
    ) -> tuple[str, Path, str]:
        """The lock, folder and name of the environment that `requirements` come to today."""
        question = self._question(requirements, target, image)
        known = self._folders.recall(question)
        if known is not None and _same_day(known.at):
            path = self._folders.environment(known.name)
            if self._folders.stands(path):
                return known.lock, path, known.name
        links: Path | None = None
        try:
            try:
                locked = await self._pythons.resolve_patiently(requirements, target, report)
            except NeedsBuildError as needed:
                async with self._places.of(lambda: self._asking(plan)):
                    links = await self._builder.build(requirements, image, target, report, needed)
                locked = await self._pythons.resolve_patiently(requirements, target, report, links)
            except LabboxError as error:
                # The index does not answer: what the same file came to before is better than nothing.
                if error.code != "unavailable" or known is None:
                    raise
                path = self._folders.environment(known.name)
                if not self._folders.stands(path):
                    raise
                report(f"{error.message}; using the environment made for this file before")
                return known.lock, path, known.name
            name = _environment_name(image, target, locked)
            lock = _lock_text(locked)
            path = await self._assembled(name, image, target, locked, lock, links, report)
        finally:
            if links is not None:
                await self._builder.discard(links)
        self._folders.remember(question, Known(name=name, lock=lock, at=time.time()))
        return lock, path, name

    async def _assembled(
        self,
        name: str,
        image: str,
        target: PythonTarget,
        locked: Sequence[Locked],
        lock: str,
        links: Path | None,
        report: Report,
    ) -> Path:
        path = self._folders.environment(name)
        if self._folders.stands(path):
            return path

        async def compile_elsewhere(folders: Sequence[Path], _target: PythonTarget) -> None:
            await self._interpreters.compile(image, folders, target.executable)

        async def make(tell: Report) -> Path:
            return await self._pythons.make(
                name,
                locked,
                target,
                tell,
                record={"image": image, "python": target.version, "lock": lock},
                compile_elsewhere=compile_elsewhere,
                links=links,
                alone=image,
            )

        made = await self._makes.do(name, make, report)
        self._published.set()
        return made

    async def _with_conda(
        self, image: str, conda: CondaPlan, requirements: Requirements | None, report: Report
    ) -> Prepared:
        """A conda environment, with pip's packages on top where it names some."""
        pips = _pips(requirements) if requirements else ()
        question = digest("conda-3", *conda.key(), *pips, image)
        known = self._folders.recall(question)
        path = self._folders.environment(known.name) if known else None
        if known is None or path is None or not _same_day(known.at) or not self._folders.stands(path):
            known, path = await self._make_conda(question, image, conda, requirements, report)
        return Prepared(
            image=image,
            digest=image,
            environment=path,
            name=known.name,
            path=(str(path / "bin"),),
            env={"CONDA_PREFIX": str(path), "CONDA_DEFAULT_ENV": known.name},
            lock=known.lock,
        )

    async def _with_other_python(self, image: str, software: Software, report: Report) -> Prepared | None:
        """The Python that a runtime.txt asks for, from conda; None where it is here, or cannot be had."""
        here = (await self._system_of(image, report)).series
        if here == software.python:
            return None
        plan = CondaPlan(file=software.python_file, specs=(f"python={software.python}",), channels=())
        try:
            return await self._with_conda(image, plan, software.requirements, report)
        except LabboxError as error:
            report(
                f"{visible_line(software.python_file)} asks for Python {software.python}, which is not to be "
                f"had here: {error.message}; going on with Python {here}"
            )
            return None

    async def _needs_conda(self, image: str, conda: CondaPlan, report: Report) -> bool:
        """Whether pip and the image's own Python are not enough."""
        if conda.needs_conda or not conda.specs:
            return conda.needs_conda
        system = await self._system_of(image, report)
        return system is FALLBACK or not satisfies(system.version, conda.requires_python)

    async def _make_conda(
        self, question: str, image: str, conda: CondaPlan, requirements: Requirements | None, report: Report
    ) -> tuple[Known, Path]:
        system = await self._system_of(image, report)
        solved = await self._condas.solve(conda, system, report)
        locked: tuple[Locked, ...] = ()
        target = solved.python(system) or system
        if requirements is not None and requirements.requirements:
            if solved.python(system) is None:
                raise LabboxError(
                    "invalid",
                    f"cannot install pip's packages of {visible_line(conda.file)}: it names no python",
                    'add "python" to its dependencies',
                )
            try:
                locked = await self._pythons.resolve_patiently(requirements, target, report)
            except NeedsBuildError as error:
                raise LabboxError(
                    "invalid",
                    f"cannot install pip's packages of {visible_line(conda.file)}: some have no wheel",
                    "name them among conda's packages, or ask for versions that have wheels",
                ) from error
        lock = solved.lock() + _lock_text(locked)
        name = digest("conda-environment-2", image, lock)
        path = self._folders.environment(name)

        async def make(tell: Report) -> Path:
            prefix = path.with_name(f"{name}.tmp-{os.urandom(6).hex()}")

            async def compile_elsewhere(folders: Sequence[Path], _target: PythonTarget) -> None:
                await self._interpreters.compile(image, folders, f"{path}/bin/python3", (prefix, path))

            async with self._pythons.stage() as scratch:
                await self._condas.install(solved, prefix, path, scratch, tell)
            return await self._pythons.make(
                name,
                locked,
                target,
                tell,
                record={"image": image, "lock": lock},
                compile_elsewhere=compile_elsewhere,
                prefix=prefix,
                alone=name,
            )

        if not self._folders.stands(path):
            await self._makes.do(name, make, report)
            self._published.set()
        known = Known(name=name, lock=lock, at=time.time())
        self._folders.remember(question, known)
        return known, path

    async def _system_of(self, image: str, report: Report) -> PythonTarget:
        """The image's system, for conda, which may bring its own Python."""
        try:
            return await self._interpreters.of(image, report)
        except LabboxError as error:
            if error.code != "invalid":
                raise
            return FALLBACK

    def _question(self, requirements: Requirements, target: PythonTarget, image: str) -> str:
        """A name for what is to be resolved: the same question has the same answer for a day."""
        return digest(
            "question-2", *_pips(requirements), target.tag, target.full_version, image, self._index_name
        )


def _check_lines(software: Software) -> None:
    """The words come from a process of the person's: each line is to be one where it is written down."""
    found = software.requirements
    for line in (*found.requirements, *found.constraints) if found is not None else ():
        if len(line.text.splitlines()) != 1 or "\0" in line.text or line.text.startswith("-"):
            raise LabboxError(
                "invalid",
                f"cannot use “{visible_line(line.text)[:200]}”: it is no requirement",
                "write one requirement a line",
            )


def _pips(requirements: Requirements) -> tuple[str, ...]:
    """All that decides what pip's part comes to."""
    prereleases = str(requirements.prereleases)
    return requirements.text(), requirements.constraint_text(), prereleases, requirements.hash_text()


def _plan_key(plan: EnvironmentPlan) -> str:
    """A name for a whole plan, valid for today: indexes change."""
    template = plan.template
    parts: list[str | bytes] = [
        datetime.now(UTC).date().isoformat(),
        plan.image or "",
        plan.context.name if plan.context is not None else "",
        plan.software.key(),
    ]
    parts += [template.name, template.image or "", *template.apt]
    if plan.software.recipe is not None:
        for file in plan.files:
            parts += [file.name, file.content]
    return digest("plan-2", *parts)


def _environment_name(image: str, target: PythonTarget, locked: Sequence[Locked]) -> str:
    return digest("environment-2", image, target.tag, target.executable, *(each.line() for each in locked))


def _lock_text(locked: Sequence[Locked]) -> str:
    return "".join(f"{each.line()}\n" for each in locked)


def _same_day(seconds: float) -> bool:
    return datetime.fromtimestamp(seconds, UTC).date() == datetime.now(UTC).date()
