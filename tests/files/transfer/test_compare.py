# ruff: noqa: PTH208 - names are wanted, not paths
from __future__ import annotations

import hashlib
import os
import subprocess

import pytest
from blake3 import blake3
from transferring import Desk, picture

from labbox.errors import LabboxError

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
    shape = {"~ a/size", "+ a/only", "- a/gone", "~ a/link", "~ a/kind"}
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
    import asyncio

    from labbox.files.transfer import plan
    from labbox.model import TransferSpec, TransferVerb

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
    import asyncio

    from labbox.files.transfer import plan
    from labbox.model import TransferSpec, TransferVerb

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
