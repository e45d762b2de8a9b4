"""People's folders, through workers with their ids; the daemon opens only what root alone can rearrange."""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import IO, Final, Protocol, cast

from labbox.custom import Configuration
from labbox.daemon.containers.environments import Context, EnvFile
from labbox.daemon.jobs import results
from labbox.daemon.jobs.handed import Handed, Project
from labbox.daemon.jobs.opening import opened
from labbox.daemon.people.accounts import Account
from labbox.errors import LabboxError
from labbox.files import work
from labbox.files.leavings import Leavings
from labbox.files.project import Defaults, ProjectPlan, template_view
from labbox.files.software.asked import ProjectFile, Software
from labbox.files.tree import MANIFEST
from labbox.locations import OPERATIONS
from labbox.model import JobSpec, Progress, Resources
from labbox.protocol import Inspection


class Workers(Protocol):
    """Processes with a user's ids that answer requests."""

    async def call(
        self,
        account: Account,
        request: work.Request,
        descriptors: tuple[int, ...] = (),
        progress: Callable[[Progress], None] | None = None,
    ) -> work.Result:
        """Ask the user's worker; LabboxError where it says no or is gone."""


_MOST_PROJECTS: Final = 32  # whose folders are counted for one person; descriptors are passed on


def _projects_of(folder: Path, account: Account) -> list[Path]:
    """The folders of somebody's projects; root's, with the project's group."""
    if not folder.is_dir():
        return []
    found = [one for one in sorted(folder.iterdir()) if one.lstat().st_gid in account.groups]
    return found[:_MOST_PROJECTS]


