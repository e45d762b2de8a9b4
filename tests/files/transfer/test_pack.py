from __future__ import annotations

import tarfile
import zipfile

import pytest
from transferring import Desk, leftovers, picture, planned

from labbox.errors import LabboxError


def study(desk: Desk) -> None:
    desk.write("study/data.csv", "1,2", mtime=1_500_000_000_000_000_000)
    desk.write("study/raw/one.log", "x" * 100_000)
    (desk.home / "study/link").symlink_to("raw/one.log")
    desk.write("note.txt", "n")


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar.zst", ".tar"])
def test_packed_and_unpacked_again(desk: Desk, ending: str) -> None:
    study(desk)
    summary = desk.do("pack", ("~/study", "~/note.txt", "~/none"), f"~/out/all{ending}")
    assert (summary.files, summary.failed, summary.failures[0].path) == (3, 1, "none")
    assert desk.do("unpack", f"~/out/all{ending}", "~/back").failed == 0
    assert picture(desk.home / "back/all/study", times=False) == picture(desk.home / "study", times=False)
    assert (desk.home / "back/all/note.txt").read_text() == "n"
    assert leftovers(desk.home) == []
    assert desk.do("undo", (), undo=desk.last_job).failed == 0
    assert list(picture(desk.home / "back")) == []


def test_a_folder_of_the_archives_name_is_not_doubled(desk: Desk) -> None:
    study(desk)
    desk.do("pack", "~/study", "~/study.tar.zst")
    assert planned(desk, "unpack", ("~/study.tar.zst",), "~/again").files == 2
    assert desk.do("unpack", "~/study.tar.zst", "~/again").failed == 0
    assert picture(desk.home / "again/study", times=False) == picture(desk.home / "study", times=False)
    assert planned(desk, "unpack", ("~/study.tar.zst",), "~/again").conflict_count == 4
    desk.write("again/study/data.csv", "changed")
    desk.write("again/study/mine", "stays")
    assert desk.do("unpack", "~/study.tar.zst", "~/again", conflict="overwrite").failed == 0
    assert (desk.home / "again/study/data.csv").read_text() == "1,2"
    assert (desk.home / "again/study/mine").read_text() == "stays"
    assert desk.do("unpack", "~/study.tar.zst", "~/again", conflict="rename").failed == 0
    assert (desk.home / "again/study (2)/data.csv").read_text() == "1,2"
    assert desk.do("unpack", "~/study.tar.zst", "~/exactly", exact=True).failed == 0
    assert (desk.home / "exactly/study/data.csv").exists()
    assert leftovers(desk.home) == []


def test_names_that_are_taken(desk: Desk) -> None:
    study(desk)
    desk.do("pack", "~/study", "~/a.zip", exclude=("*.log",))
    assert zipfile.is_zipfile(desk.home / "a.zip")
    with zipfile.ZipFile(desk.home / "a.zip") as archive:
        assert "study/raw/one.log" not in archive.namelist()
    with pytest.raises(LabboxError):
        desk.do("pack", "~/note.txt", "~/a.zip")
    assert desk.do("pack", "~/note.txt", "~/a.zip", conflict="rename").files == 1
    assert (desk.home / "a (2).zip").exists()
    desk.do("unpack", "~/a.zip", "~")
    desk.write("a/study/data.csv", "changed")
    desk.write("a/mine", "stays")
    assert desk.do("unpack", "~/a.zip", "~").failures[0].code == "conflict"
    assert desk.do("unpack", "~/a.zip", "~", conflict="overwrite").failed == 0
    assert (desk.home / "a/study/data.csv").read_text() == "1,2"
    assert (desk.home / "a/mine").read_text() == "stays"
    assert desk.do("unpack", "~/a.zip", "~/exactly", exact=True).failed == 0
    assert (desk.home / "exactly/study/data.csv").exists()
    assert leftovers(desk.home) == []


def test_what_is_no_archive_or_cannot_be_packed(desk: Desk) -> None:
    desk.write("broken.zip", "no zip at all")
    summary = desk.do("unpack", "~/broken.zip", "~/out")
    assert summary.failed == 1
    assert not (desk.home / "out/broken").exists()
    assert leftovers(desk.home) == []
    with pytest.raises(LabboxError, match="ending"):
        desk.do("pack", "~/broken.zip", "~/x.rar")


def test_files_are_copied_out_of_an_archive(desk: Desk) -> None:
    study(desk)
    with tarfile.open(desk.home / "a.tar.gz", "w:gz") as archive:
        archive.add(desk.home / "study", "study")
    assert desk.do("copy", "~/a.tar.gz!/study", "~/out", verify=True).failed == 0
    found = picture(desk.home / "out/study", times=False)
    assert found == picture(desk.home / "study", times=False)
    assert desk.do("checksum", "~/a.tar.gz!/study/data.csv").files == 1
    with pytest.raises(LabboxError):
        desk.do("copy", "~/note.txt", "~/a.tar.gz!/study")
