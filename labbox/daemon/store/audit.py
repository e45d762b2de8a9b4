"""The audit trail: who did what, when, from where; an edit or a loss of entries shows.

Each entry carries a link: a keyed hash over the entry and the link before it. The head, kept in `meta`, is a
keyed hash of the last link, so entries missing at the end show too. The key lies outside the database:
whoever can write the database alone cannot make a trail that fits. Outside it lies a mark too, which says how
far the trail had come: one that was deleted whole, cut off with its head, or replaced by an older copy falls
short of it. What cannot be seen from inside: an older copy of database, key and mark at once.

A page follows the links of its own entries and of those that came since the last look at all; to follow them
all takes a second for 200,000, and is done in small pieces now and then (`check`).
"""

from __future__ import annotations

import hmac
import sqlite3
from typing import Final

import msgspec

from labbox.daemon.store import meta
from labbox.daemon.store.times import moment, now, stamp
from labbox.model import Value
from labbox.protocol import AuditEntry, AuditPage
from labbox.text import visible_line

_HEAD: Final = "audit.head"
_START: Final = "labbox audit trail"
_LAST: Final = "SELECT id, link FROM audit ORDER BY id DESC LIMIT 1"
_INSERT: Final = """
    INSERT INTO audit (id, at, who, action, target, origin, detail, link) VALUES (?, ?, ?, ?, ?, ?, ?, ?)
"""
_BETWEEN: Final = """
    SELECT id, at, who, action, target, origin, detail, link FROM audit
    WHERE id > :after AND (:upto IS NULL OR id <= :upto) ORDER BY id
"""
_AT_ONCE: Final = 2_000  # entries that a page follows beside its own: ten milliseconds
_PAGE: Final = """
    SELECT id, at, who, action, target, origin, detail FROM audit
    WHERE :before IS NULL OR id < :before ORDER BY id DESC LIMIT :limit
"""


class Mark(Value):
    """How far the trail had come when it was last looked at, to be kept outside the database.

    `base`: the last entry that was written under a key or mark that is lost: none up to it can be checked.
    """

    count: int = 0  # entries, which is the last one's id
    link: str = _START  # of that one
    base: int = 0
    base_link: str = _START


class Checked(Value):
    """How far the links were followed; `trouble` is a sentence where they did not fit."""

    count: int
    link: str
    trouble: str = ""


