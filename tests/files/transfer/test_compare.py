# ruff: noqa: PTH208 - names are wanted, not paths
from __future__ import annotations

import asyncio
import hashlib
import os
import subprocess
from typing import Any

import pytest
from blake3 import blake3
from transferring import Desk, picture

from labbox.errors import LabboxError
from labbox.files.transfer import plan
from labbox.files.transfer.planning import Plan
from labbox.model import Conflict, Decision, TransferSpec, TransferVerb

OLD, NEW = 1_500_000_000_000_000_000, 1_600_000_000_000_000_000


def two_folders(desk: Desk) -> None:
    desk.write("a/same", "1", mtime=OLD)
    desk.write("b/same", "1", mtime=OLD)
    desk.write("a/size", "12", mtime=OLD)
    desk.write("b/size", "1", mtime=OLD)
    desk.write("a/time", "1", mtime=NEW)
    desk.write("b/time", "1", mtime=OLD)
    desk.write("a/hidden", "1", mtime=OLD)
    desk.write("b/hidden", "2", mtime=OLD)
    desk.write("a/only/here", "1")
    desk.write("b/gone/x", "1")
    desk.write("a/sub/x", "1", mtime=OLD)
    desk.write("b/sub/x", "1", mtime=OLD)
    (desk.home / "a/link").symlink_to("x")
    (desk.home / "b/link").symlink_to("y")
    desk.write("a/kind", "1")
    (desk.home / "b/kind").mkdir()


def marks(lines: tuple[str, ...]) -> set[str]:
    return {line.partition("\t")[0] for line in lines}


def test_folders_are_compared(both: Desk) -> None:
    two_folders(both)
    shape = {"~ a/size", "- a/only", "+ b/gone", "~ a/link", "~ a/kind"}
    summary = both.do("compare", "~/a", "~/b")
    assert marks(summary.lines) == shape | {"~ a/time"}
    assert "~ a/time\tnewer here" in summary.lines
    assert marks(both.do("compare", "~/a", "~/b", content=True).lines) == shape | {"~ a/hidden"}
    assert both.do("compare", "~/a", "~/a").line_count == 0
    assert marks(both.do("compare", "~/a/size", "~/b/size").lines) == {"~ size"}
    report = (both.last_job / "report.jsonl").read_text()
    assert '"line":"~ size' in report


def test_a_folder_is_made_like_another(both: Desk) -> None:
    two_folders(both)
    both.do("sync", "~/a", "~/b", exact=True)
    assert (both.home / "b/gone/x").exists()
    assert (both.home / "b/size").read_text() == "12"
    assert (both.home / "b/kind").is_dir()
    summary = both.do("sync", "~/a", "~/b", exact=True, mirror=True, content=True)
    assert summary.failed == 0
    assert picture(both.home / "b", times=False) == picture(both.home / "a", times=False)
    assert both.do("compare", "~/a", "~/b").line_count == 0
    trash = both.home / ".local/share/Trash/files"
    assert sorted(os.listdir(trash)) == ["gone", "kind"]
    assert both.do("sync", "~/a", "~/fresh/copy", exact=True).failed == 0
    assert picture(both.home / "fresh/copy", times=False) == picture(both.home / "a", times=False)


def test_sync_says_first_what_it_would_do(both: Desk) -> None:
    two_folders(both)
    before = picture(both.home)

    async def ask() -> tuple[str, ...]:
        spec = TransferSpec(verb=TransferVerb.SYNC, sources=("~/a",), target="~/b", mirror=True)
        async with both.places() as places:
            return (await plan(spec, places)).lines

    assert marks(asyncio.run(ask())) == {
        "~ a/size",
        "~ a/time",
        "+ a/only",
        "- a/gone",
        "~ a/link",
        "~ a/kind",
    }
    assert picture(both.home) == before


def test_sync_does_as_many_as_it_said(both: Desk) -> None:
    both.write("a/sub/one", "1")
    both.write("a/two", "22")

    async def ask() -> tuple[int, int, int]:
        spec = TransferSpec(verb=TransferVerb.SYNC, sources=("~/a",), target="~/fresh/b", exact=True)
        async with both.places() as places:
            found = await plan(spec, places)
            return found.files, found.folders, found.size

    said = asyncio.run(ask())
    done = both.do("sync", "~/a", "~/fresh/b", exact=True)
    assert said == (2, 2, 3) == (done.files, done.folders, done.size)


