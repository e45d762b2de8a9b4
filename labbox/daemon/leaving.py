"""What happens before a user is gone: their logins and jobs end, and their files go if that was asked for."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path
from typing import Final

from labbox.daemon.gate import Gate
from labbox.daemon.jobs.service import Jobs
from labbox.daemon.people import Account
from labbox.errors import LabboxError

_PATIENCE: Final = 120.0  # seconds for the last run to be collected
_LOOK: Final = 0.2  # seconds between two looks
_KINDS: Final = ("homes", "results", "snapshots", "git")


class Leaving:
    """The departure of a user, as `People.departures` wants it."""

    def __init__(self, gate: Gate, jobs: Jobs, state: Path) -> None:
        """The parts that hold something of a user's."""
        self._gate = gate
        self._jobs = jobs
        self._state = state

    async def __call__(self, account: Account, delete_files: bool) -> None:
        """End logins and jobs, then delete the files; nothing of the user's runs any more when they go."""
        for door in list(self._gate.doors):
            if door.name == account.name:
                door.disconnect("your account on this box was removed")
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
            for kind in _KINDS:
                await asyncio.to_thread(_delete, self._state / kind / account.name)

    async def _something_runs(self, account: Account) -> bool:
        page = await self._jobs.page(account, owner=account.name, state="active", limit=1)
        return bool(page.jobs) or self._gate.sessions.count(account.name) > 0


def _delete(folder: Path) -> None:
    """Remove a tree by descriptors (`shutil.rmtree` follows no link, not even one that appears meanwhile)."""
    try:
        shutil.rmtree(folder)
    except FileNotFoundError:
        return
    except OSError as error:
        raise LabboxError(
            "unavailable", f"cannot delete {folder}: {error.strerror}", "see to the disk, then try again"
        ) from error
