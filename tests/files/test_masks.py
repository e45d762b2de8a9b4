"""One matcher of names and one of what files hold: whoever asks, the answer is the same."""

from __future__ import annotations

import fnmatch
import re
import time
import unicodedata
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from transferring import Desk

from labbox.errors import LabboxError
from labbox.files.directory import Arrangement, Kind, Listing, Row
from labbox.files.finding import gather
from labbox.files.masks import matcher
from labbox.files.needles import Needle
from labbox.files.transfer.excluding import excluding
from labbox.locations import path_of

NFD = unicodedata.normalize("NFD", "résumé.csv")
NFC = unicodedata.normalize("NFC", "résumé.csv")
NAMES = (
    "needle.txt", "NEEDLE.TXT", "Data.csv", "data2.csv", "data10.CSV", "run1.csv", "run3.tsv", "run7.csv",
    "a;b.txt", "weiß [1].txt", "x{1}.dat", "star*.c", "back\\slash", NFD, ".hidden.csv", "no_ending",
    "new\nline.csv", "a,b.txt", "\udcff.bin",
)  # fmt: skip


@pytest.mark.parametrize(
    ("mask", "fits"),
    [
        ("needle*", {"needle.txt", "NEEDLE.TXT"}),
        ("NEEDLE*", {"needle.txt", "NEEDLE.TXT"}),
        ("needle", {"needle.txt", "NEEDLE.TXT"}),
        ("DATA2", {"data2.csv"}),
        ("data*.csv", {"Data.csv", "data2.csv", "data10.CSV"}),
        ("data?.csv", {"data2.csv"}),
        ("run[1-3].*", {"run1.csv", "run3.tsv"}),
        ("run[!1-3].*", {"run7.csv"}),
        ("run[^1-3].*", {"run7.csv"}),
        ("[D-E]A*.csv", {"Data.csv", "data2.csv", "data10.CSV"}),
        ("run{1..3}.{csv,tsv}", {"run1.csv", "run3.tsv"}),
        ("{run{1,7},data2}.csv", {"run1.csv", "run7.csv", "data2.csv"}),
        ("*.tsv; *.dat", {"run3.tsv", "x{1}.dat"}),
        ("needle;DATA.", {"needle.txt", "NEEDLE.TXT", "Data.csv"}),
        (r"a\;b", {"a;b.txt"}),
        ("*[;,]b.txt", {"a;b.txt", "a,b.txt"}),
        (r"star\**", {"star*.c"}),
        (r"x\{1\}*", {"x{1}.dat"}),
        ("x{1}*", {"x{1}.dat"}),
        (r"*\[1\]*", {"weiß [1].txt"}),
        ("WEISS", set()),
        (NFC, {NFD}),
        ("*é.csv", {NFD}),
        ("r?sum?.csv", {NFD}),
        ("r[é]s*", {NFD}),
        (NFD, {NFD}),
        ("*.*", set(NAMES) - {"no_ending", "back\\slash"}),
        ("new*.csv", {"new\nline.csv"}),
        (r"back\slash", {"back\\slash"}),
        ("\udcff*", {"\udcff.bin"}),
        ("[", {"weiß [1].txt"}),
        ("*[z-a]*", set()),
        ("[]]*", set()),
        ("", set()),
    ],
)
def test_find_filter_select_and_words_agree(tmp_path: Path, mask: str, fits: set[str]) -> None:
    desk = Desk(tmp_path, tmp_path / "home")
    folder = tmp_path / "home" / "t"
    folder.mkdir(parents=True)
    for name in NAMES:
        (folder / name).write_bytes(b"")
    listing = Listing(Arrangement(hidden=True))
    listing.add(Row(name, Kind.FILE) for name in NAMES)
    listing.arrange()
    assert {listing.name(at) for at in listing.matching(mask)} == fits
    if not mask:
        return
    listing.arrange(Arrangement(hidden=True, filter=mask))
    assert {listing.name(at) for at in listing.shown} == fits
    rows: list[Row] = []
    assert gather(str(folder), rows.extend, lambda: True, mask=mask, hidden=True)
    assert {row.name for row in rows} == fits
    found = desk.do("find", "~/t", name=mask).lines
    assert {path_of(path_of(line)).removeprefix("~/t/") for line in found} == fits


