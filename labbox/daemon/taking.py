"""What logins put into shared folders becomes its people's: the person's own worker does it, now and then.

A login that copies is watched by what its program says (`labbox.files.deeds`); the daemon reads none of it.
"""

from __future__ import annotations

import asyncio
import ctypes
import logging
import os
import time
from typing import Final

from labbox.daemon.people import Account, People
from labbox.daemon.workers import Workers
from labbox.errors import LabboxError
from labbox.files import work

_EVERY: Final = 5.0  # seconds between two looks at a login that lasts
_PATIENCE: Final = 10.0  # seconds that the end of a login waits; what takes longer goes on without it
_PUNCH_HOLE: Final = 3  # <linux/falloc.h>: and keep the size
_PAGE: Final = 4096
_LEAST_LIMIT: Final = (1 << 20) - 4096  # bytes; `processes` lets a file have as many in any case

_log = logging.getLogger(__name__)
_libc = ctypes.CDLL(None, use_errno=True)


class Taking:
    """Implements `gate.launch.Taking`."""

    def __init__(self, workers: Workers, people: People) -> None:
        """`people` knows who shares what with whom."""
        self._workers = workers
        self._people = people

    def begin(self, account: Account, targets: tuple[str, ...], log: int | None) -> Taken:
        """A login begins to copy to `targets`; `log`: the open file that its SFTP server writes instead."""
        projects = self._people.projects
        folders = (projects.shared_folder(), *projects.folders(account.name).values())
        return Taken(self._workers, account, folders, targets, log)


class Taken:
    """What one login has put into shared folders."""

    def __init__(
        self,
        workers: Workers,
        account: Account,
        folders: tuple[str, ...],
        targets: tuple[str, ...],
        log: int | None,
    ) -> None:
        """As `Taking.begin`."""
        self._workers = workers
        self._account = account
        self._folders = folders
        self._targets = targets
        self._log = log
        self._began = time.time_ns()
        self._read = 0
        self._looking = asyncio.Lock()

    async def attend(self) -> None:
        """Look now and then, for a login can last for days; ends when cancelled."""
        while True:
            await asyncio.sleep(_EVERY)
            if self._log is not None:
                await self._look()

    async def finish(self) -> None:
        """The program has ended: what it did last."""
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._look()
                if self._log is not None and self._is_cut():
                    self._log, self._targets = None, self._folders
                    await self._look()
        except TimeoutError:
            _log.warning(
                "not all that %s copied into shared folders was opened to others", self._account.name
            )

    def _is_cut(self) -> bool:
        """Whether the log met the largest size that a file of somebody with a limit may have."""
        limited = self._account.limits.storage is not None
        return limited and self._log is not None and os.fstat(self._log).st_size >= _LEAST_LIMIT

    async def _look(self) -> None:
        """One look after the other."""
        async with self._looking:
            await self._ask()

    async def _ask(self) -> None:
        """Have the worker do what is new; what it cannot do stays as the program left it."""
        if self._log is not None and os.fstat(self._log).st_size <= self._read:
            return
        asked = work.TakeIn(began=self._began, folders=self._folders, targets=self._targets, start=self._read)
        try:
            answer = await self._workers.call(self._account, asked, () if self._log is None else (self._log,))
        except LabboxError as error:
            _log.warning(
                "what %s copied into shared folders stays theirs: %s", self._account.name, error.message
            )
            return
        if self._log is not None and isinstance(answer, work.TookIn):
            self._read = max(self._read, answer.read)
            whole = self._read - self._read % _PAGE
            _libc.fallocate(self._log, _PUNCH_HOLE, ctypes.c_long(0), ctypes.c_long(whole))
