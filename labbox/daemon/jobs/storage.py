"""What people store: counted by workers off the hot path, kept in the store, held against their limits.

Home, results and what was handed in count together. Between two measurements what a job added is added up, so
a figure is never far off; inputs of ended jobs yield where a limit is reached.
"""

from __future__ import annotations

import asyncio
import logging
import os
import time
from pathlib import Path
from typing import Final

from labbox.daemon.jobs.handed import decode_handed, trees
from labbox.daemon.jobs.ports import Folders
from labbox.daemon.people.accounts import Account
from labbox.daemon.store import Store, jobs, usage
from labbox.errors import LabboxError
from labbox.text import format_bytes

NEARLY_FULL: Final = "the box's disk is nearly full"
_log = logging.getLogger(__name__)

_FRESH: Final = 60.0  # seconds for which a measurement is good
_SPARING: Final = 20.0  # times as long as it took, at least
_LOOK: Final = 2.0  # seconds between two counts while somebody with a limit writes
_NOTHING: Final = 1 << 20  # bytes that a disk loses while nobody stores anything
_SECOND: Final = 1.0  # between two looks at what the disk has left
_FILLING: Final = 32 << 20  # bytes that go from it in a second where somebody fills it
_GROWN: Final = 4 << 20  # bytes that somebody stores meanwhile who takes part in that
_CALM: Final = 30  # looks at a disk with room after which what was counted means nothing
_LONGEST: Final = 600.0  # seconds that one may take
_JUST_NOW: Final = 300.0  # seconds in which something handed in may not be a job yet


