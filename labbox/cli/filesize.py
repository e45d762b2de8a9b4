"""`labbox file du`: how much files and folders hold, wherever they are."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from labbox.cli.places import complete_locations, on_the_box, sources, within
from labbox.cli.session import Session, shared_options
from labbox.errors import LabboxError
from labbox.locations import Location
from labbox.model import Value
from labbox.text import format_bytes, visible_line

if TYPE_CHECKING:
    from labbox.files.places.base import Entry
    from labbox.files.places.opening import Places


class Held(Value):
    """What is at a location and below it; of a file, the file."""

    location: str
    size: int  # bytes that files hold, links and holes apart
    files: int


class Sizes(Value):
    """The answer of --json."""

    sizes: tuple[Held, ...]


@click.command(context_settings={"help_option_names": ["--help"]})
@click.argument("texts", metavar="[LOCATION]...", nargs=-1, shell_complete=complete_locations)
@click.option("--summarize", "-s", is_flag=True, help="Only the LOCATIONs themselves: the default.")
@click.option(
    "--max-depth", "-d", "depth", metavar="N", type=click.IntRange(0), help="Folders below them too."
)
@click.option("--all", "-a", "files", is_flag=True, help="Files too.")
@click.option("--bytes", "-b", "raw", is_flag=True, help="Numbers of bytes.")
@click.option("--human-readable", "-h", is_flag=True, help="As in 1.5 GiB: the default.")
@click.option("--total", "-c", is_flag=True, help="A line for all together.")
@shared_options
@on_the_box
def du(
    session: Session,
    texts: tuple[str, ...],
    summarize: bool,
    depth: int | None,
    files: bool,
    raw: bool,
    human_readable: bool,
    total: bool,
) -> int:
    """Print how many bytes files and folders hold."""
    wanted = sources(session, texts or (".",))
    deep = 0 if summarize else depth if depth is not None else (1 << 30) if files else 0
    found: list[Held] = []
    failed: list[str] = []

    async def count(places: Places) -> None:
        for one in wanted:
            try:
                place, path = await places.get(one)
                entry = await place.entry(path, follow=True)
                counting = _Counting(places, files, failed)
                found.extend(await counting.held(one, entry, deep))
            except LabboxError as error:
                if len(wanted) == 1:
                    raise
                failed.append(error.message)

    within(session, count, *wanted)
    if total:
        tops = {str(one) for one in wanted}
        whole = [one for one in found if one.location in tops]
        found.append(
            Held(location="total", size=sum(one.size for one in whole), files=sum(one.files for one in whole))
        )
    if session.json:
        session.print_json(Sizes(sizes=tuple(found)))
    else:
        for one in found:
            print(f"{one.size if raw else format_bytes(one.size)}\t{visible_line(one.location)}")
    sys.stdout.flush()
    for message in failed:
        print(f"error: {visible_line(message)}", file=sys.stderr)
    return 1 if failed else 0


class _Counting:
    """Goes down one tree without calling itself, however deep that is."""

    def __init__(self, places: Places, files: bool, failed: list[str]) -> None:
        self._places, self._files, self._failed = places, files, failed

    async def held(self, top: Location, entry: Entry, deep: int) -> list[Held]:
        if not entry.folder and entry.kind.value != "folder":
            return [Held(location=str(top), size=entry.size, files=1)]
        sizes: dict[Location, list[int]] = {}
        lines: list[Held] = []
        waiting: list[tuple[Location, Location | None, int]] = [(top, None, 0)]
        order: list[tuple[Location, Location | None, int]] = []
        while waiting:
            folder, above, depth = waiting.pop()
            order.append((folder, above, depth))
            size = sizes[folder] = [0, 0]
            try:
                place, path = await self._places.get(folder)
                async for batch in place.list(path):
                    for one in batch:
                        if one.kind.value == "folder":
                            waiting.append((folder.joined(one.name), folder, depth + 1))
                            continue
                        size[0] += one.size if one.kind.value == "file" else 0
                        size[1] += 1
                        if self._files and depth < deep:
                            lines.append(Held(location=str(folder.joined(one.name)), size=one.size, files=1))
            except LabboxError as error:
                if error.code == "unavailable":
                    raise
                self._failed.append(error.message)
        for folder, above, depth in reversed(order):  # what is below comes first
            if above is not None:
                sizes[above][0] += sizes[folder][0]
                sizes[above][1] += sizes[folder][1]
            if depth <= deep:
                lines.append(Held(location=str(folder), size=sizes[folder][0], files=sizes[folder][1]))
        return lines
