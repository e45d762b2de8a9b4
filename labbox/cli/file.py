"""`labbox file`: files on the box, in shared and project folders, in jobs' results, on other hosts."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any, Final

import click

from labbox.cli import filechange, filecontent, filelist, filesize, trash
from labbox.cli.asking import confirm
from labbox.cli.completion import complete_jobs
from labbox.cli.nouns import Noun
from labbox.cli.places import complete_locations, location, new_location, on_the_box, sources, within
from labbox.cli.session import Session, shared_options
from labbox.cli.transfers import Wishes, asked_about_each, transfer
from labbox.cli.values import DURATION, JOB, JOBS
from labbox.errors import LabboxError
from labbox.locations import Kind, Location, archive_ending, name_of, path_of, path_text
from labbox.model import Conflict, TransferSpec, TransferVerb

_POLICIES = ("skip", "overwrite", "newer", "rename", "resume")


@click.group(cls=Noun)
def file() -> None:
    """Copy, move, find, compare files, wherever they are.

    A LOCATION is a path (~/study, data/a.csv), shared:/x, project:NAME/x, job:17/output, sftp://me@pc/x, or
    inside an archive: ~/a.zip!/x. Whatever may take long is a job: it goes on when you log out.
    """


for _command in (
    *(filelist.ls, filelist.mkdir, filesize.du),
    *(filecontent.cat, filecontent.head, filecontent.tail),
    *(filechange.chmod, filechange.ln),
):
    file.add_command(_command)
file.add_command(trash.trash)

_some = click.argument(
    "texts", metavar="LOCATION...", nargs=-1, required=True, shell_complete=complete_locations
)


def _handing_in(command: Callable[..., Any], *short: str) -> Callable[..., Any]:
    """Options of everything that is a job."""
    options = (
        click.option(
            "--follow", *short, is_flag=True, help="Stay until it has ended, with a bar: the default."
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


def _followed(command: Callable[..., Any]) -> Callable[..., Any]:
    """The same, where -f is not what people type to force something."""
    return _handing_in(command, "-f")


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


def _with_target(session: Session, texts: tuple[str, ...], into: str | None = None) -> list[Location]:
    """The sources, wildcards and all, and what they go to, which is named last."""
    if into is None:
        if len(texts) < 2:
            raise LabboxError("usage", "cannot do that: what it goes to is missing", "name it last")
        *texts, into = texts  # type: ignore[assignment]  # both can be gone through
    return [*sources(session, texts), new_location(session, into)]


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
    into = options.pop("into")
    *found, target = _with_target(session, texts, into)
    exact = options.pop("exact")
    if into is None and not exact:
        exact = len(found) == 1 and len(texts) == 2 and not _is_folder(session, target, texts[-1])
    asks, verbose = options.pop("asks"), options.pop("verbose")
    wishes = _wishes(options)
    spec = TransferSpec(
        verb=verb,
        sources=tuple(map(str, found)),
        target=str(target),
        exact=exact,
        conflict=_policy(options),
        exclude=options["exclude"],
        verify=options["verify"],
    )
    if asks and not wishes.dry_run:
        spec = asked_about_each(session, spec)
    code = transfer(session, spec, wishes)
    if verbose and not wishes.dry_run and not code and not session.json:
        for one in found:
            to = target if exact else target.joined(name_of(one))
            print(f"{one.shown()} -> {to.shown()}")
    return code


_exact = click.option(
    "--exact",
    "--no-target-directory",
    "-T",
    is_flag=True,
    help="The last LOCATION is the new name itself, not a folder.",
)


def _habits(command: Callable[..., Any]) -> Callable[..., Any]:
    """Options that people type with cp and mv out of habit."""
    options = (
        click.option("--force", "-f", "policy", flag_value="overwrite", help="As --overwrite."),
        click.option("--update", "-u", "policy", flag_value="newer", help="As --newer."),
        click.option("--no-clobber", "policy", flag_value="skip", help="As --skip."),
        click.option("--interactive", "-i", "asks", is_flag=True, help="Ask about each that is in the way."),
        click.option("--verbose", "-v", is_flag=True, help="Name what was copied or moved."),
        click.option(
            "--target-directory", "-t", "into", metavar="FOLDER", help="Where to; else it is named last."
        ),
    )
    for option in reversed(options):
        command = option(command)
    return command


_as_always = click.option(
    *("-r", "-R", "-a", "-p", "-d", "--recursive", "--archive", "--preserve", "always"),
    is_flag=True,
    expose_value=False,
    help="Folders, times, modes and links: as always here.",
)


@file.command()
@_some
@_copying
@_habits
@_as_always
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
@_habits
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
@click.option("--force", "-f", is_flag=True, help="Do not ask, and say nothing of what is not there.")
@click.option("--interactive", "-i", "-I", "asks", is_flag=True, help="Ask about each LOCATION.")
@click.option(
    "--recursive", "-r", "-R", "-d", is_flag=True, expose_value=False, help="Folders: as always here."
)
@click.option("--verbose", "-v", is_flag=True, help="Name what was deleted.")
@click.option("--dry-run", "-n", is_flag=True, help="Show how much it is.")
@_handing_in
@shared_options
@on_the_box
def rm(
    session: Session,
    texts: tuple[str, ...],
    erase: bool,
    yes: bool,
    force: bool,
    asks: bool,
    verbose: bool,
    **options: Any,
) -> int:
    """Put files and folders into the trash; `labbox file trash restore` brings them back."""
    wishes = _wishes(options)
    found = _those_there(session, texts) if force else sources(session, texts)
    if asks and not wishes.dry_run:
        found = _chosen(found, "Delete {} for good?" if erase else "Put {} into the trash?")
    elif not (yes or force or wishes.dry_run) and not _may_delete(found, erase):
        found = []
    if not found:
        if not force:
            print("nothing was deleted", file=sys.stderr)
        return 0 if force else 1
    verb = TransferVerb.ERASE if erase else TransferVerb.TRASH
    code = transfer(session, TransferSpec(verb=verb, sources=tuple(map(str, found))), wishes)
    if verbose and not code and not wishes.dry_run and not session.json:
        for one in found:
            print(f"{'deleted' if erase else 'put into the trash:'} {one.shown()}")
    return code


def _may_delete(found: list[Location], erase: bool) -> bool:
    asked = sys.stdin.isatty() and sys.stderr.isatty()
    if erase and not asked:
        raise LabboxError("usage", "cannot delete for good without a yes", "say --yes")
    what = found[0].shown() if len(found) == 1 else f"{len(found)} files and folders"
    how = "Delete {} for good?" if erase else "Put {} into the trash?"
    return not asked or confirm(how.format(what))


def _chosen(found: list[Location], how: str) -> list[Location]:
    """Those that somebody says yes to."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise LabboxError(
            "usage", "cannot ask about each: there is no terminal", "leave -i out, or use ssh -t"
        )
    return [one for one in found if confirm(how.format(one.shown()))]


