# ruff: noqa: PTH101, PTH102, PTH116, PTH118, PTH123, PTH208 - the paths here are bytes and descriptors
from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest
from transferring import Desk, leftovers, picture

SECOND = 1_000_000_000


def tree(desk: Desk, name: str = "study") -> Path:
    desk.write(f"{name}/data.csv", "a,b\n1,2\n", mtime=1_600_000_000_123_456_789)
    desk.write(f"{name}/raw/one.bin", os.urandom(300_000), mtime=1_500_000_000 * SECOND)
    desk.write(f"{name}/raw/deep/er/empty")
    (desk.home / name / "hollow").mkdir()
    (desk.home / name / "link").symlink_to("raw/one.bin")
    (desk.home / name / "astray").symlink_to("/nowhere/at all")
    (desk.home / name / "raw/one.bin").chmod(0o640)
    (desk.home / name / "raw/deep").chmod(0o750)
    os.utime(desk.home / name / "raw", ns=(5, 1_400_000_000_000_000_007))
    return desk.home / name


def test_a_tree_is_copied_with_modes_times_and_links(both: Desk) -> None:
    source = tree(both)
    summary = both.do("copy", "~/study", "~/copies")
    assert picture(both.home / "copies/study") == picture(source)
    assert (summary.files, summary.folders, summary.links, summary.failed) == (3, 5, 2, 0)
    assert summary.size == 300_008
    assert summary.undoable
    assert summary.not_kept == ()
    assert os.stat(both.home / "copies/study").st_mtime_ns == os.stat(source).st_mtime_ns
    assert leftovers(both.home) == []


def test_exact_gives_a_new_name(both: Desk) -> None:
    source = tree(both)
    both.do("copy", "~/study", "~/other", exact=True)
    assert picture(both.home / "other") == picture(source)
    both.do("copy", "~/study/data.csv", "~/new/b.csv", exact=True)
    assert (both.home / "new/b.csv").read_text() == "a,b\n1,2\n"


def test_names_of_any_bytes(both: Desk) -> None:
    names = [
        b"new\nline",
        b"\x1b[2J",
        b"\xff\xfe",
        "bidi \u202e".encode(),
        b"n" * 255,
        b"dot.",
        b"...",
        b" ",
        b"-rf",
    ]
    top = os.fsencode(both.home / "names")
    os.mkdir(top)
    for name in names:
        with open(os.path.join(top, name), "wb") as file:
            file.write(name)
        if len(name) < 250:
            os.mkdir(os.path.join(top, name + b".d"))
    summary = both.do("copy", "~/names", "~/out")
    assert summary.failed == 0
    assert picture(both.home / "out/names") == picture(both.home / "names")


def test_hard_links_stay_links(desk: Desk) -> None:
    first = desk.write("t/a/one", b"x" * 200_000)
    (desk.home / "t/b").mkdir()
    os.link(first, desk.home / "t/b/two")
    os.link(first, desk.home / "t/three")
    os.link(first, desk.home / "outside")
    desk.do("copy", "~/t", "~/out")
    found = {os.stat(desk.home / "out/t" / name).st_ino for name in ("a/one", "b/two", "three")}
    assert len(found) == 1
    assert os.stat(desk.home / "out/t/three").st_nlink == 3
    assert found != {os.stat(first).st_ino}


def test_holes_stay_holes(both: Desk) -> None:
    path = both.write("sparse")
    with path.open("r+b") as file:
        file.seek(5 << 20)
        file.write(b"island")
        file.truncate(64 << 20)
    for verify in (False, True):
        both.do("copy", "~/sparse", f"~/out{verify}", verify=verify)
        made = both.home / f"out{verify}/sparse"
        assert os.stat(made).st_size == 64 << 20
        assert os.stat(made).st_blocks * 512 < 1 << 20
        with made.open("rb") as file:
            file.seek(5 << 20)
            assert file.read(7) == b"island\0"


