"""The table of rows.toml holds: every test it names exists, and no verb is missing."""

from __future__ import annotations

import ast
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import click
import pytest

from labbox.cli.root import root

TESTS = Path(__file__).parent
ROWS = tomllib.loads((TESTS / "rows.toml").read_text())


def _verbs(command: click.Command, words: tuple[str, ...] = ()) -> Iterator[str]:
    context = click.Context(command)
    if not isinstance(command, click.Group):
        yield " ".join(words)
        return
    for name in command.list_commands(context):
        below = command.get_command(context, name)
        assert below is not None
        yield from _verbs(below, (*words, name))


@cache
def _tests(path: Path) -> set[str]:
    nodes = ast.walk(ast.parse(path.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


def test_every_verb_has_its_row() -> None:
    assert set(_verbs(root)) == set(ROWS["verbs"])


@pytest.mark.parametrize("part", ROWS)
def test_every_test_that_is_named_exists(part: str) -> None:
    missing = []
    for row, tests in ROWS[part].items():
        if isinstance(tests, str):
            assert len(tests) > 10, row
            continue
        assert tests, row
        for test in tests:
            file, _, name = test.partition("::")
            path = TESTS / file
            if not path.exists() or name not in _tests(path):
                missing.append(f"{row}: {test}")
    assert missing == []