def _those_there(session: Session, texts: tuple[str, ...]) -> list[Location]:
    """What of it is there; the rest is not missed."""
    if session.act_as is not None:
        return sources(session, texts)
    wanted = [location(session, text) for text in texts]

    async def look(places: Any) -> list[Location]:
        from labbox.files.globbing import named

        found: list[Location] = []
        for one, text in zip(wanted, texts, strict=True):
            try:
                for each in await named(places, one, text):
                    place, path = await places.get(each)
                    await place.entry(path)
                    found.append(each)
            except LabboxError as error:
                if error.code != "not_found":
                    raise
        return found

    return within(session, look, *wanted)


_nul = click.option(
    "-0", "--null", "-print0", "nul", is_flag=True, help="End each name with a zero byte, names as they are."
)


@file.command()
@_some
@click.option(
    "--name", "-name", "-iname", metavar="PATTERN", help="By name, as in *.csv or 'run{1..9}.csv;*.txt'."
)
@click.option("--text", metavar="TEXT", help="By what files hold.")
@click.option("--match-case", is_flag=True, help="Capitals as they are written.")
@_nul
@_excluding
@_followed
@shared_options
@on_the_box
def find(
    session: Session,
    texts: tuple[str, ...],
    name: str | None,
    text: str | None,
    match_case: bool,
    exclude: tuple[str, ...],
    **options: Any,
) -> int:
    """Find files below the LOCATIONs, by name, by what they hold, or both; prints their locations.

    Case is put aside, as in the screens; --match-case takes it as written.
    """
    if not name and not text:
        raise LabboxError("usage", "cannot search for nothing", "say --name '*.csv', --text WORDS, or both")
    below = tuple(map(str, sources(session, texts)))
    spec = TransferSpec(
        verb=TransferVerb.FIND, sources=below, name=name, text=text, match_case=match_case, exclude=exclude
    )
    return transfer(session, spec, _wishes(options))


_from = click.argument("source", metavar="SOURCE", shell_complete=complete_locations)
_to = click.argument("target", metavar="TARGET", shell_complete=complete_locations)
_content = click.option("--content", is_flag=True, help="Compare what files hold, not size and time.")


@file.command()
@_from
@_to
@_content
@click.option("--unified", "-u", "lines", is_flag=True, help="Of two files, the lines that differ.")
@click.option("--recursive", "-r", is_flag=True, expose_value=False, help="Folders: as always here.")
@_excluding
@_followed
@shared_options
@on_the_box
def diff(
    session: Session,
    source: str,
    target: str,
    content: bool,
    lines: bool,
    exclude: tuple[str, ...],
    **options: Any,
) -> int:
    """Compare two folders or files; ends with 1 where they differ, with 2 where one is not there.

    Each line: - what SOURCE alone has, + what TARGET alone has, ~ what is different, and how.
    """
    here, there = location(session, source), location(session, target)
    if session.act_as is None and not (options["queue"] or options["after"] or options["wait"]):
        try:
            within(session, lambda places: _both_there(places, here, there), here, there)
            if lines:
                return _say_lines(session, here, there)
        except LabboxError as error:
            raise LabboxError("usage", error.message, error.hint) from error
    spec = TransferSpec(
        verb=TransferVerb.COMPARE, sources=(str(here),), target=str(there), content=content, exclude=exclude
    )
    return transfer(session, spec, _wishes(options))


