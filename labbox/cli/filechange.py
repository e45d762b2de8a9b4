"""`labbox file chmod` and `ln`: what takes no time is done here and now, with the caller's own rights."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Final

import click

from labbox.cli.places import complete_locations, location, new_location, on_the_box, sources, within
from labbox.cli.session import Session, shared_options
from labbox.errors import LabboxError
from labbox.locations import Location, path_of
from labbox.text import visible_line

if TYPE_CHECKING:
    from labbox.files.places.base import Entry, Place
    from labbox.files.places.opening import Places

_CLAUSE: Final = re.compile(r"([ugoa]*)((?:[-+=](?:[ugo]|[rwxXst]*))+)")
_STEP: Final = re.compile(r"([-+=])([ugo]|[rwxXst]*)")
_WHO: Final = {"u": 0o4700, "g": 0o2070, "o": 0o1007}
_BITS: Final = {"r": 0o444, "w": 0o222, "x": 0o111}
_UMASK: Final = 0o022  # where nobody is named, as chmod itself does with the usual one


def mode_change(text: str) -> Callable[[int, bool], int]:
    """What a mode such as ``644`` or ``u+rwX,go-w`` makes of the old one, of a file or a folder.

    LabboxError "usage" for what is no mode.
    """
    if re.fullmatch(r"[0-7]{1,4}", text):
        return lambda _old, _folder: int(text, 8)
    clauses = [_CLAUSE.fullmatch(part) for part in text.split(",")]
    if not text or None in clauses:
        raise LabboxError(
            "usage", f"cannot read “{visible_line(text)}” as a mode", "as in 644, u+x, go-w or a=rX"
        )
    steps = [
        (found[1], sign, bits) for found in clauses if found for sign, bits in _STEP.findall(found[2])
    ]  # every one is there, or it would have been refused

    def change(mode: int, folder: bool) -> int:
        for who, sign, bits in steps:
            mode = _changed(mode, folder, who, sign, bits)
        return mode

    return change


def _changed(mode: int, folder: bool, who: str, sign: str, bits: str) -> int:
    everybody = not who or "a" in who
    reach = 0o7777 if everybody else sum(_WHO[one] for one in set(who))
    given = 0
    if bits in ("u", "g", "o") and bits:
        part = mode >> {"u": 6, "g": 3, "o": 0}[bits] & 7
        given = part << 6 | part << 3 | part
    for one in bits if bits not in ("u", "g", "o") else "":
        if one in _BITS:
            given |= _BITS[one]
        elif one == "X":
            given |= 0o111 if folder or mode & 0o111 else 0
        elif one == "s":
            given |= 0o6000
        else:
            given |= 0o1000
    given &= reach | (0o1000 if everybody or "o" in who else 0)
    if not who:
        given &= ~_UMASK
    if sign == "+":
        return mode | given
    if sign == "-":
        return mode & ~given
    kept = 0o6000 if folder and "s" not in bits else 0  # a folder's, as chmod keeps them
    return mode & (~reach | kept) | given


@click.command(context_settings={"ignore_unknown_options": True})
@click.argument("mode")
@click.argument("texts", metavar="LOCATION...", nargs=-1, required=True, shell_complete=complete_locations)
@click.option("--recursive", "-R", is_flag=True, help="Everything below folders too; links are left.")
@click.option("--verbose", "-v", is_flag=True, help="Name what is changed.")
@click.option("--quiet", "-f", is_flag=True, help="Say nothing about what cannot be changed.")
@shared_options
@on_the_box
def chmod(
    session: Session, mode: str, texts: tuple[str, ...], recursive: bool, verbose: bool, quiet: bool
) -> int:
    """Change permissions: 644, u+x, go-w, a=rX."""
    change = mode_change(mode)
    wanted = sources(session, texts)

    async def go(places: Places) -> int:
        failed = 0
        waiting = list(reversed(wanted))
        while waiting:
            one = waiting.pop()
            try:
                place, path = await places.get(one)
                entry = await place.entry(path, follow=one in wanted)
                folder = entry.kind.value == "folder"
                await _set(place, path, entry, change(entry.mode or 0, folder))
                if verbose:
                    print(visible_line(str(one)))
                if recursive and folder:
                    below = [each async for batch in place.list(path) for each in batch]
                    waiting += [
                        one.joined(each.name) for each in below if each.kind.value in ("file", "folder")
                    ]
            except LabboxError as error:
                if len(wanted) == 1 and not recursive and not quiet:
                    raise
                failed += 1
                if not quiet:
                    print(f"error: {visible_line(error.message)}", file=sys.stderr)
        return 1 if failed else 0

    return within(session, go, *wanted)


async def _set(place: Place, path: str, entry: Entry, mode: int) -> None:
    from labbox.files.places.base import Attributes

    if not place.traits.writable or not place.traits.modes or entry.mode is None:
        raise LabboxError("invalid", "cannot change permissions there: that place keeps none", "")
    if entry.mode != mode:
        if (await place.entry(path)).kind.value == "link":
            path = await place.real_path(path)
        await place.change(path, Attributes(mode=mode))


@click.command()
@click.argument(
    "texts", metavar="TARGET... [LINK]", nargs=-1, required=True, shell_complete=complete_locations
)
@click.option("--symbolic", "-s", is_flag=True, help="A symbolic link; else another name of the same file.")
@click.option("--force", "-f", is_flag=True, help="In place of a file or link that is there.")
@click.option(
    "--no-target-directory", "--exact", "-T", "-n", "exact", is_flag=True, help="LINK is the name itself."
)
@click.option("--verbose", "-v", is_flag=True, help="Name what is made.")
@shared_options
@on_the_box
def ln(
    session: Session, texts: tuple[str, ...], symbolic: bool, force: bool, exact: bool, verbose: bool
) -> int:
    """Make links: LINK leads to TARGET; into a folder, or here, by the names of the TARGETs."""
    *targets, last = texts if len(texts) > 1 else (*texts, ".")
    link = new_location(session, last)

    async def go(places: Places) -> int:
        place, path = await places.get(link)
        into = False
        if not exact:
            try:
                into = (await place.entry(path, follow=True)).folder or last.endswith("/")
            except LabboxError as error:
                if error.code != "not_found":
                    raise
        if len(targets) > 1 and not into:
            raise LabboxError(
                "usage", f"cannot make several links called {link.shown()}", "name a folder last"
            )
        failed = 0
        for text in targets:
            to = location(session, text)
            made = link.joined(to.name) if into else link
            try:
                await _linked(places, made, to, text, symbolic, force)
                if verbose:
                    print(f"{visible_line(str(made))} -> {visible_line(text)}")
            except LabboxError as error:
                if len(targets) == 1:
                    raise
                failed += 1
                print(f"error: {visible_line(error.message)}", file=sys.stderr)
        return 1 if failed else 0

    return within(session, go, link, *(location(session, text) for text in targets))


async def _linked(
    places: Places, made: Location, to: Location, text: str, symbolic: bool, force: bool
) -> None:
    place, path = await places.get(made)
    says = path_of(text)
    if not symbolic or text.startswith(("~", "shared:", "project:", "job:", "box:")):
        other, says = await places.get(to)
        if other is not place and (
            not symbolic or None in (other.system_path(says), place.system_path(path))
        ):
            raise LabboxError(
                "invalid",
                f"cannot link {made.shown()} to {to.shown()}: they are in different places",
                "copy it: labbox file cp",
            )
        if symbolic:
            says = other.system_path(says) or says
    if force:
        try:
            if (await place.entry(path)).kind.value == "folder":
                raise LabboxError(
                    "conflict", f"cannot replace {made.shown()}: it is a folder", "name a link in it"
                )
            await place.remove(path)
        except LabboxError as error:
            if error.code != "not_found":
                raise
    await place.link(path, says, hard=not symbolic)
