"""What the help of a noun says of its verbs."""

from __future__ import annotations

import click
import pytest
from click.testing import CliRunner

from labbox.cli import file, group, host, job, project, trash, user
from labbox.cli.nouns import summary

PEOPLE = [user.user, user.key, user.token]
NOUNS = [job.job, file.file, group.group, host.host, project.project, trash.trash, *PEOPLE]


@pytest.mark.parametrize("noun", NOUNS, ids=[str(noun.name) for noun in NOUNS])
@pytest.mark.parametrize("columns", [80, 60])
def test_no_summary_is_cut(noun: click.Group, columns: int) -> None:
    shown = CliRunner().invoke(noun, ["--help"], terminal_width=columns)
    verbs = [verb for verb in noun.commands.values() if not verb.hidden]
    assert verbs
    for verb in verbs:
        assert summary(verb), verb.name
        assert "".join(summary(verb).split()) in "".join(shown.output.split())
