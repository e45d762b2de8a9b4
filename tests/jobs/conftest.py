"""A box of jobs without Docker: a faithful engine in memory, real store, real files; and a power switch."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest

from labbox.custom import Configuration, JobSettings, Settings
from labbox.daemon.containers import layers
from labbox.daemon.containers.cgroups import Consumed
from labbox.daemon.containers.environments import Context, EnvFile, EnvironmentPlan, Prepared, Report
from labbox.daemon.containers.run import RunSpec
from labbox.daemon.containers.states import ContainerState
from labbox.daemon.jobs import results
from labbox.daemon.jobs.clock import Clock
from labbox.daemon.jobs.handed import Handed, Project
from labbox.daemon.jobs.logs import Logs
from labbox.daemon.jobs.ports import Reach, Terminal
from labbox.daemon.jobs.service import Jobs
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import Store
from labbox.daemon.store.audit import Trail
from labbox.errors import LabboxError
from labbox.files import leavings, work
from labbox.files.following import Meter
from labbox.files.leavings import Leavings
from labbox.files.software.asked import Software
from labbox.model import FINAL, GIB, JobSpec, JobState, Limits, Progress, Resources
from labbox.protocol import Finding, HostSecret, Inspection, Job, TransferSummary

PATIENCE = 20.0  # seconds after which something that should happen has failed to


class FakeClock(Clock):
    """Clocks that tests set; the boot clock only goes forward."""

    def __init__(self) -> None:
        super().__init__()
        self.boot = "boot-1"
        self.wall_offset = 0
        self.extra = 0.0

    def now(self) -> int:
        return super().now() + self.wall_offset + round(self.extra * 1e6)

    def seconds(self) -> float:
        return super().seconds() + self.extra


@dataclass
class FakeContainer:
    run: RunSpec
    state: ContainerState
    before_pause: str = "running"


class FakeEngine:
    """The engine's behaviour by its documented contract, with a tiny shell: true, false, echo, sleep, sh -c
    "exit N".

    `sleep` ends when it is stopped, killed or told to by `finish`. It outlives the daemons of a test, as an
    engine with live-restore does.
    """

    def __init__(self) -> None:
        self.available = True
        self.reason = ""
        self.containers: dict[str, FakeContainer] = {}
        self.created: list[str] = []
        self.removed: list[str] = []
        self.refuse: LabboxError | None = None
        self.dies: Callable[[RunSpec], None] | None = None  # over the next start: what was done by then
        self.looks = 0
        self._changed: list[Callable[[], None]] = []
        self._listeners: list[Callable[[str, ContainerState], None]] = []
        self._arrived = asyncio.Event()

    def forget_listeners(self) -> None:
        self._changed.clear()
        self._listeners.clear()

    def on_change(self, listener: Callable[[], None]) -> None:
        self._changed.append(listener)

    def on_event(self, listener: Callable[[str, ContainerState], None]) -> None:
        self._listeners.append(listener)

    def go_away(self) -> None:
        self.available, self.reason = False, "the engine is stopped"
        self._tell_changed()

    def come_back(self) -> None:
        self.available, self.reason = True, ""
        self._tell_changed()
        for name, container in list(self.containers.items()):
            self._announce(name, container.state)

    async def create_and_start(self, run: RunSpec) -> None:
        self._check()
        if self.refuse is not None:
            raise self.refuse
        if run.name not in self.containers:
            self.created.append(run.name)
            run.spool.mkdir(parents=True, exist_ok=True)
            for name in ("stdout", "stderr"):
                (run.spool / name).touch()
            if self.dies is not None:
                (begun, self.dies), state = (self.dies, None), ContainerState(status="created")
                self.containers[run.name] = FakeContainer(run, state)
                begun(run)
                await asyncio.Event().wait()  # there is no answer
            state = ContainerState(status="running", started_at=datetime.now(UTC))
            self.containers[run.name] = FakeContainer(run, state)
            self._announce(run.name, state)
            self._interpret(run)
        self._arrived.set()

    def gpus_of(self, name: str) -> tuple[int, ...]:
        return ()

    def consumed(self, name: str) -> Consumed:
        self.looks += 1
        return Consumed(cpu_seconds=self.looks * 1.0, memory=self.looks << 20, peak_memory=self.looks << 20)

    def _interpret(self, run: RunSpec) -> None:
        match run.command:
            case ("true",):
                self.finish(run.name, 0)
            case ("false",):
                self.finish(run.name, 1)
            case ("echo", *words):
                with (run.spool / "stdout").open("a") as out:
                    out.write(" ".join(words) + "\n")
                self.finish(run.name, 0)
            case ("sh", "-c", script) if script.startswith("exit "):
                self.finish(run.name, int(script.removeprefix("exit ")))
            case ("sleep", _):
                pass
            case _:
                self.finish(run.name, 127)

    def finish(self, name: str, code: int, **more: Any) -> None:
        """The command ends by itself."""
        container = self.containers[name]
        if container.state.status == "exited":
            return
        container.state = ContainerState(
            status="exited",
            exit_code=code,
            started_at=container.state.started_at,
            ended_at=datetime.now(UTC),
            cpu_seconds=0.5,
            peak_memory=1 << 20,
            **more,
        )
        self._announce(name, container.state)

    def lose(self, name: str) -> None:
        """Somebody removes the container behind our back while the engine restarts."""
        del self.containers[name]

    async def inspect(self, name: str) -> ContainerState | None:
        self._check()
        found = self.containers.get(name)
        return None if found is None else found.state

    async def list(self) -> dict[str, ContainerState]:
        self._check()
        return {name: one.state for name, one in self.containers.items()}

    async def stop(self, name: str, grace: float) -> None:
        self._check()
        if name in self.containers:
            if self.containers[name].state.status == "paused":
                await asyncio.sleep(grace)
            self.finish(name, 143)

    async def kill(self, name: str) -> None:
        self._check()
        if name in self.containers:
            self.finish(name, 137)

    async def pause(self, name: str) -> None:
        self._switch(name, "running", "paused")

    async def resume(self, name: str) -> None:
        self._switch(name, "paused", "running")

    async def remove(self, name: str) -> None:
        self._check()
        if self.containers.pop(name, None) is not None:
            self.removed.append(name)

    async def write_input(self, run: Path, data: bytes) -> None:
        with (run / "input").open("ab") as file:
            file.write(data)

    async def close_input(self, run: Path) -> None:
        (run / "closed").touch()

    async def exec_pty(self, name: str, **_: Any) -> Terminal:
        raise LabboxError("conflict", f"cannot open a shell in {name}: the fake has none")

    async def started(self, count: int) -> None:
        """Wait until so many containers were ever made."""
        async with asyncio.timeout(PATIENCE):
            while len(self.created) < count:
                self._arrived.clear()
                await self._arrived.wait()

    def _switch(self, name: str, old: str, new: Any) -> None:
        self._check()
        container = self.containers.get(name)
        if container is None or container.state.status != old:
            raise LabboxError("conflict", f"cannot bring {name} from {old} to {new}")
        container.state = msgspec.structs.replace(container.state, status=new)
        self._announce(name, container.state)

    def _check(self) -> None:
        if not self.available:
            raise LabboxError("unavailable", "cannot reach the container engine: it is stopped")

    def _announce(self, name: str, state: ContainerState) -> None:
        if self.available:
            for listener in list(self._listeners):
                asyncio.get_running_loop().call_soon(listener, name, state)

    def _tell_changed(self) -> None:
        for listener in list(self._changed):
            listener()


class FakeEnvironments:
    """Every environment stands ready, unless a test says otherwise."""

    def __init__(self) -> None:
        self.open = asyncio.Event()
        self.open.set()
        self.refuse: LabboxError | None = None
        self.image = "sha256:image"
        self.kept: list[frozenset[str]] = []

    async def prepare(self, plan: EnvironmentPlan, report: Report) -> Prepared:
        report(Progress(phase="environment", done=1, total=2))
        report("looking at the environment")
        await self.open.wait()
        if self.refuse is not None:
            raise self.refuse
        return Prepared(image=self.image, digest="sha256:digest", name="env-1", lock="numpy==2.0")

    async def prune(self, unused_seconds: float, keep: frozenset[str]) -> int:
        self.kept.append(keep)
        return 0


class FakeFolders:
    """Project folders by name: what each holds is what a test put here."""

    def __init__(self) -> None:
        self.projects: dict[str, Project] = {}
        self.size = 0  # of every output
        self.stored = 0  # by everybody
        self.counted = 0
        self.looks = 0  # at outputs
        self.cleared: list[str] = []
        self.trees: set[str] = set()
        self.trees_bytes = 0  # of each
        self.pruned: set[str] = set()
        self.asked_to_keep: list[tuple[str, ...]] = []

    async def inspect(self, account: Account, path: str, spec: JobSpec) -> Inspection:
        return (await self.hand_in(account, path, spec)).inspection

    async def hand_in(
        self,
        account: Account,
        path: str,
        spec: JobSpec,
        *,
        room: int | None = None,
        report: Callable[[Progress], None] | None = None,
        folder: int | None = None,
    ) -> Project:
        if folder is not None:
            os.fstat(folder)
        project = self.projects.get(path)
        if project is None:
            raise LabboxError("not_found", f"cannot find {path}")
        if room is not None and project.added > room:
            raise LabboxError("limit", f"cannot hand in {project.added} B: you may store {room} B more")
        toml = project.asked
        cpus, deliver = spec.cpus or toml.cpus, spec.deliver or toml.deliver
        asked = msgspec.structs.replace(spec, deliver=deliver, cpus=cpus, array=toml.array or spec.array)
        return msgspec.structs.replace(project, asked=asked)

    async def understand(self, account: Account, files: Sequence[EnvFile]) -> Software:
        return Software(packages=tuple(file.name for file in files))

    def context(self, account: Account, code: str) -> Context:
        raise AssertionError(f"no test here builds {code}")

    async def remove(self, account: Account, folder: int, name: str) -> None:
        os.fstat(folder)
        self.cleared.append(name)

    async def hold(self, account: Account, trees: Sequence[str]) -> bool:
        return not self.pruned.intersection(trees)

    async def prune(self, account: Account, keep: Sequence[str], unused_since: float) -> int:
        self.asked_to_keep.append(tuple(keep))
        gone = self.trees - set(keep)
        self.stored -= sum(self.trees_bytes for _ in gone)
        self.trees -= gone
        self.pruned |= gone
        return len(gone)

    async def stored_bytes(self, account: Account) -> int:
        self.counted += 1
        return self.stored

    async def copy_tree(self, account: Account, snapshot: int, target: int, *, most_bytes: int) -> int:
        return leavings.copy_tree(snapshot, target, most_bytes=most_bytes, meter=Meter())

    async def bring_back(
        self,
        account: Account,
        folders: tuple[int, int, int],
        *,
        most_bytes: int,
        most_files: int,
        below: str = "",
    ) -> Leavings:
        return leavings.bring_back(
            *folders, most_bytes=most_bytes, most_files=most_files, meter=Meter(), below=below
        )

    async def output_bytes(self, account: Account, *folders: int) -> int:
        for folder in folders:
            os.fstat(folder)
        self.looks += 1
        return self.size


class FakeWorker:
    """A worker of one transfer: it says and ends as a test wants it to."""

    def __init__(self, account: Account) -> None:
        self.account = account
        self.request: work.Transfer | None = None
        self.paused = False
        self.cleaned = False
        self.alive = True
        self._begun = asyncio.Event()
        self.answer: asyncio.Future[TransferSummary | None] = asyncio.get_running_loop().create_future()
        self._told: Callable[[Progress, TransferSummary | None], None] = lambda *_: None

    async def transfer(
        self,
        request: work.Transfer,
        descriptors: Sequence[int],
        told: Callable[[Progress, TransferSummary | None], None],
    ) -> TransferSummary | None:
        for descriptor in descriptors:
            os.fstat(descriptor)
        self.request, self.paused, self._told = request, request.paused, told
        self._begun.set()
        return await asyncio.shield(self.answer)

    async def pause(self, *, paused: bool) -> None:
        await self._begun.wait()
        self.paused = paused

    async def cancel(self) -> None:
        self.cleaned = True
        if not self.answer.done():
            self.answer.set_result(None)

    def tell(self, progress: Progress) -> None:
        self._told(progress, None)

    def end(self, **summary: Any) -> None:
        self.answer.set_result(TransferSummary(**summary))

    def fail(self, error: BaseException) -> None:
        self.answer.set_exception(error)


class FakeTransfers:
    """Workers that tests speak for; with `at_once` each ends by itself, having done it."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []
        self.at_once = False
        self.folders = Reach(shared="/lab/shared", projects={"atlas": "/lab/projects/atlas"})
        self._changed = asyncio.Event()

    @contextlib.asynccontextmanager
    async def dedicated(self, account: Account) -> AsyncIterator[FakeWorker]:
        worker = FakeWorker(account)
        self.workers.append(worker)
        if self.at_once:
            worker.end(files=1)
        self._changed.set()
        try:
            yield worker
        finally:
            worker.alive = False

    async def reach(self, account: Account) -> Reach:
        return self.folders

    async def logins(self, account: Account, hosts: Sequence[str]) -> tuple[HostSecret, ...]:
        return tuple(HostSecret(name=host, user="me", host=host, port=22, password="x") for host in hosts)

    async def worker(self, number: int) -> FakeWorker:
        """The so manyth worker, from 0, once it has been asked."""
        async with asyncio.timeout(PATIENCE):
            while len(self.workers) <= number or self.workers[number].request is None:
                self._changed.clear()
                if len(self.workers) <= number:
                    await self._changed.wait()
                await asyncio.sleep(0)
        return self.workers[number]


