"""What the file manager does with files: transfers are jobs, small things are done at once."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from labbox.errors import LabboxError
from labbox.files.directory import Kind
from labbox.locations import (
    Location,
    archive_ending,
    archive_is_read_only,
    check_name,
    packed_ending,
    parse,
    path_text,
)
from labbox.model import ACTIVE, WAITING, Conflict, JobKind, JobSpec, Progress, TransferSpec, TransferVerb
from labbox.protocol import Job
from labbox.text import counted, format_bytes, restored, stem_of, visible_line
from labbox.tui.browsing import new_location_below
from labbox.tui.screens.files_hosts import FilesHosts
from labbox.tui.screens.files_wishes import Outlook, TransferDialog, Wish
from labbox.tui.widgets.dialog import Confirm, Prompt

READINGS: Final = 3  # of a folder for what was just made: one that another takes the place of shows nothing
SHOWN: Final = 5  # conflicts and problems that a plan names in a dialog
PREVIEWED: Final = 12  # lines of what a synchronisation would do
_IS_ARE: Final = ("is", "are")
AHEAD: Final = 1  # priority of what is started at once: before what was queued
_WORDS: Final = {
    TransferVerb.COPY: "Copy",
    TransferVerb.MOVE: "Move",
    TransferVerb.TRASH: "Delete",
    TransferVerb.ERASE: "Delete for good",
    TransferVerb.SYNC: "Synchronise",
    TransferVerb.PACK: "Pack",
    TransferVerb.UNPACK: "Unpack",
    TransferVerb.CHECKSUM: "Checksums",
    TransferVerb.UNDO: "Undo",
    TransferVerb.RESTORE: "Restore",
}


class FilesDeeds(FilesHosts):
    """Copy, move, delete, make, rename, undo."""

    # Transfers.

    async def submit(
        self, spec: TransferSpec, at_once: bool = True, undoable: bool = True, of: str = ""
    ) -> Job:
        """Hand a transfer to the box, and remember its way back; `of`: what else its name says."""
        what = visible_line(spec.sources[0].rpartition("/")[2] or spec.sources[0]) if spec.sources else ""
        more = f" and {len(spec.sources) - 1} more" if len(spec.sources) > 1 else ""
        name = f"{_WORDS.get(spec.verb, spec.verb.value)} {what}{more}{of}".strip()[:100]
        job = await self.ask(
            lambda: self.lab.client.submit_job(
                JobSpec(name=name, transfer=spec, priority=AHEAD if at_once else 0)
            )
        )
        if undoable and spec.verb in (TransferVerb.COPY, TransferVerb.MOVE, TransferVerb.TRASH):
            self.remember_undo(name, partial(self._undo_job, job.id, name))
        self.transfer_submitted(job, spec.verb)
        return job

    def transfer_submitted(self, job: Job, verb: TransferVerb) -> None:
        """A transfer is on its way."""
        raise NotImplementedError

    async def _undo_job(self, number: int, name: str) -> Job:
        spec = TransferSpec(verb=TransferVerb.UNDO, sources=(), undo=number)
        return await self.submit(spec, undoable=False, of=f"“{name}”")

    def action_copy(self) -> None:
        """Copy what is meant to the other pane's folder, or wherever is said."""
        self.attempt(self._send(TransferVerb.COPY), group="dialog")

    def action_move(self) -> None:
        """Move what is meant; a single entry may get another name."""
        self.attempt(self._send(TransferVerb.MOVE), group="dialog")

    async def _send(self, verb: TransferVerb) -> None:
        if self.nothing_meant():
            return
        names, sources = self.meant(), self.meant_locations()
        base = self.here.location
        target = str(self.there.location).rstrip("/") + "/"
        selected: int | None = None
        if len(names) == 1 and self.there.location == base and "/" not in names[0]:
            target = path_text(names[0])
            selected = stem_of(target, folder=self.row is not None and self.row.kind is Kind.FOLDER)

        def spec_of(wish: Wish) -> TransferSpec:
            text = restored(wish.target.strip(), target)
            to = new_location_below(text, base)
            exact = len(names) == 1 and not text.endswith("/") and not self._is_known_folder(to)
            if verb is TransferVerb.MOVE and sources[0].inner is not None:
                raise archive_is_read_only(sources[0], "move")
            if to.inner is not None:
                raise archive_is_read_only(to, "write to")
            if sources == [to]:
                raise LabboxError(
                    "invalid", f"cannot {verb.value} it onto itself: give another name or folder"
                )
            if verb is TransferVerb.MOVE and any(source.holds(to) for source in sources):
                raise LabboxError("invalid", "cannot move a folder into itself", "choose another target")
            return TransferSpec(
                verb=verb,
                sources=tuple(map(str, sources)),
                target=str(to),
                exact=exact,
                conflict=wish.conflict,
                decisions=wish.decisions,
                verify=wish.verify,
            )

        word = _WORDS[verb]
        wish = await self.app.push_screen_wait(
            TransferDialog(
                word,
                f"{word} {self.what(names)} to:",
                target,
                lambda wish, tell: self.look_ahead(spec_of(wish), tell),
                check=spec_of,
                selected=selected,
            )
        )
        if wish is None:
            return
        if verb is TransferVerb.MOVE and len(names) == 1 and await self._renamed(names[0], spec_of(wish)):
            return
        spec = spec_of(wish)
        if await self.acquainted(parse(spec.target or "")):
            await self.submit(spec, wish.at_once)
            self.unmark()

    async def _renamed(self, name: str, spec: TransferSpec) -> bool:
        """A move within the folder is a new name, and done at once."""
        to = parse(spec.target or "")
        source = self.location_of(name)
        listing = self.here.listing
        if to.parent != source.parent or to == source or spec.conflict not in (Conflict.FAIL, Conflict.LEAVE):
            return False
        if listing is not None and listing.find(to.name) is not None:
            return False
        await self._rename([(source, to)])
        return True

    def _is_known_folder(self, location: Location) -> bool:
        """Whether a folder of that name is known to be there: then things go into it."""
        for _, browser in self.both():
            listing = browser.listing
            if browser.location == location:
                return True
            if listing is not None and browser.location == location.parent:
                number = listing.find(location.name)
                if number is not None:
                    return listing.is_folder(number)
        return location.name == ""

    async def look_ahead(self, spec: TransferSpec, tell: Callable[[str], None]) -> Outlook:
        """What a transfer amounts to: files, bytes, what is in the way, what cannot work."""
        from labbox.files.transfer import plan

        def count(progress: Progress) -> None:
            tell(f"Counting… {counted(progress.files or 0, 'file')}, {format_bytes(progress.done)}")

        found = await plan(spec, await self.places(), progress=count)
        folders = f", {counted(found.folders, 'folder')}" if found.folders else ""
        parts = [f"{counted(found.files + found.links, 'file')}{folders}, {format_bytes(found.size)}"]
        if spec.target is not None:
            if spec.verb is TransferVerb.PACK and await self._is_there(parse(spec.target)):
                parts.append("the archive is there already")
            elif found.conflict_count:
                parts.append(f"{found.conflict_count:,} {_IS_ARE[found.conflict_count > 1]} there already")
            elif spec.verb is not TransferVerb.SYNC:
                parts.append("nothing in the way")
            if found.free is not None:
                parts.append(f"{format_bytes(found.free)} free")
        lines = [" · ".join(parts)]
        clashes = [f"  {clash.path}" for clash in found.conflicts[:SHOWN]]
        if found.conflict_count > SHOWN:
            clashes.append(f"  … {found.conflict_count - SHOWN:,} more")
        lines += clashes
        lines += [f"  {line}" for line in found.lines[:PREVIEWED]]
        lines += [f"  {problem.path}: {problem.text}" for problem in found.problems[:SHOWN]]
        if spec.verb is TransferVerb.SYNC:
            return Outlook("\n".join(lines), found.choices, max(found.line_count, len(found.choices)))
        return Outlook("\n".join(lines), found.conflicts, found.conflict_count)

    async def _is_there(self, location: Location) -> bool:
        place, path = await self.here.place_of(location)
        try:
            await place.entry(path)
        except LabboxError as error:
            if error.code != "not_found":
                raise
            return False
        return True

    # Deleting.

    def action_trash(self) -> None:
        """Delete; the trash has it for a while."""
        self.attempt(self._delete(TransferVerb.TRASH), group="dialog")

    def action_erase(self) -> None:
        """Delete for good."""
        self.attempt(self._delete(TransferVerb.ERASE), group="dialog")

    async def _delete(self, verb: TransferVerb) -> None:
        if self.nothing_meant():
            return
        names, sources = self.meant(), self.meant_locations()
        for one in sources:
            if one.inner is not None:
                raise archive_is_read_only(one, "delete")
        spec = TransferSpec(verb=verb, sources=tuple(map(str, sources)))
        good = verb is TransferVerb.ERASE
        wish = await self.app.push_screen_wait(
            TransferDialog(
                "Delete for good" if good else "Delete",
                f"Delete {self.what(names)} for good? Nothing brings it back."
                if good
                else f"Delete {self.what(names)}?\nIt goes to the trash; Alt+Z brings it back.",
                None,
                lambda _wish, tell: self.look_ahead(spec, tell),
                conflicts=(),
                verify=False,
                danger=good,
                verb="Delete",
            )
        )
        if wish is not None:
            await self.submit(spec, wish.at_once)
            self.unmark()

    # Small things, done at once.

    async def _after(self) -> None:
        """Read again where the kernel does not tell of changes."""
        for _, browser in self.both():
            if browser.folder is None:
                await browser.read()

    def action_make_folder(self) -> None:
        """Make a folder, and those above it that are missing."""
        self.attempt(self._make_folder(), group="dialog")

    async def _make_folder(self) -> None:
        answer = await self.app.push_screen_wait(Prompt("Make a folder", "Name", "", "raw/2026", verb="Make"))
        if answer is None or not str(answer["text"]).strip():
            return
        wanted = new_location_below(str(answer["text"]), self.here.location)
        made: list[Location] = []
        missing = [wanted]
        while True:
            place, path = await self.here.place_of(missing[-1])
            try:
                await place.make_folder(path)
            except LabboxError as error:
                above = missing[-1].parent
                if error.code != "not_found" or above == missing[-1]:
                    raise
                missing.append(above)
                continue
            made.append(missing.pop())
            if not missing:
                break
        self.remember_undo(f"make {wanted.name}", partial(self._unmake, made))
        await self._after()
        await self._stand_on_new(wanted)

    async def _unmake(self, made: list[Location]) -> None:
        for location in reversed(made):
            place, path = await self.here.place_of(location)
            await place.remove(path)
        await self._after()

    async def _stand_on_new(self, location: Location) -> None:
        """The cursor goes to what was just made, where it is in this folder."""
        base = self.here.location
        while location.parent not in (base, location):
            location = location.parent
        if location.parent != base:
            return
        for _ in range(READINGS):
            if self.here.listing is None or self.here.listing.find(location.name) is not None:
                break
            await self.here.read(stand_on=location.name)
        self.pane.table.stand_on(location.name)

    def action_rename(self) -> None:
        """Rename what is under the cursor."""
        self.attempt(self._rename_one(), group="dialog")

    async def _rename_one(self) -> None:
        row = self.row
        if row is None:
            return
        source = self.location_of(row.name)
        offered = path_text(source.name)
        answer = await self.app.push_screen_wait(
            Prompt(
                "Rename",
                "New name",
                offered,
                check=lambda text: _name_of(restored(text, offered)),
                verb="Rename",
                selected=stem_of(offered, folder=row.kind is Kind.FOLDER),
            )
        )
        if answer is None or str(answer["text"]) == source.name:
            return
        await self._rename([(source, source.parent.joined(str(answer["text"])))])

    async def _rename(self, pairs: list[tuple[Location, Location]]) -> None:
        """Rename each; those whose new names are others' old ones go by a name between."""
        done: list[tuple[Location, Location]] = []
        sources = {source for source, _ in pairs}
        try:
            waiting = []
            for number, (source, target) in enumerate(pairs):
                between = target in sources
                to = target.parent.joined(f".labbox-rename-{number}") if between else target
                await self._move(source, to)
                done.append((source, to))
                if between:
                    waiting.append((to, target))
            for source, target in waiting:
                await self._move(source, target)
                done.append((source, target))
        finally:
            if done:
                back = [(target, source) for source, target in reversed(done)]
                words = done[0][0].name if len(pairs) == 1 else f"{len(pairs)} names"
                self.remember_undo(f"rename {words}", partial(self._rename_back, back))
                await self._after()
        await self._stand_on_new(pairs[-1][1])

    async def _rename_back(self, pairs: list[tuple[Location, Location]]) -> None:
        for source, target in pairs:
            await self._move(source, target)
        await self._after()

    async def _move(self, source: Location, target: Location) -> None:
        place, path = await self.here.place_of(source)
        _, to = await self.here.place_of(target)
        await place.rename(path, to)

    def action_rename_many(self) -> None:
        """Rename what is marked by a pattern."""
        self.attempt(self._rename_many(), group="dialog")

    async def _rename_many(self) -> None:
        if self.nothing_meant():
            return
        names = self.meant()
        if self.here.tab.flat or self.here.tab.title:
            raise LabboxError("invalid", "cannot rename many in a flat view", "go into the folder")
        from labbox.tui.screens.files_renaming import RenameMany

        pairs = await self.app.push_screen_wait(RenameMany(names))
        if pairs:
            base = self.here.location
            await self._rename([(base.joined(old), base.joined(new)) for old, new in pairs])
            self.unmark()

    def action_new_file(self) -> None:
        """Make an empty file and edit it."""
        self.attempt(self._new_file(), group="dialog")

    async def _new_file(self) -> None:
        answer = await self.app.push_screen_wait(Prompt("New file", "Name", "", "notes.txt", verb="Make"))
        if answer is None or not str(answer["text"]).strip():
            return
        wanted = new_location_below(str(answer["text"]), self.here.location)
        place, path = await self.here.place_of(wanted)
        handle = await place.open(path, write=True, create=True, exclusive=True)
        await handle.close()
        await place.share(path)
        self.remember_undo(f"make {wanted.name}", partial(self._unmake, [wanted]))
        await self._after()
        await self._stand_on_new(wanted)
        self.edit(wanted)

    def edit(self, location: Location) -> None:
        """Open the editor."""
        raise NotImplementedError

    # Archives.

    def action_pack(self) -> None:
        """Pack what is meant into an archive."""
        self.attempt(self._pack(), group="dialog")

    async def _pack(self) -> None:
        if self.nothing_meant():
            return
        names, sources = self.meant(), self.meant_locations()
        name = (names[0] if len(names) == 1 else self.here.location.name or "files").rpartition("/")[2]
        target = self.there.location if self.there.location.inner is None else self.here.location

        def spec_of(wish: Wish) -> TransferSpec:
            to = new_location_below(wish.target, self.here.location)
            if not archive_ending(to.name):
                raise LabboxError(
                    "invalid",
                    "cannot tell the kind of archive",
                    "end the name in .zip, .tar.zst or .tar.gz",
                )
            return TransferSpec(
                verb=TransferVerb.PACK,
                sources=tuple(map(str, sources)),
                target=str(to),
                exact=True,
                conflict=wish.conflict,
            )

        wish = await self.app.push_screen_wait(
            TransferDialog(
                "Pack",
                f"Pack {self.what(names)} into:",
                str(target.joined(f"{name}.zip")),
                lambda wish, tell: self.look_ahead(spec_of(wish), tell),
                verify=False,
                check=spec_of,
            )
        )
        if wish is not None:
            await self.submit(spec_of(wish), wish.at_once)
            self.unmark()

    def action_unpack(self) -> None:
        """Unpack the archives that are meant into the other pane's folder."""
        self.attempt(self._unpack(), group="dialog")

    async def _unpack(self) -> None:
        if self.nothing_meant():
            return
        names, sources = self.meant(), self.meant_locations()
        wrong = [name for name in names if not (archive_ending(name) or packed_ending(name))]
        if wrong:
            raise LabboxError(
                "invalid", f"cannot unpack “{visible_line(wrong[0])}”: it is no archive", "mark archives only"
            )

        def spec_of(wish: Wish) -> TransferSpec:
            return TransferSpec(
                verb=TransferVerb.UNPACK,
                sources=tuple(map(str, sources)),
                target=str(new_location_below(wish.target, self.here.location)),
                conflict=wish.conflict,
            )

        async def look(wish: Wish, tell: Callable[[str], None]) -> Outlook:
            # A folder is unpacked by one rule: what is in the way is named, not decided one by one.
            return (await self.look_ahead(spec_of(wish), tell))._replace(clashes=())

        target = self.there.location if self.there.location.inner is None else self.here.location
        wish = await self.app.push_screen_wait(
            TransferDialog(
                "Unpack",
                f"Unpack {self.what(names)} into:",
                str(target),
                look,
                verify=False,
                check=spec_of,
            )
        )
        if wish is not None:
            await self.submit(spec_of(wish), wish.at_once)
            self.unmark()

    # Undo.

    def action_undo(self) -> None:
        """Take back the last change."""
        self.attempt(self._undo(), group="dialog")

    async def _undo(self) -> None:
        if not self.undoable:
            self.lab.say("There is nothing to undo.")
            return
        what, back = self.undoable[-1]
        if await self.app.push_screen_wait(
            Confirm("Undo", f"Undo: {visible_line(what)}?", "Undo", danger=False)
        ):
            self.undoable.pop()
            if not await back():  # a job tells of its end itself
                self.lab.say(f"Undone: {what}")


def is_transfer(job: Job) -> bool:
    """Whether a job moves files and has not ended."""
    return job.kind is JobKind.TRANSFER and job.state in ACTIVE | WAITING


def _name_of(text: str) -> str:
    from labbox.locations import path_of

    name = path_of(text)
    check_name(name)
    return name
