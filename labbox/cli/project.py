"""`labbox project`: groups of people who share a folder."""

from __future__ import annotations

import click

from labbox.cli.asking import be_sure
from labbox.cli.nouns import Noun
from labbox.cli.output import print_table
from labbox.cli.session import Session, shared_options
from labbox.errors import LabboxError
from labbox.protocol import Project
from labbox.text import visible_line


@click.group(cls=Noun)
def project() -> None:
    """Projects: groups of people who share a folder, `project:NAME/`.

    A folder for everybody is there without any: `shared:/`.
    """


@project.command("list")
@shared_options
def list_projects(session: Session) -> None:
    """List your projects; administrators see all. --json gives them as `projects`."""
    page = session.box.list_projects()
    if session.json:
        session.print_json(page)
        return
    rows = [(one.name, str(one.gid), " ".join(one.members)) for one in page.projects]
    print_table(("NAME", "GID", "MEMBERS"), rows, flexible=2)


@project.command()
@click.argument("name")
@click.option("--member", "members", metavar="USER", multiple=True, help="Who is in it; repeatable.")
@shared_options
def add(session: Session, name: str, members: tuple[str, ...]) -> None:
    """Make a project with a folder of its own; for administrators."""
    _say(session, session.box.add_project(name, members))


@project.command()
@click.argument("name")
@click.option("--delete-files", is_flag=True, help="Delete its folder too; else it stays on the disk.")
@click.option("--yes", "-y", is_flag=True, help="Do not ask.")
@shared_options
def remove(session: Session, name: str, delete_files: bool, yes: bool) -> None:
    """Forget a project; for administrators."""
    if delete_files:
        shown = visible_line(name)
        be_sure(f"Remove the project {shown} with all its files?", f"delete the files of {shown}", yes=yes)
    session.box.remove_project(name, delete_files)
    if session.json:
        session.print_json({})
    else:
        kept = "" if delete_files else "; its folder stays on the disk, --delete-files would delete it"
        print(f"project {name} is removed{kept}")


@project.command()
@click.argument("name")
@click.option("--add", "joining", metavar="USER", multiple=True, help="Take in; repeatable.")
@click.option("--remove", "leaving", metavar="USER", multiple=True, help="Let go of; repeatable.")
@shared_options
def member(session: Session, name: str, joining: tuple[str, ...], leaving: tuple[str, ...]) -> None:
    """List who is in a project, one a line; or say who is, for administrators, from their next login on."""
    changed: Project | None = None
    for user in joining:
        changed = session.box.join_project(name, user)
    for user in leaving:
        changed = session.box.leave_project(name, user)
    if changed is None:
        changed = next((one for one in session.box.list_projects().projects if one.name == name), None)
        if changed is None:
            raise LabboxError(
                "not_found",
                f"cannot find a project “{visible_line(name)}”",
                "labbox project list shows yours",
            )
        if not session.json:
            for one in changed.members:
                print(visible_line(one))
            return
    _say(session, changed)


def _say(session: Session, made: Project) -> None:
    if session.json:
        session.print_json(made)
    else:
        who = ", ".join(made.members) or "nobody yet"
        print(f"project {made.name}: {who}")
