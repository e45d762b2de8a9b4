"""`labbox completion`: what a shell needs to complete verbs, options, job numbers."""

from __future__ import annotations

import click
from click.shell_completion import CompletionItem, get_completion_class

from labbox.cli.session import Session
from labbox.client import connect
from labbox.errors import LabboxError


@click.command()
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the completion script of a shell.

    bash: eval "$(labbox completion bash)" in ~/.bashrc; zsh: the same in ~/.zshrc;
    fish: labbox completion fish > ~/.config/fish/completions/labbox.fish
    """
    kind = get_completion_class(shell)
    if kind is None:
        raise LabboxError("usage", f"cannot complete in {shell}")
    maker = kind(click.Command("labbox"), {}, "labbox", "_LABBOX_COMPLETE")
    # `source()` would start the shell to ask for its version; the template needs none of that.
    print(maker.source_template % maker.source_vars())


def complete_jobs(ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
    """Numbers of recent jobs with their names; nothing where the box does not answer."""
    session = ctx.find_object(Session)
    try:
        with connect(session.socket if session else None) as box:
            jobs = box.list_jobs(limit=200).jobs
    except LabboxError:
        return []
    return [
        CompletionItem(str(job.id), help=f"{job.state.value} {job.name}")
        for job in jobs
        if str(job.id).startswith(incomplete)
    ]