class WorkerFolders:
    """Implements `ports.Folders`."""

    def __init__(
        self,
        workers: Workers,
        configuration: Configuration,
        state: Path,
        threads: ThreadPoolExecutor,
        places: Collection[str] = (),
    ) -> None:
        """`threads`: where this makes folders and opens them; `places`: the box's own package indexes."""
        self._places = tuple(places)
        self._workers = workers
        self._state = state
        self._threads = threads
        settings = configuration.settings.jobs
        self._templates = tuple(template_view(one) for one in configuration.templates)
        self._defaults = Defaults(
            resources=Resources(cpus=settings.default_cpus, memory=settings.default_memory),
            time_limit=settings.default_time,
            dockerfiles=configuration.settings.containers.dockerfiles,
        )

    async def inspect(self, account: Account, path: str, spec: JobSpec) -> Inspection:
        """Look at a project folder."""
        result = await self._workers.call(account, self._look(path, spec))
        if not isinstance(result, work.Looked):
            raise _strange(result)
        return result.inspection

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
        """Look at a project folder and, where it can run, snapshot its code and input in `room` bytes.

        `folder`: the open folder itself, where `path` is no path of the person's.
        With `spec.commit`, `path` is the name of a repository of the person's.
        """
        if spec.commit is None:
            folders = () if folder is None else (folder,)
            return await self._hand_in(account, self._look(path, spec), room, folders, report)
        loop = asyncio.get_running_loop()
        work_tree = await loop.run_in_executor(self._threads, self._empty_folder, account)
        try:
            with opened(self._repository(account, path)) as repository, opened(work_tree) as files:
                await self._workers.call(account, work.Export(commit=spec.commit), (repository, files))
                return await self._hand_in(account, self._look(path, spec), room, (files,), report)
        finally:
            top = work_tree.parent
            await loop.run_in_executor(self._threads, results.remove, top.parent, top.name)

    async def copy_tree(self, account: Account, snapshot: int, target: int, *, most_bytes: int) -> int:
        """Copy an open snapshot into an empty folder; the bytes. LabboxError "limit" where it is larger."""
        result = await self._workers.call(account, work.CopyTree(most_bytes=most_bytes), (snapshot, target))
        if not isinstance(result, work.CopiedTree):
            raise _strange(result)
        return result.size

    async def bring_back(
        self,
        account: Account,
        folders: tuple[int, int, int],
        *,
        most_bytes: int,
        most_files: int,
        below: str = "",
    ) -> Leavings:
        """Move what a run wrote into the first folder and the second, a snapshot, has not, to the third."""
        request = work.BringBack(most_bytes=most_bytes, most_files=most_files, below=below)
        result = await self._workers.call(account, request, folders)
        if not isinstance(result, work.BroughtBack):
            raise _strange(result)
        return result.leavings

    async def understand(self, account: Account, files: Sequence[EnvFile]) -> Software:
        """What files ask for that an earlier labbox handed in; LabboxError where they are wrong."""
        named = tuple(ProjectFile(kind=one.kind, name=one.name, content=one.content) for one in files)
        result = await self._workers.call(account, work.Understand(files=named, places=self._places))
        if not isinstance(result, work.UnderstoodFiles):
            raise _strange(result)
        return result.software

    def context(self, account: Account, code: str) -> Context:
        """A snapshot's code, to be packed for its Dockerfile."""
        return _SnapshotContext(self._workers, account, self._state / "snapshots" / account.name / code)

    async def output_bytes(self, account: Account, *folders: int) -> int:
        """The bytes on disk below open folders; those that hold nothing, as many do, are nobody's work."""
        loop = asyncio.get_running_loop()
        if not await loop.run_in_executor(self._threads, _hold_anything, folders):
            return 0
        result = await self._workers.call(account, work.Measure(), folders)
        if not isinstance(result, work.Measured):
            raise _strange(result)
        return sum(usage.size for usage in result.usages)

    async def remove(self, account: Account, folder: int, name: str) -> None:
        """Remove what stands in an open folder, with everything below it."""
        await self._workers.call(account, work.Remove(name=name), (folder,))

    async def hold(self, account: Account, trees: Sequence[str]) -> bool:
        """Keep snapshots that a new job is to use from being removed; False where one is gone."""
        loop = asyncio.get_running_loop()
        top = self._state / "snapshots" / account.name
        return all([await loop.run_in_executor(self._threads, _touch, top / tree) for tree in trees])

    async def prune(self, account: Account, keep: Sequence[str], unused_since: float) -> int:
        """Remove the other snapshots if not used since the moment (seconds of the epoch); how many went."""
        request = work.Prune(keep=tuple(keep), unused_since=unused_since)
        top = self._state / "snapshots" / account.name
        if not top.is_dir():
            return 0  # nothing was ever handed in
        with opened(top) as snapshots:
            result = await self._workers.call(account, request, (snapshots,))
        if not isinstance(result, work.Pruned):
            raise _strange(result)
        return result.trees

    async def stored_bytes(self, account: Account) -> int:
        """The bytes on disk below home, results, snapshots, repositories, and theirs in shared places."""
        kinds = ("homes", "results", OPERATIONS, "snapshots", "git")
        places = [self._state / kind / account.name for kind in kinds]
        shared = [self._state / "shared", *_projects_of(self._state / "projects", account)]
        with ExitStack() as stack:
            folders = [stack.enter_context(opened(place)) for place in places if place.is_dir()]
            whole = len(folders)
            folders += [stack.enter_context(opened(place)) for place in shared if place.is_dir()]
            if not folders:
                return 0
            request = work.Measure(shared=len(folders) - whole)
            result = await self._workers.call(account, request, tuple(folders))
        if not isinstance(result, work.Measured):
            raise _strange(result)
        return sum(usage.size for usage in result.usages)

    async def _hand_in(
        self,
        account: Account,
        look: work.Inspect,
        room: int | None,
        folders: tuple[int, ...],
        report: Callable[[Progress], None] | None,
    ) -> Project:
        request = work.HandIn(look=look, room=room)
        loop = asyncio.get_running_loop()
        top = await loop.run_in_executor(self._threads, self._snapshots, account)
        with opened(top) as snapshots:
            result = await self._workers.call(account, request, (snapshots, *folders), report)
        if not isinstance(result, work.HandedIn):
            raise _strange(result)
        if result.plan is None:
            return Project(inspection=result.inspection, asked=look.spec)
        return Project(
            inspection=result.inspection,
            handed=_handed(
                result.plan,
                code=None if result.code is None else result.code.name,
                data=None if result.input is None else result.input.name,
                beside=None if result.beside is None else result.beside.name,
            ),
            asked=result.plan.asked,
            added=sum(tree.added for tree in (result.code, result.input, result.beside) if tree is not None),
        )

    def _look(self, path: str, spec: JobSpec) -> work.Inspect:
        return work.Inspect(
            path=path,
            spec=spec,
            templates=self._templates,
            defaults=self._defaults,
            places=self._places,
        )

    def _snapshots(self, account: Account) -> Path:
        """The person's snapshots: reached by nobody by its path but root, and theirs through a descriptor."""
        above = self._state / "snapshots"
        above.mkdir(mode=0o700, exist_ok=True)
        folder = above / account.name
        folder.mkdir(mode=0o700, exist_ok=True)
        if os.geteuid() == 0:  # also one that a daemon made that was killed then
            os.chown(folder, account.uid, account.gid)
        return folder

    def _empty_folder(self, account: Account) -> Path:
        above = self._state / "spool" / f"commit-{secrets.token_hex(8)}"
        above.mkdir(mode=0o700, parents=True)
        folder = above / "files"
        folder.mkdir(mode=0o700)
        if os.geteuid() == 0:
            os.chown(folder, account.uid, account.gid)
        return folder

    def _repository(self, account: Account, path: str) -> Path:
        name = path.rstrip("/").removesuffix(".git").rpartition("/")[2]
        if name in ("", ".", ".."):
            raise LabboxError("invalid", f"cannot submit from the repository {path!r}: it has no name")
        return self._state / "git" / account.name / f"{name}.git"


