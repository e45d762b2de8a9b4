"""What a run left in its code: what comes back, in which order, and what never does."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from labbox.errors import LabboxError
from labbox.files.following import Meter
from labbox.files.leavings import Leavings, bring_back, copy_tree

Bring = Callable[..., Leavings]


def _put(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def _below(folder: Path) -> set[str]:
    return {str(one.relative_to(folder)) for one in folder.rglob("*") if one.is_symlink() or not one.is_dir()}


@pytest.fixture
def folders(tmp_path: Path) -> Path:
    for name in ("written", "snapshot", "target"):
        (tmp_path / name).mkdir()
    return tmp_path


@pytest.fixture
def bring(folders: Path) -> Bring:
    def run(most_bytes: int = 1 << 20, most_files: int = 100) -> Leavings:
        opened = [os.open(folders / name, os.O_RDONLY) for name in ("written", "snapshot", "target")]
        try:
            return bring_back(*opened, most_bytes=most_bytes, most_files=most_files, meter=Meter())
        finally:
            for one in opened:
                os.close(one)

    return run


def test_only_what_is_new_or_different_comes_back(folders: Path, bring: Bring) -> None:
    _put(folders / "snapshot", {"a.py": "code", "d/b.csv": "1,2", "link.txt": "x", "was": "file"})
    _put(
        folders / "written",
        {"a.py": "code", "d/b.csv": "1,3", "d/c.csv": "new", "link.txt": "x", "was/x": "y"},
    )
    (folders / "written/a.py").chmod(0o755)
    os.utime(folders / "written/a.py")
    found = bring()
    assert _below(folders / "target") == {"d/b.csv", "d/c.csv", "was/x"}
    assert (found.files, found.size, found.left, found.whole) == (3, 7, 0, True)
    assert bring().files == 0  # done again after a crash: nothing is found, nothing is lost
    assert _below(folders / "target") == {"d/b.csv", "d/c.csv", "was/x"}


def test_links_are_brought_as_links_and_never_followed(folders: Path, bring: Bring, tmp_path: Path) -> None:
    secret = tmp_path / "elsewhere"
    _put(secret, {"secret": "s"})
    (folders / "snapshot/same").symlink_to("a")
    (folders / "written/same").symlink_to("a")
    (folders / "written/out").symlink_to(secret)
    (folders / "snapshot/d").symlink_to(secret)  # a folder in what was written, a link in the snapshot
    _put(folders / "written", {"d/secret": "s"})
    (folders / "target/d").mkdir()
    assert bring().files == 2
    assert (folders / "target/out").readlink() == secret
    assert (folders / "target/d/secret").read_text() == "s"


def test_a_target_that_is_a_link_is_not_followed(folders: Path, bring: Bring, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (folders / "target/d").symlink_to(tmp_path / "elsewhere")
    _put(folders / "written", {"d/x": "y"})
    with pytest.raises(OSError):
        bring()
    assert not list((tmp_path / "elsewhere").iterdir())


def test_caches_environments_and_what_is_no_file_stay(folders: Path, bring: Bring) -> None:
    written = folders / "written"
    _put(written, {
        "__pycache__/m.cpython-311.pyc": "c", "pkg/__pycache__/f-1.py311.nbi": "c", "x.pyc": "c",
        ".snakemake/log/1": "c", ".ipynb_checkpoints/n.ipynb": "c", "venv/pyvenv.cfg": "c", "venv/x.py": "c",
        "Rplots.pdf": "r", ".Rhistory": "c",
    })  # fmt: skip
    os.mkfifo(written / "pipe")
    (written / "empty").mkdir()
    bring()
    assert _below(folders / "target") == {"Rplots.pdf"}
    assert not (folders / "target/empty").exists()


def test_the_small_come_first_and_the_rest_is_named(folders: Path, bring: Bring) -> None:
    _put(folders / "written", {"big.bin": "b" * 900, "mid": "m" * 500, "small": "s"})
    found = bring(most_bytes=600)
    assert _below(folders / "target") == {"mid", "small"}
    assert (found.left, found.left_size, found.left_names) == (1, 900, ("big.bin",))
    found = bring(most_bytes=10_000, most_files=0)
    assert (found.files, found.left) == (0, 1)


def test_folders_that_were_shut_are_opened(folders: Path, bring: Bring) -> None:
    _put(folders / "written", {"shut/s": "s", "closed/c": "c"})
    (folders / "written/shut").chmod(0o555)
    (folders / "written/closed").chmod(0o000)
    bring()
    assert _below(folders / "target") == {"shut/s", "closed/c"}


def test_names_that_are_no_text_travel(folders: Path, bring: Bring) -> None:
    (Path(os.fsdecode(os.fsencode(folders / "written") + b"/gr\xf6\xdfe"))).write_text("x")
    found = bring()
    assert [os.fsencode(one.name) for one in (folders / "target").iterdir()] == [b"gr\xf6\xdfe"]
    found.names[0].encode()  # can be said


def test_a_copy_is_whole_can_be_written_and_has_a_limit(folders: Path) -> None:
    snapshot, target = folders / "snapshot", folders / "target"
    _put(snapshot, {"a": "1", "d/e/f": "22"})
    (snapshot / "a").chmod(0o444)
    (snapshot / "l").symlink_to("d/e")
    opened = [os.open(one, os.O_RDONLY) for one in (snapshot, target)]
    try:
        assert copy_tree(*opened, most_bytes=3, meter=Meter()) == 3
        assert _below(target) == {"a", "d/e/f", "l"}
        assert (target / "a").stat().st_mode & 0o200
        assert (target / "a").stat().st_mtime_ns == (snapshot / "a").stat().st_mtime_ns
        shutil.rmtree(target / "d")
        for name in ("a", "l"):
            (target / name).unlink()
        with pytest.raises(LabboxError, match="too large"):
            copy_tree(*opened, most_bytes=2, meter=Meter())
    finally:
        for one in opened:
            os.close(one)


def test_no_program_with_its_owners_rights_comes_back(folders: Path, bring: Bring) -> None:
    _put(folders, {"written/tool": "x", "written/deep/tool": "x"})
    (folders / "written/tool").chmod(0o6755)
    (folders / "written/deep/tool").chmod(0o4711)
    assert bring().files == 2
    assert (folders / "target/tool").stat().st_mode & 0o7777 == 0o755
    assert (folders / "target/deep/tool").stat().st_mode & 0o7777 == 0o711
