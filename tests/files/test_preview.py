from __future__ import annotations

import os
import struct
import zlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labbox.errors import LabboxError
from labbox.files import preview


def test_a_picture_becomes_upper_and_lower_halves(tmp_path: Path) -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 0))
    image.paste((0, 0, 255), (0, 2, 4, 4))
    image.paste((0, 255, 0), (0, 1, 4, 2))
    image.save(tmp_path / "a.png")
    found = preview.picture(tmp_path / "a.png", 80, 24)
    assert (found.width, found.height) == (4, 4)
    assert found.rows == (
        (((255, 0, 0), (0, 255, 0)),) * 4,
        (((0, 0, 255), (0, 0, 255)),) * 4,
    )


@pytest.mark.parametrize(
    ("mode", "name"),
    [("RGB", "a.jpg"), ("P", "a.gif"), ("RGBA", "a.png"), ("L", "b.png"), ("1", "c.png"), ("I;16", "d.png")],
)
def test_every_kind_of_picture_fits_and_keeps_its_shape(tmp_path: Path, mode: str, name: str) -> None:
    Image.new(mode, (1000, 500)).save(tmp_path / name)
    found = preview.picture(tmp_path / name, 60, 40)
    assert (len(found.rows), len(found.rows[0])) == (15, 60)
    assert preview.kind_of(tmp_path / name) == "image"


def test_transparent_parts_show_the_background(tmp_path: Path) -> None:
    Image.new("RGBA", (2, 2), (255, 255, 255, 0)).save(tmp_path / "a.png")
    assert preview.picture(tmp_path / "a.png", 10, 10, (1, 2, 3)).rows[0][0] == ((1, 2, 3), (1, 2, 3))


def _bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", head)
        + chunk(b"IDAT", zlib.compress(b"\0" * 1000))
        + chunk(b"IEND", b"")
    )


@pytest.mark.parametrize("size", [(50_000, 50_000), (9000, 9000), (2**31 - 1, 2**31 - 1)])
def test_a_picture_that_unpacks_to_gigabytes_is_refused(tmp_path: Path, size: tuple[int, int]) -> None:
    (tmp_path / "bomb.png").write_bytes(_bomb(*size))
    with pytest.raises(LabboxError, match=r"cannot show “bomb\.png”"):
        preview.picture(tmp_path / "bomb.png", 80, 24)


@pytest.mark.parametrize(
    "data", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0junk", b"GIF89a"]
)
def test_a_damaged_picture_is_said_to_be_one(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(LabboxError, match="it is damaged or of another kind"):
        preview.picture(tmp_path / "a.png", 80, 24)


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 300), byte=st.integers(0, 255), cut=st.integers(0, 300))
def test_no_damage_to_a_picture_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: int
) -> None:
    folder = tmp_path_factory.mktemp("damage")
    path = folder / "a.png"
    Image.linear_gradient("L").resize((20, 20)).save(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data[: len(data) - cut % len(data)])
    try:
        preview.picture(path, 20, 20)
    except LabboxError as error:
        assert error.message.startswith("cannot show")


@pytest.mark.parametrize(
    ("text", "delimiter"),
    [
        ("a,b\n1,2\n", ","),
        ("a;b\n1,5;2\n2,5;3\n", ";"),
        ("a\tb, c\n1\t2, 3\n", "\t"),
        ("a|b\n1|2\n", "|"),
        ("a\n1\n", ","),
    ],
)
def test_the_delimiter_is_found(tmp_path: Path, text: str, delimiter: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert preview.table(tmp_path / "a.csv").delimiter == delimiter


def test_columns_know_what_they_hold(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        'id,rt,when,who,none\n1,0.512,2026-11-21,"Ada, L.",\n2,NA,2026-11-22T08:00:00Z,Grace,\n'
        "3,1e3,2026-11-23,\x1b[31m,\n"
    )
    found = preview.table(tmp_path / "a.csv")
    assert [column.kind for column in found.columns] == ["integer", "number", "date", "text", "text"]
    assert found.rows[0][3] == "Ada, L."
    assert found.rows[2][3] == "␛[31m"
    assert not found.more


@pytest.mark.parametrize(
    ("data", "cell"),
    [
        ("a;b\r\ngrün;1\r\n".encode("cp1252"), "grün"),
        ("a;b\r\ngrün;1\r\n".encode("utf-16"), "grün"),
        ("a;b\r\ngrün;1\r\n".encode("utf-8-sig"), "grün"),
        (b'a,b\n"open,1\n2,3\n', "open,1␊2,3"),
        (b"a,b\n\0x,1\n", "␀x"),
    ],
)
def test_tables_as_programs_write_them(tmp_path: Path, data: bytes, cell: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    found = preview.table(tmp_path / "a.csv")
    assert found.rows[0][0] == cell
    assert found.columns[0].title == "a"


def test_a_table_of_gigabytes_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 500_000)
        file.truncate(5 << 30)
    found = preview.table(path)
    assert len(found.rows) == preview.TABLE_ROWS
    assert found.more
    wide = ",".join(map(str, range(5000)))
    path.write_text(f"{wide}\n{wide}\n")
    assert len(preview.table(path).columns) == preview.TABLE_COLUMNS
    assert preview.table(path).more
    path.write_text("a" * 3_000_000)
    assert len(preview.table(path).columns[0].title) <= preview.CELL_LETTERS
    path.write_text("")
    assert preview.table(path).columns == ()


@given(st.binary(max_size=2000))
def test_no_bytes_break_a_table(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    found = preview.table(path)
    assert all(len(row) == len(found.columns) for row in found.rows)


def test_text_is_its_safe_beginning(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes(b"one\n\x1b]52;c;AAAA\x07\xc3\xbc\n" + b"x" * 1_000_000)
    found = preview.text(tmp_path / "a.txt")
    assert found.text.startswith("one\n␛]52;c;AAAA␇ü\nxxx")
    assert found.more
    assert len(found.text) < preview.TEXT_BYTES
    assert preview.kind_of(tmp_path / "a.txt") == "text"


def test_what_is_no_file_is_not_opened_for_ever(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for name in ("pipe", "nowhere", "."):
        with pytest.raises(LabboxError, match="cannot"):
            preview.text(tmp_path / name)
    (tmp_path / "a.bin").write_bytes(b"\x7fELF\0\0")
    assert preview.kind_of(tmp_path / "a.bin") == "binary"
