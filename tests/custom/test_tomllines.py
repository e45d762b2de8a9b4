from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from labbox.tomllines import find_lines

TRICKY = '''\
# a comment = "no key"
a = 1
"quoted.key" = """
[not.a.table]
b = 2
"""
list = [
  "]", # ] = 3
  '[',
]
x.y.z = {u = 1, v = [1, 2]}

[table] # [no]
k = 'C:\\'
[[rows]]
n = 1
[[rows]]
n = 2
[rows.sub]
deep = true
'''


def test_every_key_has_its_line() -> None:
    tomllib.loads(TRICKY)
    assert find_lines(TRICKY) == {
        ("a",): 2,
        ("quoted.key",): 3,
        ("list",): 7,
        ("x",): 11,
        ("x", "y"): 11,
        ("x", "y", "z"): 11,
        ("table",): 13,
        ("table", "k"): 14,
        ("rows",): 15,
        ("rows", 0): 15,
        ("rows", 0, "n"): 16,
        ("rows", 1): 17,
        ("rows", 1, "n"): 18,
        ("rows", 1, "sub"): 19,
        ("rows", 1, "sub", "deep"): 20,
    }


KEYS = st.text("abcdefghij", min_size=1, max_size=3)
VALUES = st.sampled_from(
    ["1", '"#"', "'''\n[x]\n'''", '"""\n"quoted" = 1\n"""', "[\n[1],\n2]", "{ k = ']' }", '"\\""']
)


@given(st.dictionaries(KEYS, st.dictionaries(KEYS, VALUES, max_size=4), max_size=4))
def test_lines_found_are_the_lines_written(tables: dict[str, dict[str, str]]) -> None:
    text = ""
    expected: dict[tuple[str, ...], int] = {}
    for table, pairs in tables.items():
        expected[table,] = text.count("\n") + 1
        text += f"[{table}]\n"
        for key, value in pairs.items():
            expected[table, key] = text.count("\n") + 1
            text += f"{key} = {value} # {key} = [\n\n"
    parsed: dict[str, Any] = tomllib.loads(text)
    assert set(parsed) == set(tables)
    assert find_lines(text) == expected
