"""What happens before a user is gone: their logins and jobs end, and their files go if that was asked for."""

from __future__ import annotations

import asyncio
import logging
import os
import shutil
from pathlib import Path
from typing import Final

from labbox.daemon.api.server import Api
from labbox.daemon.gate import Gate
from labbox.daemon.jobs.service import Jobs
from labbox.daemon.people import Account
from labbox.daemon.workers import Workers
from labbox.errors import LabboxError
from labbox.files import work

_log = logging.getLogger(__name__)

_PATIENCE: Final = 120.0  # seconds for the last run to be collected
_LOOK: Final = 0.2  # seconds between two looks
_KINDS: Final = ("homes", "results", "operations", "snapshots", "git")
_OUTPUTS: Final = tuple(  # YYYY/MM/DD/ID
    f"[0-9]*/*/*/*/{above}{name}"  # not through `latest`
    for above in ("", "attempts/*/")
    for name in ("output", "code", "project")
)
_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


class Leaving:
    """The departure of a user, as `People.departures` wants it; each step can be done again."""

    def __init__(self, gate: Gate, api: Api, jobs: Jobs, workers: Workers, state: Path) -> None:
        """The parts that hold something of a user's."""
        self._gate = gate
        self._api = api
        self._jobs = jobs
        self._workers = workers
        self._state = state

    async def __call__(self, account: Account, delete_files: bool) -> None:
        """End logins and jobs, then delete the files; nothing of the user's runs any more when they go."""
        for door in list(self._gate.doors):
            if door.name == account.name:
                door.disconnect("your account on this box was removed")
        await self._api.end_requests(account.name)
        await self._jobs.forget(account.name, "box")
        try:
            async with asyncio.timeout(_PATIENCE):
                while await self._something_runs(account):  # noqa: ASYNC110 - nobody tells of the last
                    await asyncio.sleep(_LOOK)
        except TimeoutError as error:
            raise LabboxError(
                "unavailable",
                f"cannot remove {account.name} yet: a job or a login does not end",
                "is the container engine running? Then try again",
            ) from error
        if delete_files:
            await self._delete_files(account)

    async def _something_runs(self, account: Account) -> bool:
        page = await self._jobs.page(account, owner=account.name, state="active", limit=1)
        return bool(page.jobs) or self._gate.sessions.count(account.name) > 0

    async def _delete_files(self, account: Account) -> None:
        """What is the user's goes with the user's rights, however it is nested; then what is root's goes."""
        for folder in await asyncio.to_thread(_folders_of, self._state, account):
            await self._empty(account, folder)
        for kind in _KINDS:
            await asyncio.to_thread(_delete, self._state / kind / account.name)

    async def _empty(self, account: Account, folder: Path) -> None:
        try:
            descriptor, names = await asyncio.to_thread(_open, folder)
        except FileNotFoundError:
            return
        except OSError as error:
            _log.warning("%s cannot be emptied by its owner: %s", folder, error.strerror)
            return
        try:
            for name in names:
                try:
                    await self._workers.call(account, work.Remove(name=name), (descriptor,))
                except LabboxError as error:  # somebody else's file in it: root takes it afterwards
                    _log.info("something in %s is not its owner's: %s", folder, error)
        finally:
            os.close(descriptor)


def _folders_of(state: Path, account: Account) -> list[Path]:
    """The folders that hold files of the user's, each reached by a path that root alone can rearrange."""
    results = state / "results" / account.name
    tops = (results, state / "operations" / account.name)
    outputs = [path for top in tops for pattern in _OUTPUTS for path in top.glob(pattern)]
    return [state / "homes" / account.name, *outputs, *(state / kind / account.name for kind in _KINDS[3:])]


def _open(folder: Path) -> tuple[int, tuple[str, ...]]:
    """A folder that its owner can empty now, whatever its mode was, and the names in it."""
    descriptor = os.open(folder, _FOLDER)
    try:
        os.fchmod(descriptor, 0o700)
        with os.scandir(descriptor) as entries:
            return descriptor, tuple(entry.name for entry in entries)
    except OSError:
        os.close(descriptor)
        raise


def _delete(folder: Path) -> None:
    """Remove a tree by descriptors (`shutil.rmtree` follows no link, not even one that appears meanwhile)."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except (OSError, RecursionError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is nested too deeply"
        raise LabboxError(
            "unavailable", f"cannot delete {folder}: {why}", "see to the disk, then try again"
        ) from error
