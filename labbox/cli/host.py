"""`labbox host`: other machines that files go to and come from, and what is kept to log in there."""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import click

from labbox.cli.asking import confirm
from labbox.cli.nouns import Noun
from labbox.cli.output import format_time, print_table
from labbox.cli.session import Session, shared_options
from labbox.cli.values import Value
from labbox.errors import LabboxError
from labbox.locations import Kind, parse
from labbox.protocol import Host, Hosts, HostSecret
from labbox.text import visible_line

_MOST = 64 << 10  # bytes of a key file


def _host_name(text: str) -> str:
    location = parse(text if text.startswith("sftp://") else f"sftp://{text}")
    if location.kind is not Kind.SFTP or location.path not in ("~", "/"):
        raise LabboxError(
            "usage", f"cannot use “{visible_line(text[:80])}” as a host", "as in sftp://me@my-pc:2222"
        )
    return location.host


HOST = Value("host", _host_name)


@click.group(cls=Noun)
def host() -> None:
    """Other machines that the box reaches by SFTP: your own PC, for one.

    `add` makes a key and prints the line to put there; `trust` confirms whom it talks to; `test` logs in.
    """


@host.command()
@click.argument("name", type=HOST, metavar="sftp://USER@HOST[:PORT]")
@click.option("--key", metavar="FILE", help="Keep this private key instead of making one; - is stdin.")
@click.option("--password-stdin", is_flag=True, help="Keep a password, read from standard input.")
@shared_options
def add(session: Session, name: str, key: str | None, password_stdin: bool) -> None:
    """Keep a key or a password for a machine; without either, make a key and print its public line."""
    if key is not None and password_stdin:
        raise LabboxError("usage", "cannot keep a key and a password for one host", "give one of them")
    password = _password_line() if password_stdin else None
    made = session.box.add_host(name, None if key is None else _read_key(key), password)
    if session.json:
        session.print_json(made)
        return
    if made.public_key is None:
        print(f"the password for sftp://{visible_line(made.name)} is kept")
    else:
        print(visible_line(made.public_key))
        if key is None:
            print(
                f"append this line to ~/.ssh/authorized_keys of {visible_line(made.user)} on"
                f" {visible_line(made.host)}, then: labbox host trust sftp://{visible_line(made.name)}",
                file=sys.stderr,
            )


@host.command("list")
@click.argument("name", type=HOST, required=False, metavar="[sftp://USER@HOST[:PORT]]")
@shared_options
def list_hosts(session: Session, name: str | None) -> None:
    """List your machines; with a name, print the public line for its authorized_keys."""
    page = session.box.list_hosts()
    if name is not None:
        found = [one for one in page.hosts if one.name == name]
        if not found:
            raise LabboxError("not_found", f"cannot find sftp://{visible_line(name)}", "labbox host list")
        page = Hosts(hosts=tuple(found))
    if session.json:
        session.print_json(page)
        return
    if name is not None:
        one = page.hosts[0]
        print(visible_line(one.public_key or f"a password is kept for sftp://{one.name}, no key"))
        return
    rows = [(one.name, one.kind, _trusted(one), format_time(one.created_at)) for one in page.hosts]
    print_table(("HOST", "BY", "ITS KEY", "ADDED"), rows, flexible=0)


@host.command()
@click.argument("name", type=HOST, metavar="sftp://USER@HOST[:PORT]")
@shared_options
def remove(session: Session, name: str) -> None:
    """Forget a machine, with what is kept for it."""
    session.box.remove_host(name)
    if session.json:
        session.print_json({})
    else:
        print(f"sftp://{visible_line(name)} is forgotten")


@host.command()
@click.argument("name", type=HOST, metavar="sftp://USER@HOST[:PORT]")
@click.argument("fingerprint", required=False, metavar="[SHA256:…]")
@shared_options
def trust(session: Session, name: str, fingerprint: str | None) -> None:
    """Confirm the key that a machine shows now; from then on it must show this one.

    Compare it there: ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub
    """
    from labbox.files.places.sftplogin import fingerprint_of, shown_key

    kept = session.box.host_secret(name)
    key = asyncio.run(shown_key(kept.host, kept.port, guarded=True))
    shown = fingerprint_of(key)
    if fingerprint is None:
        if not sys.stdin.isatty():
            raise LabboxError(
                "usage",
                f"cannot trust sftp://{visible_line(name)} unseen: it shows {shown}",
                f"compare it there, then: labbox host trust sftp://{visible_line(name)} {shown}",
            )
        if not confirm(f"{visible_line(kept.host)} shows {shown}. Is that its key?"):
            raise click.Abort
    elif fingerprint != shown:
        raise LabboxError(
            "forbidden",
            f"cannot trust sftp://{visible_line(name)}: its key is {shown}, another one than was said",
            "somebody may be in between: compare the fingerprints at the machine itself",
        )
    made = session.box.trust_host(name, key)
    if session.json:
        session.print_json(made)
    else:
        print(f"sftp://{visible_line(made.name)} is known by {shown}")


@host.command()
@click.argument("name", type=HOST, metavar="sftp://USER@HOST[:PORT]")
@shared_options
def test(session: Session, name: str) -> None:
    """Log in to a machine and look at its home."""
    kept = session.box.host_secret(name)
    started = time.monotonic()
    home = asyncio.run(_home(kept))
    seconds = time.monotonic() - started
    if session.json:
        session.print_json({"name": name, "home": visible_line(home), "seconds": round(seconds, 3)})
    else:
        print(f"sftp://{visible_line(name)} answers: its home is {visible_line(home)}, {seconds:.1f} s")


async def _home(kept: HostSecret) -> str:
    from labbox.files.places.credentials import credential_of
    from labbox.files.places.sftp import SftpPlace

    async with await SftpPlace.connect(credential_of(kept)) as place:
        return await place.real_path("~")


def _trusted(one: Host) -> str:
    return " ".join(key.fingerprint for key in one.trusted) or "not confirmed yet"


def _password_line() -> str:
    line = sys.stdin.readline().rstrip("\r\n")
    if not line:
        raise LabboxError("usage", "cannot read a password: standard input is empty", "give it as one line")
    return line


def _read_key(file: str) -> str:
    try:
        if file == "-":
            return sys.stdin.read(_MOST)
        with Path(file).open(encoding="utf-8") as opened:
            return opened.read(_MOST)
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no text"
        raise LabboxError("invalid", f"cannot read the key file {file}: {reason}") from error
