from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from transferring import Desk, leftovers, picture

OLD = 1_500_000_000_000_000_000


@pytest.fixture
def other_disk() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        yield Path(folder)


def study(desk: Desk) -> Path:
    desk.write("study/data.csv", "1,2", mtime=OLD)
    desk.write("study/raw/one", os.urandom(200_000))
    (desk.home / "study/link").symlink_to("raw/one")
    return desk.home / "study"


def test_a_move_on_one_disk_is_a_rename(both: Desk) -> None:
    source = study(both)
    before, inode = picture(source), source.stat().st_ino
    summary = both.do("move", "~/study", "~/elsewhere")
    assert summary.failed == 0
    assert not source.exists()
    assert picture(both.home / "elsewhere/study") == before
    assert (both.home / "elsewhere/study").stat().st_ino == inode
    assert both.do("move", "~/elsewhere/study/data.csv", "~/elsewhere/study/b.csv", exact=True).failed == 0
    assert (both.home / "elsewhere/study/b.csv").read_text() == "1,2"


def test_a_move_to_another_disk_copies_then_removes(both: Desk, other_disk: Path) -> None:
    source = study(both)
    os.mkfifo(source / "pipe")
    before = picture(source)
    summary = both.do("move", "~/study", str(other_disk), verify=True)
    after = picture(other_disk / "study")
    before.pop("pipe")
    assert after == before
    assert [failure.path for failure in summary.failures] == ["study/pipe"]
    assert list(picture(source)) == ["pipe"]
    assert leftovers(other_disk) == []


def test_moved_folders_are_merged(both: Desk, other_disk: Path) -> None:
    for target in (both.home / "out", other_disk):
        source = study(both)
        (target / "study/raw").mkdir(parents=True)
        (target / "study/raw/one").write_text("in the way")
        summary = both.do("move", "~/study", str(target))
        assert [failure.path for failure in summary.failures] == ["study/raw/one"]
        assert {name for name, what in picture(source).items()} == {"raw", "raw/one"}
        assert (target / "study/data.csv").read_text() == "1,2"
        assert both.do("move", "~/study", str(target), conflict="overwrite").failed == 0
        assert not source.exists()
        assert (target / "study/raw/one").stat().st_size == 200_000


def test_only_some_of_a_folder_is_moved(both: Desk) -> None:
    source = study(both)
    assert both.do("move", "~/study", "~/out", exclude=("*.csv",)).failed == 0
    assert list(picture(source)) == ["data.csv"]
    assert set(picture(both.home / "out/study")) == {"raw", "raw/one", "link"}


@pytest.mark.parametrize("verb", ["copy", "move", "trash"])
def test_what_was_done_is_undone(both: Desk, verb: str) -> None:
    source = study(both)
    both.write("out/study/there", "stays", mtime=OLD)
    before = picture(both.home, times=False)
    summary = both.do(verb, "~/study", None if verb == "trash" else "~/out")
    assert summary.undoable
    done = both.last_job
    undone = both.do("undo", (), undo=done)
    assert undone.failed == 0, undone.failures
    after = picture(both.home, times=False)
    assert {name: after[name] for name in before} == before
    assert set(picture(both.home / "out")) == {"study", "study/there"}
    assert source.exists()


def test_what_was_changed_since_is_left_and_named(both: Desk) -> None:
    study(both)
    both.write("study/sub/a", "a")
    both.do("copy", "~/study", "~/out")
    done = both.last_job
    later = both.write("out/study/sub/a", "changed")
    stamp = later.stat().st_mtime_ns + 10_000_000_000
    os.utime(later, ns=(stamp, stamp))
    summary = both.do("undo", (), undo=done)
    assert summary.failed == 1
    assert summary.failures[0].path.endswith("out/study/sub/a")
    assert {n for n, what in picture(both.home / "out").items() if what[0] != "folder"} == {"study/sub/a"}


def test_a_replaced_file_cannot_come_back(both: Desk) -> None:
    both.write("x", "new")
    both.write("out/x", "old")
    both.do("copy", "~/x", "~/out", conflict="overwrite")
    summary = both.do("undo", (), undo=both.last_job)
    assert "took the place" in summary.failures[0].text
    assert (both.home / "out/x").read_text() == "new"


def test_a_move_to_another_disk_is_undone(both: Desk, other_disk: Path) -> None:
    source = study(both)
    before = picture(source)
    both.do("move", "~/study", str(other_disk))
    assert not source.exists()
    assert both.do("undo", (), undo=both.last_job).failed == 0
    assert picture(source) == before
    assert picture(other_disk) == {}
