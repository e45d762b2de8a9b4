"""`labbox file ls` and `mkdir`: what takes no time is done here and now, with the caller's own rights."""

from __future__ import annotations

import os
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import click

from labbox.cli.output import format_time, print_table
from labbox.cli.places import complete_locations, listed, new_location, on_the_box, sources, within
from labbox.cli.session import Session, shared_options
from labbox.errors import LabboxError
from labbox.locations import Location, path_text
from labbox.model import Value
from labbox.text import format_bytes, visible_line

if TYPE_CHECKING:
    from labbox.files.places.base import Entry, Place
    from labbox.files.places.opening import Places

_KINDS = {"folder": "d", "link": "l", "file": "-"}


class FileRow(Value):
    r"""One entry for --json; bytes of names that are not UTF-8 stand as ``\xNN``."""

    name: str
    location: str
    kind: str
    size: int
    modified: datetime
    mode: str | None
    uid: int | None
    gid: int | None
    target: str | None


class Folder(Value):
    """What a location holds."""

    location: str
    entries: tuple[FileRow, ...]


class Listed(Value):
    """The answer of --json."""

    folders: tuple[Folder, ...]


@click.command()
@click.argument("texts", metavar="[LOCATION]...", nargs=-1, shell_complete=complete_locations)
@click.option("--all", "-a", "hidden", is_flag=True, help="Names that begin with a dot too.")
@click.option("--long", "-l", is_flag=True, help="With size, time and rights.")
@click.option("-0", "--null", "nul", is_flag=True, help="End each name with a zero byte, names as they are.")
@shared_options
@on_the_box
def ls(session: Session, texts: tuple[str, ...], hidden: bool, long: bool, nul: bool) -> int:
    """List what LOCATIONs hold, by default this folder; folders first, run2 before run10.

    --json gives {"folders": [{"location", "entries"}]}.
    """
    wanted = sources(session, texts or (".",))
    failed = 0

    async def look(places: Places) -> list[tuple[Location, list[Entry]]]:
        nonlocal failed
        found = []
        for one in wanted:
            try:
                found.append((one, await listed(places, one, hidden=hidden)))
            except LabboxError as error:
                if len(wanted) == 1:
                    raise
                failed += 1
                print(f"error: {visible_line(error.message)}", file=sys.stderr)
        return found

    found = within(session, look, *wanted)
    if session.json:
        folders = tuple(
            Folder(location=str(one), entries=tuple(_row(one, entry) for entry in entries))
            for one, entries in found
        )
        session.print_json(Listed(folders=folders))
        return 1 if failed else 0
    for number, (one, entries) in enumerate(found):
        if nul:
            for entry in entries:
                sys.stdout.buffer.write(os.fsencode(entry.name) + b"\0")
            continue
        if len(wanted) > 1:
            print(f"{chr(10) if number else ''}{one.shown()}:")
        if long:
            print_table(("MODE", "SIZE", "MODIFIED", "NAME"), [_cells(entry) for entry in entries])
        else:
            for entry in entries:
                print(_shown(entry))
    return 1 if failed else 0


def _row(folder: Location, entry: Entry) -> FileRow:
    where = folder if entry.name == folder.name and not entry.folder else folder.joined(entry.name)
    return FileRow(
        name=path_text(entry.name),
        location=str(where),
        kind=entry.kind.value,
        size=entry.size,
        modified=_modified(entry),
        mode=None if entry.mode is None else f"{entry.mode:04o}",
        uid=entry.uid,
        gid=entry.gid,
        target=None if entry.target is None else path_text(entry.target),
    )


def _modified(entry: Entry) -> datetime:
    try:
        return datetime.fromtimestamp(entry.mtime / 1e9, UTC)
    except (OverflowError, ValueError, OSError):  # a time that no calendar has
        return datetime.fromtimestamp(0, UTC)


def _cells(entry: Entry) -> tuple[str, str, str, str]:
    rights = "?" * 9
    if entry.mode is not None:
        rights = "".join(
            letter if entry.mode >> (8 - at) & 1 else "-" for at, letter in enumerate("rwxrwxrwx")
        )
    kind = _KINDS.get(entry.kind.value, "?")
    size = "" if kind == "d" else format_bytes(entry.size)
    return kind + rights, size, format_time(_modified(entry)), _shown(entry)


def _shown(entry: Entry) -> str:
    name = visible_line(entry.name)
    if entry.target is not None:
        return f"{name} -> {visible_line(entry.target)}"
    return f"{name}/" if entry.folder else name


@click.command()
@click.argument("texts", metavar="LOCATION...", nargs=-1, required=True, shell_complete=complete_locations)
@click.option("--parents", "-p", is_flag=True, help="The folders above too; content with what is there.")
@shared_options
@on_the_box
def mkdir(session: Session, texts: tuple[str, ...], parents: bool) -> int:
    """Make folders."""
    wanted = [new_location(session, text) for text in texts]

    async def make(places: Places) -> int:
        failed = 0
        for one in wanted:
            place, path = await places.get(one)
            try:
                await (_with_parents(place, path) if parents else place.make_folder(path))
            except LabboxError as error:
                if len(wanted) == 1:
                    raise
                failed += 1
                print(f"error: {visible_line(error.message)}", file=sys.stderr)
        return failed

    return 1 if within(session, make, *wanted) else 0


async def _with_parents(place: Place, path: str) -> None:
    try:
        await place.make_folder(path)
    except LabboxError as error:
        if error.code == "conflict" and (await place.entry(path, follow=True)).folder:
            return
        above = path.rpartition("/")[0]
        if error.code != "not_found" or above in ("", "~"):
            raise
        await _with_parents(place, above)
        await place.make_folder(path)
