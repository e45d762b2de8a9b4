"""Lines of files of any size, wherever one looks into them."""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from labbox.errors import LabboxError
from labbox.files.places.local import LocalPlace
from labbox.files.viewing.encodings import (
    LATIN1,
    UTF8,
    UTF16_BE,
    UTF16_LE,
    UTF32_BE,
    UTF32_LE,
    Encoding,
    guess,
)
from labbox.files.viewing.index import STEP, LineIndex
from labbox.files.viewing.source import Change, Source
from labbox.files.viewing.stretches import BREAK, Stretches

GIB = 1 << 30
Open = Callable[[Path], Awaitable[Source]]


def sparse(path: Path, size: int, written: dict[int, bytes]) -> Path:
    with path.open("wb") as file:
        file.truncate(size)
        for offset, data in written.items():
            file.seek(offset)
            file.write(data)
    return path


async def lines_of(source: Source, encoding: Encoding) -> list[str]:
    """All lines, put together from their stretches."""
    stretches = Stretches(source, encoding)
    found: list[str] = []
    at = 0
    while at < source.size:
        stretch = await stretches.from_start(at)
        assert stretch.next > at
        if stretch.begins:
            found.append("")
        found[-1] += stretch.text
        at = stretch.next
    return found


async def test_a_file_of_gigabytes_opens_jumps_and_reads_kilobytes(tmp_path: Path, opened: Open) -> None:
    path = sparse(
        tmp_path / "big", 8 * GIB, {0: b"first\n", 4 * GIB: b"\nmiddle\n", 8 * GIB - 6: b"\nlast\n"}
    )
    source = await opened(path)
    read = 0
    before = source._handle.read

    async def counting(offset: int, size: int) -> bytes:
        nonlocal read
        read += size
        return await before(offset, size)

    source._handle.read = counting  # type: ignore[method-assign]
    stretches = Stretches(source, UTF8)
    assert (await stretches.at(3)).text == "first"
    assert (await stretches.at(4 * GIB + 3)).text == "middle"
    assert (await stretches.at(source.size - 1)).text == "last"
    above = await stretches.before((await stretches.at(4 * GIB + 3)).start)
    assert above is not None and above.next == 4 * GIB + 1
    assert read < 2 << 20


@pytest.mark.parametrize(
    "encoding", [UTF8, LATIN1, UTF16_LE, UTF16_BE, UTF32_LE, UTF32_BE], ids=lambda each: each.name
)
async def test_every_line_is_found_in_every_encoding(
    tmp_path: Path, opened: Open, encoding: Encoding
) -> None:
    texts = ["", "grün", "ü" * (2 * BREAK), "x" * (BREAK - 1), "y" * BREAK, "z" * (BREAK + 1), "Ċ end ‡", ""]
    if encoding is LATIN1:
        texts[6] = "end"
    path = tmp_path / "text"
    path.write_bytes(encoding.mark + b"".join(encoding.encode(text) + encoding.newline for text in texts))
    assert await lines_of(await opened(path), encoding) == texts


