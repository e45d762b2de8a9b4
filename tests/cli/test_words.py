"""How arrays and sweeps are written."""

from __future__ import annotations

import pytest

from labbox.errors import LabboxError
from labbox.sweeps import parse_array, parse_sweep, parse_values, parse_variable


@pytest.mark.parametrize(
    ("text", "indices", "parallel"),
    [
        ("1-5", (1, 2, 3, 4, 5), None),
        ("7", (7,), None),
        ("1-9:4", (1, 5, 9), None),
        ("1,4,7-9", (1, 4, 7, 8, 9), None),
        ("1-3,2", (1, 2, 3), None),
        ("0-3%2", (0, 1, 2, 3), 2),
        ("1-100%8", tuple(range(1, 101)), 8),
        ("1-9:4,2", (1, 2, 5, 9), None),
        (" 3 , 1 ", (1, 3), None),
        ("2,2", (2,), None),
    ],
)
def test_arrays(text: str, indices: tuple[int, ...], parallel: int | None) -> None:
    assert parse_array(text) == (indices, parallel)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "5-1",
        "1-",
        "-3",
        "1-9:0",
        "1%0",
        "1%x",
        "1-999999999",
        "1e3",
        "1-2-3",
        "1--2",
        "1,,2",
        "²",
        "1%",
    ],
)
def test_arrays_that_are_none(text: str) -> None:
    with pytest.raises(LabboxError, match=r"cannot .* an array"):
        parse_array(text)


@pytest.mark.parametrize("text", ["1-999999999", "1-1000000000", "0-99999,200000-999999"])
def test_an_array_that_is_too_large_is_told_so(text: str) -> None:
    with pytest.raises(LabboxError, match="cannot make an array of more than 100,000 jobs"):
        parse_array(text)


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("lr=0.1,0.2", ("0.1", "0.2")),
        ("seed=1:3", ("1", "2", "3")),
        ("x=-1:1", ("-1", "0", "1")),
        ("x=0:10:5,99", ("0", "5", "10", "99")),
        ("time=12:30:05:1", ("12:30:05:1",)),
        ("model=a=b", ("a=b",)),
    ],
)
def test_sweeps(text: str, values: tuple[str, ...]) -> None:
    assert parse_sweep(text).values == values


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("0:1:0.25", ("0", "0.25", "0.5", "0.75", "1")),
        ("3:1:-1", ("3", "2", "1")),
        ("a b,c", ("a b", "c")),
    ],
)
def test_values_may_be_counted_in_any_step(text: str, wanted: tuple[str, ...]) -> None:
    assert parse_values(text) == wanted


@pytest.mark.parametrize("text", ["", ",", "1:5:0", "5:1", "0:1:0.000000001"])
def test_values_that_are_none(text: str) -> None:
    with pytest.raises(LabboxError, match="cannot"):
        parse_values(text)


@pytest.mark.parametrize("text", ["lr", "=1", "l r=1", "lr=", "x=3:1", "x=1:999999999"])
def test_sweeps_that_are_none(text: str) -> None:
    with pytest.raises(LabboxError, match=r"cannot (read|count|sweep)"):
        parse_sweep(text)


def test_variables() -> None:
    assert parse_variable("A=b=c") == ("A", "b=c")
    assert parse_variable("EMPTY=") == ("EMPTY", "")
    with pytest.raises(LabboxError, match="as a variable"):
        parse_variable("1A=x")
