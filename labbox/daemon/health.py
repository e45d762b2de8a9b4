"""The box at a glance: what `labbox status` shows, and what is wrong with it, in sentences."""

from __future__ import annotations

import asyncio
import os
import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import psutil

import labbox
from labbox.custom import Configuration
from labbox.daemon import footing
from labbox.daemon.containers.engine import Engine
from labbox.daemon.jobs.service import Jobs
from labbox.daemon.people import People
from labbox.daemon.reserve import Reserve
from labbox.protocol import EngineStatus, Status
from labbox.text import format_bytes

_LITTLE_MEMORY: Final = 0.03  # of all; below it the machine is about to swap or kill


class Health:
    """Collects the status from the parts."""

    def __init__(
        self,
        *,
        configuration: Configuration,
        state: Path,
        people: People,
        jobs: Jobs,
        engine: Engine,
        reserve: Reserve,
    ) -> None:
        """The box is not ready until `ready_at` was called."""
        self._name = configuration.settings.name
        self._floor = configuration.settings.jobs.free_floor
        self._state = state
        self._people = people
        self._jobs = jobs
        self._engine = engine
        self._reserve = reserve
        self._started_at = datetime.now(UTC)
        self._address = ""

    def ready_at(self, host: str, port: int) -> None:
        """Logins are accepted there."""
        self._address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    async def status(self) -> Status:
        """The box now."""
        numbers = await self._jobs.status_numbers()
        users = await self._people.list()
        disk = await asyncio.to_thread(shutil.disk_usage, self._state)
        memory = psutil.virtual_memory()
        engine = self._engine
        problems = list(numbers.problems)
        if not engine.available:
            problems.append(f"jobs do not start: {engine.reason}")
        problems += await asyncio.to_thread(footing.problems)
        if engine.outside.trouble:
            problems.append(engine.outside.trouble)
        if self._reserve.trouble:
            problems.append(self._reserve.trouble)
        if disk.free < self._floor and not numbers.problems:
            problems.append(f"the disk of {self._state} has only {format_bytes(disk.free)} free")
        if self._people.trail.trouble:
            problems.append(f"the audit trail is not intact: {self._people.trail.trouble}")
        if memory.available < _LITTLE_MEMORY * memory.total:
            problems.append(f"the machine has only {format_bytes(memory.available)} of memory free")
        return Status(
            version=labbox.__version__,
            box=self._name,
            started_at=self._started_at,
            ready=bool(self._address),
            ssh=self._address,
            engine=EngineStatus(
                available=engine.available,
                version=engine.version,
                reason="" if engine.available else engine.reason,
            ),
            jobs=numbers.jobs,
            users=len(users.users),
            total=numbers.total,
            used=numbers.used,
            load=os.getloadavg(),
            memory_total=memory.total,
            memory_available=memory.available,
            disk_total=disk.total,
            disk_free=disk.free,
            problems=tuple(problems),
        )
