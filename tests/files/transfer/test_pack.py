from __future__ import annotations

import bz2
import gzip
import lzma
import os
import stat
import tarfile
import zipfile
from collections.abc import Callable

import pytest
import zstandard
from transferring import Desk, leftovers, picture, planned

from labbox.errors import LabboxError
from labbox.files.transfer.naming import archive_names
from labbox.locations import parse


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


@pytest.mark.parametrize("ending", [".zip", ".tar.gz", ".tar.zst", ".tar"])
def test_things_of_one_name_keep_their_folders(desk: Desk, ending: str) -> None:
    for path in ("a/x.csv", "b/x.csv", "b/one", "c/a/x.csv", "own/y", "deep/own/y", "x.csv"):
        desk.write(path, path)
    sources = [
        *("~/a/x.csv", "~/b/x.csv", "~/c/a/x.csv", "~/b/one", "~/b/one"),
        *("~/own", "~/own/y", "~/deep/own/y", "~/x.csv"),
    ]
    assert desk.do("pack", sources, f"~/all{ending}", exact=True).failures == ()
    assert desk.do("unpack", f"~/all{ending}", "~/out").failed == 0
    found = {
        name: what[2].decode() for name, what in picture(desk.home / "out/all").items() if what[0] == "file"
    }
    assert found == {
        "home/a/x.csv": "a/x.csv",
        "b/x.csv": "b/x.csv",
        "c/a/x.csv": "c/a/x.csv",
        "home/x.csv": "x.csv",
        "one": "b/one",
        "own/y": "own/y",
        "home/own/y": "own/y",
        "deep/own/y": "deep/own/y",
    }


def test_names_in_an_archive_are_never_alike() -> None:
    def names(*texts: str) -> list[str]:
        return list(archive_names([parse(text) for text in texts]).values())

    assert names("~/a", "~/b") == ["a", "b"]
    assert names("~/x", "sftp://me@pc/x") == ["home/x", "pc/x"]
    assert names("sftp://me@pc//data/x", "shared:data/x", "project:p/data/x") == [
        "pc/data/x",
        "shared/data/x",
        "p/data/x",
    ]
    assert names("job:1/output/a.csv", "job:2/output/a.csv") == ["1/output/a.csv", "2/output/a.csv"]
    assert names("~/a.zip!/r.csv", "~/b.zip!/r.csv") == ["a/r.csv", "b/r.csv"]
    assert names("sftp://me@pc/d.csv", "sftp://you@pc/d.csv") == ["d.csv", "d (2).csv"]
    assert names("~/a", "~/a/x", "~/b/x") == ["a", "x", "b/x"]
    many = names(*(f"~/run{number}/data.csv" for number in range(20_000)))
    assert len(set(many)) == 20_000 and many[7] == "run7/data.csv"


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


@pytest.mark.parametrize(
    ("ending", "pack"),
    [(".gz", gzip.compress), (".bz2", bz2.compress), (".xz", lzma.compress), (".zst", zstandard.compress)],
)
def test_a_single_packed_file_is_unpacked(desk: Desk, ending: str, pack: Callable[[bytes], bytes]) -> None:
    data = bytes(range(256)) * 9000
    desk.write(f"data.csv{ending}", pack(data))
    done = desk.do("unpack", f"~/data.csv{ending}", "~")
    assert (done.failed, done.files) == (0, 1) and (desk.home / "data.csv").read_bytes() == data
    assert desk.do("unpack", f"~/data.csv{ending}", "~").failures[0].code == "conflict"
    assert desk.do("unpack", f"~/data.csv{ending}", "~", conflict="rename").failed == 0
    assert (desk.home / "data (2).csv").read_bytes() == data
    (desk.home / "data.csv").write_text("old")
    assert desk.do("unpack", f"~/data.csv{ending}", "~", conflict="overwrite").failed == 0
    assert (desk.home / "data.csv").read_bytes() == data
    desk.write(f"cut.csv{ending}", pack(data)[:-9])
    desk.write(f"plain.csv{ending}", "1,2")
    for name in ("cut.csv", "plain.csv"):
        assert desk.do("unpack", f"~/{name}{ending}", "~").failed == 1
        assert not (desk.home / name).exists()
    assert leftovers(desk.home) == []


