"""What is cleared away now and then, with nobody waiting for it: spools, snapshots, environments."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Collection
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from labbox.daemon.jobs import results
from labbox.daemon.jobs.ports import Environments, People
from labbox.daemon.jobs.storage import Storage, names_below
from labbox.daemon.store import Store, attempts
from labbox.errors import LabboxError

_log = logging.getLogger(__name__)

_FIRST: Final = 300.0  # seconds after the start
_EVERY: Final = 3600.0  # seconds between two rounds
_ENVIRONMENTS: Final = 30 * 86400.0  # seconds for which an environment is kept that no job uses


class Housekeeping:
    """The rounds; one thing at a time, so that they never take more than one worker and one thread."""

    def __init__(
        self,
        *,
        store: Store,
        people: People,
        environments: Environments,
        storage: Storage,
        state: Path,
        keep_inputs: float,
        threads: ThreadPoolExecutor,
    ) -> None:
        """`keep_inputs`: seconds for which what was handed in for a job outlives it."""
        self._store = store
        self._people = people
        self._environments = environments
        self._storage = storage
        self._state = state
        self._keep_inputs = keep_inputs
        self._threads = threads

    def left_spools(self, under_way: Collection[str]) -> tuple[str, ...]:
        """The spools now that belong to no attempt under way: an earlier daemon was killed over them."""
        return tuple(name for name in names_below(self._state / "spool") if name not in under_way)

    async def run(self, spools: Collection[str]) -> None:
        """Clear the left spools, then make rounds until cancelled."""
        loop = asyncio.get_running_loop()
        for name in spools:
            await loop.run_in_executor(self._threads, results.remove, self._state / "spool", name)
        due = loop.time() + _FIRST
        while True:
            self._storage.stirred.clear()
            await self._measure_wanted()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(due):
                    await self._storage.stirred.wait()
            if loop.time() >= due:
                await self.round()
                due = loop.time() + _EVERY

    async def round(self) -> None:
        """Once through everything; what fails for one person keeps no other waiting."""
        loop = asyncio.get_running_loop()
        for kind, work in (("snapshots", self._prune), ("homes", self._measure)):
            names = await loop.run_in_executor(self._threads, names_below, self._state / kind)
            for name in names:
                await work(name)
        try:
            keep = await self._store.read(attempts.environments_in_use)
            gone = await self._environments.prune(_ENVIRONMENTS, keep)
        except (LabboxError, OSError, TimeoutError) as error:
            _log.warning("old environments could not be removed: %s", error)
        else:
            if gone:
                _log.info("%d environments were not used for long and were removed", gone)

    async def _prune(self, name: str) -> None:
        account = await self._people.account(name)
        if account is None:
            return
        before = time.time() - self._keep_inputs
        try:
            await self._storage.prune(account, ended_before=before, unused_since=before)
        except (LabboxError, OSError, TimeoutError) as error:
            _log.warning("old snapshots of %s could not be removed: %s", name, error)

    async def _measure(self, name: str) -> None:
        account = await self._people.account(name)
        if account is None:
            return
        try:
            await self._storage.measure(account)
        except (LabboxError, OSError, TimeoutError) as error:
            _log.warning("what %s stores could not be counted: %s", name, error)

    async def _measure_wanted(self) -> None:
        while self._storage.wanted:
            name = next(iter(self._storage.wanted))
            del self._storage.wanted[name]
            await self._measure(name)
