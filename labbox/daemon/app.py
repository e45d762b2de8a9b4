"""The composition root: builds the parts of the daemon, starts them in order, and ends them cleanly."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import resource
import signal
import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import msgspec

import labbox
from labbox.custom import Configuration, load, recipe, split_address
from labbox.daemon import footing
from labbox.daemon.api.server import Api
from labbox.daemon.api.services import Services
from labbox.daemon.barring import Barring
from labbox.daemon.containers.base import BaseImage
from labbox.daemon.containers.engine import Engine
from labbox.daemon.containers.environments.index import read_package_index
from labbox.daemon.containers.environments.service import Environments
from labbox.daemon.gate import Gate
from labbox.daemon.health import Health
from labbox.daemon.jobs.capacity import box_total
from labbox.daemon.jobs.folders import WorkerFolders
from labbox.daemon.jobs.logs import Logs
from labbox.daemon.jobs.service import Jobs
from labbox.daemon.leaving import Leaving
from labbox.daemon.people import People
from labbox.daemon.processes import Allowance, Processes
from labbox.daemon.reporting import set_up_log
from labbox.daemon.state import StateFolder
from labbox.daemon.store import Store
from labbox.daemon.taking import Taking
from labbox.daemon.transferring import WorkerTransfers
from labbox.daemon.workers import Workers, start_through
from labbox.errors import LabboxError
from labbox.readiness import notify_systemd

log = logging.getLogger("labbox")

_FOLDER_THREADS: Final = 4
_STOP_SECONDS: Final = 20.0  # for a clean end; systemd would kill after 30


@dataclass(frozen=True, slots=True)
class Options:
    """What `labbox up` was told; `ssh` goes before what `custom` says."""

    state: Path
    custom: Path | None = None
    ssh: str | None = None


def run(options: Options, spawner: socket.socket) -> int:
    """Be the daemon until SIGTERM or SIGINT; `spawner` is the daemon's end of the spawner's socket.

    LabboxError where the box cannot start: a state folder in use or of a newer version, a bad `custom`, an
    address in use, a full disk.
    """
    set_up_log()
    os.umask(0o022)
    footing.check()
    _allow_many_files()
    signal.signal(signal.SIGHUP, lambda *_: _hung_up())
    state = StateFolder(options.state)
    try:
        asyncio.run(_serve(options, state, spawner))
    except ExceptionGroup as group:
        refusals, faults = group.split(LabboxError)
        if refusals is None or faults is not None:
            raise  # a fault of ours: the traceback belongs into the log
        raise _first(refusals) from group
    finally:
        state.close()
    log.info("ended; running jobs go on without the daemon")
    return 0


def _hung_up() -> None:
    """A terminal that was closed, or somebody who expects a reload, must not end everybody's logins."""
    log.info("SIGHUP is ignored: restart the box to read its configuration anew")


async def _serve(options: Options, state: StateFolder, spawner: socket.socket) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    loop.add_signal_handler(signal.SIGHUP, _hung_up)
    configuration = _configure(options)
    async with AsyncExitStack() as stack:
        store = await Store.open(state.store, when_full=state.reserve.give_up)
        stack.push_async_callback(store.close)
        people = People(store, configuration, state.path)
        await people.start()
        stack.push_async_callback(people.close)
        box = _Box(configuration, state, store, people, spawner)
        stack.callback(box.close)
        async with asyncio.TaskGroup() as tasks:
            box.start(tasks)
            await box.open()
            _settle()
            _tell_ready(configuration, *box.address)
            await stopped.wait()
            log.info("ending")
            notify_systemd("STOPPING=1")
            try:
                async with asyncio.timeout(_STOP_SECONDS):
                    await box.stop()
            except TimeoutError:
                log.warning("sessions do not end in time; they are ended by force")
            box.cancel()


