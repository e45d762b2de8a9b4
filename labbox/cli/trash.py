"""`labbox file trash`: what was deleted, for as long as the trash keeps it."""

from __future__ import annotations

import sys
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from labbox.cli.asking import confirm
from labbox.cli.nouns import Noun
from labbox.cli.output import format_time, print_table
from labbox.cli.places import complete_locations, location, on_the_box, within
from labbox.cli.session import Session, shared_options
from labbox.errors import LabboxError
from labbox.locations import Location, parse
from labbox.model import Conflict, TransferSpec, TransferVerb, Value
from labbox.text import format_bytes

if TYPE_CHECKING:
    from labbox.files.places.opening import Places
    from labbox.files.transfer.trash import Trashed


class TrashPage(Value):
    """The answer of --json: what is in the trash, the latest first."""

    items: tuple[Any, ...]


@click.group(cls=Noun)
def trash() -> None:
    """What `labbox file rm` deleted: see it, bring it back, be done with it."""


def _tops(session: Session) -> list[Location]:
    """The shared places of the caller, whose trash is beside theirs; none where the box does not answer."""
    try:
        caller = session.box.whoami()
    except LabboxError:
        return []
    tops = [parse("shared:/")] if caller.shared else []
    return [*tops, *(parse(f"project:{name}/") for name in caller.projects)]


def _items(session: Session) -> list[Trashed]:
    from labbox.files.transfer.trash import trashed

    tops = _tops(session)

    async def look(places: Places) -> list[Trashed]:
        return [one async for one in trashed(places, tops)]

    return sorted(within(session, look, *tops), key=lambda one: one.deleted, reverse=True)


@trash.command("list")
@shared_options
@on_the_box
def list_trash(session: Session) -> None:
    """List what is in your trash, the latest first; --json gives it as `items`."""
    items = _items(session)
    if session.json:
        session.print_json(TrashPage(items=tuple(items)))
        return
    if not items:
        if sys.stdout.isatty():
            print("the trash is empty", file=sys.stderr)
        return
    rows = [
        (
            format_time(one.deleted),
            "folder" if one.folder else format_bytes(one.size),
            parse(one.origin).shown(),
        )
        for one in items
    ]
    print_table(("DELETED", "SIZE", "WAS"), rows)


@trash.command()
@click.argument("texts", metavar="LOCATION...", nargs=-1, required=True, shell_complete=complete_locations)
@click.option(
    "--to", metavar="FOLDER", shell_complete=complete_locations, help="Into this folder, not where it was."
)
@click.option("--overwrite", "policy", flag_value="overwrite", help="Put what is there now into the trash.")
@click.option("--rename", "policy", flag_value="rename", help="Give new names: data (2).csv.")
@click.option("--skip", "policy", flag_value="skip", help="Leave what is there now.")
@shared_options
@on_the_box
def restore(session: Session, texts: tuple[str, ...], to: str | None, policy: str | None) -> int:
    """Bring things back: LOCATION is where they were, or their name; of several the one deleted last."""
    from labbox.cli.transfers import Wishes, transfer

    items = _items(session)
    sources = []
    for text in texts:
        wanted = location(session, text)
        found = next((one for one in items if parse(one.origin) == wanted), None)
        found = found or next((one for one in items if one.name == text), None)
        sources.append(str(wanted) if found is None else found.location)
    spec = TransferSpec(
        verb=TransferVerb.RESTORE,
        sources=tuple(sources),
        target=None if to is None else str(location(session, to)),
        conflict=Conflict(policy or "fail"),
    )
    return transfer(session, spec, Wishes())


@trash.command()
@click.option(
    "--older",
    metavar="DAYS",
    type=click.FloatRange(0),
    default=0.0,
    help="Only what was deleted so long ago.",
)
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared_options
@on_the_box
def empty(session: Session, older: float, yes: bool) -> int:
    """Delete for good what is in your trash."""
    from labbox.files.transfer.trash import expire

    asked = sys.stdin.isatty() and sys.stderr.isatty()
    if not yes and not asked:
        raise LabboxError("usage", "cannot empty the trash without a yes", "say --yes")
    if not yes and not confirm("Delete it all for good?"):
        print("nothing was deleted", file=sys.stderr)
        return 1
    tops = _tops(session)
    soon = datetime.now(UTC) + timedelta(seconds=2)  # what went this very second goes too
    gone = within(session, lambda places: expire(places, older, tops, soon), *tops)
    if session.json:
        session.print_json({"deleted": gone})
    else:
        print(f"deleted {gone} {'thing' if gone == 1 else 'things'} for good")
    return 0