def test_extended_attributes_and_access_lists_are_kept(both: Desk) -> None:
    path = both.write("t/file", "x")
    os.setxattr(path, "user.note", b"\0\xff")
    os.setxattr(path.parent, "user.on", b"folder")
    acl = bytes.fromhex(
        "0200000001000600ffffffff02000400e803000004000400ffffffff10000600ffffffff20000400ffffffff"
    )
    os.setxattr(path, "system.posix_acl_access", acl)
    both.do("copy", "~/t", "~/out")
    made = both.home / "out/t/file"
    assert os.getxattr(made, "user.note") == b"\0\xff"
    assert os.getxattr(made, "system.posix_acl_access") == acl
    assert os.getxattr(made.parent, "user.on") == b"folder"


@pytest.mark.root
def test_owners_are_kept_by_root(both: Desk) -> None:
    path = both.write("t/file", "x")
    os.chown(path, 12345, 23456)
    os.chown(path.parent, 111, 222)
    os.chmod(path, 0o4755)
    both.do("copy", "~/t", "~/out")
    made = os.stat(both.home / "out/t/file")
    assert (made.st_uid, made.st_gid, made.st_mode & 0o7777) == (12345, 23456, 0o4755)
    assert os.stat(both.home / "out/t").st_uid == 111


def test_special_files_are_named_and_the_rest_goes_on(both: Desk) -> None:
    both.write("t/a", "1")
    both.write("t/z", "2")
    os.mkfifo(both.home / "t/pipe")
    with socket.socket(socket.AF_UNIX) as sock:
        here = os.open(both.home / "t", os.O_RDONLY)
        sock.bind(f"/proc/self/fd/{here}/sock")
        os.close(here)
    summary = both.do("copy", "~/t", "~/out")
    assert summary.failed == 2
    assert {failure.path for failure in summary.failures} == {"t/pipe", "t/sock"}
    assert all(
        failure.code == "invalid" and failure.text.startswith("cannot copy") for failure in summary.failures
    )
    assert sorted(os.listdir(both.home / "out/t")) == ["a", "z"]


def test_a_folder_goes_neither_into_itself_nor_onto_itself(both: Desk) -> None:
    both.write("t/sub/file", "1")
    before = picture(both.home)
    for target in ("~/t", "~/t/sub", "~"):
        for verb in ("copy", "move"):
            summary = both.do(verb, "~/t", target, conflict="overwrite")
            assert summary.failed == 1, target
            assert "itself" in summary.failures[0].text
            assert summary.failures[0].code == "invalid"  # not a name that is taken: nothing to decide
            assert picture(both.home) == before
    (both.home / "alias").symlink_to("t/sub")
    assert both.do("copy", "~/t", "~/alias").failed == 1
    assert both.do("copy", "~/t/sub/file", "~/alias", conflict="overwrite").failed == 1
    assert (both.home / "t/sub/file").read_text() == "1"


def test_a_copy_beside_the_original(both: Desk) -> None:
    both.write("t/file.tar.gz", "1")
    both.do("copy", "~/t/file.tar.gz", "~/t", conflict="rename")
    both.do("copy", "~/t", "~", conflict="rename")
    assert (both.home / "t/file (2).tar.gz").read_text() == "1"
    assert (both.home / "t (2)/file.tar.gz").read_text() == "1"


def test_sources_that_are_missing_and_two_of_one_name(both: Desk) -> None:
    both.write("a/x", "1")
    both.write("b/x", "2")
    summary = both.do("copy", ("~/a/x", "~/none", "~/b/x"), "~/out")
    assert {failure.code for failure in summary.failures} == {"conflict", "not_found"}
    assert (both.home / "out/x").read_text() == "1"
    assert both.do("copy", ("~/a/x", "~/b/x"), "~/both", conflict="rename").failed == 0
    assert sorted(os.listdir(both.home / "both")) == ["x", "x (2)"]


