"""The further tools of the file manager: compare, synchronise, modes, links, sums."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from labbox.errors import LabboxError
from labbox.files.directory import Listing
from labbox.files.places.base import Attributes
from labbox.locations import Location, path_text
from labbox.model import TransferSpec, TransferVerb
from labbox.text import visible_line
from labbox.tui.browsing import Browser, new_location_below
from labbox.tui.screens.files_looking import FilesLooking
from labbox.tui.screens.files_wishes import TransferDialog, Wish
from labbox.tui.widgets.dialog import Field, Form


class FilesTools(FilesLooking):
    """Tools."""

    # Two folders.

    def action_compare(self) -> None:
        """Mark in both panes what the other one lacks or has in another size or from another time."""
        self.attempt(self._compare(), group="dialog")

    async def _compare(self) -> None:
        left, right = self.here.listing, self.there.listing
        if left is None or right is None:
            return
        if self.here.location == self.there.location:
            self.lab.say("Both panes show this folder: go to another one in the other pane.")
            return
        one, other = await self.disk.ask(lambda: different(left, right))
        left.marks, right.marks = one, other
        for side in self.browsers:
            self.pane_changed(side, None)
        if one or other:
            self.lab.say(f"{len(one)} here and {len(other)} there differ; they are marked.")
        else:
            self.lab.say("The folders hold the same, by size and time.")

    def action_difference(self) -> None:
        """What differs between two files, line by line."""
        self.attempt(self._difference(), group="dialog")

    async def _difference(self) -> None:
        from labbox.files.viewing.comparing import text_difference
        from labbox.tui.screens.files_sync import Difference

        both = self._two_files()
        if both is None:
            self.lab.say("Mark two files, or stand on one in each pane.")
            return
        (one, _), (other, _) = both
        opened = [await browser.place_of(location) for location, browser in both]
        lines = await text_difference(opened[0], opened[1], (one.shown(), other.shown()))
        await self.app.push_screen_wait(Difference(f"{one.shown()} → {other.shown()}", lines))

    def _two_files(self) -> tuple[tuple[Location, Browser], tuple[Location, Browser]] | None:
        """The two marked ones; or what is under the cursor here, and its namesake or what is so there."""
        here, there = self.here, self.there
        names = self.meant()
        if len(names) == 2:
            return (self.location_of(names[0]), here), (self.location_of(names[1]), here)
        if len(names) != 1 or there.listing is None:
            return None
        one = self.location_of(names[0])
        row = self.file_panes["left" if self.active == "right" else "right"].table.row
        under = [row.name] if row is not None else []
        namesake = [names[0]] if there.listing.find(names[0]) is not None else []
        for name in (*namesake, *under):
            if (other := self.location_of(name, there)) != one:
                return (one, here), (other, there)
        return None

    def action_sync(self) -> None:
        """Make the other pane's folder like this one, after a look at what that takes."""
        self.attempt(self._sync(), group="dialog")

    async def _sync(self) -> None:
        source, target = self.here.location, self.there.location
        if source == target:
            raise LabboxError(
                "invalid", "cannot synchronise a folder with itself", "choose another in one pane"
            )

        def spec_of(wish: Wish) -> TransferSpec:
            return TransferSpec(
                verb=TransferVerb.SYNC,
                sources=(str(source),),
                target=str(new_location_below(wish.target, source)),
                exact=True,
                verify=wish.verify,
                mirror=wish.flags["mirror"],
                content=wish.flags["content"],
                decisions=wish.decisions,
            )

        async def compare(path: str) -> list[str]:
            from labbox.files.viewing.comparing import text_difference

            below = path.partition("/")[2]
            both = [
                await self.here.place_of(below_it(one, below)) for one in (source, self._sync_target(dialog))
            ]
            return await text_difference(both[0], both[1], (f"here/{below}", f"there/{below}"))

        dialog = TransferDialog(
            "Synchronise",
            f"Make this like {source.shown()}:",
            str(target),
            lambda wish, tell: self.look_ahead(spec_of(wish), tell),
            conflicts=(),
            flags={
                "mirror": ("trash what only the target has", False),
                "content": ("compare contents, not size and time", False),
            },
            check=spec_of,
            compare=compare,
        )
        wish = await self.app.push_screen_wait(dialog)
        if wish is not None:
            await self.submit(spec_of(wish), wish.at_once)

    def _sync_target(self, dialog: TransferDialog) -> Location:
        return new_location_below(dialog.target_typed(), self.here.location)

    # Modes, owners, links.

    def action_chmod(self) -> None:
        """Change the permission bits of what is meant."""
        self.attempt(self._chmod(), group="dialog")

    async def _chmod(self) -> None:
        if self.nothing_meant():
            return
        names = self.meant()
        row = (
            self.here.listing.row(number)
            if (number := self._number(names[0])) is not None and self.here.listing
            else None
        )
        answer = await self.app.push_screen_wait(
            Form(
                "Mode",
                [Field("mode", "Octal", f"{row.mode:03o}" if row else "644", "644", _octal)],
                "Change",
                note=f"Of {self.what(names)}. 4 read, 2 write, 1 execute: owner, group, others.",
            )
        )
        if answer is None:
            return
        mode = answer["mode"]
        before = [
            (name, self.here.listing.row(at).mode)
            for name in names
            if self.here.listing and (at := self._number(name)) is not None
        ]
        await self._change(names, lambda _name: Attributes(mode=mode if isinstance(mode, int) else None))
        old = dict(before)
        self.remember_undo(
            f"mode of {self.what(names)}",
            partial(self._change, names, lambda name: Attributes(mode=old.get(name))),
        )

    def _number(self, name: str) -> int | None:
        return self.here.listing.find(name) if self.here.listing is not None else None

    async def _change(self, names: list[str], wanted: Callable[[str], Attributes]) -> None:
        failed: list[LabboxError] = []
        for name in names:
            place, path = await self.here.place_of(self.location_of(name))
            try:
                await place.change(path, wanted(name))
            except LabboxError as error:
                failed.append(error)
        await self._after()
        if failed:
            more = f" (and {len(failed) - 1} more)" if len(failed) > 1 else ""
            raise LabboxError(failed[0].code, failed[0].message + more, failed[0].hint)
        self.unmark()

    def action_chown(self) -> None:
        """Change owner and group of what is meant, where the system allows it."""
        self.attempt(self._chown(), group="dialog")

    async def _chown(self) -> None:
        if self.nothing_meant():
            return
        names = self.meant()
        answer = await self.app.push_screen_wait(
            Form(
                "Owner and group",
                [
                    Field(
                        "uid", "Owner", "", "a name or number; empty: as it is", partial(_number_of, "owner")
                    ),
                    Field(
                        "gid", "Group", "", "a name or number; empty: as it is", partial(_number_of, "group")
                    ),
                ],
                "Change",
                note=f"Of {self.what(names)}.",
            )
        )
        if answer is not None:
            uid, gid = answer["uid"], answer["gid"]
            wanted = Attributes(
                uid=uid if isinstance(uid, int) else None, gid=gid if isinstance(gid, int) else None
            )
            await self._change(names, lambda _name: wanted)

    def action_symlink(self) -> None:
        """Make a symbolic link to what is under the cursor, in the other pane's folder."""
        self.attempt(self._symlink(), group="dialog")

    async def _symlink(self) -> None:
        row = self.row
        source = self.location_of(row.name) if row else self.here.location
        leads = await self.here.system_path(source) or source.path
        into = self.there.location if self.there.location.inner is None else self.here.location
        answer = await self.app.push_screen_wait(
            Form(
                "Symbolic link",
                [
                    Field("at", "Link", str(into.joined(source.name or "link"))),
                    Field("target", "Target", path_text(leads)),
                ],
                "Make",
            )
        )
        if answer is None:
            return
        at = new_location_below(str(answer["at"]), self.here.location)
        place, path = await self.here.place_of(at)
        from labbox.locations import path_of

        await place.link(path, path_of(str(answer["target"])))
        self.remember_undo(f"link {at.name}", partial(self._unmake, [at]))
        await self._after()

    # Sums.

    def action_checksums(self) -> None:
        """Have the sums of what is meant computed by a job."""
        self.attempt(self._checksums(), group="dialog")

    async def _checksums(self) -> None:
        if self.nothing_meant():
            return
        sources = self.meant_locations()
        answer = await self.app.push_screen_wait(
            Form(
                "Checksums",
                [Field("algorithm", "Algorithm", "sha256", "sha256, sha512, md5, blake2b, blake3")],
                "Start",
            )
        )
        if answer is not None:
            job = await self.submit(
                TransferSpec(
                    verb=TransferVerb.CHECKSUM,
                    sources=tuple(map(str, sources)),
                    algorithm=str(answer["algorithm"]).strip().lower(),
                )
            )
            self.lab.say(f"Job {job.id} computes the sums; they are shown when it ends.")
            self.unmark()


