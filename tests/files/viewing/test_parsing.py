"""Pictures, tables, arrays and documents, whole, damaged, and made to do harm."""

from __future__ import annotations

import json
import struct
import zipfile
import zlib
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import numpy
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labbox.errors import LabboxError
from labbox.files.places.local import LocalPlace
from labbox.files.viewing import arrays, charsets, documents, formats, hdf5, highlighting, pictures, tables
from labbox.files.viewing.encodings import LATIN1
from labbox.files.viewing.formats import View
from labbox.files.viewing.source import Source

Open = Callable[[Path], Awaitable[Source]]
HERE = Path(__file__).parent
STUDY = HERE / "study.h5"


def controls(text: str) -> list[str]:
    return [each for each in text if ord(each) < 32 or 127 <= ord(each) < 160 or each in "\u202e\u2066\ufeff"]


# Pictures.


async def test_a_picture_keeps_its_shape_and_colours(tmp_path: Path, opened: Open) -> None:
    image = Image.new("RGB", (4, 4), (255, 0, 0))
    image.paste((0, 0, 255), (0, 2, 4, 4))
    image.save(tmp_path / "a.png")
    found = await pictures.picture(await opened(tmp_path / "a.png"), 80, 48)
    assert (found.width, found.height, found.across, found.down) == (4, 4, 4, 4)
    assert found.data == bytes((255, 0, 0)) * 8 + bytes((0, 0, 255)) * 8


@pytest.mark.parametrize(
    ("mode", "name"),
    [
        ("RGB", "a.jpg"), ("P", "a.gif"), ("RGBA", "a.png"), ("L", "b.png"), ("1", "c.png"),
        ("I;16", "d.png"),
        ("RGB", "a.bmp"), ("RGB", "a.tif"), ("RGB", "a.webp"),
    ],
)  # fmt: skip
async def test_every_kind_of_picture_is_shrunk(tmp_path: Path, opened: Open, mode: str, name: str) -> None:
    Image.new(mode, (1000, 500)).save(tmp_path / name)
    source = await opened(tmp_path / name)
    assert formats.identify(await source.read(0, formats.HEAD), name, source.size).view is View.PICTURE
    found = await pictures.picture(source, 60, 80)
    assert (found.across, found.down, len(found.data)) == (60, 30, 60 * 30 * 3)


async def test_transparent_parts_show_the_background(tmp_path: Path, opened: Open) -> None:
    Image.new("RGBA", (2, 2), (255, 255, 255, 0)).save(tmp_path / "a.png")
    found = await pictures.picture(await opened(tmp_path / "a.png"), 10, 10, (1, 2, 3))
    assert found.data == bytes((1, 2, 3)) * 4


def bomb(width: int, height: int) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack("!I", len(data)) + kind + data + struct.pack("!I", zlib.crc32(kind + data))

    head = struct.pack("!IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0" * 1000)) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("size", [(50_000, 50_000), (9000, 9000), (2**31 - 1, 2**31 - 1)])
async def test_a_picture_that_unpacks_to_gigabytes_is_refused(
    tmp_path: Path, opened: Open, size: tuple[int, int]
) -> None:
    (tmp_path / "bomb.png").write_bytes(bomb(*size))
    with pytest.raises(LabboxError, match=r"cannot show the picture: it (has|unpacks)"):
        await pictures.picture(await opened(tmp_path / "bomb.png"), 80, 24)


@pytest.mark.parametrize(
    "data", [b"x", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff\xe0junk", b"GIF89a", b"II*\0junk"]
)
async def test_a_damaged_picture_is_said_to_be_one(tmp_path: Path, opened: Open, data: bytes) -> None:
    (tmp_path / "a.png").write_bytes(data)
    with pytest.raises(LabboxError, match="it is damaged or of another kind"):
        await pictures.picture(await opened(tmp_path / "a.png"), 80, 24)


@settings(max_examples=40, deadline=None)
@given(place=st.integers(0, 300), byte=st.integers(0, 255), cut=st.integers(0, 300))
async def test_no_damage_to_a_picture_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, byte: int, cut: int
) -> None:
    path = tmp_path_factory.mktemp("damage") / "a.png"
    Image.linear_gradient("L").resize((20, 20)).save(path)
    data = bytearray(path.read_bytes())
    data[place % len(data)] = byte
    path.write_bytes(data[: len(data) - cut % len(data)])
    async with LocalPlace(home="/") as place_of_it, await Source.open(place_of_it, str(path)) as source:
        try:
            await pictures.picture(source, 20, 20)
        except LabboxError as error:
            assert error.message.startswith("cannot show")


