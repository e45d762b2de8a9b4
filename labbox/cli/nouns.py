"""Groups of verbs whose help says of each verb the whole sentence, over as many lines as it takes."""

from __future__ import annotations

import inspect

import click


class Noun(click.Group):
    """A noun with its verbs; click's own group cuts what it says of each to one line."""

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The verbs in order, each with its first sentence."""
        rows = []
        for name in self.list_commands(ctx):
            command = self.get_command(ctx, name)
            if command is not None and not command.hidden:
                rows.append((name, summary(command)))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)


def summary(command: click.Command) -> str:
    """The first paragraph of a verb's help, up to the end of its first sentence."""
    text = inspect.cleandoc(command.help or "").partition("\n\n")[0].replace("\n", " ").strip("\b ")
    first, end, _ = text.partition(". ")
    return first + end.strip() if end else text