def below_it(top: Location, path: str) -> Location:
    """What is at a path below a folder."""
    for name in path.split("/") if path else ():
        top = top.joined(name)
    return top


def different(one: Listing, other: Listing) -> tuple[set[int], set[int]]:
    """The files of two listings that differ by name, size or time (of two seconds and more)."""

    def known(listing: Listing) -> dict[str, int]:
        return {listing.name(at): at for at in listing.shown if not listing.is_folder(at)}

    left, right = known(one), known(other)

    def unlike(a: int, b: int) -> bool:
        return one.sizes[a] != other.sizes[b] or abs(one.mtimes[a] - other.mtimes[b]) > 2_000_000_000

    differing = {name for name in left.keys() & right.keys() if unlike(left[name], right[name])}
    mine = {at for name, at in left.items() if name not in right or name in differing}
    theirs = {at for name, at in right.items() if name not in left or name in differing}
    return mine, theirs


def _octal(text: str) -> int:
    try:
        mode = int(text.strip(), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise LabboxError(
            "invalid", f"cannot read “{text}” as a mode", "three or four digits from 0 to 7: 644"
        )
    return mode


def _number_of(what: str, text: str) -> int | None:
    text = text.strip()
    if not text:
        return None
    if text.isascii() and text.isdigit():
        return int(text)
    import grp
    import pwd

    try:
        return pwd.getpwnam(text).pw_uid if what == "owner" else grp.getgrnam(text).gr_gid
    except KeyError:
        raise LabboxError(
            "invalid", f"cannot find the {what} “{visible_line(text)}”", "give its number"
        ) from None
