"""What a transfer was asked to do, in names and sentences that words and screens share."""

from __future__ import annotations

from typing import Final

from labbox.model import Conflict, TransferSpec, TransferVerb

V = TransferVerb

MOST_NAMED: Final = 20  # sources that are told one by one
_CONFLICTS: Final = {
    Conflict.FAIL: "leave it, and count it as not done",
    Conflict.SKIP: "skip it",
    Conflict.OVERWRITE: "overwrite it",
    Conflict.NEWER: "overwrite it where it is older",
    Conflict.RENAME: "put the new one beside it",
    Conflict.RESUME: "go on behind what is there",
}
_IN_THE_WAY: Final = frozenset({V.COPY, V.MOVE, V.SYNC, V.UNPACK, V.PACK, V.RESTORE})


def facts(asked: TransferSpec) -> list[tuple[str, str]]:
    """What it does, from where, to where, and what it was told of the rest; empty values say nothing."""
    named = list(asked.sources[:MOST_NAMED])
    if len(asked.sources) > MOST_NAMED:
        named.append(f"… and {len(asked.sources) - MOST_NAMED:,} more")
    found = [
        ("does", asked.verb.value),
        ("from", "\n".join(named)),
        ("to", asked.target or ""),
        ("undoes", "" if asked.undo is None else f"job {asked.undo}"),
    ]
    if asked.verb in _IN_THE_WAY:
        found.append(("in the way", _CONFLICTS[asked.conflict]))
        decided = len(asked.decisions)
        found.append(("decided", f"{decided:,} one by one" if decided else ""))
    found += [
        ("only", f"{len(asked.only):,} that were not done before" if asked.only else ""),
        ("leaves out", " ".join(asked.exclude)),
        ("checks", "the copies are read again" if asked.verify else ""),
        ("mirrors", "what the source lacks goes to the trash" if asked.mirror else ""),
        ("compares", "by content" if asked.content else ""),
        ("names", asked.name or ""),
        ("holding", asked.text or ""),
        ("algorithm", asked.algorithm if asked.verb is V.CHECKSUM else ""),
    ]
    return found
