"""What one command works with: the box it talks to, how it prints, the options that all verbs share."""

from __future__ import annotations

import functools
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click
import msgspec

from labbox.cli.interrupts import heard
from labbox.client import Client, connect
from labbox.text import visible, visible_line
from labbox.wire import encode

if TYPE_CHECKING:
    from labbox.cli import Screens, Serve

Command = TypeVar("Command", bound=Callable[..., Any])


class Session:
    """One command: made for it, closed after it."""

    def __init__(self, serve: Serve | None = None, screens: Screens | None = None) -> None:
        """Nothing is connected yet."""
        self.socket: str | None = None
        self.act_as: str | None = None
        self.json = False
        self.words: tuple[str, ...] = ()  # as they were given
        self.serve = serve
        self.screens = screens
        self._clients: list[Client] = []

    @property
    def box(self) -> Client:
        """The client, made at its first use."""
        if not self._clients:
            self._clients.append(connect(self.socket, self.act_as))
        return self._clients[0]

    def another_client(self) -> Client:
        """A client to be used, and closed, by another thread."""
        client = connect(self.socket, self.act_as)
        self._clients.append(client)
        return client

    def close(self) -> None:
        """Close all connections."""
        for client in self._clients:
            client.close()

    def myself(self, name: str | None) -> str:
        """The name given, or the caller's own."""
        return name or self.box.whoami().name

    def print_json(self, message: object) -> None:
        """One JSON document; several lines of it for people."""
        data = encode(message)
        if sys.stdout.isatty():
            print(visible(msgspec.json.format(data, indent=2).decode()))
        else:
            print(data.decode())

    def print_json_line(self, message: object) -> None:
        """One line of a stream of JSON documents, at once."""
        text = encode(message).decode()
        print(visible_line(text) if sys.stdout.isatty() else text, flush=True)


pass_session = click.make_pass_decorator(Session)


def _store(attribute: str) -> Callable[[click.Context, click.Parameter, Any], None]:
    def store(ctx: click.Context, param: click.Parameter, value: Any) -> None:
        session = ctx.find_object(Session)
        if value and session is not None:
            setattr(session, attribute, value)

    return store


def global_options(command: Command) -> Command:
    """Add --socket and --as, which may stand anywhere."""
    command = click.option(
        "--as",
        metavar="NAME",
        expose_value=False,
        callback=_store("act_as"),
        help="Act for this user; for root on the box.",
    )(command)
    return click.option(
        "--socket",
        metavar="WHERE",
        expose_value=False,
        callback=_store("socket"),
        help="The box: a socket's path or ssh://USER@HOST:PORT.",
    )(command)


def shared_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what every verb understands: --json, --socket, --as, Ctrl+C; and hand it the `Session`."""

    @functools.wraps(command)
    def hearing(*args: Any, **options: Any) -> Any:
        with heard():
            return command(*args, **options)

    json = click.option(
        "--json", is_flag=True, expose_value=False, callback=_store("json"), help="Answer in JSON."
    )
    return json(global_options(pass_session(hearing)))
