"""Environments on a real engine, with packages that the tests make themselves."""

from __future__ import annotations

import asyncio
import os
import tempfile
import uuid
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from made_packages import make_source, make_wheel
from wishes import NAMES, Tree, asked

from labbox.custom import Configuration, ContainerSettings, Settings, Template, recipe
from labbox.daemon.containers.base import BaseImage
from labbox.daemon.containers.chores import by_ourselves
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.environments import (
    EnvFile,
    EnvironmentPlan,
    Environments,
    FileKind,
    Prepared,
    throwaway,
)
from labbox.daemon.containers.environments.plan import Context
from labbox.daemon.containers.environments.throwaway import Bind, Errand, Outcome
from labbox.daemon.containers.outside import Outside
from labbox.files.software.asked import Software
from labbox.model import Progress

RUN_UID = 70001
# The machine's own network: engines that other tests start without a bridge take the machine's bridge away.
SETTINGS = Settings(containers=ContainerSettings(build_network="host"))
PYTHON = Template(name="python", title="Python", entries=("app.py",), command=("python3", "{entry}"))


_PATIENCE = 110.0  # seconds for an environment, and
_FIRST = 500.0  # for the first, which may make the base image, beside all that other tests do


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = [item for item in items if item.path.is_relative_to(Path(__file__).parent)]
    for item in here[:1]:
        item.add_marker(pytest.mark.timeout(_FIRST + 60))


class Box:
    """A state folder with its environments, and what they told."""

    patience = _FIRST

    def __init__(self, environments: Environments, connection: Connection, state: Path, name: str) -> None:
        self.environments, self.connection, self.state, self.name = environments, connection, state, name
        self.progress: list[Progress] = []
        self.lines: list[str] = []

    def hear(self, what: Progress | str) -> None:
        if isinstance(what, str):
            self.lines.append(what)
        else:
            self.progress.append(what)

    async def prepare(
        self,
        *files: tuple[FileKind, str],
        context: Path | Context | None = None,
        template: Template = PYTHON,
        image: str | None = None,
        software: Software | None = None,
        asker: str = "",
    ) -> Prepared:
        plan = EnvironmentPlan(
            template=template,
            files=tuple(EnvFile(kind=kind, name=NAMES[kind], content=text.encode()) for kind, text in files),
            software=asked(*files) if software is None else software,
            context=Tree(context) if isinstance(context, Path) else context,
            image=image,
            asker=asker,
        )
        async with asyncio.timeout(Box.patience):
            made = await self.environments.prepare(plan, self.hear)
        Box.patience = _PATIENCE
        return made

    async def run(self, prepared: Prepared, *command: str) -> Outcome:
        """Run a command as a job would: a user's uid, the environment mounted read-only, its PATH first."""
        binds: tuple[Bind, ...] = ()
        if prepared.environment is not None:
            binds = (Bind(source=prepared.environment, target=str(prepared.environment)),)
        env = {**prepared.env, "PATH": ":".join((*prepared.path, "/usr/local/bin:/usr/bin:/bin:/usr/games"))}
        errand = Errand(image=prepared.image, command=command, uid=RUN_UID, binds=binds)
        return await throwaway.run(self.connection, self.name, errand, env=env)


@pytest.fixture
def links() -> Iterator[Path]:
    """A folder of packages that anybody can read."""
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="labbox-links-") as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.fixture
def state() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/var/tmp", prefix="labbox-state-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@pytest.fixture
async def connection(engine_url: str) -> AsyncIterator[Connection]:
    found = Connection(engine_url)
    await found.greet()
    yield found
    found.close()


@pytest.fixture
async def open_box(
    connection: Connection, state: Path, links: Path, tmp_path: Path
) -> AsyncIterator[Callable[..., Any]]:
    """Opens environments on the state folder; packages come from `links` alone unless `environ` says more."""
    tasks: list[asyncio.Task[None]] = []
    base = BaseImage(connection, recipe=recipe(), scratch=tmp_path)

    async def start(
        environ: Mapping[str, str] | None = None,
        settings: Settings | None = None,
        folder: Path = state,
        running: bool = True,
    ) -> Box:
        name = f"test{uuid.uuid4().hex[:8]}"
        own = {"PIP_CONFIG_FILE": os.devnull, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(links)}
        configuration = Configuration(settings=settings or SETTINGS, templates=(PYTHON,))
        environments = Environments(
            connection,
            base,
            configuration,
            folder,
            box=name,
            outside=Outside(connection, by_ourselves),
            environ=own if environ is None else environ,
        )
        if running:
            tasks.append(asyncio.create_task(environments.run()))
        return Box(environments, connection, folder, name)

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture
async def box(open_box: Callable[..., Any]) -> Box:
    opened: Box = await open_box()
    return opened


@pytest.fixture
def wheel(links: Path) -> Callable[..., Path]:
    """Makes a wheel that the box's environments can use."""

    def make(name: str, *arguments: Any, **settings: Any) -> Path:
        return make_wheel(links, name, *arguments, **settings)

    return make


@pytest.fixture
def source(links: Path) -> Callable[..., Path]:
    """Makes a source distribution with a build script of the test's own."""

    def make(name: str, backend: str, version: str = "1.0") -> Path:
        return make_source(links, name, backend, version)

    return make
