"""The audit trail: who did what, when, from where; an edit or a loss of entries shows.

Each entry carries a link: a keyed hash over the entry and the link before it. The head, kept in `meta`, is a
keyed hash of the last link, so entries missing at the end show too. The key lies outside the database:
whoever can write the database alone cannot make a trail that fits.

To follow the links of 100,000 entries takes half a second of Python. So what was found good once is known
again by a hash over all its text, which SQLite and the hash make beside Python: every byte is still looked at
each time. Where that hash differs, the links decide.
"""

from __future__ import annotations

import hashlib
import hmac
import sqlite3
from typing import TYPE_CHECKING, Final, NamedTuple

import msgspec

from labbox.daemon.store import meta
from labbox.daemon.store.times import moment, now, stamp
from labbox.protocol import AuditEntry, AuditPage
from labbox.text import visible_line

if TYPE_CHECKING:
    from hashlib import _Hash

_HEAD: Final = "audit.head"
_START: Final = "labbox audit trail"
_LAST: Final = "SELECT id, link FROM audit ORDER BY id DESC LIMIT 1"
_INSERT: Final = """
    INSERT INTO audit (id, at, who, action, target, origin, detail, link) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_AFTER: Final = "SELECT id, at, who, action, target, origin, detail, link FROM audit WHERE id > ? ORDER BY id"
# The separators stand in no entry (`visible_line` takes them out). Whoever writes some into one has more of
# them than so many rows can have, so different rows never make the same text; their number is compared too.
# Not by SQLite's `format`, though it is faster: it would overlook what stands behind a NUL.
_TEXT: Final = """
    SELECT count(*), CAST(group_concat(
        id || char(31) || at || char(31) || who || char(31) || action || char(31) || target || char(31)
        || origin || char(31) || detail || char(31) || link || char(30), '') AS BLOB)
    FROM audit WHERE id > :after AND id <= :upto
"""
_BLOCK: Final = 4096  # rows whose text is in memory at a time
_PAGE: Final = """
    SELECT id, at, who, action, target, origin, detail FROM audit
    WHERE :before IS NULL OR id < :before ORDER BY id DESC LIMIT :limit
"""


class _Good(NamedTuple):
    """How much of the trail was found as it was written: `size` entries, whose text has this hash."""

    size: int
    link: str  # of the last one
    text: bytes


class Trail:
    """The trail, for whoever holds its key."""

    def __init__(self, key: bytes) -> None:
        """`key`: 32 random bytes, the same for the life of the box."""
        self._key = key
        self._good = _Good(0, _START, hashlib.sha256().digest())

    def record(
        self,
        connection: sqlite3.Connection,
        who: str,
        action: str,
        target: str,
        origin: str,
        detail: str = "",
    ) -> None:
        """Append an entry in the caller's transaction, so that it stands or falls with the change itself."""
        last = connection.execute(_LAST).fetchone()
        number, before = (1, _START) if last is None else (last["id"] + 1, last["link"])
        words = (visible_line(word) for word in (who, action, target, origin, detail))
        fields = (number, stamp(now()), *words)
        link = self._link(before, fields)
        connection.execute(_INSERT, (*fields, link))
        meta.put(connection, _HEAD, self._head(link))

    def intact(self, connection: sqlite3.Connection) -> bool:
        """Whether every entry from the first to the head is as it was written. Reads the whole trail."""
        good = self._good
        text = hashlib.sha256()
        if not _add_text(connection, text, 0, good.size) or text.digest() != good.text:
            good, text = _Good(0, _START, b""), hashlib.sha256()
        count, before = good.size, good.link
        for place, row in enumerate(connection.execute(_AFTER, (count,)), start=count + 1):
            *fields, link = row
            if fields[0] != place or not hmac.compare_digest(self._link(before, tuple(fields)), link):
                return False
            count, before = place, link
        if not hmac.compare_digest(meta.get(connection, _HEAD) or "", self._head(before)):
            return False
        if _add_text(connection, text, good.size, count):
            self._good = _Good(count, before, text.digest())
        return True

    def page(self, connection: sqlite3.Connection, limit: int, before: int | None) -> AuditPage:
        """The newest entries older than `before`."""
        rows = connection.execute(_PAGE, {"before": before, "limit": limit}).fetchall()
        entries = tuple(
            AuditEntry(
                id=row["id"],
                at=moment(row["at"]),
                who=row["who"],
                action=row["action"],
                target=row["target"],
                origin=row["origin"],
                detail=row["detail"],
            )
            for row in rows
        )
        following = entries[-1].id if len(entries) == limit and entries[-1].id > 1 else None
        return AuditPage(entries=entries, next=following, intact=self.intact(connection))

    def begun(self, connection: sqlite3.Connection) -> bool:
        """Whether there is a trail, or the mark of one that was."""
        written = connection.execute("SELECT 1 FROM audit LIMIT 1").fetchone() is not None
        return written or meta.get(connection, _HEAD) is not None

    def _link(self, before: str, fields: tuple[object, ...]) -> str:
        return self._hash(b"entry", before.encode() + msgspec.json.encode(fields))

    def _head(self, link: str) -> str:
        return self._hash(b"head", link.encode())

    def _hash(self, purpose: bytes, data: bytes) -> str:
        return hmac.digest(self._key, purpose + b"\0" + data, "sha256").hex()


def _add_text(connection: sqlite3.Connection, text: _Hash, after: int, upto: int) -> bool:
    """Hash the entries behind `after` and up to `upto`; False where not all of them are there."""
    for start in range(after, upto, _BLOCK):
        end = min(start + _BLOCK, upto)
        count, rows = connection.execute(_TEXT, {"after": start, "upto": end}).fetchone()
        if count != end - start:
            return False
        text.update(rows)
    return True
