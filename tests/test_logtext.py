"""A job's output on a terminal: redrawn, coloured, and nothing else of what it could do there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.logtext import RESET, LogText, harmless, redrawn

ALLOWED = re.compile("\x1b\\[[0-9;:]*m")


@pytest.mark.parametrize(
    ("pieces", "shown"),
    [
        (["\r 10%", "\r 20%\n"], "\r 10%\r 20%\n"),
        (["\x1b[31mred\x1b[0m\n"], f"\x1b[31mred\x1b[0m\n{RESET}"),
        (["\x1b[3", "1mred\n"], f"\x1b[31mred\n{RESET}"),
        (["\x1b", "[2J\n"], "␛[2J\n"),
        (["\x1b]52;c;AAAA\x07\n"], "␛]52;c;AAAA␇\n"),
        (["labbox:progress 1/2\nreal\n"], "real\n"),
        (["labbox:pro", "gress 1/2\n", "a\n"], "a\n"),
        (["labbox:pro", "blem\n"], "labbox:problem\n"),
        (["x labbox:progress 1/2\n"], "x labbox:progress 1/2\n"),
        (["lab"], "lab"),
        (["labbox:progress 3/4"], ""),
        (["\x1b[38;5;"], "␛[38;5;"),
        (["a\tb\r\n"], "a\tb\r\n"),
    ],
)
def test_what_reaches_the_terminal(pieces: list[str], shown: str) -> None:
    text = LogText()
    assert "".join(text.feed(piece) for piece in pieces) + text.end() == shown


def test_progress_is_shown_where_it_is_asked_for() -> None:
    assert LogText(progress=True).feed("labbox:progress 1/2\n") == "labbox:progress 1/2\n"


@given(st.lists(st.text("\x1b[]0123;mJKab\r\n\x07\x9b\u202e", max_size=12), max_size=8))
def test_only_colours_and_returns_pass_however_it_is_cut(pieces: list[str]) -> None:
    text = LogText()
    out = "".join(text.feed(piece) for piece in pieces) + text.end()
    left = ALLOWED.sub("", out).replace("\r", "").replace("\n", "")
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", left)
    assert out.removesuffix(RESET) == harmless("".join(pieces)).removesuffix(RESET)


@pytest.mark.parametrize(
    ("line", "left"),
    [("a\rb", "b"), ("long\rab", "abng"), (" 10%\r 20%\r", " 20%"), ("plain", "plain"), ("\r\r", "")],
)
def test_a_line_as_a_terminal_leaves_it(line: str, left: str) -> None:
    assert redrawn(line) == left