class _SnapshotContext:
    """Implements `environments.Context`; a snapshot's name is that of its content.

    What it packs is the word of its owner: nobody else gets an image made of it.
    """

    def __init__(self, workers: Workers, account: Account, tree: Path) -> None:
        self._workers, self._account, self._tree = workers, account, tree

    @property
    def name(self) -> str:
        """The snapshot's, with its owner."""
        return f"{self._account.uid}/{self._tree.name}"

    async def pack(self, recipe: str, beside: Mapping[str, bytes]) -> IO[bytes]:
        """Have a process of the person's write it into a file of ours, which the caller closes."""
        packed = cast(IO[bytes], tempfile.TemporaryFile())
        try:
            with opened(self._tree) as tree:
                request = work.Pack(recipe=recipe, beside=dict(beside))
                await self._workers.call(self._account, request, (tree, packed.fileno()))
            packed.seek(0)
        except BaseException:
            packed.close()
            raise
        return packed


def _handed(plan: ProjectPlan, *, code: str | None, data: str | None, beside: str | None) -> Handed:
    return Handed(
        command=plan.command,
        entry=plan.entry,
        template=plan.template,
        files=tuple(EnvFile(kind=one.kind, name=one.name, content=one.content) for one in plan.files),
        software=plan.software,
        code=code,
        input=data,
        beside=beside,
        at_top=plan.at_top,
    )


def _hold_anything(folders: tuple[int, ...]) -> bool:
    for folder in folders:
        try:
            with os.scandir(folder) as found:
                if any(True for _ in found):
                    return True
        except OSError:  # its owner may be able to tell
            return True
    return False


def _touch(tree: Path) -> bool:
    try:
        os.utime(tree.with_name(f"{tree.name}{MANIFEST}"), follow_symlinks=False)
    except FileNotFoundError:
        return False
    return True


def _strange(result: work.Result) -> LabboxError:
    return LabboxError("internal", f"cannot use what the worker answered: {type(result).__name__}")
