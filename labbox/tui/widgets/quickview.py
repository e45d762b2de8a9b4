"""The other pane as a view of what is under the cursor: the file itself, or what is known of it.

Both wait a moment before they read, and drop what they read as soon as the cursor has moved on.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import partial
from stat import filemode
from typing import TYPE_CHECKING, Final

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.css.query import NoMatches

from labbox.errors import LabboxError
from labbox.files.places.base import Entry, EntryKind, Place
from labbox.files.viewing import formats
from labbox.files.viewing.source import Source
from labbox.locations import Location
from labbox.text import counted, format_bytes, visible_line
from labbox.tui.format import local_time
from labbox.tui.widgets.factline import FactLine
from labbox.tui.widgets.fileview import FileView
from labbox.tui.widgets.lines import Line, Lines, field, section, wrapped
from labbox.tui.widgets.working import begin

if TYPE_CHECKING:
    from labbox.files.places.opening import Places
    from labbox.tui.graphics import Graphics

DEBOUNCE: Final = 0.12  # seconds that the cursor must rest
MOST_ENTRIES: Final = 20_000  # of a folder that are counted
_FEWEST_LISTED: Final = 12  # kinds of files that a summary names


class _FileBeside(FileView):
    """A file in the other pane: the keys stay with the list."""

    can_take_keys = False
    most_packed = 8 << 20  # in passing


class Beside(Vertical):
    """What stands in the other pane about one entry; a child class reads and shows it."""

    def __init__(self, places: Places) -> None:
        """Blank until `show` is told."""
        super().__init__()
        self.places = places
        self.location: Location | None = None

    def show(self, location: Location | None) -> None:
        """Show this entry once the cursor rests; None: nothing is under it. Returns at once."""
        if location == self.location:
            return
        self.location = location
        begin(self, partial(self._settled, location), group="beside", exclusive=True)

    def show_anew(self) -> None:
        """Read the entry again: it may have changed."""
        location, self.location = self.location, None
        self.show(location)

    async def _settled(self, location: Location | None) -> None:
        await asyncio.sleep(DEBOUNCE)
        try:
            await (self.clear() if location is None else self.fill(location))
        except LabboxError as error:
            await self.complain(error)
        except NoMatches:
            if self.is_attached:
                raise

    async def clear(self) -> None:
        """Show nothing."""
        raise NotImplementedError

    async def fill(self, location: Location) -> None:
        """Read and show an entry."""
        raise NotImplementedError

    async def complain(self, error: LabboxError) -> None:
        """Say why it cannot be shown."""
        raise NotImplementedError

    async def entry(self, location: Location) -> tuple[Place, str, Entry]:
        """The place of an entry, its path there, and what it is."""
        place, path = await self.places.get(location)
        entry = await place.entry(path)
        return place, path, entry


class QuickView(Beside):
    """The contents of the entry under the cursor."""

    def __init__(self, places: Places, graphics: Graphics | None = None) -> None:
        """`graphics`: the terminal's own."""
        super().__init__(places)
        self._graphics = graphics

    def compose(self) -> ComposeResult:
        """The contents, and a line about them."""
        yield _FileBeside(self._graphics)
        yield Lines()
        yield FactLine()

    def on_mount(self) -> None:
        """Nothing is shown; the keys stay with the list."""
        self.query_one(Lines).can_focus = False
        self.query_one(Lines).display = False

    @property
    def file(self) -> FileView:
        """The contents."""
        return self.query_one(FileView)

    async def clear(self) -> None:
        """Show nothing."""
        await self.file.close()
        self._say([], "")

    async def complain(self, error: LabboxError) -> None:
        """Say why it cannot be shown."""
        await self.file.close()
        width = self.size.width
        self._say(
            [
                *wrapped(visible_line(error.message), width),
                *wrapped(visible_line(error.hint), width, ink="dim"),
            ],
            "",
        )

    def _say(self, lines: list[Line], status: str) -> None:
        page = self.query_one(Lines)
        self.file.display = False
        page.display = True
        page.set_lines(lines)
        self.query_one(FactLine).say(status)

    async def fill(self, location: Location) -> None:
        """Read and show an entry."""
        place, path, entry = await self.entry(location)
        if entry.folder:
            await self._folder(place, path, location)
        elif entry.kind is EntryKind.OTHER:
            await self.file.close()
            self._say([[(" neither a file nor a folder: a device, a pipe or a socket", "dim")]], "")
        else:
            self.file.display = True
            self.query_one(Lines).display = False
            await self.file.open(location, self.places)

    async def _folder(self, place: Place, path: str, location: Location) -> None:
        """How much is in a folder, by kinds; what is below it is not counted."""
        await self.file.close()
        folders, files, size, more = 0, 0, 0, False
        kinds: dict[str, list[int]] = {}
        if (await place.entry(path)).kind is EntryKind.LINK:
            path = await place.real_path(path)
        async for batch in place.list(path):
            for entry in batch:
                if entry.folder:
                    folders += 1
                    continue
                files += 1
                size += entry.size
                stem, dot, ending = entry.name.rpartition(".")
                kind = "." + ending.lower()[:12] if dot and stem else "without an ending"
                of_kind = kinds.setdefault(kind, [0, 0])
                of_kind[0] += 1
                of_kind[1] += entry.size
            if folders + files >= MOST_ENTRIES:
                more = True
                break
        lines: list[Line] = [
            section(visible_line(location.name or str(location)) + "/"),
            [],
            field("folders", f"{folders:,}"),
            field("files", f"{files:,}{' and more' if more else ''}"),
            field("their size", format_bytes(size)),
            [],
        ]
        biggest = sorted(kinds.items(), key=lambda each: -each[1][1])
        lines += [
            field(visible_line(kind), f"{count:>6,}  {format_bytes(total):>10}", width=20)
            for kind, (count, total) in biggest[:_FEWEST_LISTED]
        ]
        self._say(lines, "folder")

    def on_file_view_told(self, message: FileView.Told) -> None:
        """Tell what it is."""
        message.stop()
        self.query_one(FactLine).say(self.file.about())

    def on_file_view_failed(self, message: FileView.Failed) -> None:
        """Tell it in the line; nothing pops up while the cursor wanders."""
        message.stop()
        self.query_one(FactLine).say(message.error.message)