class FakePeople:
    """ada and grace are users, root is an administrator."""

    def __init__(self, state: Path) -> None:
        self.trail = Trail(b"k" * 32)
        uid = 70000 if os.geteuid() == 0 else os.getuid()
        gid = 70000 if os.geteuid() == 0 else os.getgid()
        self.accounts = {
            name: Account(
                name=name,
                uid=uid,
                gid=gid,
                groups=(),
                admin=name == "root",
                home=state / "homes" / name,
                limits=Limits(),
            )
            for name in ("ada", "grace", "root")
        }

    async def account(self, name: str) -> Account | None:
        return self.accounts.get(name)

    def limit(self, name: str, limits: Limits) -> None:
        self.accounts[name] = msgspec.structs.replace(self.accounts[name], limits=limits)


def flat_project(name: str, command: tuple[str, ...]) -> Project:
    """A folder that can run."""
    inspection = Inspection(
        path=name,
        name=name,
        entry="app.py",
        command=command,
        template=None,
        dependencies=(),
        code_files=1,
        code_bytes=10,
        input_files=0,
        input_bytes=0,
        resources=Resources(),
        time_limit=None,
        network=False,
        findings=(Finding(level="ok", text="app.py runs"),),
    )
    return Project(inspection=inspection, handed=Handed(command=command, code="tree-1", input="tree-2"))


