"""Text from outside: what no screen shows is made visible, and what was edited is what it was again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labbox.text import restored, visible, visible_line

UNSEEN = [0xAD, 0x200B, *range(0x2060, 0x2065), 0xFEFF]


@pytest.mark.parametrize("code", UNSEEN)
def test_what_takes_no_cell_is_seen_so_that_no_two_names_look_alike(code: int) -> None:
    name = f"data{chr(code)}.csv"
    assert visible_line(name) == visible(name) == f"data\\u{code:04x}.csv"


@pytest.mark.parametrize("text", ["👩‍🔬 🏳️‍🌈.txt", "می‌خواهم", "क्‍ष", "e\u0301"])
def test_what_joins_letters_and_pictures_stays(text: str) -> None:
    assert visible_line(text) == text


@given(st.text(st.sampled_from("ab\n\x1b\u202e\u200b␊␛\\u20"), max_size=12))
def test_a_name_that_nobody_changed_is_the_name_it_was(name: str) -> None:
    if all(visible_line(hidden) not in name for hidden in "\n\x1b\u202e\u200b"):
        assert restored(visible_line(name), name) == name


def test_a_name_keeps_its_hidden_characters_when_the_rest_is_edited() -> None:
    assert restored("a␊c\\u202e.txt", "a\nb\u202e.csv") == "a\nc\u202e.txt"
    assert restored("ac.txt", "a\nb.csv") == "ac.txt"  # taken out by hand
    assert restored("a␊b", "a␊b\n") == "a␊b"  # such a picture may be the name's own