@pytest.mark.parametrize(
    ("pattern", "kept_out"),
    [
        ("*.{csv,tsv}", {"data2.csv", "Data.csv", "data10.CSV", "run1.csv", "run3.tsv", "run7.csv", NFD,
                         ".hidden.csv", "new\nline.csv"}),
        ("NEEDLE*", {"needle.txt", "NEEDLE.TXT"}),
        ("needle.txt", {"needle.txt", "NEEDLE.TXT"}),
        ("needle", set()),
        (NFC, {NFD}),
        (r"\*", set()),
        (r"star\*.c", {"star*.c"}),
        ("run{1..3}.*", {"run1.csv", "run3.tsv"}),
    ],
)  # fmt: skip
def test_what_is_kept_out_is_read_by_the_same_rules(pattern: str, kept_out: set[str]) -> None:
    rule = excluding([pattern])
    assert rule is not None
    assert {name for name in NAMES if rule(f"sub/{name}", name, False)} == kept_out


@given(st.text("ab*?[]-!^", max_size=8), st.text("abAB-!]", max_size=8))
def test_a_mask_is_read_as_a_shell_reads_it(mask: str, name: str) -> None:
    if re.search(r"[*?]", mask) and "[" not in mask:
        assert matcher(mask)(name) == (re.match(fnmatch.translate(mask), name, re.IGNORECASE) is not None)
    matcher(mask)(name)  # and whatever is typed is a mask


def test_quick_search_finds_names_that_macos_wrote() -> None:
    listing = Listing()
    listing.add(Row(name, Kind.FILE) for name in ("a", NFD, "b"))
    listing.arrange()
    for typed in ("é", NFC[:3], NFD[:4], "R?SUM"):
        rows = [row for row in listing.search(typed, 0) if row is not None]
        assert [listing.name(listing.shown[row]) for row in rows] == [NFD], typed


def test_no_mask_is_slow() -> None:
    began = time.process_time()
    assert not matcher("*a" * 40 + "*b")("a" * 255)
    assert not matcher("{a,b}" * 30)("a" * 31)
    assert not matcher("{" * 2000 + "*")("a")
    assert time.process_time() - began < 1


@pytest.mark.parametrize(
    ("content", "text", "held"),
    [
        (b"a NEEDLE", "needle", True),
        (b"a Needle", "needle", True),
        (b"a needle", "NEEDLE", True),
        (b"a NEEDLE", "NEEDLE", True),
        (b"a needless", "NEEDLESS", True),
        ("GRÖSSE in ÖL".encode(), "öl", True),
        ("ein Öl".encode(), "ÖL", True),
        (unicodedata.normalize("NFD", "café").encode(), "café", True),
        (unicodedata.normalize("NFD", "CAFÉ").encode(), "café", True),
        ("café".encode("latin-1"), "café", True),
        ("Größe 5 µm".encode(), "größe 5 µm", True),
        (b"tab\tnew\nline", "b\tnew\nl", True),
        ("Ωmega ΔT".encode(), "δt", True),
        (b"\xff\xfe raw", "\udcff\udcfe r", True),
        (b"nothing", "x", False),
    ],
)
@pytest.mark.parametrize("ahead", [0, (1 << 20) - 2, (1 << 22) - 3])
def test_a_text_is_found_by_the_same_rules_everywhere(
    tmp_path: Path, content: bytes, text: str, held: bool, ahead: int
) -> None:
    desk = Desk(tmp_path, tmp_path / "home")
    (tmp_path / "home" / "t").mkdir(parents=True)
    (tmp_path / "home" / "t" / "file").write_bytes(bytes(ahead) + content)
    rows: list[Row] = []
    assert gather(str(tmp_path / "home" / "t"), rows.extend, lambda: True, text=text)
    assert bool(rows) == held == bool(desk.do("find", "~/t", text=text).lines)


def test_case_is_matched_where_it_is_asked_for(tmp_path: Path) -> None:
    desk = Desk(tmp_path, tmp_path / "home")
    for name, content in (("t/Data.csv", "a Needle"), ("t/data.csv", "a needle")):
        desk.write(name, content)
    asked: list[dict[str, Any]] = [{"mask": "D*"}, {"text": "Needle"}, {"mask": "[A-Z]*"}]
    for wanted in asked:
        rows: list[Row] = []
        assert gather(str(desk.home / "t"), rows.extend, lambda: True, case=True, **wanted)
        assert [row.name for row in rows] == ["Data.csv"]
        words = {"name" if key == "mask" else key: value for key, value in wanted.items()}
        assert desk.do("find", "~/t", match_case=True, **words).lines == ("~/t/Data.csv",)


def test_a_text_has_a_limit() -> None:
    assert Needle("x" * 4096).least == 4096 and not Needle("")
    with pytest.raises(LabboxError, match="4096 bytes"):
        Needle("é" * 2049)
