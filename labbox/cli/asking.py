"""Asking before something is destroyed; where nobody can be asked, it must have been said before."""

from __future__ import annotations

import sys

import click

from labbox.errors import LabboxError


def be_sure(question: str, doing: str, *, yes: bool) -> None:
    """Go on only with a yes: said by `--yes`, or at the terminal; `doing` completes "cannot …".

    LabboxError "usage" where neither can be; click.Abort for a no.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise LabboxError("usage", f"cannot {doing} without a yes: this is no terminal", "say --yes")
    if not confirm(question):
        raise click.Abort


def confirm(question: str) -> bool:
    """Ask at the terminal; nothing but a yes is one. click.Abort for Ctrl+C, and where no answer can come.

    Not with `input`, nor what of click is made of it: a Ctrl+C that comes while that writes the question is
    forgotten (builtin_input_impl of CPython clears what the flush raised), and it waits for an answer.
    """
    try:
        while True:
            print(f"{question} [y/N]: ", end="", file=sys.stderr, flush=True)
            answer = sys.stdin.readline()
            if not answer:
                raise click.Abort
            match answer.strip().lower():
                case "y" | "yes":
                    return True
                case "n" | "no" | "":
                    return False
            print("Please say y or n.", file=sys.stderr)
    except KeyboardInterrupt:
        raise click.Abort from None
