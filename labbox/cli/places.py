"""Files as a command sees them: what a location on the command line means, and the places it leads to."""

from __future__ import annotations

import functools
import os
import re
import shlex
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import click
from click.shell_completion import CompletionItem

from labbox.cli.session import Session
from labbox.errors import LabboxError
from labbox.locations import Kind, Location, new_text, parse, path_text, results_folder
from labbox.protocol import Job
from labbox.text import visible_line

if TYPE_CHECKING:
    from labbox.files.places.base import Entry
    from labbox.files.places.opening import Places

T = TypeVar("T")
Command = TypeVar("Command", bound=Callable[..., Any])

_DIGITS: Final = re.compile(r"(\d+)")
_STARTS: Final = ("shared:", "project:", "job:", "sftp://")
_COMPLETION_SECONDS: Final = 2.0


def location(session: Session, text: str) -> Location:
    """What a person typed; relative paths are below the folder where the command was given."""
    if session.act_as is not None:
        return parse(text)  # somebody else's home, whose folder is not known to this shell
    here, home = str(Path.cwd()), os.environ.get("HOME", "").rstrip("/")
    whole = Location(kind=Kind.BOX, path=here)
    if home and (here == home or here.startswith(home + "/")):
        try:
            return parse(text, Location(kind=Kind.BOX, path="~" + here[len(home) :]))
        except LabboxError:
            return parse(text, whole)  # "../x" from the home
    return parse(text, whole)


def new_location(session: Session, text: str) -> Location:
    """What a person typed of something that may be made: a “!” at its end belongs to the name."""
    return location(session, new_text(text))


def sources(session: Session, texts: Sequence[str]) -> list[Location]:
    """What a person named of what is there; wildcards and names are looked up where that tells more."""
    wanted = [location(session, text) for text in texts]
    if session.act_as is not None:
        return wanted
    from labbox.files.globbing import may_stand_for_others, named

    unsure = [may_stand_for_others(one, text) for one, text in zip(wanted, texts, strict=True)]
    if not any(unsure):
        return wanted

    async def look(places: Places) -> list[Location]:
        found: list[Location] = []
        for one, text, look_at_it in zip(wanted, texts, unsure, strict=True):
            found += await named(places, one, text) if look_at_it else [one]
        return found

    return within(session, look, *(one for one, unknown in zip(wanted, unsure, strict=True) if unknown))


def within(session: Session, work: Callable[[Places], Coroutine[Any, Any, T]], *wanted: Location) -> T:
    """Do something with the places, in this very process and with its rights."""
    if session.act_as is not None:  # root must not walk where somebody else can lay links
        raise LabboxError(
            "usage",
            f"cannot look at the files of {session.act_as} from here",
            "log in as them: what looks at files has their rights and no others",
        )
    import asyncio  # most commands need none

    return asyncio.run(_within(session, work, wanted))


async def _within(
    session: Session, work: Callable[[Places], Coroutine[Any, Any, T]], wanted: tuple[Location, ...]
) -> T:
    from labbox.files.places.opening import Places, Roots

    home = os.environ.get("HOME", "")
    roots = Roots(home=home)
    if any(one.kind in (Kind.SHARED, Kind.PROJECT) for one in wanted):
        caller = session.box.whoami()
        roots = Roots(home=home, shared=caller.shared, projects=dict(caller.projects))

    async def job_folder(number: int) -> str:
        return str(results_of(session, session.box.show_job(number).job))

    credentials = None
    if any(one.kind is Kind.SFTP for one in wanted):
        from labbox.files.places.credentials import AskedCredentials

        credentials = AskedCredentials(session.box.host_secret)
    async with Places(roots, credentials=credentials, job_folder=job_folder) as places:
        return await work(places)


def results_of(session: Session, job: Job) -> Path:
    """Where the results of a job lie on the box; the link in the home is the person's to change."""
    return results_folder(Path(session.box.where).parent, job.owner, job.results)


def natural(name: str) -> tuple[tuple[int, int, str], ...]:
    """By what names sort as people count: run2 before run10."""
    parts = _DIGITS.split(name.casefold())
    return tuple((1, int(part), "") if at % 2 else (0, 0, part) for at, part in enumerate(parts))


async def listed(places: Places, folder: Location, *, hidden: bool) -> list[Entry]:
    """What a folder holds, folders first; of a file, the file itself."""
    place, path = await places.get(folder)
    entry = await place.entry(path, follow=True)
    if not entry.folder:
        return [entry._replace(name=folder.name or entry.name)]
    found: list[Entry] = []
    async for batch in place.list(path):
        found += [one for one in batch if hidden or not one.name.startswith(".")]
    return sorted(found, key=lambda one: (not one.folder, natural(one.name), one.name))


def on_the_box(command: Command) -> Command:
    """Files are where the box is: from another machine the same words are given to the box by ssh."""

    @functools.wraps(command)
    def wrapped(session: Session, *arguments: Any, **options: Any) -> Any:
        where = session.socket or os.environ.get("LABBOX_SOCKET", "")
        if where.startswith("ssh://"):
            return _there(session, where)
        return command(session, *arguments, **options)

    return wrapped  # type: ignore[return-value]  # the same call


def _there(session: Session, where: str) -> int:
    import subprocess

    from labbox.client.transport import SshRoute

    route = SshRoute.parse(where)
    words = list(session.words)
    while "--socket" in words:
        at = words.index("--socket")
        del words[at : at + 2]
    words = [word for word in words if not word.startswith("--socket=")]
    command = ["ssh", "-t" if sys.stdin.isatty() and sys.stdout.isatty() else "-T"]
    if route.port:
        command += ["-p", str(route.port)]
    try:
        done = subprocess.run(  # noqa: S603 - no shell here, and the words are quoted for the one there
            [*command, "--", route.target, shlex.join(words)], check=False
        )
    except OSError as error:
        raise LabboxError(
            "unavailable", f"cannot start ssh: {error.strerror}", "install an OpenSSH client"
        ) from error
    return done.returncode


def complete_locations(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Names below what is typed so far, folders with a slash; nothing where that cannot be read."""
    session = ctx.find_object(Session) or Session()
    start, slash, _ = incomplete.rpartition("/")
    starts = [] if slash else [CompletionItem(word) for word in _STARTS if word.startswith(incomplete)]
    colon = re.match(r"(shared:|project:[^/]+|job:\d+)", incomplete)
    try:
        if incomplete.startswith("project:") and not slash:
            names = session.box.whoami().projects
            return [CompletionItem(f"project:{name}/") for name in names if name.startswith(incomplete[8:])]
        if slash:
            folder, before = location(session, start or "/"), f"{start}/"
        elif colon:
            folder, before = location(session, colon[0]), colon[0] + ("" if colon[0] == "shared:" else "/")
        else:
            folder, before = location(session, "."), ""
        if folder.kind is Kind.SFTP:
            return starts
        name = incomplete[len(before) :]

        async def look(places: Places) -> list[Entry]:
            import asyncio

            async with asyncio.timeout(_COMPLETION_SECONDS):
                return await listed(places, folder, hidden=name.startswith("."))

        entries = within(session, look, folder)
    except (LabboxError, TimeoutError, OSError):
        return starts
    return starts + [
        CompletionItem(before + shown + ("/" if one.folder else ""))
        for one in entries
        if one.name.startswith(name) and visible_line(shown := path_text(one.name)) == shown
    ]
