"""`labbox job group`: groups of jobs, and how many of each may run at once."""

from __future__ import annotations

from typing import Final

import click

from labbox.cli.nouns import Noun
from labbox.cli.output import print_table
from labbox.cli.session import Session, shared_options
from labbox.cli.values import GROUP, Value
from labbox.errors import LabboxError
from labbox.groups import check_parallel
from labbox.text import visible_line

_NONE: Final = "none"  # click takes a None for an option that was not given


def _at_once(text: str) -> int | str:
    if text == _NONE:
        return text
    if not text.isascii() or not text.isdigit() or len(text) > 9:
        raise LabboxError(
            "usage",
            f"cannot read “{visible_line(text[:40])}” as a number of jobs",
            "write a number such as 4, or none for no limit",
        )
    check_parallel(int(text))
    return int(text)


_user = click.option("--user", metavar="NAME", help="This person's groups; for administrators.")


@click.group(cls=Noun)
def group() -> None:
    """Groups of jobs with a limit of their own: how many of them run at once.

    A job joins a group with `job submit --group NAME`; the group is made at its first job, without a limit.
    """


@group.command("list")
@_user
@shared_options
def list_groups(session: Session, user: str | None) -> None:
    """List your groups with their limits; root sees everybody's. --json gives them as `groups`."""
    page = session.box.list_groups(user)
    if session.json:
        session.print_json(page)
        return
    rows = [
        (
            one.name,
            one.owner,
            "none" if one.parallel is None else str(one.parallel),
            str(one.active),
            str(one.waiting),
        )
        for one in page.groups
    ]
    print_table(("NAME", "USER", "AT ONCE", "RUNNING", "WAITING"), rows, flexible=0)


@group.command("set")
@click.argument("name", type=GROUP)
@click.option(
    "--parallel",
    type=Value("N", _at_once),
    metavar="N",
    required=True,
    help="At most so many of its jobs at once; none: no limit.",
)
@_user
@shared_options
def set_group(session: Session, name: str, parallel: int | str, user: str | None) -> None:
    """Set how many jobs of a group run at once; it holds at once, and what runs already goes on."""
    made = session.box.set_group(name, None if parallel == _NONE else int(parallel), user)
    if session.json:
        session.print_json(made)
    elif made.parallel is None:
        print(f"group {made.name} has no limit")
    else:
        print(f"group {made.name} runs {made.parallel} at once")


@group.command()
@click.argument("name", type=GROUP)
@_user
@shared_options
def remove(session: Session, name: str, user: str | None) -> None:
    """Forget a group and its limit; its jobs go on, and keep its name."""
    session.box.remove_group(name, user)
    if session.json:
        session.print_json({})
    else:
        print(f"group {name} is removed")
