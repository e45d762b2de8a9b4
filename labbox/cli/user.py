"""`labbox user`: people, their passwords, keys, limits, invitations and tokens."""

from __future__ import annotations

import codecs
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from labbox.cli.asking import be_sure
from labbox.cli.nouns import Noun
from labbox.cli.output import format_limits, format_time, print_facts, print_table
from labbox.cli.session import Session, shared_options
from labbox.cli.values import CPUS, DURATION, END, NEVER, SIZE, Value
from labbox.errors import LabboxError
from labbox.model import Role, Scope
from labbox.protocol import Key, Keys, User, UserAdd, UserEdit
from labbox.text import format_bytes, visible_line

_EXPIRES: Final = "The account ends then: a date, a time, 90d, or never."


@click.group(cls=Noun)
def user() -> None:
    """People: add, invite, suspend, edit, passwords, keys, limits, tokens."""


@user.command()
@click.argument("name")
@click.option(
    "--key", "keys", metavar="FILE", multiple=True, help="A public key; repeatable; - is standard input."
)
@click.option("--password-stdin", is_flag=True, help="Read a password from standard input.")
@click.option("--admin", is_flag=True, help="They administer the box.")
@click.option("--full-name", metavar="TEXT", default="", help="What the person is called.")
@click.option("--expires", type=END, metavar="WHEN", help=_EXPIRES)
@shared_options
def add(
    session: Session,
    name: str,
    keys: tuple[str, ...],
    password_stdin: bool,
    admin: bool,
    full_name: str,
    expires: datetime | None,
) -> None:
    """Add a person; for administrators."""
    password = _read_password_line() if password_stdin else None
    lines = tuple(line for key in keys for line in _read_keys(key))
    wanted = UserAdd(
        name=name,
        admin=admin,
        password=password,
        keys=lines,
        full_name=full_name,
        expires_at=None if expires == NEVER else expires,
    )
    _print_user(session, session.box.add_user(wanted))


@user.command("list")
@shared_options
def list_users(session: Session) -> None:
    """List all people; for administrators."""
    page = session.box.list_users()
    if session.json:
        session.print_json(page)
        return
    at = datetime.now(UTC)
    rows = [
        (
            one.name,
            one.full_name,
            _standing(one, at),
            str(one.uid),
            "admin" if one.admin else "user",
            "yes" if one.has_password else "no",
            str(one.keys),
            format_time(one.last_login),
            "-" if one.storage is None else format_bytes(one.storage),
        )
        for one in page.users
    ]
    heads = ("NAME", "FULL NAME", "STATUS", "UID", "ROLE", "PASSWORD", "KEYS", "LAST LOGIN", "STORAGE")
    print_table(heads, rows, flexible=1)


@user.command()
@click.argument("name", required=False)
@shared_options
def show(session: Session, name: str | None) -> None:
    """Show a person: yourself, or anybody for administrators."""
    _print_user(session, session.box.show_user(session.myself(name)))


