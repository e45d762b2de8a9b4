"""A job's output on a terminal: redrawn, coloured, and nothing else of what it could do there."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.logtext import COLOURS, RESET, LogText, drawn, harmless

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
    whole = harmless("".join(pieces))
    assert out == whole + (RESET if "\x1b" in whole else "")


@pytest.mark.parametrize(
    ("line", "left"),
    [("a\rb", "b"), ("long\rab", "abng"), (" 10%\r 20%\r", " 20%"), ("plain", "plain"), ("\r\r", "")],
)
def test_a_line_as_a_terminal_leaves_it(line: str, left: str) -> None:
    assert drawn(line).text == left


@pytest.mark.parametrize(
    ("line", "text", "spans"),
    [
        # tqdm: each state over the last; the colour of the bar is its own
        (
            "\r  0%|          | 0/3\r 33%|\x1b[32m###\x1b[0m       | 1/3\r100%|##########| 3/3",
            "100%|##########| 3/3",
            (),
        ),
        ("\r 33%|\x1b[32m###\x1b[0m   | 1/3", " 33%|###   | 1/3", ((5, 8, "green"),)),
        # pip: the line erased before it is written anew
        (
            "   \x1b[90m━━━\x1b[0m 0.1/9 MB\r\x1b[2K   \x1b[38;2;114;156;31m━━━━\x1b[0m \x1b[32m9/9\x1b[0m",
            "   ━━━━ 9/9",
            ((3, 7, "yellow"), (8, 11, "green")),
        ),
        (
            "\x1b[1;31mERROR:\x1b[0m no \x1b[1mtable\x1b[22m x",
            "ERROR: no table x",
            ((0, 6, "red"), (10, 15, "bold")),
        ),
        (
            "Reading package lists... 0%\rReading package lists... Done",
            "Reading package lists... Done",
            (),
        ),  # apt
        ("  |====   |  50%\r  |=======| 100%", "  |=======| 100%", ()),  # R
        ("\x1b[38;5;196mred\x1b[38;5;21mblue\x1b[39m.", "redblue.", ((0, 3, "red"), (3, 7, "blue"))),
        ("\x1b[48;5;196mground\x1b[7mturned", "groundturned", ()),
        ("a\tb\r\tc", "a       c", ()),
        ("long text\rab\x1b[K", "ab", ()),
    ],
)
def test_output_of_programs_as_a_terminal_leaves_it(
    line: str, text: str, spans: tuple[tuple[int, int, str], ...]
) -> None:
    assert drawn(line) == (text, spans)


HOSTILE = [
    "\x1b]52;c;AAAA\x07", "\x1b[2J", "\x1b[6n", "\x1bc", "\x1bP+q\x1b\\", "\x9b31m", "\x1b[?1049h", "\x1b[31",
    "\x1b[99999999999999999999m", "\x1b[38;5m", "\x1b[38;2;1m", "\x1b[;;;m", "\x08\x08", "\x0b\x0c", "\u202e",
]  # fmt: skip


@given(st.lists(st.sampled_from([*HOSTILE, "a", "ü", "漢", "\r", "\t", "\x1b[0K", "\x1b[1K"]), max_size=30))
def test_no_control_is_left_in_a_line_that_was_drawn(parts: list[str]) -> None:
    text, spans = drawn("".join(parts))
    assert not re.search("[\x00-\x1f\x7f-\x9f\u202e]", text)
    ends = 0
    for low, high, colour in spans:
        assert ends <= low < high <= len(text) and colour in (*COLOURS, "bold", "faint")
        ends = high
