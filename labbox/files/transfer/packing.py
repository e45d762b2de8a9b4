"""Packing into archives and unpacking them; the archives themselves are made by `labbox.files.archives`.

An archive, and a folder that is unpacked, is built under a temporary name beside its place. A cut cannot be
gone on with in the middle of an archive: what an earlier run left is removed, and it begins anew.
"""

from __future__ import annotations

import time
from typing import Final

from labbox.errors import LabboxError
from labbox.files import archives
from labbox.files.archives.reading import kinds
from labbox.files.listing import shown
from labbox.files.places.base import EntryKind
from labbox.files.transfer.asked import (
    Spot,
    ensure_folder,
    sources_of,
    spot,
    target_of,
    unpacked_name,
    without_double,
)
from labbox.files.transfer.copying import bring_one
from labbox.files.transfer.deciding import Deed, Side, decide, into_itself, names_beside
from labbox.files.transfer.erasing import erase_entry
from labbox.files.transfer.frames import part_name
from labbox.files.transfer.journal import Undoable
from labbox.files.transfer.naming import archive_names
from labbox.files.transfer.running import Run
from labbox.files.transfer.trashing import entry_or_none, version
from labbox.locations import archive_ending, name_of, packed_ending
from labbox.model import Conflict
from labbox.text import visible_line

_MERGED: Final = (Conflict.OVERWRITE, Conflict.NEWER, Conflict.SKIP, Conflict.RESUME)


class _Hooks:
    """What the archives tell, for the reporter; called from their thread."""

    def __init__(self, one: Run, top: str, doing: str) -> None:
        """`top` goes before paths in reports, and `doing` says what failed."""
        self._one, self._reporter, self._top, self._doing = one, one.reporter, top, doing

    def wants(self, path: str, name: str, *, folder: bool) -> bool:
        """Whether the selection takes it."""
        return self._one.selection.wants(self._top + path, name, folder=folder)

    def done(self, path: str, kind: EntryKind, size: int) -> None:
        """Count it."""
        reporter = self._reporter
        reporter.files += kind is EntryKind.FILE
        reporter.folders += kind is EntryKind.FOLDER
        reporter.links += kind is EntryKind.LINK
        reporter.size += size

    def replaced(self, path: str, size: int | None) -> None:
        """Take it back, and say so."""
        if size is not None:
            self._reporter.files -= 1
            self._reporter.size -= size
        self._reporter.not_kept(
            f"{shown(path)} is in the archive more than once: the last one is there, those before it are not"
        )

    def moved(self, count: int) -> None:
        """Report, pause, end."""
        self._reporter.moved += count
        if self._reporter.due():
            self._one.breathe()

    def tick(self, path: str) -> None:
        """Report, pause, end."""
        self._reporter.current = path
        if self._reporter.due():
            self._one.breathe()

    def fail(self, path: str, error: LabboxError) -> None:
        """A row."""
        self._reporter.fail(self._top + path, error, self._doing)

    def not_kept(self, sentence: str) -> None:
        """A sentence."""
        self._reporter.not_kept(sentence)


async def pack(one: Run) -> None:
    """Make one archive of all sources; the target's ending says of which kind."""
    target = target_of(one.spec)
    archives.check_kind(target.name)
    above = await spot(one.places, target.parent)
    await ensure_folder(above)
    final = await _free(one, above, target.name, folder=False)
    if final is None:
        return
    sources: dict[str, archives.Source] = {}
    for source, called in archive_names(sources_of(one.spec)).items():
        try:
            found = await spot(one.places, source)
            await found.place.entry(found.path)
            sources[called] = archives.Source(found.place, found.path, called)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(called, error, "pack")
    if not sources:
        return
    out = above.below(part_name(one.journal.tag, target.name))
    await _remove(one, out)
    await archives.pack(
        tuple(sources.values()),
        out.place,
        out.path,
        name=target.name,
        hooks=_Hooks(one, "", "pack"),
        in_thread=one.control.in_thread,
    )
    await _put(one, out, final[0], replace=final[1])


