"""Asking before something is destroyed; where nobody can be asked, it must have been said before."""

from __future__ import annotations

import sys

import click

from labbox.errors import LabboxError


def be_sure(question: str, doing: str, *, yes: bool) -> None:
    """Go on only with a yes: said by `--yes`, or at the terminal; `doing` completes "cannot …".

    LabboxError "usage" where neither can be.
    """
    if yes:
        return
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise LabboxError("usage", f"cannot {doing} without a yes: this is no terminal", "say --yes")
    click.confirm(question, abort=True, err=True)