class Storage:
    """Everybody's figures. `wanted` are those whose figure is to be measured anew by the housekeeping."""

    def __init__(self, store: Store, folders: Folders, state: Path, floor: int = 0) -> None:
        """Nothing is measured before somebody asks; `state` is where all of it stands.

        Where its disk has less than half of `floor` bytes left, nothing more is to be put there.
        """
        self._floor = floor
        self._counting: dict[str, asyncio.Lock] = {}
        self._state = state
        self.wanted: dict[str, Account] = {}
        self.stirred = asyncio.Event()
        self._store = store
        self._folders = folders
        self._next: dict[str, float] = {}
        self._outputs: dict[str, dict[int, int]] = {}  # of running jobs, by owner: as last measured
        self._counted: dict[str, dict[int, int]] = {}  # the same when all of the owner's was counted last
        self._last: dict[str, tuple[float, int]] = {}  # when it was counted last, and what was found

    async def check(self, account: Account) -> None:
        """LabboxError "limit" where somebody has used up their storage, and nothing of it can yield."""
        limit = account.limits.storage
        if limit is None or await self.used(account) < limit:
            return
        used = await self.make_room(account)
        if used >= limit:
            raise LabboxError(
                "limit",
                f"cannot submit: your home and results take {format_bytes(used)},"
                f" you may store {format_bytes(limit)}",
                "delete what you no longer need, or ask an administrator for more",
            )

    async def room(self, account: Account) -> int | None:
        """Bytes that somebody may still store; None without a limit."""
        limit = account.limits.storage
        return None if limit is None else max(0, limit - await self.used(account))

    def room_now(self, name: str, limit: int) -> int:
        """Bytes that somebody may still store, by the last count; all of it where nothing was counted yet."""
        _at, used = self._last.get(name, (0.0, 0))
        return max(0, limit - used)

    async def until_over(self, account: Account) -> None:
        """Wait until somebody stores more than they may, and more than when this began.

        It is counted while the disk gets fuller. Whoever is over their limit already
        can delete in peace.
        """
        limit = account.limits.storage
        if limit is None:
            await asyncio.get_running_loop().create_future()
            return
        first: int | None = None
        free = _free(self._state)
        while True:
            began = time.monotonic()
            at, used = self._last.get(account.name, (0.0, 0))
            try:
                now_free = _free(self._state)
                if not at or (began - at >= _LOOK and free - now_free > _NOTHING):
                    used, free = await self.measure(account), now_free
            except (LabboxError, TimeoutError) as error:
                _log.warning("what %s stores could not be counted: %s", account.name, error)
            first = used if first is None else min(first, used)
            if used > max(limit, first):
                return
            await asyncio.sleep(max(_LOOK, _SPARING * (time.monotonic() - began)))

    def full(self) -> str:
        """Why nothing more may be put on the box's disk, in a sentence; "" while there is room."""
        free = _left(self._state)
        return f"the box has only {format_bytes(free)} of disk left" if free < self._floor / 2 else ""

    async def until_full(self, account: Account) -> None:
        """Wait until the box's disk is nearly full, and what somebody stores grows meanwhile.

        The disk is looked at each second; only when it fills is anything counted. Who deletes, or does
        nothing, is left in peace.
        """
        left, first, calm, took = _left(self._state), None, 0, 0.0
        while True:
            await asyncio.sleep(max(_SECOND, 2 * took))
            left, before = _left(self._state), left
            if left >= self._floor and before - left < _FILLING:
                calm += 1
                if calm > _CALM:
                    first, took = None, 0.0
                continue
            calm, began = 0, time.monotonic()
            try:
                used = await self._counted_since(account, began)
            except (LabboxError, TimeoutError) as error:
                _log.warning("what %s stores could not be counted: %s", account.name, error)
                continue
            took = time.monotonic() - began
            first = used if first is None else min(first, used)
            if used - first > _GROWN and self.full():
                return

    async def until_too_much(self, account: Account) -> str:
        """Wait until somebody may store no more: for their own limit, or for the box's disk. Says why."""
        over = asyncio.ensure_future(self.until_over(account))
        full = asyncio.ensure_future(self.until_full(account))
        try:
            await asyncio.wait((over, full), return_when=asyncio.FIRST_COMPLETED)
            return "this is more than you may store" if over.done() else self.full() or NEARLY_FULL
        finally:
            over.cancel()
            full.cancel()
            await asyncio.gather(over, full, return_exceptions=True)

    async def _counted_since(self, account: Account, moment: float) -> int:
        """What somebody stores, counted after this moment: by one of all who ask at once."""
        async with self._counting.setdefault(account.name, asyncio.Lock()):
            at, used = self._last.get(account.name, (0.0, 0))
            return used if at >= moment else await self.measure(account)

    def grown(self, account: Account, job: int, size: int) -> None:
        """A running job's output has this size now."""
        self._outputs.setdefault(account.name, {})[job] = size

    def done(self, account: Account, job: int) -> None:
        """A job's output grows no more."""
        for sizes in (self._outputs, self._counted):
            sizes.get(account.name, {}).pop(job, None)

    def forget(self, owner: str) -> None:
        """Somebody has gone: nothing that was measured of theirs counts for the next one of that name."""
        self._outputs.pop(owner, None)
        self._counted.pop(owner, None)
        self._next.pop(owner, None)
        self._counting.pop(owner, None)
        self.wanted.pop(owner, None)

    async def is_over(self, account: Account) -> bool:
        """Whether somebody's running jobs together have written more than the owner may store.

        What they wrote since the last count of all is added to it; so several that run at once stop within a
        look at their outputs of the limit, however seldom all is counted.
        """
        limit = account.limits.storage
        if limit is None:
            return False
        counted = self._counted.get(account.name, {})
        sizes = self._outputs.get(account.name, {})
        since = sum(max(0, size - counted.get(job, 0)) for job, size in sizes.items())
        return await self.used(account) + since > limit

    async def used(self, account: Account) -> int:
        """Bytes in use: measured if that was never done, else the last figure, which is renewed meanwhile."""
        if account.name not in self._next:
            return await self.measure(account)
        self.changed(account)
        return await self._store.read(lambda connection: usage.get(connection, account.name).storage)

    def changed(self, account: Account) -> None:
        """Have the figure renewed off the hot path, where the last one is not quite new."""
        if self._next.get(account.name, 0.0) <= time.monotonic():
            self.wanted[account.name] = account
            self.stirred.set()

    async def measure(self, account: Account) -> int:
        """Count what stands under somebody's name, and keep the figure."""
        began = time.monotonic()
        before = dict(self._outputs.get(account.name, {}))
        async with asyncio.timeout(_LONGEST):
            size = await self._folders.stored_bytes(account)
        self._counted[account.name] = before
        self._last[account.name] = time.monotonic(), size
        await self._store.write(lambda connection: usage.set_storage(connection, account.name, size))
        took = time.monotonic() - began
        self._next[account.name] = time.monotonic() + max(_FRESH, _SPARING * took)
        return size

    async def make_room(self, account: Account) -> int:
        """Let go of what was handed in for jobs that have ended; the bytes in use then."""
        await self.prune(account, ended_before=time.time(), unused_since=time.time() - _JUST_NOW)
        return await self.measure(account)

    async def prune(self, account: Account, *, ended_before: float, unused_since: float) -> int:
        """Remove trees of jobs that ended before a moment and were not handed in since another one."""
        handed = await self._store.read(
            lambda connection: jobs.trees_in_use(connection, account.name, round(ended_before * 1e6))
        )
        keep = {name for one in map(decode_handed, handed) for name in trees(one)}
        gone = await self._folders.prune(account, tuple(sorted(keep)), unused_since)
        if gone:
            _log.info("%d snapshots of %s are no longer needed and were removed", gone, account.name)
        return gone


def _free(state: Path) -> int:
    disk = os.statvfs(state)
    return disk.f_bfree * disk.f_frsize


def _left(state: Path) -> int:
    """What people can still write: file systems keep some for root."""
    disk = os.statvfs(state)
    return disk.f_bavail * disk.f_frsize


def names_below(folder: Path) -> tuple[str, ...]:
    """The people who have a folder there."""
    try:
        return tuple(sorted(entry.name for entry in folder.iterdir() if not entry.name.startswith(".")))
    except FileNotFoundError:
        return ()