async def _both_there(places: Any, *wanted: Location) -> None:
    for one in wanted:
        try:
            place, path = await places.get(one)
            await place.entry(path, follow=True)
        except LabboxError as error:
            if error.code != "not_found":
                raise
            raise LabboxError(
                "not_found", f"cannot compare: {one.shown()} is not there", "see what is, with labbox file ls"
            ) from error


def _say_lines(session: Session, here: Location, there: Location) -> int:
    async def compared(places: Any) -> list[str]:
        from labbox.files.viewing.comparing import text_difference

        both = await places.get(here), await places.get(there)
        return await text_difference(*both, (here.shown(), there.shown()))

    found = within(session, compared, here, there)
    for line in found:
        print(line)
    return 1 if found else 0


@file.command()
@_from
@_to
@click.option("--mirror", "--delete", is_flag=True, help="What SOURCE lacks goes to the trash at TARGET.")
@_content
@click.option("--dry-run", "-n", is_flag=True, help="Show what would be copied, and what would go.")
@_excluding
@_verifying
@_followed
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
    here, there = location(session, source), new_location(session, target)
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
@_followed
@shared_options
@on_the_box
def pack(session: Session, texts: tuple[str, ...], **options: Any) -> int:
    """Pack LOCATIONs into the archive that is named last; its ending says the kind (.zip, .tar.zst, …)."""
    *found, target = _with_target(session, texts)
    if archive_ending(target.name) is None:
        raise LabboxError(
            "usage",
            f"cannot tell what kind of archive {target.shown()} is to be",
            "name the archive last: labbox file pack data results.zip",
        )
    wishes = _wishes(options)
    spec = TransferSpec(
        verb=TransferVerb.PACK,
        sources=tuple(map(str, found)),
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
@_followed
@shared_options
@on_the_box
def unpack(session: Session, texts: tuple[str, ...], to: str, **options: Any) -> int:
    """Unpack archives, each into a folder of its own name."""
    wishes = _wishes(options)
    spec = TransferSpec(
        verb=TransferVerb.UNPACK,
        sources=tuple(map(str, sources(session, texts))),
        target=str(new_location(session, to)),
        conflict=_policy(options),
        exclude=options["exclude"],
    )
    return transfer(session, spec, wishes)


_ALGORITHMS: Final = {  # the programs that check them
    "b2": "blake2b", "b2sum": "blake2b", "b3": "blake3", "b3sum": "blake3",
    "md5sum": "md5", "sha1sum": "sha1",
    "sha224sum": "sha224", "sha256sum": "sha256", "sha384sum": "sha384", "sha512sum": "sha512",
}  # fmt: skip


def _as_given(session: Session, text: str, found: Location) -> str:
    """What stands for a source in lines that a program reads where the command was given."""
    if found != location(session, text):  # wildcards: the same folders, as they were typed
        below = str(found).count("/") - str(location(session, text)).count("/")
        parts = str(found).split("/")
        count = len(text.rstrip("/").split("/")) + below
        text = "/".join(parts[-count:]) if not text.startswith(("/", "~")) else str(found)
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
@_followed
@shared_options
@on_the_box
def sum_(
    session: Session, texts: tuple[str, ...], algorithm: str, exclude: tuple[str, ...], **options: Any
) -> int:
    """Print checksums, in the form that sha256sum and its like check: sha256sum -c SUMS.

    Names stand as they were given. On a terminal, control characters in names are shown, not sent.
    """
    given = [(text, one) for text in texts for one in sources(session, (text,))]
    spec = TransferSpec(
        verb=TransferVerb.CHECKSUM,
        sources=tuple(str(one) for _, one in given),
        called=tuple(_as_given(session, text, one) for text, one in given),
        algorithm=_ALGORITHMS.get(algorithm.lower(), algorithm.lower().replace("-", "")),
        exclude=exclude,
    )
    return transfer(session, spec, _wishes(options))


@file.command()
@click.argument("number", metavar="ID", type=JOB, shell_complete=complete_jobs)
@_followed
@shared_options
@on_the_box
def undo(session: Session, number: int, **options: Any) -> int:
    """Take back what transfer ID did: what was copied goes to the trash, what was moved goes back."""
    spec = TransferSpec(verb=TransferVerb.UNDO, sources=(), undo=number)
    return transfer(session, spec, _wishes(options))
