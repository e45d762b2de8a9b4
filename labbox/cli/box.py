"""The verbs about the box as a whole: status, usage, events, audit, notices, templates, whoami, tui."""

from __future__ import annotations

import sys

import click

from labbox.cli.output import (
    format_resources,
    format_time,
    print_facts,
    print_table,
)
from labbox.cli.session import Session, global_options, pass_session, shared_options
from labbox.errors import LabboxError
from labbox.protocol import Event
from labbox.text import format_bytes, format_duration, visible_line


@click.command()
@shared_options
def status(session: Session) -> int:
    """Show the box at a glance. Exit code 1 where something is wrong with it."""
    found = session.box.status()
    if session.json:
        session.print_json(found)
    else:
        engine = (
            f"available, version {found.engine.version}" if found.engine.available else found.engine.reason
        )
        jobs = ", ".join(f"{count} {state.value}" for state, count in found.jobs.items() if count) or "none"
        print_facts(
            (
                ("box", f"{found.box}, labbox {found.version}, up since {format_time(found.started_at)}"),
                ("logins", f"ssh {found.ssh}" if found.ready else "not accepted yet"),
                ("engine", engine),
                ("jobs", jobs),
                ("users", str(found.users)),
                ("in use", f"{format_resources(found.used)} of {format_resources(found.total)}"),
                ("load", " ".join(f"{value:.2f}" for value in found.load)),
                (
                    "memory",
                    f"{format_bytes(found.memory_available)} of {format_bytes(found.memory_total)} free",
                ),
                ("disk", f"{format_bytes(found.disk_free)} of {format_bytes(found.disk_total)} free"),
                ("problems", "\n".join(found.problems)),
            )
        )
    return 0 if found.ready and not found.problems else 1


@click.command()
@click.argument("user", required=False)
@shared_options
def usage(session: Session, user: str | None) -> None:
    """Show what people used: all time, and as the fair share counts it now."""
    page = session.box.usage(user)
    if session.json:
        session.print_json(page)
        return
    rows = [
        (
            row.owner,
            str(row.jobs),
            format_duration(row.cpu_seconds),
            f"{row.memory_byte_seconds / (1 << 30) / 3600:.1f}",
            format_resources(row.running) if row.running.cpus else "-",
            f"{100 * row.share:.1f} %",
            "-" if row.storage is None else format_bytes(row.storage),
        )
        for row in page.rows
    ]
    print_table(("USER", "JOBS", "CPU TIME", "GiB HOURS", "NOW", "RECENT SHARE", "STORAGE"), rows, flexible=0)


@click.command()
@click.option("--follow/--no-follow", "-f", default=True, help="Go on until interrupted (the default).")
@click.option("--after", type=int, metavar="CURSOR", help="Begin after this event instead of now.")
@click.option("--mine", is_flag=True, help="Only what concerns you.")
@shared_options
def events(session: Session, follow: bool, after: int | None, mine: bool) -> None:
    """Show every change as it happens; --json gives a line of JSON each."""
    try:
        for event in session.box.events(after=after, follow=follow, mine=mine):
            if session.json:
                session.print_json_line(event)
            elif event.kind != "alive":
                print(_describe(event), flush=True)
    except KeyboardInterrupt:
        return


def _describe(event: Event) -> str:
    words = [format_time(event.at), event.kind]
    if event.job is not None:
        words += [str(event.job.id), event.job.owner, event.job.state.value, event.job.name]
    return "  ".join(visible_line(word) for word in [*words, event.text] if word)


@click.command()
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@click.option("--before", type=int, metavar="ID", help="Only entries older than this one.")
@shared_options
def audit(session: Session, limit: int, before: int | None) -> int:
    """Show who did what, newest first; for administrators. Exit code 1 where the trail was tampered with."""
    page = session.box.audit(limit, before)
    if session.json:
        session.print_json(page)
    else:
        rows = [
            (str(e.id), format_time(e.at), e.who, e.action, e.target, e.origin, e.detail)
            for e in page.entries
        ]
        print_table(("ID", "TIME", "WHO", "ACTION", "TARGET", "FROM", "DETAIL"), rows)
        if page.unchecked:
            told = f"entries up to {page.unchecked} cannot be checked: their key or mark was lost"
            print(told, file=sys.stderr)
    if not page.intact:
        raise LabboxError(
            "conflict",
            f"cannot vouch for the audit trail: {visible_line(page.trouble) or 'an entry was edited'}",
            "compare it with a backup of the state folder; README.md says how to begin a new count",
        )
    return 0


@click.command()
@click.option("--all", "everything", is_flag=True, help="Also what you have looked at before.")
@shared_options
def notices(session: Session, everything: bool) -> None:
    """Show what happened since the last look, here or with N in the screens; --all shows all that is kept."""
    page = session.box.notices(everything)
    if session.json:
        session.print_json(page)
    else:
        for notice in page.notices:
            print(f"{format_time(notice.at)}  {visible_line(notice.text)}")
        if not page.notices and sys.stdout.isatty():
            print("nothing new" if not everything else "nothing yet", file=sys.stderr)
    if page.notices and not page.notices[0].seen:
        try:
            session.box.see_notices(page.notices[0].id)
        except LabboxError as error:
            if error.code != "forbidden":  # a token that only reads: they stay new
                raise


@click.command()
@shared_options
def templates(session: Session) -> None:
    """Show the languages that the box can run, and the file that selects each."""
    page = session.box.templates()
    if session.json:
        session.print_json(page)
        return
    rows = [(t.name, t.title, " ".join(t.entries), t.image) for t in page.templates]
    print_table(("NAME", "TITLE", "FILES", "IMAGE"), rows)


@click.command()
@shared_options
def whoami(session: Session) -> None:
    """Show who the box takes you for."""
    caller = session.box.whoami()
    if session.json:
        session.print_json(caller)
        return
    scope = f", with a token that may {caller.scope.value} only" if caller.scope else ""
    print(f"{visible_line(caller.name)} (uid {caller.uid}, {caller.role.value}{scope})")


@click.command()
@click.argument("first", type=click.Choice(["files", "jobs"]), default="files")
@global_options
@pass_session
def tui(session: Session, first: str) -> int:
    """Open the full-screen interface, as a login without words does; FIRST is the first screen."""
    if session.screens is None:
        raise LabboxError("usage", "cannot open the interface here", "log in without words: ssh -t USER@BOX")
    return session.screens(session.socket, session.act_as, first)