class _Box:
    """All parts, wired."""

    def __init__(
        self,
        configuration: Configuration,
        state: StateFolder,
        store: Store,
        people: People,
        spawner: socket.socket,
    ) -> None:
        settings = configuration.settings
        total = box_total(settings.jobs)
        self._people = people
        self._reserve = state.reserve
        people_may = settings.people
        self._processes = Processes(
            spawner,
            Allowance(
                memory=people_may.memory,
                processes=people_may.processes,
                scratch=people_may.scratch,
                keep=(str(state.path),),
            ),
        )
        self._workers = Workers(start_through(self._processes))
        self._threads = ThreadPoolExecutor(_FOLDER_THREADS, thread_name_prefix="folders")
        self._logs = Logs()
        self._engine = Engine(box=state.box_id, gpu_count=total.gpus, chores=self._processes.chore)
        index = read_package_index(os.environ, settings.index)
        base = BaseImage(
            self._engine.connection,
            recipe=recipe(),
            scratch=state.path / "scratch",
            name=settings.containers.base_image,
            pull=settings.containers.pull,
            build_network=settings.containers.build_network,
            build_args=index.proxy_arguments(),
            chores=self._processes.chore,
        )
        self._environments = Environments(
            self._engine.connection,
            base,
            configuration,
            state.path,
            box=state.box_id,
            outside=self._engine.outside,
        )
        self._jobs = Jobs(
            store,
            people,
            self._engine,
            self._environments,
            WorkerFolders(self._workers, configuration, state.path, self._threads, index.places()),
            self._logs,
            WorkerTransfers(self._workers, people),
            configuration,
            state.path,
            state.box_id,
            total=total,
            when_full=state.reserve.give_up,
        )
        self._gate = Gate(people, self._processes, settings, state.path, state.socket)
        self._engine.lacking = lambda: footing.no_jobs(self._engine.connection.lacking_init)
        self._gate.not_from = self._not_from
        self._processes.room = self._jobs.storage.room_now
        self._gate.launcher.watch = self._jobs.storage.until_too_much
        self._gate.launcher.full = self._jobs.storage.full
        self._gate.launcher.taking = Taking(self._workers, people)
        self._health = Health(
            configuration=configuration,
            state=state.path,
            people=people,
            jobs=self._jobs,
            engine=self._engine,
            reserve=state.reserve,
        )
        self._api = Api(
            Services(
                people=people,
                jobs=self._jobs,
                status=self._health.status,
                address=lambda: self.address,
                login_of=self._gate.sessions.of_pid,
                external_editor=settings.tui.external_editor,
            ),
            state.socket,
        )
        people.told = self._jobs.people_changed
        people.relabelled = self._jobs.relabel
        people.departures.append(Leaving(self._gate, self._api, self._jobs, self._workers, state.path))
        people.barring.append(Barring(self._gate, self._api, self._jobs, self._workers))
        people.uninvited = self._gate.send_away_invited
        self._running: list[asyncio.Task[None]] = []
        self.address = ("", 0)

    def _not_from(self, address: str) -> str:
        """Why nobody logs in from an address: each job with a network has one, and could have many."""
        return "cannot log in from a job" if self._engine.outside.has(address) else ""

    def start(self, tasks: asyncio.TaskGroup) -> None:
        """Start what goes on in the background; each task ends only when cancelled, or by a fault."""
        for name, work in (
            ("processes", self._processes.run()),
            ("workers", self._workers.run()),
            ("engine", self._engine.run()),
            ("environments", self._environments.run()),
            ("jobs", self._jobs.run()),
            ("people", self._people.run()),
            ("reserve", self._reserve.run()),
        ):
            self._running.append(tasks.create_task(work, name=name))

    async def open(self) -> None:
        """Take up the jobs that were under way, then open the doors."""
        await self._jobs.ready()
        await self._api.start()
        try:
            self.address = await self._gate.start()
        except LabboxError:
            await self._api.stop()
            raise
        self._health.ready_at(*self.address)

    async def stop(self) -> None:
        """Close the doors and end the sessions."""
        await self._gate.stop()
        await self._api.stop()

    def cancel(self) -> None:
        """End the background; jobs go on in the engine."""
        for task in reversed(self._running):
            task.cancel()

    def close(self) -> None:
        """End the threads."""
        self._logs.close()
        self._threads.shutdown(wait=False, cancel_futures=True)


def _configure(options: Options) -> Configuration:
    if options.custom is not None and not options.custom.is_dir():
        raise LabboxError(
            "not_found",
            f"cannot read {options.custom}: there is no such folder",
            "name the folder with box.toml, or leave --custom out",
        )
    configuration = load(options.custom)
    if options.ssh is None:
        return configuration
    split_address(options.ssh)
    ssh = msgspec.structs.replace(configuration.settings.ssh, listen=options.ssh)
    settings = msgspec.structs.replace(configuration.settings, ssh=ssh)
    return msgspec.structs.replace(configuration, settings=settings)


def _tell_ready(configuration: Configuration, host: str, port: int) -> None:
    """Say where people log in; one that means "everywhere" is told as localhost."""
    place = "localhost" if host in ("0.0.0.0", "::") else host  # noqa: S104 - compared with, not bound to
    log.info("labbox %s: box %r on %s:%d", labbox.__version__, configuration.settings.name, host, port)
    line = f"labbox is ready: ssh -p {port} USER@{place}\n"
    with suppress(OSError):  # whoever started us may not read
        os.write(1, line.encode())
    notify_systemd(f"READY=1\nSTATUS=logins on {host}:{port}")


def _settle() -> None:
    """What is there now stays: the garbage collector need not look at it again."""
    gc.collect()
    gc.freeze()


def _allow_many_files() -> None:
    """Each connection is a descriptor, and a lab has many."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = 65536 if hard == resource.RLIM_INFINITY else min(hard, 65536)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def _first(group: ExceptionGroup[LabboxError]) -> LabboxError:
    error = group.exceptions[0]
    return _first(error) if isinstance(error, ExceptionGroup) else error
