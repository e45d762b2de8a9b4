"""The container engine as the rest of the daemon sees it: runs by name, their states, and whether it answers.

A container's name says which attempt of which job it is, so everything here may be asked twice. Containers
live on while the engine is down (`live-restore`); what happened meanwhile is told when it is back.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from labbox.daemon.containers.cgroups import Consumed, Groups
from labbox.daemon.containers.chores import Chores, by_ourselves, output
from labbox.daemon.containers.connection import Connection
from labbox.daemon.containers.feed import close_input, write_input
from labbox.daemon.containers.gpus import Gpus
from labbox.daemon.containers.hosts import Openings
from labbox.daemon.containers.layers import volume_name
from labbox.daemon.containers.outside import Outside
from labbox.daemon.containers.run import (
    GATE_LABEL,
    GPU_LABEL,
    HOSTS_LABEL,
    RunSpec,
    check,
    container_config,
    openings,
)
from labbox.daemon.containers.shell import Shell, open_shell
from labbox.daemon.containers.starting import remove, start, start_error, sweep_volumes
from labbox.daemon.containers.states import ContainerState, parse_state
from labbox.daemon.containers.stream import events
from labbox.errors import LabboxError

if TYPE_CHECKING:
    import docker

_log = logging.getLogger(__name__)

BOX_LABEL: Final = "labbox.box"
_BEAT_SECONDS: Final = 15.0  # without a word from an engine before it is asked whether it lives
_BACKOFF_SECONDS: Final = (0.1, 2.0)  # first and longest wait between looks at an engine that does not answer
_NUMBERS: Final = 2000  # containers that are kept in mind
_NEAR_LIMIT: Final = 0.9  # of its memory: a run that stayed below did not meet its limit
_GROUPS_SECONDS: Final = 20.0
_TOLD: Final = frozenset({"start", "die", "oom", "pause", "unpause"})

Listener = Callable[[str, ContainerState], None]


class Engine:
    """The engine's containers that belong to this box, known by the label `labbox.box`."""

    def __init__(
        self, url: str | None = None, *, box: str, gpu_count: int = 0, chores: Chores = by_ourselves
    ) -> None:
        """Use the engine at `url` (else DOCKER_HOST, else Debian's); nothing is asked before `run`.

        `gpu_count`: how many GPUs the box has for jobs; each is given to one run at a time. `chores`
        does what wants more of root than this process has.
        """
        self.connection = Connection(url)
        self.available = False
        self.reason = "the container engine has not answered yet"
        self._box = box
        self._gpus = Gpus(gpu_count)
        self._groups = Groups(box, "")
        self._chores = chores
        self._openings = Openings(chores)
        self.outside = Outside(self.connection, chores)
        self._changed: list[Callable[[], None]] = []
        self._listeners: list[Listener] = []
        self._waiting: dict[str, set[asyncio.Future[None]]] = {}
        self._out_of_memory: set[str] = set()
        self._memory: dict[str, int] = {}  # the limits of the runs that were started here
        self._numbers: dict[str, str] = {}  # the engine's ids of those made here; "": it is removed
        self._volumes: dict[str, frozenset[str]] = {}  # of those runs; for others the engine is asked
        self._swept = False
        self._ready = asyncio.Event()
        self._hurry = asyncio.Event()  # something failed: look at once whether the engine lives
        self.connection.on_failure = self._hurry.set
        self.lacking: Callable[[], str] = lambda: ""  # what each run needs of this machine, in a sentence

    @property
    def version(self) -> str:
        """The engine's own version; empty before it has answered."""
        return self.connection.version

    def on_change(self, listener: Callable[[], None]) -> None:
        """Have `listener` called in the event loop whenever `available` or `reason` changes."""
        self._changed.append(listener)

    def on_event(self, listener: Listener) -> None:
        """Have `listener` called with a container's name and state when it starts, pauses, goes on or ends.

        After each (re)connection it is called for every container of the box, so that nothing is missed; the
        same end may be told more than once.
        """
        self._listeners.append(listener)

    async def wait_available(self) -> None:
        """Return when the engine answers."""
        await self._ready.wait()

    # ── following the engine ──────────────────────────────────────────────────────────────────────────────

    async def run(self) -> None:
        """Follow the engine until cancelled: is it there, and what happens to the containers."""
        wait = _BACKOFF_SECONDS[0]
        try:
            while True:
                self._hurry.clear()
                try:
                    await self._follow()
                except LabboxError as error:
                    self._set(False, error.message)
                else:
                    wait = _BACKOFF_SECONDS[0]  # it did answer until now
                    self._set(False, f"the container engine at {self.connection.socket_path} has stopped")
                await asyncio.sleep(wait)
                wait = min(wait * 2, _BACKOFF_SECONDS[1])
        finally:
            self._openings.close_all()
            self.connection.close()

    async def _follow(self) -> None:
        """One connection's time: until the stream of events ends, or the engine no longer answers."""
        await self.connection.greet()
        if not self._groups.usable:
            self._groups = Groups(self._box, self.connection.cgroup_driver)
        label = f"{BOX_LABEL}={self._box}"
        async with events(self.connection.socket_path, self.connection.api_version, label) as stream:
            await self.outside.see()
            await self._catch_up()
            self._look_at_machine()
            async with asyncio.TaskGroup() as tasks:
                beat = tasks.create_task(self._beat())
                ended = tasks.create_task(self._take(stream))
                await asyncio.wait({beat, ended}, return_when=asyncio.FIRST_COMPLETED)
                beat.cancel()
                ended.cancel()

    async def _beat(self) -> None:
        """Return when the engine does not answer; look now and then, and whenever a call has failed."""
        while True:
            try:
                async with asyncio.timeout(_BEAT_SECONDS):
                    await self._hurry.wait()
            except TimeoutError:
                pass
            self._hurry.clear()
            try:
                await self.connection.ping()
            except LabboxError:
                return
            self._look_at_machine()

    def _look_at_machine(self) -> None:
        """The engine answers; runs may still want something of this machine that is not there."""
        lacking = self.lacking()
        self._set(not lacking, lacking)

    async def _take(self, stream: AsyncIterator[dict[str, Any]]) -> None:
        async for event in stream:
            action = str(event.get("Action", ""))
            attributes = (event.get("Actor") or {}).get("Attributes") or {}
            name, number = str(attributes.get("name") or ""), str((event.get("Actor") or {}).get("ID"))
            # One that is made anew has the name of the one before, whose last words come late.
            if action in _TOLD and name and self._numbers.get(name, number) == number:
                await self._tell(name, action, attributes)

    async def _tell(self, name: str, action: str, attributes: dict[str, Any]) -> None:
        if action == "oom":
            self._out_of_memory.add(name)
        if action == "start":
            return self._announce(name, ContainerState(status="running"))
        if action == "die" and attributes.get("exitCode") == "0":
            ended = self._completed(name, ContainerState(status="exited", exit_code=0))
            if not self._may_be_memory(name, ended):
                return self._announce(name, ended)
        try:
            state = await self.inspect(name)
        except LabboxError:
            return  # it is told after the next connection
        if state is None and action == "die":  # removed already
            state = self._completed(
                name, ContainerState(status="exited", exit_code=int(attributes.get("exitCode", 255)))
            )
        if state is not None:
            self._announce(name, state)

    def _may_be_memory(self, name: str, ended: ContainerState) -> bool:
        """Whether a process of the run may have met the memory limit: then the engine is asked."""
        limit = self._memory.get(name)
        return limit is None or ended.peak_memory is None or ended.peak_memory > limit * _NEAR_LIMIT

    async def _remove_groups(self, folders: list[Path]) -> None:
        if folders:
            words = [str(folder) for folder in folders]
            async with asyncio.timeout(_GROUPS_SECONDS), output(self._chores, "groups", words) as (_, chore):
                await chore.wait()

    async def _catch_up(self) -> None:
        """Take over what is there: counters, devices and open hosts of runs; tell how each one stands."""
        found = await self._list()
        known = {*found, *self._memory}  # one may be made just now
        await self._remove_groups(await asyncio.to_thread(self._groups.sweep, known))
        if not self._swept:  # nothing of this daemon's has been made yet
            await self.connection.call(lambda api: sweep_volumes(api, f"{BOX_LABEL}={self._box}", found))
            self._swept = True
        for name, (state, labels) in found.items():
            if state.status != "exited" and GPU_LABEL in labels:
                self._gpus.restore(name, labels[GPU_LABEL])
            if HOSTS_LABEL in labels:
                try:
                    hosts = tuple(labels[HOSTS_LABEL].split())
                    await self._open_hosts(name, state, hosts, Path(labels[GATE_LABEL]))
                except LabboxError as error:
                    _log.warning("%s", error.message)
            self._announce(name, state)

    def _announce(self, name: str, state: ContainerState) -> None:
        if state.status == "exited":
            self._openings.close(name)
            self._gpus.free(name)
            self._let_go(name)
        for listener in self._listeners:
            listener(name, state)

    def _let_go(self, name: str) -> None:
        """Who waits for its end looks again."""
        for waiting in self._waiting.pop(name, ()):
            if not waiting.done():
                waiting.set_result(None)

    def _set(self, available: bool, reason: str) -> None:
        if (available, reason) == (self.available, self.reason):
            return
        self.available, self.reason = available, reason
        if available:
            self._ready.set()
        else:
            self._ready.clear()
        for listener in self._changed:
            listener()

    # ── runs ──────────────────────────────────────────────────────────────────────────────────────────────

    async def create_and_start(self, run: RunSpec) -> None:
        """Start a run; where a container of its name exists, take that one, whatever became of it.

        LabboxError "not_found" where the image is missing, "invalid" where the run cannot be, "unavailable"
        where the engine does not answer: then ask again later with the same name.
        """
        check(run)
        lacking = self.lacking()
        if lacking:
            self._hurry.set()
            raise LabboxError("unavailable", f"cannot start {run.name}: {lacking}")
        if run.network:
            await self.outside.network()
        gpus = self._gpus.take(run.name, run.gpus)
        labels = {**run.labels, BOX_LABEL: self._box}
        config = container_config(
            msgspec.structs.replace(run, labels=labels),
            gpus=gpus,
            cgroup_parent=self._groups.parent(run.name),
        )

        self._memory[run.name] = run.memory
        volumes = {volume_name(run.name, layer.name) for layer in run.layers if not layer.copied}
        self._volumes[run.name] = self._volumes.get(run.name, frozenset()) | volumes
        try:
            await self.connection.call(
                lambda api: start(api, run, config, lambda number: self._note(run.name, number))
            )
        except LabboxError as error:
            if error.code != "unavailable":
                self._gpus.free(run.name)
            raise start_error(run, error) from error
        if run.hosts and not run.network:
            state = await self.inspect(run.name)
            if state is not None:
                await self._open_hosts(run.name, state, run.hosts, run.spool / "gate")

    def _note(self, name: str, number: str) -> None:
        """Which container of a name counts; only the last ones are kept in mind."""
        self._numbers.pop(name, None)
        self._numbers[name] = number
        while len(self._numbers) > _NUMBERS:
            self._numbers.pop(next(iter(self._numbers)), None)

    async def _open_hosts(self, name: str, state: ContainerState, hosts: tuple[str, ...], gate: Path) -> None:
        if state.status in ("running", "paused") and state.pid is not None:
            await self._openings.open(name, state.pid, openings(hosts), gate)

    def consumed(self, name: str) -> Consumed:
        """What a run has taken so far, from the kernel's files alone."""
        return self._groups.read(name)

    def gpus_of(self, name: str) -> tuple[int, ...]:
        """The indexes of the devices that a run has."""
        return self._gpus.of(name)

    async def inspect(self, name: str) -> ContainerState | None:
        """What a container is now; None where there is none of that name, or it is being removed."""

        def work(api: docker.APIClient) -> ContainerState:
            return self._completed(name, parse_state(api.inspect_container(name)))

        try:
            state = await self.connection.call(work)
        except LabboxError as error:
            if error.code == "not_found":
                return None
            raise
        return None if state.status == "removing" else state

    async def list(self) -> dict[str, ContainerState]:
        """All containers of this box, by name."""
        return {name: state for name, (state, _labels) in (await self._list()).items()}

    async def _list(self) -> dict[str, tuple[ContainerState, dict[str, str]]]:
        def work(api: docker.APIClient) -> dict[str, tuple[ContainerState, dict[str, str]]]:
            import docker.errors

            found: dict[str, tuple[ContainerState, dict[str, str]]] = {}
            for listed in api.containers(all=True, filters={"label": f"{BOX_LABEL}={self._box}"}):
                name = str(listed["Names"][0]).removeprefix("/")
                try:
                    state = parse_state(api.inspect_container(name))
                except docker.errors.NotFound:
                    continue  # removed between the two questions
                if state.status == "removing":
                    continue
                found[name] = (self._completed(name, state), dict(listed.get("Labels") or {}))
            return found

        return await self.connection.call(work)

    def _completed(self, name: str, state: ContainerState) -> ContainerState:
        """With what the kernel's counters say of a run that has ended."""
        if state.status != "exited":
            return state
        consumed = self._groups.read(name)
        return msgspec.structs.replace(
            state,
            oom=state.oom or name in self._out_of_memory or bool(consumed.oom_kills),
            cpu_seconds=consumed.cpu_seconds,
            peak_memory=consumed.peak_memory,
        )

    async def wait(self, name: str) -> ContainerState:
        """The state of a run when it has ended. LabboxError "not_found" where there is none of that name."""
        while True:
            ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.setdefault(name, set()).add(ended)
            try:
                state = await self.inspect(name)
                if state is None:
                    raise LabboxError("not_found", f"cannot wait for {name}: there is no such container")
                if state.status == "exited":
                    return state
                await ended
            finally:
                self._waiting.get(name, set()).discard(ended)

    async def stop(self, name: str, grace: float) -> None:
        """Ask the run to end (SIGTERM), after `grace` seconds end it; return when it has ended or is gone."""
        if not await self._signal(name, "SIGTERM"):
            return
        try:
            async with asyncio.timeout(grace):
                await self._gone_or_ended(name)
        except TimeoutError:
            await self.kill(name)

    async def kill(self, name: str) -> None:
        """End the run and all its processes at once (SIGKILL). Returns when it has ended or is gone."""
        if await self._signal(name, "SIGKILL"):
            await self._gone_or_ended(name)

    async def _signal(self, name: str, signal: str) -> bool:
        """Whether it was sent: a container that has ended, is gone or was never started takes none."""
        try:
            await self.connection.call(lambda api: api.kill(name, signal))
        except LabboxError as error:
            if error.code not in ("conflict", "not_found"):
                raise
            return False
        return True

    async def _gone_or_ended(self, name: str) -> None:
        try:
            await self.wait(name)
        except LabboxError as error:
            if error.code != "not_found":
                raise

    async def pause(self, name: str) -> None:
        """Freeze all processes of a run. LabboxError "conflict" where it is not running."""
        await self.connection.call(lambda api: api.pause(name))

    async def resume(self, name: str) -> None:
        """Let a frozen run go on. LabboxError "conflict" where it is not frozen."""
        await self.connection.call(lambda api: api.unpause(name))

    async def remove(self, name: str) -> None:
        """Remove the container, running or not, and what was kept about it; the spool is the caller's."""
        await self.connection.call(lambda api: remove(api, name, self._volumes.get(name)))
        self._note(name, "")
        self._let_go(name)
        self._volumes.pop(name, None)
        self._openings.close(name)
        self._gpus.free(name)
        self._out_of_memory.discard(name)
        self._memory.pop(name, None)
        await self._remove_groups(await asyncio.to_thread(self._groups.remove, name))

    async def write_input(self, run: RunSpec | Path, data: bytes) -> None:
        """Hand bytes to a run with `stdin` or to its spool; LabboxError "conflict" where it reads none."""
        await write_input(run.spool if isinstance(run, RunSpec) else run, data)

    async def close_input(self, run: RunSpec | Path) -> None:
        """End the standard input of a run with `stdin`."""
        await close_input(run.spool if isinstance(run, RunSpec) else run)

    async def exec_pty(
        self,
        name: str,
        *,
        uid: int,
        gid: int,
        env: dict[str, str],
        command: tuple[str, ...] = (),
        rows: int = 24,
        columns: int = 80,
    ) -> Shell:
        """A shell in a running container with the ids and rights of its job."""
        return await open_shell(
            self.connection, name, uid=uid, gid=gid, env=env, command=command, rows=rows, columns=columns
        )
