"""The root of the verbs, and what becomes of errors: a sentence, a hint, an exit code, never a traceback."""

from __future__ import annotations

import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final

import click

from labbox import __version__
from labbox.cli.session import Session, global_options
from labbox.errors import LabboxError
from labbox.familiar import as_typed, instead
from labbox.text import visible

if TYPE_CHECKING:
    from labbox.cli import Screens, Serve

# verb -> (module:command, one line for the overview)
_VERBS: Final[dict[str, tuple[str, str]]] = {
    "job": ("labbox.cli.job:job", "Hand in jobs, watch them, steer them."),
    "file": ("labbox.cli.file:file", "Copy, move, find, compare files, wherever they are."),
    "user": ("labbox.cli.user:user", "People: add, invite, passwords, keys, limits, tokens."),
    "project": ("labbox.cli.project:project", "Projects: people who share a folder."),
    "host": ("labbox.cli.host:host", "Other machines by SFTP, such as your own PC: keys, trust."),
    "status": ("labbox.cli.box:status", "The box at a glance."),
    "usage": ("labbox.cli.box:usage", "What people used, and their present shares."),
    "events": ("labbox.cli.box:events", "Everything that changes, as it changes."),
    "audit": ("labbox.cli.box:audit", "Who did what, when, from where."),
    "notices": ("labbox.cli.box:notices", "What happened since the last look."),
    "templates": ("labbox.cli.box:templates", "The languages that the box can run."),
    "whoami": ("labbox.cli.box:whoami", "Who the box takes you for."),
    "tui": ("labbox.cli.box:tui", "The full-screen interface."),
    "up": ("labbox.cli.up:up", "Start a box, in the foreground."),
    "api": ("labbox.cli.api:api", "Raw access to the API on standard input and output."),
    "completion": ("labbox.cli.completion:completion", "Completion for bash, zsh or fish."),
}


class _Root(click.Group):
    """Imports a verb's module when the verb is used."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name == "help":
            return _help
        if cmd_name not in _VERBS:
            return None
        module, _, name = _VERBS[cmd_name][0].partition(":")
        command = getattr(import_module(module), name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{module}:{name} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """As click's own; words that people know from a shell get the one that does it."""
        if args and args[0] not in _VERBS and (sentence := instead(args[0])) is not None:
            raise LabboxError("usage", sentence, "“ssh … help” shows all verbs")
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Verbs"):
            formatter.write_dl([(name, line) for name, (_, line) in _VERBS.items()])


@click.command("help", add_help_option=False)
@click.argument("words", nargs=-1)
@click.pass_context
def _help(ctx: click.Context, words: tuple[str, ...]) -> None:
    """Show how a verb is used."""
    parent = ctx.find_root()
    command: click.Command = parent.command
    for word in words:
        found = command.get_command(parent, word) if isinstance(command, click.Group) else None
        if found is None:
            raise click.UsageError(f"no such verb: {word}", parent)
        command, parent = found, click.Context(found, info_name=word, parent=parent)
    click.echo(command.get_help(parent))


@click.command(
    cls=_Root,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="`labbox VERB --help` says more. LABBOX_SOCKET names the box: a socket's path, or ssh://USER@HOST:PORT.",
)
@click.version_option(__version__, prog_name="labbox")
@global_options
def root() -> None:
    """One machine in a lab that people reach over SSH to run their studies."""


def preload() -> None:
    """Import all verbs."""
    context = click.Context(root)
    for verb in _VERBS:
        root.get_command(context, verb)
    for module in ("labbox.cli.submit", "labbox.cli.follow", "labbox.cli.progress", "labbox.cli.shell"):
        import_module(module)
    import_module("labbox.units")


def run(argv: list[str], serve: Serve | None, screens: Screens | None) -> int:
    """Serve one command; see `labbox.cli.run`."""
    session = Session(serve=serve, screens=screens)
    session.words = tuple(argv)
    try:
        code = _invoke(argv, session)
        sys.stdout.flush()
    except BrokenPipeError:  # whoever read our output has gone
        _drop_output()
        return 1
    except OSError as error:
        _drop_output()
        _say_error(f"cannot write the output: {error.strerror}", "")
        return 1
    finally:
        session.close()
    return code


def _drop_output() -> None:
    """What could not be written is not tried again at the interpreter's end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)


def _invoke(argv: list[str], session: Session) -> int:
    try:
        answer: Any = root.main(args=argv, prog_name="labbox", standalone_mode=False, obj=session)
    except click.exceptions.NoArgsIsHelpError as error:  # a group alone: its help is the answer
        click.echo(error.ctx.get_help() if error.ctx is not None else error.format_message())
        return 0
    except click.UsageError as error:
        path = error.ctx.command_path if error.ctx is not None else "labbox"
        _say_error(_sentence(error.format_message()), f"`{path} --help` shows how it is used")
        return 2
    except click.ClickException as error:
        _say_error(_sentence(error.format_message()), "")
        return 1
    except click.Abort:
        _say_error("cannot go on: interrupted", "")
        return 130
    except LabboxError as error:
        sys.stdout.flush()
        _say_error(error.message, error.hint)
        return error.exit_code
    return answer if isinstance(answer, int) else 0


def _sentence(message: str) -> str:
    """Click's complaints in our form."""
    message = message.strip().rstrip(".")
    return f"cannot understand the command: {message[:1].lower()}{message[1:]}"


def _say_error(message: str, hint: str) -> None:
    lines = [f"error: {visible(message)}"]
    if hint:
        lines.append(f"hint: {visible(as_typed(hint))}")
    print("\n".join(lines), file=sys.stderr, flush=True)