def test_checksums_are_those_of_the_usual_programs(both: Desk) -> None:
    both.write("t/one", b"x" * 3_000_000)
    both.write("t/sub/two\nlines", b"y")
    summary = both.do("checksum", "~/t", algorithm="sha256")
    assert set(summary.lines) == {
        f"{hashlib.sha256(b'x' * 3_000_000).hexdigest()}  t/one",
        f"\\{hashlib.sha256(b'y').hexdigest()}  t/sub/two\\nlines",
    }
    checked = subprocess.run(
        ["sha256sum", "-c", "-"],
        input="\n".join(summary.lines).encode() + b"\n",
        cwd=both.home,
        capture_output=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
    assert both.do("checksum", "~/t/one").lines == (f"{blake3(b'x' * 3_000_000).hexdigest()}  one",)
    with pytest.raises(LabboxError, match="algorithm"):
        both.do("checksum", "~/t", algorithm="shake_128")


def test_find_by_name_and_by_text(both: Desk) -> None:
    both.write("t/Data.csv", "needle")
    both.write("t/sub/data2.csv", b"a" * ((1 << 20) - 3) + b"needle")
    both.write("t/sub/other.txt", b"no")
    both.write("t/skip/data3.csv", "needle")
    found = both.do("find", "~/t", name="data*.csv", exclude=("skip",)).lines
    assert set(found) == {"~/t/Data.csv", "~/t/sub/data2.csv"}
    assert both.do("find", "~/t", name="Data*", match_case=True).lines == ("~/t/Data.csv",)
    assert set(both.do("find", "~/t", text="needle").lines) == {
        "~/t/Data.csv",
        "~/t/sub/data2.csv",
        "~/t/skip/data3.csv",
    }
    assert both.do("find", "~/t", name="*.txt", text="needle").line_count == 0
    with pytest.raises(LabboxError):
        both.do("find", "~/t")


def test_a_sync_without_mirror_says_nothing_of_what_only_the_target_has(both: Desk) -> None:
    two_folders(both)
    assert not any(line.startswith("-") for line in look_at_sync(both).lines)
    assert "- a/gone" in marks(look_at_sync(both, mirror=True).lines)
    assert not any(line.startswith("-") for line in both.do("sync", "~/a", "~/b", exact=True).lines)
    assert (both.home / "b/gone").exists()


def test_a_sync_says_which_is_newer_and_leaves_what_is_to_be_left(both: Desk) -> None:
    for path, content, time in (
        ("a/new", "n", 5), ("a/newer", "1", 20), ("a/older", "22", 10), ("a/too", "x", 5),
        ("b/newer", "333", 10), ("b/older", "4444", 20), ("b/gone", "g", 5), ("b/kept", "k", 5),
    ):  # fmt: skip
        both.write(path, content, mtime=time * 10**9)
    found = look_at_sync(both, mirror=True)
    assert {line for line in found.lines if line[0] == "~"} == {
        "~ a/newer\t1 B here, 3 B there, newer here",
        "~ a/older\t2 B here, 4 B there, older here",
    }
    assert {(one.mark, one.path) for one in found.choices} == {
        ("+", "a/new"), ("+", "a/too"), ("~", "a/newer"), ("~", "a/older"), ("-", "a/gone"), ("-", "a/kept"),
    }  # fmt: skip
    left = tuple(Decision(path=f"a/{name}", conflict=Conflict.SKIP) for name in ("too", "older", "kept"))
    assert look_at_sync(both, mirror=True, decisions=left).files == 2
    done = both.do("sync", "~/a", "~/b", exact=True, mirror=True, decisions=left)
    assert (done.failed, done.skipped) == (0, 3)
    there = {path.name: path.read_text() for path in (both.home / "b").iterdir()}
    assert there == {"new": "n", "newer": "1", "older": "4444", "kept": "k"}


def look_at_sync(desk: Desk, **options: Any) -> Plan:
    spec = TransferSpec(verb=TransferVerb.SYNC, sources=("~/a",), target="~/b", exact=True, **options)

    async def ask() -> Plan:
        async with desk.places() as places:
            return await plan(spec, places)

    return asyncio.run(ask())


@pytest.mark.parametrize("verb", ["copy", "move"])
def test_what_is_left_and_told_is_no_failure(both: Desk, verb: str) -> None:
    both.write("t/one", "new")
    both.write("t/two", "2")
    both.write("out/t/one", "old")
    done = both.do(verb, "~/t", "~/out", conflict="leave")
    assert (done.failed, done.skipped, done.files) == (0, 1, 1)
    assert done.not_kept == ("“t/one” was left out: something of that name is there already",)
    assert (both.home / "out/t/one").read_text() == "old" and (both.home / "t/one").read_text() == "new"
    assert both.do("pack", "~/t", "~/a.zip", conflict="leave").failed == 0
    again = both.do("pack", "~/t", "~/a.zip", conflict="leave")
    assert (again.failed, again.skipped, len(again.not_kept)) == (0, 1, 1)