def test_what_is_no_archive_or_cannot_be_packed(desk: Desk) -> None:
    desk.write("broken.zip", "no zip at all")
    summary = desk.do("unpack", "~/broken.zip", "~/out")
    assert summary.failed == 1
    assert not (desk.home / "out/broken").exists()
    assert leftovers(desk.home) == []
    with pytest.raises(LabboxError, match="ending"):
        desk.do("pack", "~/broken.zip", "~/x.rar")


class _Dos(zipfile.ZipInfo):
    """An entry of a program of Windows, which says no mode."""

    def __init__(self, name: str) -> None:
        super().__init__(name, (2020, 5, 17, 12, 0, 0))
        self.create_system = 0


@pytest.mark.parametrize("ending", [".tar.gz", ".zip", "-dos.zip", "-dot.tar"])
def test_folders_that_an_archive_says_nothing_of_get_a_usual_mode_and_its_time(
    desk: Desk, ending: str
) -> None:
    """Its root, and folders that only the names of others tell of; a root that is told of is as told."""
    study(desk)
    path = desk.home / f"a{ending}"
    if ".tar" in ending:
        with tarfile.open(path, "w:gz" if ending.endswith("gz") else "w") as archive:
            if ending == "-dot.tar":
                root = tarfile.TarInfo(".")
                root.type, root.mode, root.mtime = tarfile.DIRTYPE, 0o750, 1_400_000_000
                archive.addfile(root)
            archive.add(desk.home / "study/data.csv", "deep/er/data.csv")
    else:
        with zipfile.ZipFile(path, "w") as made:
            made.writestr(_Dos("deep/er/data.csv") if "dos" in ending else "deep/er/data.csv", "x")
    os.utime(path, (1_500_000_000, 1_500_000_000))
    assert desk.do("copy", f"~/{path.name}!", "~/o3", exact=True).failed == 0
    found = {
        name: (stat.S_IMODE(one.st_mode), int(one.st_mtime))
        for name in ("o3", "o3/deep", "o3/deep/er")
        for one in [(desk.home / name).stat()]
    }
    usual = (0o777 & ~_umask(), 1_500_000_000)
    says = (0o750, 1_400_000_000) if ending == "-dot.tar" else usual
    assert found == {"o3": says, "o3/deep": usual, "o3/deep/er": usual}


def _umask() -> int:
    os.umask(mask := os.umask(0o022))
    return mask


@pytest.mark.filterwarnings("ignore:Duplicate name")
@pytest.mark.parametrize("ending", [".zip", ".tar", ".tar.gz"])
def test_entries_of_one_name_count_once_and_are_said(desk: Desk, ending: str) -> None:
    texts = {"a.csv": ("first one", "second"), "sub/b.csv": ("1",)}
    path = desk.home / f"x{ending}"
    if ending == ".zip":
        with zipfile.ZipFile(path, "w") as made:
            for name, versions in texts.items():
                for text in versions:
                    made.writestr(name, text)
    else:
        with tarfile.open(path, "w:gz" if ending.endswith("gz") else "w") as archive:
            for name, versions in texts.items():
                for text in versions:
                    (desk.home / "one").write_text(text)
                    archive.add(desk.home / "one", name)
    done = desk.do("unpack", f"~/x{ending}", "~/out")
    assert (desk.home / "out/x/a.csv").read_text() == "second"
    assert (done.files, done.size, done.failed) == (2, 7, 0)
    (said,) = done.not_kept
    assert said.startswith("“a.csv” is in the archive more than once: the last one is there")


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