class Trail:
    """The trail, for whoever holds its key."""

    def __init__(self, key: bytes, mark: Mark | None = None) -> None:
        """`key`: 32 random bytes, the same for the life of the box; `mark`: as it was kept last."""
        self.key: Final = key
        self.mark = mark or Mark()
        self.trouble = ""  # what was found wrong once stays wrong
        self._good = Checked(count=self.mark.base, link=self.mark.base_link)

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
        mark = self.mark  # before the first look at the database: what is seen then is never older
        checked = self._follow(connection, self._beginning, None)
        return not (checked.trouble or self._end_trouble(connection, mark))

    def check(self, connection: sqlite3.Connection, after: Checked | None, most: int) -> Checked | None:
        """Follow the links of the next `most` entries; None once the last one has been looked at.

        Begin with `after` None; what is found wrong stays in `trouble`.
        """
        mark, before = self.mark, self._beginning if after is None else after
        checked = self._follow(connection, before, before.count + most)
        self.trouble = self.trouble or checked.trouble
        if checked.trouble or checked.count - before.count < most:
            self.trouble = self.trouble or self._end_trouble(connection, mark)
            self._good = checked
            return None
        return checked

    def advance(self, connection: sqlite3.Connection) -> Mark | None:
        """The mark for the trail as it is now; None where the old one holds, or does not fit the trail."""
        mark = self.mark
        last = connection.execute(_LAST).fetchone()
        if last is None or _mark_trouble(connection, mark):
            return None
        made = msgspec.structs.replace(mark, count=last["id"], link=last["link"])
        return None if made == mark else made

    def renew(self, connection: sqlite3.Connection) -> Mark:
        """A mark from which the trail is counted anew, because key or mark were lost."""
        last = connection.execute(_LAST).fetchone()
        number, link = (0, _START) if last is None else (last["id"], last["link"])
        meta.put(connection, _HEAD, self._head(link))
        return Mark(count=number, link=link, base=number, base_link=link)

    def sealed(self, mark: Mark) -> bytes:
        """The mark as it is kept: nobody without the key writes one."""
        text = msgspec.json.encode(mark)
        return text + b"\n" + self._hash(b"mark", text).encode() + b"\n"

    def opened(self, kept: bytes) -> Mark | None:
        """The mark in what was kept; None where it is damaged or was written under another key."""
        text, _, seal = kept.partition(b"\n")
        if not hmac.compare_digest(self._hash(b"mark", text).encode(), seal.strip()):
            return None
        try:
            return msgspec.json.decode(text, type=Mark)
        except msgspec.DecodeError:
            return None

    def page(self, connection: sqlite3.Connection, limit: int, before: int | None) -> AuditPage:
        """The newest entries older than `before`; `intact` tells of them and of the end."""
        mark = self.mark
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
        trouble = (
            self.trouble
            or self._shown_trouble(connection, [entry.id for entry in entries], limit)
            or self._new_trouble(connection)
            or self._end_trouble(connection, mark)
        )
        self.trouble = trouble
        return AuditPage(
            entries=entries, next=following, intact=not trouble, trouble=trouble, unchecked=self.mark.base
        )

    @staticmethod
    def begun(connection: sqlite3.Connection) -> bool:
        """Whether there is a trail, or the mark of one that was."""
        written = connection.execute("SELECT 1 FROM audit LIMIT 1").fetchone() is not None
        return written or meta.get(connection, _HEAD) is not None

    @property
    def _beginning(self) -> Checked:
        return Checked(count=self.mark.base, link=self.mark.base_link)

    def _follow(self, connection: sqlite3.Connection, after: Checked, upto: int | None) -> Checked:
        """Follow the links from one entry to another (None: the last)."""
        count, before = after.count, after.link
        for place, row in enumerate(
            connection.execute(_BETWEEN, {"after": count, "upto": upto}), start=count + 1
        ):
            *fields, link = row
            if fields[0] != place:
                return Checked(count=count, link=before, trouble=f"entry {place} is missing")
            if not hmac.compare_digest(self._link(before, tuple(fields)), link):
                return Checked(count=count, link=before, trouble=f"entry {place} is not as it was written")
            count, before = place, link
        return Checked(count=count, link=before)

    def _shown_trouble(self, connection: sqlite3.Connection, ids: list[int], limit: int) -> str:
        """What is wrong with the entries of a page, newest first."""
        base = self.mark.base
        if len(ids) < limit and (ids[-1] if ids else base + 1) > base + 1 and base == 0:
            return f"entry {base + 1} is missing"
        ids = [one for one in ids if one > base]
        if not ids:
            return ""
        oldest = ids[-1] - 1
        before = self.mark.base_link
        if oldest > base:
            row = connection.execute("SELECT link FROM audit WHERE id = ?", (oldest,)).fetchone()
            if row is None:
                return f"entry {oldest} is missing"
            before = row["link"]
        return self._follow(connection, Checked(count=oldest, link=before), ids[0]).trouble

    def _new_trouble(self, connection: sqlite3.Connection) -> str:
        """What is wrong with entries that came since all were looked at."""
        checked = self._follow(connection, self._good, self._good.count + _AT_ONCE)
        self._good = Checked(count=checked.count, link=checked.link)
        return checked.trouble

    def _end_trouble(self, connection: sqlite3.Connection, mark: Mark) -> str:
        """Whether the trail ends where it should."""
        last = connection.execute(_LAST).fetchone()
        link = _START if last is None else last["link"]
        trouble = _mark_trouble(connection, mark)
        if not trouble and not hmac.compare_digest(meta.get(connection, _HEAD) or "", self._head(link)):
            return "entries at its end are missing, or were added"
        return trouble

    def _link(self, before: str, fields: tuple[object, ...]) -> str:
        return self._hash(b"entry", before.encode() + msgspec.json.encode(fields))

    def _head(self, link: str) -> str:
        return self._hash(b"head", link.encode())

    def _hash(self, purpose: bytes, data: bytes) -> str:
        return hmac.digest(self.key, purpose + b"\0" + data, "sha256").hex()


def _mark_trouble(connection: sqlite3.Connection, mark: Mark) -> str:
    """Whether the trail is still as long as it once was."""
    if mark.count == 0:
        return ""
    row = connection.execute("SELECT link FROM audit WHERE id = ?", (mark.count,)).fetchone()
    if row is not None and hmac.compare_digest(row["link"], mark.link):
        return ""
    last = connection.execute(_LAST).fetchone()
    number = 0 if last is None else last["id"]
    if number < mark.count:
        return (
            f"it had {mark.count} entries and has {number}: it was cut off or deleted,"
            " or an older copy of the store was put back"
        )
    return f"entry {mark.count} is another one than was written: the trail was begun anew or replaced"