class InfoPanel(Beside):
    """What is known of the entry under the cursor: owner, mode, times, size, names, disk, type."""

    def compose(self) -> ComposeResult:
        """One page."""
        yield Lines()

    def on_mount(self) -> None:
        """The keys stay with the list."""
        self.query_one(Lines).can_focus = False

    async def clear(self) -> None:
        """Show nothing."""
        self.query_one(Lines).set_lines([])

    async def complain(self, error: LabboxError) -> None:
        """Say why nothing is known."""
        self.query_one(Lines).set_lines(wrapped(visible_line(error.message), self.size.width))

    async def fill(self, location: Location) -> None:
        """Ask the place."""
        place, path, entry = await self.entry(location)
        lines: list[Line] = [section(visible_line(location.name or str(location))), []]
        lines += [field("place", location.parent.shown() if location.name else location.shown())]
        lines += [field("type", await self._type(place, path, entry))]
        if entry.target is not None or entry.kind is EntryKind.LINK:
            lines.append(field("leads to", visible_line(entry.target or await place.read_link(path))))
        if entry.kind is EntryKind.FILE:
            lines.append(field("size", f"{format_bytes(entry.size)} ({counted(entry.size, 'byte')})"))
            if entry.blocks is not None:
                holes = ", it has holes" if entry.blocks < entry.size else ""
                lines.append(field("on disk", format_bytes(entry.blocks) + holes))
        if entry.mode is not None:
            kind = {EntryKind.FOLDER: 0o040000, EntryKind.LINK: 0o120000, EntryKind.FILE: 0o100000}
            lines.append(field("mode", f"{filemode(kind.get(entry.kind, 0) | entry.mode)}  {entry.mode:04o}"))
        if entry.uid is not None and entry.gid is not None:
            lines.append(field("owner", await asyncio.to_thread(owner, entry.uid, entry.gid)))
        lines.append(field("changed", local_time(datetime.fromtimestamp(entry.mtime / 1e9, UTC))))
        if entry.links > 1 and entry.kind is EntryKind.FILE:
            lines.append(field("names", f"{entry.links} names of one file (hard links)"))
        if entry.identity is not None:
            lines.append(field("inode", f"{entry.identity[1]} on device {entry.identity[0]}"))
        lines += await self._disk(place, path, entry, location)
        self.query_one(Lines).set_lines(lines)

    async def _type(self, place: Place, path: str, entry: Entry) -> str:
        if entry.kind is not EntryKind.FILE:
            return {EntryKind.FOLDER: "folder", EntryKind.LINK: "symbolic link"}.get(
                entry.kind, "device, pipe or socket"
            )
        try:
            async with await Source.open(place, path) as source:
                head = await source.read(0, formats.HEAD)
                return formats.identify(head, entry.name, source.size).words
        except LabboxError as error:
            return f"file ({visible_line(error.message)})"

    async def _disk(self, place: Place, path: str, entry: Entry, location: Location) -> list[Line]:
        folder = path if entry.kind is EntryKind.FOLDER else (await self.places.get(location.parent))[1]
        if location.inner is not None:
            return [[], section("in the archive"), field("archive", visible_line(location.path))]
        lines: list[Line] = [[], section("disk")]
        system = place.system_path(folder)
        if system is not None:
            lines.append(field("mounted on", visible_line(await asyncio.to_thread(mount_of, system))))
        space = await place.space(folder)
        if space.total:
            free = space.free or 0
            lines.append(field("free", f"{format_bytes(free)} of {format_bytes(space.total)}"))
            part = round((1 - free / space.total) * 30)
            lines.append([("  " + " " * 14, "text"), ("█" * part, "primary"), ("░" * (30 - part), "faint")])
        return lines


def owner(uid: int, gid: int) -> str:
    """Owner and group by name where this machine knows them, in numbers too."""
    import grp
    import pwd

    try:
        user = pwd.getpwuid(uid).pw_name
    except KeyError:
        user = "?"
    try:
        group = grp.getgrgid(gid).gr_name
    except KeyError:
        group = "?"
    return visible_line(f"{user}:{group}  {uid}:{gid}")


def mount_of(path: str) -> str:
    """The mount that a folder is on, and what kind of disk it is."""
    import os
    from pathlib import Path

    path = os.path.realpath(path)
    best, kind = "/", ""
    for line in Path("/proc/self/mounts").read_text(errors="surrogateescape").splitlines():
        _device, where, system, *_rest = line.split(" ")
        where = where.replace("\\040", " ").replace("\\011", "\t").replace("\\134", "\\")
        if (path == where or path.startswith(where.rstrip("/") + "/")) and len(where) >= len(best):
            best, kind = where, system
    return f"{best} ({kind})" if kind else best
