"""Searching, forwards and backwards, through files of any size."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labbox.errors import LabboxError
from labbox.files.places.local import LocalPlace
from labbox.files.viewing import searching
from labbox.files.viewing.searching import PIECE, Match, Query
from labbox.files.viewing.source import Source

Open = Callable[[Path], Awaitable[Source]]


@pytest.mark.parametrize("at", [PIECE - 3, PIECE, 2 * PIECE - 1, 3 * PIECE - 6])
@pytest.mark.parametrize(
    "query",
    [
        Query(words="needle", case=True),
        Query(words="NEEDLE"),
        Query(words="n.e+dle", regex=True),
        Query(words="needle", codec=""),
        Query(words="6e65 65 64 6c65", hex=True, codec=""),
    ],
    ids=["case", "any-case", "pattern", "bytes", "hex"],
)
async def test_what_lies_across_a_border_is_found_from_both_sides(
    tmp_path: Path, opened: Open, at: int, query: Query
) -> None:
    data = bytearray(b"hay\n" * PIECE)
    data[at : at + 6] = b"needle"
    (tmp_path / "hay").write_bytes(data)
    source = await opened(tmp_path / "hay")
    expected = Match(start=at, end=at + 6)
    assert await searching.find(source, query, 0) == expected
    assert await searching.find(source, query, at) == expected
    assert await searching.find(source, query, at + 1) is None
    assert await searching.find(source, query, source.size, backward=True) == expected
    assert await searching.find(source, query, at, backward=True) is None


async def test_a_gigabyte_is_searched_with_progress(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(1 << 30)
        file.seek(300 << 20)
        file.write(b"needle")
    source = await opened(path)
    seen: list[int] = []
    query = Query(words="needle", case=True)
    assert await searching.find(source, query, 0, progress=seen.append) == Match(
        start=300 << 20, end=(300 << 20) + 6
    )
    assert seen == sorted(seen)
    assert len(seen) == 300


async def test_a_pattern_that_takes_for_ever_is_cancelled_at_once(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "evil").write_bytes(b"a" * 5000 + b"!")
    source = await opened(tmp_path / "evil")
    search = asyncio.ensure_future(searching.find(source, Query(words="(a+)+$", regex=True), 0))
    worst = 0.0
    for _ in range(20):  # the loop lives on meanwhile
        before = time.monotonic()
        await asyncio.sleep(0.01)
        worst = max(worst, time.monotonic() - before)
    assert not search.done()
    assert worst < 5
    search.cancel()
    with pytest.raises(asyncio.CancelledError):
        await search


@pytest.mark.parametrize(
    ("query", "start", "backward", "expected"),
    [
        (Query(words="^two$", regex=True), 0, False, (4, 7)),
        (Query(words="(?<=one\n)two", regex=True), 0, False, (4, 7)),
        (Query(words="O", case=True), 0, False, None),
        (Query(words="o", case=True), 13, True, (6, 7)),
        (Query(words="[äö]", regex=True), 0, False, (14, 16)),
        (Query(words="x*", regex=True), 0, False, None),
    ],
)
async def test_patterns_see_lines_and_letters(
    tmp_path: Path, opened: Open, query: Query, start: int, backward: bool, expected: tuple[int, int] | None
) -> None:
    (tmp_path / "text").write_text("one\ntwo\nthree\nä\n")
    found = await searching.find(await opened(tmp_path / "text"), query, start, backward=backward)
    assert (found.start, found.end) == expected if expected and found else found is None and expected is None


async def test_utf16_is_searched_as_text(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "text").write_bytes("eins\nzwölf\ndrei".encode("utf-16"))
    source = await opened(tmp_path / "text")
    for query in (
        Query(words="zwölf", codec="utf-16-le", case=True),
        Query(words="ZWÖLF", codec="utf-16-le"),
        Query(words="z.+f", regex=True, codec="utf-16-le"),
    ):
        assert await searching.find(source, query, 0) == Match(start=12, end=22)


@settings(max_examples=30, deadline=None)
@given(
    data=st.binary(max_size=400), words=st.text("ab\xe4", min_size=1, max_size=3), start=st.integers(0, 400)
)
async def test_finds_what_python_finds(
    tmp_path_factory: pytest.TempPathFactory, data: bytes, words: str, start: int
) -> None:
    path = tmp_path_factory.getbasetemp() / "any"
    wanted = words.encode()
    path.write_bytes(data.replace(b"\0", wanted))
    async with LocalPlace(home="/") as place, await Source.open(place, str(path)) as source:
        all_of_it = path.read_bytes()
        start = min(start, len(all_of_it))
        found = await searching.find(source, Query(words=words, case=True), start)
        at = all_of_it.find(wanted, start)
        assert (found.start if found else -1) == at
        found = await searching.find(source, Query(words=words, case=True), start, backward=True)
        at = max(
            (
                match.start()
                for match in re.finditer(b"(?=" + re.escape(wanted) + b")", all_of_it)
                if match.start() < start
            ),
            default=-1,
        )
        assert (found.start if found else -1) == at


@pytest.mark.parametrize(
    "query",
    [
        Query(words=""),
        Query(words="(", regex=True),
        Query(words="xyz", hex=True),
        Query(words="a" * 3, hex=True),
    ],
)
def test_what_makes_no_sense_is_said(query: Query) -> None:
    with pytest.raises(LabboxError, match="cannot"):
        searching.check(query)