@user.command()
@click.argument("name")
@click.option(
    "--files",
    type=click.Choice(["keep", "delete"]),
    default="keep",
    show_default=True,
    help="Home and results.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared_options
def remove(session: Session, name: str, files: str, yes: bool) -> None:
    """Remove a person and end their jobs; for administrators."""
    what = "with all files" if files == "delete" else "and keep the files"
    be_sure(f"Remove {visible_line(name)} {what}?", f"remove {visible_line(name)}", yes=yes)
    session.box.remove_user(name, files)
    if session.json:
        session.print_json({})
    else:
        kept = "; home and results stay on the disk" if files == "keep" else ""
        print(f"{visible_line(name)} is removed{kept}")


@user.command()
@click.argument("name")
@click.option(
    "--jobs",
    type=click.Choice(["keep", "cancel"]),
    default="keep",
    show_default=True,
    help="Their running jobs go on, or are cancelled.",
)
@click.option("--yes", is_flag=True, help="Do not ask.")
@shared_options
def suspend(session: Session, name: str, jobs: str, yes: bool) -> None:
    """Shut a person out at once, until `user unsuspend`; for administrators.

    Their logins, tokens and requests end. Waiting jobs wait until the person is back.
    """
    shown = visible_line(name)
    what = "cancel the running jobs" if jobs == "cancel" else "let the running jobs go on"
    be_sure(f"Suspend {shown} and {what}?", f"suspend {shown}", yes=yes)
    found = session.box.suspend_user(name, cancel_running=jobs == "cancel")
    if session.json:
        session.print_json(found)
    else:
        running = "running jobs are cancelled" if jobs == "cancel" else "running jobs go on"
        print(f"{shown} is suspended: {running}, waiting ones wait")


@user.command()
@click.argument("name")
@shared_options
def unsuspend(session: Session, name: str) -> None:
    """Let a suspended person in again; for administrators."""
    found = session.box.unsuspend_user(name)
    if session.json:
        session.print_json(found)
    else:
        print(f"{visible_line(name)} may log in again, and waiting jobs start in their turn")


@user.command()
@click.argument("name", required=False)
@click.option("--full-name", metavar="TEXT", help="What the person is called.")
@click.option("--expires", type=END, metavar="WHEN", help=_EXPIRES)
@shared_options
def edit(session: Session, name: str | None, full_name: str | None, expires: datetime | None) -> None:
    """Change a person's full name, or when the account ends; the latter is for administrators."""
    if full_name is None and expires is None:
        raise LabboxError("usage", "cannot change nothing", "give --full-name or --expires")
    forever = expires == NEVER
    change = UserEdit(full_name=full_name, expires_at=None if forever else expires, forever=forever)
    _print_user(session, session.box.edit_user(session.myself(name), change))


@user.command()
@click.argument("name", required=False)
@click.option(
    "--password-stdin",
    is_flag=True,
    help="Read the new password from standard input; the old one, if needed, from the line before.",
)
@shared_options
def passwd(session: Session, name: str | None, password_stdin: bool) -> None:
    """Set a password: your own, or anybody's for administrators."""
    caller = session.box.whoami()
    name = name or caller.name
    known = caller.role is not Role.ADMIN and session.box.show_user(name).has_password
    old = None
    if password_stdin:
        old = _read_password_line() if known else None
        new = _read_password_line()
    else:
        if not sys.stdin.isatty():
            raise LabboxError(
                "usage", "cannot ask for a password without a terminal", "use ssh -t, or --password-stdin"
            )
        old = click.prompt("Old password", hide_input=True, err=True) if known else None
        new = click.prompt("New password", hide_input=True, confirmation_prompt=True, err=True)
    session.box.set_password(name, new, old)
    if session.json:
        session.print_json({})
    else:
        print(f"the password of {visible_line(name)} is set")


@user.group(cls=Noun)
def key() -> None:
    """Public keys: `key list [NAME]`, `key add [NAME] FILE`, `key remove [NAME] FINGERPRINT`."""


@key.command("list")
@click.argument("name", required=False)
@shared_options
def list_keys(session: Session, name: str | None) -> None:
    """List public keys: your own, or anybody's for administrators."""
    page = session.box.list_keys(session.myself(name))
    if session.json:
        session.print_json(page)
        return
    rows = [
        (k.fingerprint, k.kind, format_time(k.added_at), format_time(k.last_used), k.comment)
        for k in page.keys
    ]
    print_table(("FINGERPRINT", "KIND", "ADDED", "LAST USED", "COMMENT"), rows)


@key.command("add")
@click.argument("words", nargs=-1, required=True, metavar="[NAME] FILE")
@click.option("--if-new", is_flag=True, help="Keys that are there already are no error.")
@shared_options
def add_key(session: Session, words: tuple[str, ...], if_new: bool) -> None:
    """Deposit the public keys in FILE; - is standard input."""
    name, file = _name_and(words, "FILE")
    owner = session.myself(name)
    added = (
        _add_new(session, owner, file)
        if if_new
        else [session.box.add_key(owner, line) for line in _read_keys(file)]
    )
    if session.json:
        session.print_json(Keys(keys=tuple(added)))
        return
    for one in added:
        print(f"{one.fingerprint} {visible_line(one.comment)}".rstrip())


@key.command("remove")
@click.argument("words", nargs=-1, required=True, metavar="[NAME] FINGERPRINT")
@shared_options
def remove_key(session: Session, words: tuple[str, ...]) -> None:
    """Remove the public key with this fingerprint."""
    name, fingerprint = _name_and(words, "FINGERPRINT")
    session.box.remove_key(session.myself(name), fingerprint)
    if session.json:
        session.print_json({})
    else:
        print(f"{visible_line(fingerprint)} is removed")


def _or_none(parse: Any) -> Any:
    return Value("value", lambda text: "none" if text == "none" else parse(text))


_COUNT = _or_none(lambda text: click.IntRange(0).convert(text, None, None))


@user.command()
@click.argument("name", required=False)
@click.option("--running-jobs", "--jobs", type=_COUNT, metavar="N", help="Jobs that run at once.")
@click.option("--cpus", type=_or_none(CPUS.parse), metavar="X", help="CPUs in use at once.")
@click.option("--memory", type=_or_none(SIZE.parse), metavar="SIZE", help="Memory in use at once.")
@click.option("--gpus", type=_COUNT, metavar="N", help="GPUs in use at once.")
@click.option("--storage", type=_or_none(SIZE.parse), metavar="SIZE", help="Home and results together.")
@shared_options
def limits(session: Session, name: str | None, **wanted: Any) -> None:
    """Show a person's limits, or change those given; `none` lifts one. Changing is for administrators."""
    name = session.myself(name)
    found = session.box.show_user(name)
    changes = {key: None if value == "none" else value for key, value in wanted.items() if value is not None}
    if changes:
        found = session.box.set_limits(name, msgspec.structs.replace(found.limits, **changes))
    if session.json:
        session.print_json(found.limits)
    else:
        print_facts(format_limits(found.limits))


@user.command()
@click.argument("name")
@click.argument("whether", type=click.Choice(["on", "off"]), default="on")
@shared_options
def admin(session: Session, name: str, whether: str) -> None:
    """Let a person administer the box, or no longer; for administrators."""
    _print_user(session, session.box.set_admin(name, whether == "on"))


@user.command()
@click.argument("name")
@click.option("--admin", is_flag=True, help="They will administer the box.")
@click.option(
    "--valid", type=DURATION, default="7d", show_default=True, metavar="T", help="How long the code is good."
)
@click.option("--full-name", metavar="TEXT", default="", help="What somebody new is called.")
@click.option("--withdraw", is_flag=True, help="Take back the code that NAME has not used yet.")
@shared_options
def invite(session: Session, name: str, admin: bool, valid: float, full_name: str, withdraw: bool) -> None:
    """Print a one-time code: the password of NAME's first login, which deposits a key or sets a password."""
    if withdraw:
        left = session.box.withdraw_invitation(name)
        if session.json:
            session.print_json(left)
        else:
            print(f"the invitation of {visible_line(name)} is withdrawn")
        return
    found = session.box.invite_user(name, admin, valid, full_name)
    if session.json:
        session.print_json(found)
        return
    print(found.code)
    print(
        f"good for the first login of {visible_line(found.name)} until {format_time(found.expires_at)}:"
        f"\n\n    {visible_line(found.ssh)}\n\nThe code is the password that it asks for.",
        file=sys.stderr,
    )


@user.group(cls=Noun)
def token() -> None:
    """Tokens for scripts: `token list`, `token add`, `token revoke`."""


@token.command("list")
@click.argument("name", required=False)
@shared_options
def list_tokens(session: Session, name: str | None) -> None:
    """List tokens: your own, or anybody's for administrators."""
    page = session.box.list_tokens(session.myself(name))
    if session.json:
        session.print_json(page)
        return
    rows = [
        (
            str(one.id),
            one.scope.value,
            "revoked" if one.revoked else format_time(one.expires_at),
            format_time(one.last_used),
            one.label,
        )
        for one in page.tokens
    ]
    print_table(("ID", "SCOPE", "GOOD UNTIL", "LAST USED", "LABEL"), rows)


@token.command("add")
@click.argument("label")
@click.option("--user", "name", metavar="NAME", help="For this person; for administrators.")
@click.option(
    "--scope",
    type=click.Choice([s.value for s in Scope]),
    default="read",
    show_default=True,
    help="What it allows.",
)
@click.option(
    "--valid", type=DURATION, default="90d", show_default=True, metavar="T", help="How long it is good."
)
@shared_options
def add_token(session: Session, label: str, name: str | None, scope: str, valid: float) -> None:
    """Make a token and print its secret, this once: it is given as the password at login."""
    made = session.box.add_token(session.myself(name), label, Scope(scope), valid)
    if session.json:
        session.print_json(made)
        return
    print(made.secret)
    print(f"token {made.token.id} may {scope} until {format_time(made.token.expires_at)}", file=sys.stderr)


@token.command()
@click.argument("number", metavar="ID", type=int)
@click.option("--user", "name", metavar="NAME", help="Of this person; for administrators.")
@shared_options
def revoke(session: Session, number: int, name: str | None) -> None:
    """End a token."""
    session.box.revoke_token(session.myself(name), number)
    if session.json:
        session.print_json({})
    else:
        print(f"token {number} is revoked")


def _print_user(session: Session, one: User) -> None:
    if session.json:
        session.print_json(one)
        return
    print_facts(
        [
            ("name", one.name),
            *((("full name", one.full_name),) if one.full_name else ()),
            ("status", _standing(one, datetime.now(UTC))),
            ("uid", str(one.uid)),
            ("role", "admin" if one.admin else "user"),
            ("password", "yes" if one.has_password else "no"),
            ("keys", str(one.keys)),
            ("created", format_time(one.created_at)),
            ("last login", format_time(one.last_login)),
            *((label, value) for label, value in format_limits(one.limits) if value != "none"),
            ("stored", "" if one.storage is None else format_bytes(one.storage)),
        ]
    )


def _standing(one: User, at: datetime) -> str:
    """How an account stands, and until when."""
    match one.standing(at):
        case "invited":
            return f"invited until {format_time(one.invited_until)}"
        case "expired":
            return f"expired {format_time(one.expires_at)}"
        case "active" if one.expires_at is not None:
            return f"active until {format_time(one.expires_at)}"
        case other:
            return other


def _name_and(words: tuple[str, ...], last: str) -> tuple[str | None, str]:
    if len(words) > 2:
        raise LabboxError("usage", f"cannot understand so many words: only [NAME] {last} is expected")
    return (words[0] if len(words) == 2 else None), words[-1]


def _read_password_line() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise LabboxError("usage", "cannot read a password: standard input is empty", "give it as one line")
    return line


def _add_new(session: Session, owner: str, file: str) -> list[Key]:
    """Those keys of a file that are not there yet; what is wrong with one keeps none of the others out."""
    added: list[Key] = []
    wrong: LabboxError | None = None
    for line in _read_keys(file):
        try:
            added.append(session.box.add_key(owner, line))
        except LabboxError as error:
            if error.code not in ("conflict", "invalid"):
                raise
            if error.code == "invalid":
                wrong = wrong or error
    if wrong is not None:
        raise wrong
    return added


def _decoded(content: bytes) -> str:
    """A key file's text; PowerShell's `>` writes UTF-16, and its pipes turn a mark into `?`."""
    wide = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    if not wide and content[1:2] == b"\0":
        return content.decode("utf-16-le")
    return content.decode("utf-16" if wide else "utf-8")


def _read_keys(file: str) -> list[str]:
    """The lines of a public key file that hold a key."""
    try:
        content = sys.stdin.buffer.read(1 << 20) if file == "-" else Path(file).read_bytes()
        text = _decoded(content)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LabboxError("invalid", f"cannot read the key file {file}: {reason}") from error
    if "PRIVATE KEY-----" in text:
        raise LabboxError(
            "invalid", f"cannot take {file}: it is a private key", f"give the public one: {file}.pub"
        )
    text = text.removeprefix("\ufeff").removeprefix("\u00ef\u00bb\u00bf")  # PowerShell's beginning of a text
    keys = [line.strip() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    if not keys:
        raise LabboxError(
            "invalid", f"cannot find a key in {file}", "a public key is one line such as ssh-ed25519 AAAA…"
        )
    return keys