async def test_a_line_of_ten_megabytes_is_taken_in_short_stretches(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "wide"
    path.write_bytes(b"a\n" + "äö€𝄞".encode() * 1_000_000 + b"\nb\n")
    source = await opened(path)
    stretches = Stretches(source, UTF8)
    middle = await stretches.at(5_000_000)
    assert not middle.begins
    assert middle.end - middle.start <= 2 * BREAK + 4
    assert set(middle.text) == set("äö€𝄞")
    joined = await lines_of(source, UTF8)
    assert [len(line) for line in joined] == [1, 4_000_000, 1]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.sampled_from(["", "ab", "ü€", "x" * BREAK, "y" * (BREAK - 2), "é" * (BREAK // 2 + 1)]), max_size=8
    ),
    st.data(),
)
async def test_stretches_are_the_same_from_wherever_one_comes(
    tmp_path_factory: pytest.TempPathFactory, texts: list[str], data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("same") / "text"
    path.write_text("\n".join(texts))
    async with LocalPlace(home="/") as place, await Source.open(place, str(path)) as source:
        stretches = Stretches(source, UTF8)
        starts, at = [], 0
        while at < source.size:
            starts.append(at)
            at = (await stretches.from_start(at)).next
        if not starts:
            return
        offset = data.draw(st.integers(0, source.size - 1))
        found = await stretches.at(offset)
        assert found.start == max(start for start in starts if start <= offset)
        above = await stretches.before(found.start)
        place_in = starts.index(found.start)
        assert (above.start if above else None) == (starts[place_in - 1] if place_in else None)


async def test_lines_are_counted_beside_and_found_by_number(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "many"
    path.write_bytes(b"".join(b"line %d\n" % number for number in range(400_000)))
    source = await opened(path)
    index = LineIndex(source, UTF8)
    assert await index.offset_of(300_000) is None
    assert await index.line_at(source.size - 1) is None
    looks: list[int] = []
    await index.build(lambda: looks.append(index.counted))
    assert len(looks) == -(-source.size // STEP)
    for number in (0, 1, 123_456, 399_999):
        offset = await index.offset_of(number)
        assert offset is not None
        assert (await source.read(offset, 20)).startswith(b"line %d\n" % number)
        assert await index.line_at(offset) == number
    with path.open("ab") as file:
        file.write(b"one more\n" * 200_000)
    assert await source.look() is Change.GREW
    await index.build()
    assert index.lines == 600_000


async def test_lines_of_utf16_are_counted(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "wide"
    path.write_bytes("Ċ one\n\ntwo ਊ\nthree".encode("utf-16"))
    source = await opened(path)
    index = LineIndex(source, UTF16_LE)
    await index.build()
    assert index.lines == 3
    offset = await index.offset_of(3)
    assert offset is not None
    assert (await source.read(offset, 100)).decode("utf-16-le") == "three"


@pytest.mark.parametrize(
    "encoding", [UTF8, LATIN1, UTF16_LE, UTF16_BE, UTF32_LE, UTF32_BE], ids=lambda each: each.name
)
async def test_lines_of_returns_alone_are_lines(tmp_path: Path, opened: Open, encoding: Encoding) -> None:
    path = tmp_path / "old.m"
    path.write_bytes(encoding.mark + encoding.encode("x = 1\r\ry = 'ü'\rz = 3"))
    source = await opened(path)
    found = encoding.ending_as(await source.read(0, 8192))
    assert await lines_of(source, found) == ["x = 1", "", "y = 'ü'", "z = 3"]
    index = LineIndex(source, found)
    await index.build()
    assert index.lines == 3
    assert encoding.ending_as(encoding.encode("a\rb\r\n")) is encoding


async def test_growing_cutting_and_replacing_are_noticed(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "log"
    path.write_bytes(b"one\n")
    source = await opened(path)
    assert await source.look() is Change.NONE
    with path.open("ab") as file:
        file.write(b"two\n")
    assert await source.read(0, 100) == b"one\n"
    assert await source.look() is Change.GREW
    assert await source.read(0, 100) == b"one\ntwo\n"
    path.write_bytes(b"new\n")
    assert await source.look() is Change.REWRITTEN
    assert await source.read(0, 100) == b"new\n"
    (tmp_path / "next").write_bytes(b"rotated\n")
    path.rename(tmp_path / "log.1")
    (tmp_path / "next").rename(path)
    assert await source.look() is Change.REPLACED
    assert await source.read(0, 100) == b"rotated\n"
    path.unlink()
    assert await source.look() is Change.GONE
    assert await source.read(0, 100) == b"rotated\n"


async def test_links_lead_to_their_file_and_pipes_are_refused(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "text").write_text("here\n")
    (tmp_path / "link").symlink_to("text")
    assert await (await opened(tmp_path / "link")).read(0, 10) == b"here\n"
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "to-pipe").symlink_to("pipe")
    for name in ("pipe", "to-pipe", "nowhere", "."):
        with pytest.raises(LabboxError, match="cannot"):
            await opened(tmp_path / name)


@pytest.mark.parametrize(
    ("data", "encoding"),
    [
        (b"plain", UTF8),
        ("grün".encode(), UTF8),
        ("\ufeffgrün".encode(), UTF8),
        ("grün".encode()[:-2], UTF8),
        ("grün".encode("latin-1"), LATIN1),
        ("grün".encode("utf-16"), UTF16_LE),
        ("grün".encode("utf-32"), UTF32_LE),
        ("\ufeff时间,b\n1,2\n".encode("utf-32-be"), UTF32_BE),
        ("grün hier".encode("utf-16-be"), UTF16_BE),
    ],
)
def test_the_encoding_is_guessed(data: bytes, encoding: Encoding) -> None:
    assert guess(data) is encoding


@given(st.binary(max_size=300))
def test_every_byte_goes_back_as_itself(data: bytes) -> None:
    for encoding in (UTF8, LATIN1):
        assert encoding.encode(encoding.decode(data)) == data
    for encoding in (UTF16_LE, UTF16_BE):
        even = data[: len(data) // 2 * 2]
        assert encoding.encode(encoding.decode(even)) == even
