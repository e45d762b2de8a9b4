"""`labbox file`: files on the box, in shared and project folders, in jobs' results, on other hosts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import click

from labbox.cli import filelist, trash
from labbox.cli.completion import complete_jobs
from labbox.cli.places import complete_locations, location, on_the_box, within
from labbox.cli.session import Session, shared_options
from labbox.cli.transfers import Wishes, transfer
from labbox.cli.values import DURATION, JOB, JOBS
from labbox.errors import LabboxError
from labbox.locations import Kind, Location, archive_ending, name_of, path_of, path_text
from labbox.model import Conflict, TransferSpec, TransferVerb

_POLICIES = ("skip", "overwrite", "newer", "rename", "resume")


@click.group()
def file() -> None:
    """Copy, move, find, compare files, wherever they are.

    A LOCATION is a path (~/study, data/a.csv), shared:/x, project:NAME/x, job:17/output, sftp://me@pc/x, or
    inside an archive: ~/a.zip!/x. Whatever may take long is a job: it goes on when you log out.
    """


file.add_command(filelist.ls)
file.add_command(filelist.mkdir)
file.add_command(trash.trash)

_some = click.argument(
    "texts", metavar="LOCATION...", nargs=-1, required=True, shell_complete=complete_locations
)


def _handing_in(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of everything that is a job."""
    options = (
        click.option(
            "--follow", "-f", is_flag=True, help="Stay until it has ended, with a bar: the default."
        ),
        click.option("--queue", is_flag=True, help="Hand it in, print the job's number, and leave."),
        click.option("--quiet", "-q", is_flag=True, help="Say nothing but what went wrong."),
        click.option("--after", type=JOBS, metavar="ID", multiple=True, help="Only after this job."),
        click.option(
            "--wait", type=DURATION, metavar="T", default=0.0, help="Try a host that sleeps for so long."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


def _copying(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options of what puts files somewhere."""
    options = (
        click.option("--skip", "policy", flag_value="skip", help="Leave what is there already."),
        click.option(
            "--overwrite", "policy", flag_value="overwrite", help="Overwrite what is there already."
        ),
        click.option("--newer", "policy", flag_value="newer", help="Overwrite what is older."),
        click.option("--rename", "policy", flag_value="rename", help="Give new names: data (2).csv."),
        click.option("--resume", "policy", flag_value="resume", help="Go on behind what is there already."),
        click.option(
            "--dry-run", "-n", is_flag=True, help="Show the plan: files, bytes, what is in the way."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_excluding = click.option(
    "--exclude", metavar="PATTERN", multiple=True, help="Leave these out, as in .gitignore; repeatable."
)
_verifying = click.option("--verify", is_flag=True, help="Read the copies again and compare their sums.")


def _wishes(options: dict[str, Any]) -> Wishes:
    if options.pop("follow", False) and options["queue"]:
        raise LabboxError("usage", "cannot combine --follow and --queue", "use one of them")
    return Wishes(
        queue=options.pop("queue"),
        quiet=options.pop("quiet"),
        dry_run=options.pop("dry_run", False),
        nul=options.pop("nul", False),
        wait=options.pop("wait"),
        after=tuple(number for group in options.pop("after") for number in group),
    )


def _policy(options: dict[str, Any]) -> Conflict:
    return Conflict(options.pop("policy") or "fail")


def _locations(session: Session, texts: tuple[str, ...], least: int = 1) -> list[Location]:
    if len(texts) < least:
        raise LabboxError("usage", "cannot do that: what it goes to is missing", "name it last")
    return [location(session, text) for text in texts]


def _is_folder(session: Session, target: Location, text: str) -> bool:
    """Whether things go into the target; else one thing becomes the target itself, as with cp."""
    if (
        session.act_as is not None
        or text.endswith("/")
        or target.is_root
        or target.path == "~"
        or not target.name
    ):
        return True

    async def look(places: Any) -> bool:
        place, path = await places.get(target)
        return bool((await place.entry(path, follow=True)).folder)

    try:
        return within(session, look, target)
    except LabboxError as error:
        if error.code == "not_found":
            return False
        if error.code == "unavailable":
            raise LabboxError(
                error.code,
                f"{error.message}; so nobody can tell whether {target.shown()} is a folder",
                "end it with / where it is one, or say --exact; then the transfer waits for the host",
            ) from error
        raise


def _copy_or_move(
    session: Session, verb: TransferVerb, texts: tuple[str, ...], options: dict[str, Any]
) -> int:
    *sources, target = _locations(session, texts, 2)
    exact = options.pop("exact") or (len(sources) == 1 and not _is_folder(session, target, texts[-1]))
    wishes = _wishes(options)
    spec = TransferSpec(
        verb=verb,
        sources=tuple(map(str, sources)),
        target=str(target),
        exact=exact,
        conflict=_policy(options),
        exclude=options["exclude"],
        verify=options["verify"],
    )
    return transfer(session, spec, wishes)


_exact = click.option(
    "--exact", "-T", is_flag=True, help="The last LOCATION is the new name itself, not a folder."
)


@file.command()
@_some
@_copying
@_exact
@_excluding
@_verifying
@_handing_in
@shared_options
@on_the_box
def cp(session: Session, texts: tuple[str, ...], **options: Any) -> int:
    """Copy all LOCATIONs into the last one; a single one becomes the last one where that is no folder."""
    return _copy_or_move(session, TransferVerb.COPY, texts, options)


@file.command()
@_some
@_copying
@_exact
@_excluding
@_verifying
@_handing_in
@shared_options
@on_the_box
def mv(session: Session, texts: tuple[str, ...], **options: Any) -> int:
    """Move all LOCATIONs into the last one; a single one becomes the last one where that is no folder."""
    return _copy_or_move(session, TransferVerb.MOVE, texts, options)


@file.command()
@_some
@click.option("--erase", is_flag=True, help="Delete for good, past the trash.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@click.option("--dry-run", "-n", is_flag=True, help="Show how much it is.")
@_handing_in
@shared_options
@on_the_box
def rm(session: Session, texts: tuple[str, ...], erase: bool, yes: bool, **options: Any) -> int:
    """Put files and folders into the trash; `labbox file trash restore` brings them back."""
    sources = _locations(session, texts)
    wishes = _wishes(options)
    if not yes and not wishes.dry_run:
        asked = sys.stdin.isatty() and sys.stderr.isatty()
        if erase and not asked:
            raise LabboxError("usage", "cannot delete for good without a yes", "say --yes")
        what = sources[0].shown() if len(sources) == 1 else f"{len(sources)} files and folders"
        how = "Delete {} for good?" if erase else "Put {} into the trash?"
        if asked and not click.confirm(how.format(what), default=False, err=True):
            print("nothing was deleted", file=sys.stderr)
            return 1
    verb = TransferVerb.ERASE if erase else TransferVerb.TRASH
    return transfer(session, TransferSpec(verb=verb, sources=tuple(map(str, sources))), wishes)


_nul = click.option(
    "-0", "--null", "nul", is_flag=True, help="End each name with a zero byte, names as they are."
)


@file.command()
@_some
@click.option("--name", metavar="PATTERN", help="By name, as in *.csv or 'run{1..9}.csv;*.txt'.")
@click.option("--text", metavar="TEXT", help="By what files hold.")
@_nul
@_excluding
@_handing_in
@shared_options
@on_the_box
def find(
    session: Session,
    texts: tuple[str, ...],
    name: str | None,
    text: str | None,
    exclude: tuple[str, ...],
    **options: Any,
) -> int:
    """Find files below the LOCATIONs, by name, by what they hold, or both; prints their locations.

    Lower case finds capitals too; with a capital letter, case counts as written.
    """
    if not name and not text:
        raise LabboxError("usage", "cannot search for nothing", "say --name '*.csv', --text WORDS, or both")
    sources = tuple(str(one) for one in _locations(session, texts))
    spec = TransferSpec(verb=TransferVerb.FIND, sources=sources, name=name, text=text, exclude=exclude)
    return transfer(session, spec, _wishes(options))


_from = click.argument("source", metavar="SOURCE", shell_complete=complete_locations)
_to = click.argument("target", metavar="TARGET", shell_complete=complete_locations)
_content = click.option("--content", is_flag=True, help="Compare what files hold, not size and time.")


@file.command()
@_from
@_to
@_content
@_excluding
@_handing_in
@shared_options
@on_the_box
def diff(
    session: Session, source: str, target: str, content: bool, exclude: tuple[str, ...], **options: Any
) -> int:
    """Compare two folders or files; ends with 1 where they differ.

    Each line: + what TARGET lacks, - what SOURCE lacks, ~ what is different, and how.
    """
    here, there = _locations(session, (source, target))
    spec = TransferSpec(
        verb=TransferVerb.COMPARE, sources=(str(here),), target=str(there), content=content, exclude=exclude
    )
    return transfer(session, spec, _wishes(options))


@file.command()
@_from
@_to
@click.option("--mirror", is_flag=True, help="What SOURCE lacks goes to the trash at TARGET.")
@_content
@click.option("--dry-run", "-n", is_flag=True, help="Show what would be copied, and what would go.")
@_excluding
@_verifying
@_handing_in
@shared_options
@on_the_box
def sync(
    session: Session,
    source: str,
    target: str,
    mirror: bool,
    content: bool,
    exclude: tuple[str, ...],
    verify: bool,
    **options: Any,
) -> int:
    """Make the folder TARGET like the folder SOURCE: copy what is new or different."""
    here, there = _locations(session, (source, target))
    spec = TransferSpec(
        verb=TransferVerb.SYNC,
        sources=(str(here),),
        target=str(there),
        mirror=mirror,
        content=content,
        exclude=exclude,
        verify=verify,
    )
    return transfer(session, spec, _wishes(options))


@file.command()
@_some
@_copying
@_excluding
@_handing_in
@shared_options
@on_the_box
def pack(session: Session, texts: tuple[str, ...], **options: Any) -> int:
    """Pack LOCATIONs into the archive that is named last; its ending says the kind (.zip, .tar.zst, …)."""
    *sources, target = _locations(session, texts, 2)
    if archive_ending(target.name) is None:
        raise LabboxError(
            "usage",
            f"cannot tell what kind of archive {target.shown()} is to be",
            "name the archive last: labbox file pack data results.zip",
        )
    wishes = _wishes(options)
    spec = TransferSpec(
        verb=TransferVerb.PACK,
        sources=tuple(map(str, sources)),
        target=str(target),
        exact=True,
        conflict=_policy(options),
        exclude=options["exclude"],
    )
    return transfer(session, spec, wishes)


@file.command()
@_some
@click.option(
    "--to", metavar="FOLDER", default=".", shell_complete=complete_locations, help="Where; by default here."
)
@_copying
@_excluding
@_handing_in
@shared_options
@on_the_box
def unpack(session: Session, texts: tuple[str, ...], to: str, **options: Any) -> int:
    """Unpack archives, each into a folder of its own name."""
    wishes = _wishes(options)
    spec = TransferSpec(
        verb=TransferVerb.UNPACK,
        sources=tuple(str(one) for one in _locations(session, texts)),
        target=str(location(session, to)),
        conflict=_policy(options),
        exclude=options["exclude"],
    )
    return transfer(session, spec, wishes)


_ALGORITHMS: Final = {  # the programs that check them
    "b2": "blake2b", "b2sum": "blake2b", "b3": "blake3", "b3sum": "blake3",
    "md5sum": "md5", "sha1sum": "sha1",
    "sha224sum": "sha224", "sha256sum": "sha256", "sha384sum": "sha384", "sha512sum": "sha512",
}  # fmt: skip


def _as_given(text: str, found: Location) -> str:
    """What stands for a source in lines that a program reads where the command was given."""
    if found.kind is not Kind.BOX or found.inner is not None:
        return path_text(name_of(found))
    path = path_of(text.removeprefix("box:"))
    path = path.removeprefix("~/") if path != "~" else "."
    return path_text(path.rstrip("/") or ("/" if path.startswith("/") else "."))


@file.command("sum")
@_some
@click.option(
    "--algorithm",
    "-a",
    metavar="A",
    default="sha256",
    show_default=True,
    help="sha512, md5, blake2b, blake3, …",
)
@_nul
@_excluding
@_handing_in
@shared_options
@on_the_box
def sum_(
    session: Session, texts: tuple[str, ...], algorithm: str, exclude: tuple[str, ...], **options: Any
) -> int:
    """Print checksums, in the form that sha256sum and its like check: sha256sum -c SUMS.

    Names stand as they were given. On a terminal, control characters in names are shown, not sent.
    """
    found = _locations(session, texts)
    spec = TransferSpec(
        verb=TransferVerb.CHECKSUM,
        sources=tuple(map(str, found)),
        called=tuple(_as_given(text, one) for text, one in zip(texts, found, strict=True)),
        algorithm=_ALGORITHMS.get(algorithm.lower(), algorithm.lower().replace("-", "")),
        exclude=exclude,
    )
    return transfer(session, spec, _wishes(options))


@file.command()
@click.argument("number", metavar="ID", type=JOB, shell_complete=complete_jobs)
@_handing_in
@shared_options
@on_the_box
def undo(session: Session, number: int, **options: Any) -> int:
    """Take back what transfer ID did: what was copied goes to the trash, what was moved goes back."""
    spec = TransferSpec(verb=TransferVerb.UNDO, sources=(), undo=number)
    return transfer(session, spec, _wishes(options))
