"""Keeping the audit trail: its key and its mark among the secrets, a look at all of it now and then."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from labbox.daemon.people import ledger, secrets
from labbox.daemon.store import Store
from labbox.daemon.store.audit import Checked, Mark, Trail
from labbox.errors import LabboxError

if TYPE_CHECKING:
    from sqlite3 import Connection

_log = logging.getLogger(__name__)

_KEY: Final = "audit.key"
_MARK: Final = "audit.mark"
_COST: Final = "the entries of the audit trail up to now cannot be checked any more"
_MARKED: Final = 5.0  # seconds between two marks: so much could be cut off the end unseen
_WHOLE: Final = 3600.0  # seconds between two looks at the whole trail
_PIECE: Final = 250  # entries followed at once: a millisecond or two
_PAUSE: Final = 0.02  # seconds between two pieces, for others


class TrailKeeping:
    """Opens the trail at the start and keeps its mark."""

    def __init__(self, store: Store, state: Path, on_disk: Callable[..., Awaitable[Any]]) -> None:
        """`on_disk` runs what works on files in a thread."""
        self._store = store
        self._state = state
        self._on_disk = on_disk
        self._trail: Trail

    async def open(self) -> Trail:
        """The trail; a new box's is begun. LabboxError "unavailable" where key or mark are damaged."""
        folder = self._state / "secrets"
        begun = await self._store.read(Trail.begun)
        new_key = ledger.has_lost(folder / _KEY)
        key = await self._on_disk(lambda: secrets.kept_key(folder, _KEY, _COST, made=begun))
        self._trail = Trail(key)
        if new_key or ledger.has_lost(folder / _MARK):
            await self._renew("key" if new_key else "mark")
        else:
            self._trail = Trail(key, await self._on_disk(self._kept, folder / _MARK))
        await self._store.write(self._begin)
        await self.mark()
        return self._trail

    async def run(self) -> None:
        """Keep the mark near the end, and look at all of the trail at the start and then each hour."""
        due = time.monotonic()
        while True:
            try:
                if time.monotonic() >= due:
                    await self.look_at_all()
                    due = time.monotonic() + _WHOLE
                await self.mark()
            except LabboxError as error:  # the disk; the rest of the box tells of it too
                _log.warning("the audit trail could not be looked at: %s", error)
            await asyncio.sleep(_MARKED)

    async def look_at_all(self) -> None:
        """Follow every link, with pauses."""
        checked: Checked | None = None
        while True:

            def piece(db: Connection, after: Checked | None = checked) -> Checked | None:
                return self._trail.check(db, after, _PIECE)

            checked = await self._store.read(piece)
            if checked is None:
                return
            await asyncio.sleep(_PAUSE)

    async def mark(self) -> None:
        """Note how far the trail has come."""
        made = await self._store.read(self._trail.advance)
        if made is None:
            return
        try:
            await self._keep(made)
        except OSError as error:
            _log.warning("the mark of the audit trail could not be written: %s", error)

    async def _renew(self, what: str) -> None:
        """Count from here on, because the key or the mark were said to be lost, and let the trail tell."""

        def renew(db: Connection) -> Mark:
            return self._trail.renew(db)

        mark = await self._store.write(renew)
        self._trail = Trail(self._trail.key, mark)
        await self._keep(mark)
        await self._on_disk((self._state / "secrets" / f"{_MARK}.lost").unlink, True)
        detail = f"entries up to {mark.base} cannot be checked any more"
        await self._store.write(
            lambda db: self._trail.record(db, "box", f"audit {what} renewed", str(self._state), "box", detail)
        )

    async def _keep(self, mark: Mark) -> None:
        await self._on_disk(ledger.write, self._state / "secrets" / _MARK, self._trail.sealed(mark))
        self._trail.mark = mark

    def _kept(self, path: Path) -> Mark:
        if ledger.take(path, lambda: ledger.write(path, self._trail.sealed(Mark())), _COST):
            return Mark()  # a new box, or one that had none yet
        mark = self._trail.opened(path.read_bytes())
        if mark is None:
            raise ledger.refusal(
                path, f"it is damaged, or {_KEY} beside it is not the one it was made with", _COST
            )
        return mark

    def _begin(self, db: Connection) -> None:
        if not self._trail.begun(db) and self._trail.mark.count == 0:
            self._trail.record(db, "box", "box create", str(self._state), "box")
