"""From a location to the place that holds it: each place is opened when it is first asked for, and kept."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from importlib import import_module
from types import TracebackType
from typing import Self

import msgspec

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind, Place
from labbox.files.places.credentials import CredentialSource
from labbox.files.places.local import LocalPlace
from labbox.locations import Kind, Location
from labbox.model import Value

JobFolder = Callable[[int], Awaitable[str]]
"""The results folder of a job, as this process sees it; LabboxError where there is none."""

_Key = tuple[Kind, str, str]


class Roots(Value):
    """Where the box's own places are, as this process sees them; "" or missing: there is none."""

    home: str
    shared: str = ""
    projects: dict[str, str] = msgspec.field(default_factory=dict)
    jobs: dict[int, str] = msgspec.field(default_factory=dict)


class Places:
    """The places that one process works with; calls come from one event loop."""

    def __init__(
        self,
        roots: Roots,
        *,
        credentials: CredentialSource | None = None,
        job_folder: JobFolder | None = None,
    ) -> None:
        """`credentials`: for other hosts; `job_folder`: for jobs that `roots` does not name."""
        self._roots = roots
        self._credentials = credentials
        self._job_folder = job_folder
        self._open: dict[_Key, Place] = {}
        self._archives: dict[_Key, tuple[Entry, Place]] = {}
        self._outdated: list[Place] = []  # archives that were replaced; others may still read the old ones
        self._opening: defaultdict[_Key, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, location: Location) -> tuple[Place, str]:
        """The place of a location, opened, and the location's path in it."""
        key = (*location.place, "")
        async with self._opening[key]:
            place = self._open.get(key)
            if place is not None and place.lost:
                await self.drop(location)
                place = None
            if place is None:
                place = self._open[key] = await self._make(location)
        if location.inner is None:
            return place, location.path
        return await self._archive(place, location), location.inner

    async def drop(self, location: Location) -> None:
        """Close the place and the archives on it, so that the next `get` opens them anew: a lost host."""
        kind, host = location.place
        for key in [key for key in self._archives if key[:2] == (kind, host)]:
            await self._archives.pop(key)[1].close()
        place = self._open.pop((kind, host, ""), None)
        if place is not None:
            await place.close()

    async def close(self) -> None:
        """Close them all, archives before what they lie on."""
        kept = [*self._outdated, *(place for _, place in self._archives.values()), *self._open.values()]
        self._outdated.clear()
        self._archives.clear()
        self._open.clear()
        for place in kept:
            await place.close()

    async def __aenter__(self) -> Self:
        """Itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close them all."""
        await self.close()

    async def _archive(self, place: Place, location: Location) -> Place:
        # Few ever look into one, and the loop does not wait for its modules.
        archive = await asyncio.to_thread(import_module, "labbox.files.places.archive")
        key = (*location.place, location.path)
        async with self._opening[key]:
            path = location.path
            now = await place.entry(path)
            if now.kind is EntryKind.LINK:
                path = await place.real_path(path)
                now = await place.entry(path)
            before = self._archives.get(key)
            if before is not None and _same(before[0], now):
                return before[1]
            made: Place = await archive.ArchivePlace.open_on(place, path)
            if before is not None:
                self._outdated.append(before[1])
            self._archives[key] = now, made
            return made

    async def _make(self, location: Location) -> Place:
        match location.kind:
            case Kind.BOX:
                box = LocalPlace(home=self._roots.home)
                with suppress(LabboxError):  # whose home is out of reach can still look at all else
                    await box.look()
                return box
            case Kind.SHARED:
                return await _rooted(self._roots.shared, "shared:", _NO_SHARED)
            case Kind.PROJECT:
                folder = self._roots.projects.get(location.host, "")
                return await _rooted(folder, f"project:{location.host}", self._no_project(location.host))
            case Kind.JOB:
                return await self._job(int(location.host))
            case Kind.SFTP:
                return await self._sftp(location.host)

    async def _job(self, number: int) -> Place:
        folder = self._roots.jobs.get(number, "")
        if not folder and self._job_folder is not None:
            folder = await self._job_folder(number)
        missing = LabboxError(
            "not_found",
            f"cannot open job:{number}: it has left no results, or they are not yours to see",
            "results are there once a job has run: labbox job list --all",
        )
        return await _rooted(folder, f"job:{number}", missing)

    async def _sftp(self, host: str) -> Place:
        if self._credentials is None:
            raise LabboxError(
                "unavailable",
                f"cannot open sftp://{host}: keys for other hosts are not at hand here",
                "log in to the box and open it from there",
            )
        credential = await self._credentials.credential(host)
        # SSH takes long to import: few sessions need it, and the loop does not wait for it.
        sftp = await asyncio.to_thread(import_module, "labbox.files.places.sftp")
        place: Place = await sftp.SftpPlace.connect(credential)
        return place

    def _no_project(self, name: str) -> LabboxError:
        yours = ", ".join(sorted(self._roots.projects))
        return LabboxError(
            "not_found",
            f"cannot open project:{name}: you are in no project of that name",
            f"yours: {yours}" if yours else "ask whoever runs the box to let you into it",
        )


_NO_SHARED = LabboxError(
    "not_found",
    "cannot open shared:/: this box has no shared folder",
    "whoever runs the box can set one up; project folders are reached as project:NAME",
)


async def _rooted(folder: str, label: str, missing: LabboxError) -> LocalPlace:
    """A place with a root of its own; `missing` is raised where there is none."""
    if not folder:
        raise LabboxError(missing.code, missing.message, missing.hint)
    place = LocalPlace(folder, label=label)
    try:
        return await place.look()
    except LabboxError as error:
        await place.close()
        if error.code == "not_found":
            raise LabboxError(missing.code, missing.message, missing.hint) from error
        raise


def _same(before: Entry, now: Entry) -> bool:
    return (before.identity, before.size, before.mtime) == (now.identity, now.size, now.mtime)