def test_folders_are_merged(both: Desk) -> None:
    source = tree(both)
    both.write("out/study/raw/other", "stays")
    summary = both.do("copy", "~/study", "~/out")
    assert summary.failed == 0
    found = picture(both.home / "out/study", times=False)
    assert found.pop("raw/other")[2] == b"stays"
    wanted = picture(source, times=False)
    assert {name: found[name] for name in found if name != "raw"} == {
        n: wanted[n] for n in wanted if n != "raw"
    }


@pytest.mark.parametrize(
    ("policy", "there", "expected", "failed", "skipped"),
    [
        ("fail", "old", {"f": "old"}, 1, 0),
        ("skip", "old", {"f": "old"}, 0, 1),
        ("overwrite", "old", {"f": "the new"}, 0, 0),
        ("newer", "older", {"f": "the new"}, 0, 0),
        ("newer", "younger", {"f": "younger"}, 0, 1),
        ("rename", "old", {"f": "old", "f (2)": "the new"}, 0, 0),
        ("resume", "the ", {"f": "the new"}, 0, 0),
        ("resume", "oth", {"f": "oth"}, 1, 0),
        ("resume", "longer than that", {"f": "longer than that"}, 1, 0),
    ],
)
def test_what_happens_at_taken_names(
    both: Desk, policy: str, there: str, expected: dict[str, str], failed: int, skipped: int
) -> None:
    both.write("s/t/f", "the new", mtime=1_600_000_000 * SECOND)
    both.write("out/t/f", there, mtime=(1_700_000_000 if there == "younger" else 1_500_000_000) * SECOND)
    summary = both.do("copy", "~/s/t", "~/out", conflict=policy)
    assert (summary.failed, summary.skipped) == (failed, skipped)
    assert {name: value[2].decode() for name, value in picture(both.home / "out/t").items()} == expected


def test_single_decisions_go_before_the_policy(both: Desk) -> None:
    from labbox.model import Conflict, Decision

    for name in "abc":
        both.write(f"s/t/{name}", "new")
        both.write(f"out/t/{name}", "old")
    summary = both.do(
        "copy",
        "~/s/t",
        "~/out",
        conflict="skip",
        decisions=(
            Decision(path="t/a", conflict=Conflict.OVERWRITE),
            Decision(path="t/b", conflict=Conflict.RENAME),
        ),
    )
    assert summary.skipped == 1
    found = {name: value[2] for name, value in picture(both.home / "out/t").items()}
    assert found == {"a": b"new", "b": b"old", "b (2)": b"new", "c": b"old"}


def test_a_folder_is_never_replaced_by_a_file(both: Desk) -> None:
    both.write("s/t/x", "file")
    both.write("s/t/y/inside", "1")
    both.write("out/t/x/inside", "1")
    both.write("out/t/y", "file")
    summary = both.do("copy", "~/s/t", "~/out", conflict="overwrite")
    assert {failure.path for failure in summary.failures} == {"t/x", "t/y"}
    assert (both.home / "out/t/x/inside").exists()
    assert (both.home / "out/t/y").read_text() == "file"


def test_only_and_exclude(both: Desk) -> None:
    for name in ("keep.txt", "drop.log", "sub/keep.txt", "sub/drop.log", "cache/x", "sub/cache/y"):
        both.write(f"t/{name}", name)
    both.do("copy", "~/t", "~/a", exclude=("*.log", "/cache/", "!sub/drop.log"))
    assert {n for n, v in picture(both.home / "a/t").items() if v[0] == "file"} == {
        "keep.txt",
        "sub/keep.txt",
        "sub/drop.log",
        "sub/cache/y",
    }
    both.do("copy", "~/t", "~/b", only=("t/sub/cache", "t/drop.log"))
    assert {n for n, v in picture(both.home / "b/t").items() if v[0] == "file"} == {"drop.log", "sub/cache/y"}


def test_progress_counts_bytes_and_files(both: Desk) -> None:
    for number in range(5):
        both.write(f"t/{number}", bytes(3_000_000))
    both.do("copy", "~/t", "~/out")
    last = both.progress[-1]
    assert (last.phase, last.unit, last.done, last.files) == ("finishing", "bytes", 15_000_000, 5)
    assert last.total in (None, 15_000_000)