# Tables.


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
async def test_the_delimiter_is_found(tmp_path: Path, opened: Open, text: str, delimiter: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    assert (await tables.shape(await opened(tmp_path / "a.csv"))).delimiter == delimiter


async def test_columns_know_what_they_hold(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "a.csv").write_text(
        'id,rt,when,who,none\n1,0.512,2026-11-21,"Ada, L.",\n2,NA,2026-11-22T08:00:00Z,Grace,\n'
        "3,1e3,2026-11-23,\x1b[31m,\n"
    )
    source = await opened(tmp_path / "a.csv")
    shape = await tables.shape(source)
    assert [column.kind for column in shape.columns] == ["integer", "number", "date", "text", "text"]
    rows = await tables.rows(source, shape, shape.body, 0, 10)
    assert (rows[0][3], rows[2][3], len(rows)) == ("Ada, L.", "␛[31m", 3)


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
async def test_tables_as_programs_write_them(tmp_path: Path, opened: Open, data: bytes, cell: str) -> None:
    (tmp_path / "a.csv").write_bytes(data)
    source = await opened(tmp_path / "a.csv")
    shape = await tables.shape(source)
    assert shape.columns[0].title == "a"
    assert (await tables.rows(source, shape, shape.body, 0, 1))[0][0] == cell


LVM = (
    "LabVIEW Measurement\t\nWriter_Version\t2\nSeparator\tTab\nMulti_Headings\tNo\nDate\t2026/11/30\n"
    "***End_of_Header***\t\n\t\nChannels\t2\t\t\nSamples\t2\t2\t\nX0\t0.0\t0.0\t\nDelta_X\t0.1\t0.1\t\n"
    "***End_of_Header***\t\t\t\nX_Value\tUntitled\tUntitled 1\n0.0\t1.5\t2.5\n0.1\t1.6\t2.6\n"
)
SHEET = (
    "[Header]\nIEMFileVersion,4\nDate,11/30/2026\n\n[Reads]\n151\n\n[Data]\n"
    "Sample_ID,Sample_Name,index\nS1,a,ACGT\nS2,b,TTGA\n"
)
EYELINK = (
    "** CONVERTED FROM a.edf using edfapi, 4.2\n** DATE: Mon Nov 30\n** TYPE: EDF_FILE, EVENT, SAMPLE\n**\n"
    "time\tx\ty\n1\t2\t3\n2\t3\t4\n"
)
TABLES = {
    "LabVIEW": (LVM, "\t", ["X_Value", "Untitled", "Untitled 1"], "0.0", 12),
    "sample sheet": (SHEET, ",", ["Sample_ID", "Sample_Name", "index"], "S1", 8),
    "EyeLink": (EYELINK, "\t", ["time", "x", "y"], "1", 4),
    "spaces": ("t v\n0.0 1\n0.5 2\n", " ", ["t", "v"], "0.0", 0),
    "spaces, aligned": ("   t     v \n 0.0     1 \n 0.5    20 \n", " ", ["t", "v"], "0.0", 0),
    "spaces, as R writes": ('"x" "y"\n"r 1" 0 1\n"r 2" 2 3\n', " ", ["x", "y", ""], "r 1", 0),
    "spaces, remarks": ("# made by x y z\nt v\n0 1\n1 2\n", " ", ["t", "v"], "0", 1),
    "sentences": ("what was said\nhello world\nwell then\n", ",", ["what was said"], "hello world", 0),
    "dates": ("when\n2026-11-30 08:00\n2026-11-30 09:00\n", ",", ["when"], "2026-11-30 08:00", 0),
    "sentences with numbers": ("note\nrun 5 was bad\nrun 6 went on\n", ",", ["note"], "run 5 was bad", 0),
    "sep": ("sep=;\r\na;b\r\n1,5;2\r\n", ";", ["a", "b"], "1,5", 1),
    "sep in quotes": ('"sep=|"\na,x|b\n1|2\n', "|", ["a,x", "b"], "1", 1),
    "sep tab": ("SEP=\t\na\tb\n1\t2\n", "\t", ["a", "b"], "1", 1),
    "remarks": ("# made by x, y, z\n# 2026\nt,v\n0,1\n1,2\n", ",", ["t", "v"], "0", 2),
    "titles in a remark": ("# a remark\n# t,v\n0,1\n1,2\n", ",", ["t", "v"], "0", 1),
    "names and values": (
        "Device;X1\nOperator;Ada\nDate;2026\n\nt;a;b\n0;1;2\n1;2;3\n",
        ";",
        ["t", "a", "b"],
        "0",
        4,
    ),
    "names and values of two": ("Device;X1\nDate;2026\n\nt;v\n0;1\n1;2\n", ";", ["t", "v"], "0", 3),
    "names with colons": (
        "Device: X1\nDate: 2026-01-01\nt,a,b\n0,1,2\n1,2,3\n",
        ",",
        ["t", "a", "b"],
        "0",
        2,
    ),
    "percent": ("% Oscilloscope\nt\tv\n0\t1\n", "\t", ["t", "v"], "0", 1),
    "as R writes it": ("x y\n".replace(" ", ",") + "r1,0,1\nr2,2,3\n", ",", ["x", "y", ""], "r1", 0),
    "returns alone": ("a,b\r1,2\r3,4\r", ",", ["a", "b"], "1", 0),
    "returns alone, remarks": ("# x\ra,b\r1,2\r", ",", ["a", "b"], "1", 1),
    "one column": ("a\n1\n2\n", ",", ["a"], "1", 0),
    "no titles above": ("a,b,c\n1,2,3\n", ",", ["a", "b", "c"], "1", 0),
    "ragged": ("a,b,c\n1,2\n3,4,5\n6,7,8\n", ",", ["a", "b", "c"], "1", 0),
}


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-be", "utf-32"])
@pytest.mark.parametrize("name", TABLES)
async def test_tables_as_instruments_write_them(
    tmp_path: Path, opened: Open, name: str, encoding: str
) -> None:
    text, delimiter, titles, first, above = TABLES[name]
    (tmp_path / "a.csv").write_bytes(text.encode(encoding))
    source = await opened(tmp_path / "a.csv")
    shape = await tables.shape(source)
    assert ([column.title for column in shape.columns], shape.delimiter, len(shape.above)) == (
        titles,
        delimiter,
        above,
    )
    rows = await tables.rows(source, shape, shape.body, 0, 10)
    assert rows[0][0] == first
    assert (await tables.note(source, shape, lambda _noted: None)).rows == len(rows)


async def test_a_long_table_of_returns_alone_is_counted(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "a.csv").write_bytes(b"n,x\r" + b"".join(b"%d,y\r" % number for number in range(50_000)))
    source = await opened(tmp_path / "a.csv")
    shape = await tables.shape(source)
    noted = await tables.note(source, shape, lambda _noted: None)
    assert noted.rows == 50_000
    assert (await tables.rows(source, shape, noted.places[0], 49_999, 1)) == (("49999", "y"),)


@pytest.mark.parametrize(
    ("codec", "text"),
    [
        ("cp932", "時間,温度\n1,2\n"),
        ("cp932", "被験者,性別,年齢\n山田太郎,男,23\nさとう,女,31\n"),
        ("cp932", "試料名,濃度,備考\nサンプル1,0.5,良好\n"),
        ("euc_jp", "時間,温度\n1,2\n"),
        ("euc_jp", "被験者,性別,年齢\n山田太郎,男,23\nさとう,女,31\n"),
        ("gb18030", "时间,温度\n1,2\n"),
        ("gb18030", "姓名,性别,年龄\n张伟,男,23\n王芳,女,31\n"),
        ("gb18030", "样品,浓度\n水,0.5\n"),
        ("big5", "時間,溫度\n1,2\n"),
        ("big5", "姓名,性別,年齡\n陳大文,男,23\n王小明,女,31\n"),
        ("cp949", "시간,온도\n1,2\n"),
        ("cp949", "이름,성별,나이\n김철수,남,23\n"),
        ("cp1251", "Время,Температура\n1,2\n"),
        ("cp1251", "Имя;Пол;Возраст\nИванов;м;23\n"),
        ("koi8_r", "Имя;Пол;Возраст\nИванов;м;23\n"),
        ("cp866", "Имя;Пол;Возраст\nИванов;м;23\n"),
        ("cp1252", "Größe;Gewicht\n1;2\n"),
        ("cp1252", "Zeit (µs);T (°C)\n1;2\n"),
        ("cp1252", "prénom;âge\nRené;23\n"),
        ("cp1253", "Χρόνος;Θερμοκρασία\n1;2\n"),
        ("cp1255", "זמן,טמפרטורה\n1,2\n"),
        ("cp1255", "שם,גיל\nדוד,23\n"),
        ("cp1256", "الوقت,الحرارة\n1,2\n"),
        ("cp1256", "الاسم;العمر\nمحمد;23\n"),
        ("mac_roman", "Größe;Gewicht\n1;2\n"),
        ("mac_roman", "prénom;âge\nRené;23\n"),
        ("cp1254", "Ölçüm;Sıcaklık\nAyşe;23\n"),
        ("cp1251", "время;температура;количество\n1;2;3\n"),
        ("cp1250", "Červený řádek;množství\n1;2\n"),
    ],
)
async def test_the_encoding_of_a_table_is_detected_and_can_be_chosen(
    tmp_path: Path, opened: Open, codec: str, text: str
) -> None:
    (tmp_path / "a.csv").write_bytes(text.encode(codec))
    source = await opened(tmp_path / "a.csv")
    shape = await tables.shape(source)
    titles = text.splitlines()[0].replace(";", ",").split(",")
    assert (shape.codec, [column.title for column in shape.columns]) == (codec, titles)
    cells = (await tables.rows(source, shape, shape.body, 0, 1))[0]
    assert list(cells) == text.splitlines()[1].replace(";", ",").split(",")
    assert (await tables.shape(source, codec)).columns == shape.columns
    assert (await tables.shape(source, "koi8_r")).codec == "koi8_r"
    assert (await charsets.detected(source, LATIN1)).codec == codec


async def test_wide_characters_take_two_cells(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "a.csv").write_text("被験者の名前,e\u0301te\n山田太郎,x\n")
    shape = await tables.shape(await opened(tmp_path / "a.csv"))
    assert [column.width for column in shape.columns] == [12, 3]


async def test_rows_of_a_long_table_are_found_by_number(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "long.csv"
    path.write_text("n,text\n" + "".join(f'{number},"two\nlines {number}"\n' for number in range(200_000)))
    source = await opened(path)
    shape = await tables.shape(source)
    told: list[tables.Noted] = []
    last = await tables.note(source, shape, told.append)
    places = [place for noted in [*told, last] for place in noted.places]
    assert last.rows == 200_000
    assert len(told) >= 2
    assert len(places) == 200_000 // tables.STRIDE
    row = 123_456
    found = await tables.rows(source, shape, places[row // tables.STRIDE], row % tables.STRIDE, 2)
    assert found == (("123456", "two␊lines 123456"), ("123457", "two␊lines 123457"))


async def test_a_table_of_gigabytes_shows_its_beginning_at_once(tmp_path: Path, opened: Open) -> None:
    path = tmp_path / "a.csv"
    with path.open("wb") as file:
        file.write(b"a,b\n" + b"1,2\n" * 500_000)
        file.truncate(5 << 30)
    source = await opened(path)
    shape = await tables.shape(source)
    assert len(await tables.rows(source, shape, shape.body, 0, 200)) == 200
    wide = ",".join(map(str, range(5000)))
    path.write_text(f"{wide}\n{wide}\n")
    shape = await tables.shape(await opened(path))
    assert (len(shape.columns), shape.wider) == (tables.COLUMNS, True)
    path.write_text("a" * 3_000_000)
    assert len((await tables.shape(await opened(path))).columns[0].title) <= tables.CELL


@settings(max_examples=30, deadline=None)
@given(st.binary(max_size=2000))
async def test_no_bytes_break_a_table(tmp_path_factory: pytest.TempPathFactory, data: bytes) -> None:
    path = tmp_path_factory.getbasetemp() / "any.csv"
    path.write_bytes(data)
    async with LocalPlace(home="/") as place, await Source.open(place, str(path)) as source:
        shape = await tables.shape(source)
        rows = await tables.rows(source, shape, shape.body, 0, 100)
        assert all(len(row) == len(shape.columns) for row in rows)
        assert not controls("".join(cell for row in rows for cell in row))


# Arrays.


async def test_a_tree_of_hdf5_with_a_group_that_holds_itself(opened: Open) -> None:
    nodes = await arrays.tree(await opened(STUDY), View.HDF5)
    shown = {node.path: node.what for node in nodes if not node.attribute}
    assert shown["/run1/eeg"] == "float64 500×4"
    assert shown["/run1/label"].endswith(" 2")
    assert shown["/scalar"] == "float64 single value"
    assert shown["/run1"] == "group"
    assert len(nodes) < 20
    subject = next(node for node in nodes if node.attribute)
    assert (subject.name, subject.what) == ("subject", "ada␛[31m")


@pytest.mark.parametrize(
    ("path", "first", "columns", "row", "total"),
    [
        ("/run1/eeg", 250, ("0", "1", "2", "3"), ("250", "1000", "1001", "1002", "1003"), 500),
        ("/run1/label", 1, ("value",), ("1", "stop"), 2),
        ("/scalar", 0, ("value",), ("", "3.5"), 1),
        ("/cube", 5, ("0", "1", "2", "3", "4"), ("1,1", "25", "26", "27", "28", "29"), 12),
        ("/table", 1, ("trial", "rt"), ("1", "2", "3.5"), 2),
    ],
)
async def test_windows_into_hdf5(
    opened: Open, path: str, first: int, columns: tuple[str, ...], row: tuple[str, ...], total: int
) -> None:
    found = await arrays.window(await opened(STUDY), View.HDF5, path, first, 2)
    assert (found.columns, found.rows[0], found.total) == (columns, row, total)


@settings(max_examples=25, deadline=None)
@given(place=st.integers(0, STUDY.stat().st_size - 1), damage=st.binary(min_size=1, max_size=16))
async def test_damaged_hdf5_is_said_in_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, place: int, damage: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "damaged.h5"
    data = bytearray(STUDY.read_bytes())
    data[place : place + len(damage)] = damage
    path.write_bytes(data)
    async with LocalPlace(home="/") as place_of_it, await Source.open(place_of_it, str(path)) as source:
        try:
            nodes = await arrays.tree(source, View.HDF5)
            assert not controls("".join(node.name + node.what for node in nodes))
        except LabboxError as error:
            assert error.message.startswith("cannot")


async def test_hdf5_keeps_its_tree_and_names_what_cannot_be_shown(opened: Open) -> None:
    odd = {
        node.path: node.what
        for node in await arrays.tree(await opened(HERE / "odd.h5"), View.HDF5)
        if not node.attribute
    }
    assert odd["/links/external"] == "link in the file elsewhere.h5: /data/x"
    assert (odd["/links/soft"], odd["/links/broken"]) == ("link to /plain", "link to /nowhere")
    assert odd["/plain"] == "float64 2×3" and odd["/lzf"] == "int32 20×100" and odd["/type"] == "type float64"
    for name, why in (
        ("vlen", "lists of any length"), ("vlen_chunked", "lists of any length"),
        ("scaled", "packed by scale-offset"), ("scaled_float", "packed by scale-offset"),
        ("region", "references to parts of arrays"),
        ("compound_vlen", "records with texts or lists of any length"), ("empty", "without values"),
    ):  # fmt: skip
        assert odd[f"/{name}"].endswith(f"cannot be shown: {why}"), name
    newer = {node.path: node.what for node in await arrays.tree(await opened(HERE / "newer.h5"), View.HDF5)}
    assert newer["/links/external"] == "link in the file elsewhere.h5: /data/x"
    assert (
        newer["/virtual"] == "float64 2×6, cannot be shown: virtual: its values are in other arrays or files"
    )
    for name in ("chunked", "grows", "fixed", "one", "big"):
        assert newer[f"/{name}"].startswith("int64 1") or newer[f"/{name}"].startswith("int64 20")
        assert newer[f"/{name}"].endswith("cannot be shown: stored as newer HDF5 libraries do it")


async def test_hdf5_unpacks_lzf_and_says_where_references_lead(opened: Open) -> None:
    source = await opened(HERE / "odd.h5")
    for name in ("/lzf", "/lzf_shuffled"):
        found = await arrays.window(source, View.HDF5, name, 19, 1)
        assert found.total == 20 and found.rows[0][-1] == ("99" if name == "/lzf" else "1999")
    assert (await arrays.window(source, View.HDF5, "/refs", 0, 5)).rows == (
        ("0", "→ /plain"),
        ("1", "→ /links"),
    )
    assert (await arrays.window(source, View.HDF5, "/strings", 0, 5)).rows == (("0", "grün"), ("1", "b"))
    attributes = {node.name: node.what for node in await arrays.tree(source, View.HDF5) if node.attribute}
    assert attributes["ref"] == "→ /plain"
    for name in ("/vlen", "/scaled", "/compound_vlen", "/region"):
        with pytest.raises(LabboxError, match="cannot show"):
            await arrays.window(source, View.HDF5, name, 0, 1)


async def test_hdf5_says_where_every_reference_leads_and_which_file_holds_the_values(opened: Open) -> None:
    """`elsewhere.h5` is h5py's: dimension scales, references of all shapes, values in raw.bin."""
    source = await opened(HERE / "elsewhere.h5")
    nodes = await arrays.tree(source, View.HDF5)
    said = {node.path: node.what for node in nodes if not node.attribute}
    assert said["/raw"] == "int32 4, cannot be shown: its values are in the file raw.bin"
    with pytest.raises(LabboxError, match=r"its values are in the file raw\.bin"):
        await arrays.window(source, View.HDF5, "/raw", 0, 4)
    attributes = {(node.path, node.name): node.what for node in nodes if node.attribute}
    assert attributes["/data", "DIMENSION_LIST"] == "[→ /x, → /y]"
    assert attributes["/x", "REFERENCE_LIST"] == "(→ /data, 0)"
    assert attributes["/y", "REFERENCE_LIST"] == "(→ /data, 1)"
    assert attributes["/data", "whole"] == "→ /data"
    assert attributes["/data", "nobody"] == "[→ /x, → nothing]"
    assert attributes["/data", "part"] == "→ a part of an array, or nothing that is there"
    assert not [node for node in nodes if "object at" in node.what or "pyfive" in node.what]
    assert said["/two"] == "references 2×2"
    for name, rows in (
        ("/two", (("0", "→ /x", "→ /y"), ("1", "→ /data", "→ /"))),
        ("/chunked_refs", (("0", "→ /x"), ("1", "→ /y"))),
        ("/scalar_ref", (("", "→ /x"),)),
    ):
        assert (await arrays.window(source, View.HDF5, name, 0, 5)).rows == rows
    assert (await arrays.window(source, View.HDF5, "/two", 1, 1)).rows == (("1", "→ /data", "→ /"),)


@given(st.binary(max_size=2000))
def test_lzf_of_any_bytes_does_no_harm(data: bytes) -> None:
    try:
        hdf5.unpacked(data)
    except (ValueError, IndexError):
        pass


@pytest.mark.parametrize("version", ["version5.mat", "version7.mat"])
async def test_matlab_files_are_trees_and_windows(opened: Open, version: str) -> None:
    source = await opened(HERE / version)
    assert formats.identify(await source.read(0, 8192), version, source.size).view is View.MATLAB
    nodes = {node.path: node for node in await arrays.tree(source, View.MATLAB)}
    said = {node.name: node.what for node in nodes.values()}
    assert said["x"] == "float64 2×3" and said["name"] == "text: grün" and said["flag"] == "logical 1×2"
    assert said["z"] == "complex float64 1×1" and said["i"] == "int16 1×1" and said["sparse"] == "sparse 3×3"
    assert (
        said["cells/"] == "cells 1×2" and said["rec/"] == "structure 1×1" and said["empty"] == "float64 0×3"
    )
    assert said["c"] == "int32 1×4" and said["{2}"] == "text: ab"

    async def cells(name: str, first: int = 0, count: int = 5) -> tuple[tuple[str, ...], ...]:
        path = next(path for path, node in nodes.items() if node.name == name)
        return (await arrays.window(source, View.MATLAB, path, first, count)).rows

    assert await cells("x") == (("0", "0", "1", "2"), ("1", "3", "4", "5"))
    assert await cells("z") == (("0", "(1+2j)"),) and await cells("c") == (("0", "0", "1", "2", "3"),)
    assert (await cells("big", 99))[0][-1] == "999" and (await cells("sparse"))[1] == ("1", "0", "1", "0")


async def test_damaged_matlab_files_are_said_to_be_so(tmp_path: Path, opened: Open) -> None:
    whole = (HERE / "version5.mat").read_bytes()
    for number in range(60):
        data = bytearray(whole[: len(whole) * (number + 1) // 60])
        data[128 + (number * 37) % max(1, len(data) - 128) :][:4] = b""
        data[-1 - number :] = b"\xff" * (1 + number)
        (tmp_path / "a.mat").write_bytes(data)
        source = await opened(tmp_path / "a.mat")
        try:
            for node in await arrays.tree(source, View.MATLAB):
                if node.array and number % 10 == 0:
                    await arrays.window(source, View.MATLAB, node.path, 0, 3)
        except LabboxError as error:
            assert error.message.startswith("cannot")


async def test_a_matlab_bomb_is_refused(tmp_path: Path, opened: Open) -> None:
    packed = zlib.compress(struct.pack("<II", 14, 600 << 20) + bytes(600 << 20), 9)
    head = (HERE / "version7.mat").read_bytes()[:128]
    (tmp_path / "a.mat").write_bytes(head + struct.pack("<II", 15, len(packed)) + packed)
    (node,) = await arrays.tree(await opened(tmp_path / "a.mat"), View.MATLAB)
    assert "it unpacks to more than 256.0 MiB" in node.what and not node.array


async def test_hdf5_that_is_cut_off(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "cut.h5").write_bytes(STUDY.read_bytes()[:600])
    with pytest.raises(LabboxError, match="cannot show it: it is damaged"):
        await arrays.tree(await opened(tmp_path / "cut.h5"), View.HDF5)


async def test_numpy_files(tmp_path: Path, opened: Open) -> None:
    whole = numpy.arange(24.0).reshape(2, 3, 4)
    numpy.save(tmp_path / "c.npy", whole)
    numpy.save(tmp_path / "f.npy", numpy.asfortranarray(whole))
    for name in ("c.npy", "f.npy"):
        source = await opened(tmp_path / name)
        assert [node.what for node in await arrays.tree(source, View.ARRAY)] == ["float64 2×3×4"]
        found = await arrays.window(source, View.ARRAY, "", 4, 9)
        assert found.rows == (("1,1", "16", "17", "18", "19"), ("1,2", "20", "21", "22", "23"))
    numpy.savez(tmp_path / "z.npz", a=numpy.arange(5), b=numpy.zeros((3, 3)))
    source = await opened(tmp_path / "z.npz")
    assert [(node.name, node.what) for node in await arrays.tree(source, View.ARRAYS)] == [
        ("a", "int64 5"),
        ("b", "float64 3×3"),
    ]
    assert (await arrays.window(source, View.ARRAYS, "a.npy", 4, 9)).rows == (("4", "4"),)


async def test_numpy_files_that_do_harm_are_not_loaded(tmp_path: Path, opened: Open) -> None:
    numpy.save(tmp_path / "pickle.npy", numpy.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(LabboxError, match="it holds a pickle"):
        await arrays.window(await opened(tmp_path / "pickle.npy"), View.ARRAY, "", 0, 5)
    with (
        zipfile.ZipFile(tmp_path / "bomb.npz", "w", zipfile.ZIP_DEFLATED) as held,
        held.open("a.npy", "w") as file,
    ):
        numpy.lib.format.write_array_header_1_0(
            file, {"descr": "<f8", "fortran_order": False, "shape": (1 << 26,)}
        )
        for _ in range(512):
            file.write(bytes(1 << 20))
    source = await opened(tmp_path / "bomb.npz")
    assert source.size < 1 << 20
    assert (await arrays.tree(source, View.ARRAYS))[0].what == "float64 67108864"
    with pytest.raises(LabboxError, match=r"cannot unpack an array of 512\.0 MiB"):
        await arrays.window(source, View.ARRAYS, "a.npy", 0, 5)


# Documents.


def words(lines: tuple[documents.Line, ...]) -> str:
    return "\n".join("".join(text for text, _ in line) for line in lines)


async def test_markdown_is_laid_out(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "a.md").write_text(
        "# Plan\n\nSome **bold** and `code`, "
        + "long " * 30
        + "\n\n1. one\n   - two\n\n| a | b |\n|---|---|\n| 1 | 22 |\n\n"
        "> said \x1b[31m\x9b\u202e\n\n```\n  kept\n```\n[text](http://example)\n"
    )
    found = await documents.markdown(await opened(tmp_path / "a.md"), 40)
    shown = words(found)
    assert "Plan\n════" in shown
    assert "1. one\n   • two" in shown
    assert "a │ b \n──┼───\n1 │ 22" in shown
    assert "│ said ␛[31m" in shown
    assert ("bold", "bold") in [part for line in found for part in line]
    assert ("code", "accent") in [part for line in found for part in line]
    assert max(map(len, shown.split("\n"))) <= 40
    assert not controls(shown.replace("\n", ""))


async def test_a_notebook_is_read(tmp_path: Path, opened: Open) -> None:
    cells: list[dict[str, Any]] = [
        {"cell_type": "markdown", "source": ["# Study\n", "why"]},
        {
            "cell_type": "code",
            "execution_count": 3,
            "source": "print(1)\n\x1b]0;x\x07",
            "outputs": [
                {"output_type": "stream", "name": "stdout", "text": ["1\n"]},
                {"output_type": "display_data", "data": {"image/png": "AAAA", "text/plain": "<Figure>"}},
                {"output_type": "error", "traceback": ["\x1b[31mValueError\x1b[0m: no"]},
            ],
        },
        "nonsense",  # type: ignore[list-item]
    ]
    (tmp_path / "a.ipynb").write_text(json.dumps({"cells": cells}))
    shown = words(await documents.notebook(await opened(tmp_path / "a.ipynb"), 60))
    assert "Study\n═════" in shown
    assert "In [3]: print(1)\n        ␛]0;x␇\n1\n[image/png]\n<Figure>\nValueError: no" in shown
    for text in ("{", '{"cells": 1}', "[" * 100_000):
        (tmp_path / "a.ipynb").write_text(text)
        with pytest.raises(LabboxError, match="cannot"):
            await documents.notebook(await opened(tmp_path / "a.ipynb"), 60)


async def test_colours_come_from_a_lexer(tmp_path: Path, opened: Open) -> None:
    (tmp_path / "a.py").write_text("x")
    lexer = highlighting.lexer_for("a.py", "")
    assert lexer is not None
    assert highlighting.lexer_for("run", "#!/usr/bin/env python3") is not None
    assert highlighting.lexer_for("a.txt", "") is None
    spans = await highlighting.colours(
        await opened(tmp_path / "a.py"), lexer, ['x = """a', 'b"""  # c', "def f(): 1"]
    )
    assert {ink for low, _high, ink in spans[0] if low >= 4} == {"good"}
    assert {ink for _low, _high, ink in spans[1]} == {"good", "dim"}
    assert (0, 3, "note") in spans[2]


# What a file is.

ELF = b"\x7fELF\x02\x01\x01" + bytes(9) + b"\x03\0\x3e\0"
MATLAB = (b"MATLAB 7.3 MAT-file" + bytes(600))[:512] + b"\x89HDF\r\n\x1a\n"
PICKLE = b"\x80\x04\x95" + bytes(20)


@pytest.mark.parametrize(
    ("name", "head", "view", "said"),
    [
        ("a.out", ELF, View.HEX, "ELF 64-bit program or shared library, x86-64"),
        ("a.pdf", b"%PDF-1.7\n", View.HEX, "PDF document"),
        ("a.db", b"SQLite format 3\0" + bytes(80), View.HEX, "SQLite database"),
        ("a.mat", b"MATLAB 5.0 MAT-file, GLNXA64" + bytes(90), View.HEX, "MATLAB data, version 5 to 7"),
        ("b.mat", MATLAB, View.HDF5, "MATLAB data, version 7.3 (HDF5)"),
        ("a.zip", b"PK\x03\x04" + bytes(30), View.ARCHIVE, "ZIP archive"),
        ("a.tar.gz", b"\x1f\x8b\x08" + bytes(30), View.ARCHIVE, "gzip-compressed data"),
        ("a.gz", b"\x1f\x8b\x08" + bytes(30), View.HEX, "gzip-compressed data"),
        ("a.pkl", PICKLE, View.HEX, "Python pickle (it can run programs when it is loaded)"),
        ("a.bin", bytes(100), View.HEX, "data of a kind that is not known here"),
        ("run", b"#!/bin/sh\necho\n", View.TEXT, "script for /bin/sh"),
        ("a.txt", "grün".encode("utf-16"), View.TEXT, "text, UTF-16 LE"),
        ("a.txt", "grün".encode("utf-32"), View.TEXT, "text, UTF-32 LE"),
        ("a.csv", "\ufeffa,b\n1,2\n".encode("utf-32-be"), View.TABLE, "table"),
        ("a.csv", b"a,b\n", View.TABLE, "table"),
        ("a.lvm", b"LabVIEW Measurement\t\n", View.TABLE, "table"),
        ("a.csv", b"\0\1\2\3", View.HEX, "data of a kind that is not known here"),
        ("README.md", b"# x\n", View.MARKDOWN, "Markdown"),
        ("a.ipynb", b'{"cells": []}', View.NOTEBOOK, "Jupyter notebook"),
        ("a.csv", b"t,v\r0,1\r1,2\r", View.TABLE, "table"),
        ("a.tsv", b"t\tv\r0\t1\r", View.TABLE, "table"),
        ("a.csv", b'a,b\n"one\rcell",1\n', View.TABLE, "table"),
        ("a.csv", b"a,b\n\x1b[31m1\x1b[0m,2\n", View.TABLE, "table"),
        ("a.md", b"# x\r\rtext\r", View.MARKDOWN, "Markdown"),
        ("a.ipynb", b'{"cells":\r[]}', View.NOTEBOOK, "Jupyter notebook"),
        ("a.m", b"x = 1\ry = 2\rz = 3\r", View.TEXT, "text, UTF-8"),
        ("a.m", b"x = 'a\rb'\n", View.TEXT, "text, UTF-8"),
        ("a.txt", b"t v\r0 1\r1 2\r", View.TEXT, "text, UTF-8"),
        ("notes", b"one\rtwo", View.TEXT, "text, UTF-8"),
        ("run.log", b"1 of 2\r2 of 2", View.LOG, "log"),
        ("a.txt", b"10%\r20%\r30%", View.LOG, "log"),
        ("stderr", b"begun\n 5 of 9\r 6 of 9\n", View.LOG, "log"),
        ("slurm.o12", b"\x1b[31mno\x1b[0m", View.LOG, "log"),
    ],
)  # fmt: skip
def test_files_say_what_they_are(name: str, head: bytes, view: View, said: str) -> None:
    found = formats.identify(head, name, len(head))
    assert (found.view, found.words) == (view, said)


@given(st.binary(max_size=600), st.sampled_from(["a", "a.csv", "a.md", "a.tar.gz", "a.npz", "a.ipynb"]))
def test_any_bytes_are_something(head: bytes, name: str) -> None:
    assert formats.identify(head, name, len(head)).words