@dataclass
class Lab:
    """A box that can be switched off and on again."""

    state: Path
    engine: Any  # a FakeEngine, or a real one
    environments: FakeEnvironments
    folders: FakeFolders
    logs: Logs
    transfers: FakeTransfers
    people: FakePeople
    clock: FakeClock
    settings: JobSettings
    total: Resources = field(default_factory=lambda: Resources(cpus=4.0, memory=16 * GIB, gpus=1))
    box_id: str = "box1"
    store: Store | None = None
    service: Jobs | None = None
    _task: asyncio.Task[None] | None = None

    @property
    def jobs(self) -> Jobs:
        assert self.service is not None
        return self.service

    @property
    def db(self) -> Store:
        assert self.store is not None
        return self.store

    async def up(self, wrap_store: Callable[[Store], Any] | None = None, **wrapped: Any) -> None:
        """Start the daemon's part; `wrapped` puts other parts in place of these."""
        self.store = await Store.open(self.state / "labbox.db")
        self.logs = Logs()
        parts = {
            "store": wrap_store(self.store) if wrap_store is not None else self.store,
            "people": self.people,
            "engine": self.engine,
            "environments": self.environments,
            "folders": self.folders,
            "logs": self.logs,
            "transfers": self.transfers,
            **wrapped,
        }
        self.service = Jobs(
            **parts,
            configuration=Configuration(settings=Settings(jobs=self.settings)),
            state=self.state,
            box_id=self.box_id,
            clock=self.clock,
            total=self.total,
        )
        self._task = asyncio.create_task(self.service.run())
        ready = asyncio.ensure_future(self.service.ready())
        await asyncio.wait({ready, self._task}, return_when=asyncio.FIRST_COMPLETED)
        ready.cancel()
        if self._task.done():
            self._task.result()

    async def down(self) -> None:
        """Switch off as kill -9 does, as far as one process can: nothing is finished, nothing cleaned up."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        self.engine.forget_listeners()
        if self.store is not None:
            await self.store.close()
        self.logs.close()
        self._task = self.store = self.service = None

    async def restart(self, **wrapped: Any) -> None:
        await self.down()
        await self.up(**wrapped)

    def account(self, name: str) -> Account:
        return self.people.accounts[name]

    async def submit(self, *command: str, owner: str = "ada", **asked: Any) -> Job:
        spec = JobSpec(command=command, **asked)
        return await self.jobs.submit(self.account(owner), spec, "test")

    async def job(self, number: int) -> Job:
        return (await self.jobs.show(self.account("root"), number)).job

    async def until(self, number: int, *states: JobState) -> Job:
        """The job, once it is in one of the states; fails when it ends in another one."""
        async with asyncio.timeout(PATIENCE):
            async for event in self.jobs.events(self.account("root"), after=0, follow=True):
                if event.job is not None and event.job.id == number:
                    job = await self.job(number)
                    if job.state in states:
                        return job
                    if job.state in FINAL:
                        raise AssertionError(f"job {number} ended as {job.state}: {job.reason}")
        raise AssertionError("unreachable")

    async def ended(self, number: int) -> Job:
        return await self.until(number, *FINAL)

    def folder(self, job: Job) -> Path:
        return results.place(self.state, job.owner, job.results.removeprefix("jobs/"))


def make_lab(state: Path, **settings: Any) -> Lab:
    engine, environments, folders = FakeEngine(), FakeEnvironments(), FakeFolders()
    folders.projects["study"] = flat_project("study", ("true",))
    given: dict[str, Any] = {"grace": 0.2, "free_floor": 0, "default_memory": GIB, **settings}
    return Lab(
        state=state,
        engine=engine,
        environments=environments,
        folders=folders,
        logs=Logs(),
        transfers=FakeTransfers(),
        people=FakePeople(state),
        clock=FakeClock(),
        settings=JobSettings(**given),
    )


@pytest.fixture(autouse=True)
def _overlays(monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs get overlays wherever the tests' own folder is: the fake engine mounts nothing."""
    monkeypatch.setattr(layers, "may_overlay", lambda _folder: True)


@pytest.fixture
def new_lab(tmp_path: Path) -> Callable[..., Lab]:
    """Makes boxes that are off."""
    tmp_path.chmod(0o711)

    def make(name: str = "box", **settings: Any) -> Lab:
        state = tmp_path / name
        state.mkdir()
        return make_lab(state, **settings)

    return make


@pytest.fixture
async def lab(new_lab: Callable[..., Lab]) -> AsyncIterator[Lab]:
    """A box that runs."""
    box = new_lab()
    await box.up()
    yield box
    await box.down()