async def unpack(one: Run) -> None:
    """Unpack each source into a folder of its name, or with `exact` into the target itself."""
    target = target_of(one.spec)
    sources = sources_of(one.spec)
    if one.spec.exact and len(sources) != 1:
        raise LabboxError(
            "invalid", "cannot unpack several archives into one folder", "unpack them one by one"
        )
    above = await spot(one.places, target.parent if one.spec.exact else target)
    await ensure_folder(above)
    for source in sources:
        called = name_of(source)
        wanted = target.name if one.spec.exact else unpacked_name(source)
        try:
            await _unpack(one, await spot(one.places, source), above, wanted, called)
        except LabboxError as error:
            if error.code == "unavailable":
                raise
            one.reporter.fail(called, error, "unpack")


async def _unpack(one: Run, archive: Spot, above: Spot, wanted: str, called: str) -> None:
    single = packed_ending(archive.location.name) is not None
    if archive_ending(archive.location.name) is None and not single:
        raise LabboxError(
            "invalid",
            f"cannot unpack “{visible_line(called)}”: its name does not end like an archive's",
            kinds(),
        )
    if not wanted:
        raise into_itself(called)
    there = await entry_or_none(above.below(wanted))
    policy = one.selection.conflict(called)
    merges = not single and there is not None and there.kind is EntryKind.FOLDER and policy in _MERGED
    final = (above.below(wanted), False) if merges else await _free(one, above, wanted, folder=not single)
    if final is None:
        return
    out = above.below(part_name(one.journal.tag, wanted))
    await _remove(one, out)
    await archives.unpack(
        archive.place,
        archive.path,
        out.place,
        out.path,
        hooks=_Hooks(one, called + "/", "unpack"),
        in_thread=one.control.in_thread,
    )
    whole = out if one.spec.exact else await without_double(out, wanted)
    if single:
        whole = out.below(unpacked_name(archive.location))
    if not merges:
        try:
            await _put(one, whole, final[0], replace=single and final[1])
        finally:
            if whole is not out:
                await _remove(one, out)
        return
    counts = one.reporter.files, one.reporter.folders, one.reporter.links, one.reporter.size
    try:
        await bring_one(one, whole, above, wanted, called, policy, moving=True)
    finally:
        one.reporter.files, one.reporter.folders, one.reporter.links, one.reporter.size = counts
        await _remove(one, out)


async def _free(one: Run, above: Spot, wanted: str, *, folder: bool) -> tuple[Spot, bool] | None:
    """Where it goes, and whether it replaces what is there; None where it is to be skipped."""
    final = above.below(wanted)
    there = await entry_or_none(final)
    if there is None:
        return final, False
    mine = Side(EntryKind.FOLDER if folder else EntryKind.FILE, 0, time.time_ns())
    policy = one.selection.conflict(wanted)
    deed = decide(policy, mine, Side(there.kind, 0, there.mtime), wanted)
    if deed is Deed.SKIP:
        one.reporter.skip(wanted, policy)
        return None
    if deed is not Deed.RENAME:
        return final, True
    for name in names_beside(wanted, folder=folder):
        if await entry_or_none(above.below(name)) is None:
            return above.below(name), False
    raise AssertionError("unreachable")


async def _put(one: Run, out: Spot, final: Spot, *, replace: bool) -> None:
    made = await out.place.entry(out.path)
    what = "replaced" if replace else "made"
    one.journal.note_undo(Undoable(what, str(final.location), at=time.time_ns(), **version(made)))
    try:
        await out.place.rename(out.path, final.path, replace=replace)
    except BaseException:
        one.journal.note_undo(Undoable("void", str(final.location)))
        await _remove(one, out)
        raise
    one.reporter.undoable = one.reporter.undoable or not replace


async def _remove(one: Run, out: Spot) -> None:
    if await entry_or_none(out) is not None:
        await erase_entry(out, one)
