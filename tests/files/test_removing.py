from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from labbox.errors import LabboxError
from labbox.files import work
from labbox.files.removing import remove_below, usage_below

DEEP = 3000  # folders inside each other: deeper than any path can name


@pytest.fixture
def top(tmp_path: Path) -> Iterator[int]:
    descriptor = os.open(tmp_path, os.O_RDONLY)
    yield descriptor
    os.close(descriptor)


def dig(parent: int, depth: int) -> None:
    present = os.dup(parent)
    for _ in range(depth):
        os.mkdir("down", dir_fd=present)
        below = os.open("down", os.O_RDONLY, dir_fd=present)
        os.close(present)
        present = below
    os.close(os.open("bottom", os.O_CREAT | os.O_WRONLY, dir_fd=present))
    os.close(present)


def test_usage_counts_each_inode_once_and_follows_no_link(tmp_path: Path, top: int) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a/one").write_bytes(b"x" * 100_000)
    os.link(tmp_path / "a/one", tmp_path / "two")
    (tmp_path / "away").symlink_to("/usr")
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(1 << 40)
    found = usage_below(top, lambda: None)
    assert found.files == 3
    assert 100_000 <= found.size < 1 << 20


def test_any_depth_is_counted_and_removed(tmp_path: Path, top: int) -> None:
    dig(top, DEEP)
    assert usage_below(top, lambda: None).files == 1
    remove_below(top, "down", lambda: None)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.root
@pytest.mark.attack("S10")
@pytest.mark.parametrize("mode", [0o000, 0o100, 0o200, 0o300, 0o400, 0o444, 0o600, 0o644, 0o2070, 0o1000])
@pytest.mark.parametrize("where", ["", "a", "a/b", "a/b/c"])
def test_no_mode_of_a_folder_hides_what_its_owner_stores(
    tmp_path: Path, mode: int, where: str, tried: Callable[..., None]
) -> None:
    tried()
    home = tmp_path / "home"
    (home / "a/b/c").mkdir(parents=True)
    for name in ("one", "a/two", "a/b/three", "a/b/c/four"):
        (home / name).write_bytes(b"x" * 100_000)
    for path in (home, *home.rglob("*")):
        os.chown(path, 73123, 73123)
    tmp_path.chmod(0o755)
    (home / where).chmod(mode)
    top = os.open(home, os.O_RDONLY)
    try:
        os.setegid(73123)
        os.seteuid(73123)
        found = usage_below(top, lambda: None)
    finally:
        os.seteuid(0)
        os.setegid(0)
        os.close(top)
    assert (found.files, found.closed) == (4, 0)
    assert found.size >= 400_000
    assert (home / where).stat().st_mode & 0o7777 == mode


def test_closed_folders_are_opened_to_be_removed(tmp_path: Path, top: int) -> None:
    (tmp_path / "a/b").mkdir(parents=True)
    (tmp_path / "a/b/c").write_text("x")
    (tmp_path / "a/b").chmod(0o000)
    (tmp_path / "a").chmod(0o500)
    remove_below(top, "a", lambda: None)
    assert list(tmp_path.iterdir()) == []


def test_a_link_is_removed_and_not_what_it_points_to(tmp_path: Path, top: int) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("x")
    (tmp_path / "gone").mkdir()
    (tmp_path / "gone/link").symlink_to(tmp_path / "kept")
    (tmp_path / "link").symlink_to("kept")
    (tmp_path / "file").write_text("x")
    for name in ("gone", "link", "file"):
        remove_below(top, name, lambda: None)
    assert [path.name for path in tmp_path.iterdir()] == ["kept"]
    assert (tmp_path / "kept/file").exists()


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "../x"])
def test_only_names_are_removed(top: int, name: str) -> None:
    with pytest.raises(LabboxError, match="it is no name"):
        remove_below(top, name, lambda: None)


def test_a_folder_that_moves_away_ends_the_walk(tmp_path: Path, top: int) -> None:
    (tmp_path / "in/a/b").mkdir(parents=True)
    (tmp_path / "in/a/b/file").write_text("x")
    (tmp_path / "other").mkdir()
    moved = False

    def move() -> None:
        nonlocal moved
        if not moved and (tmp_path / "in/a/b").exists():
            seen.append(1)
            if len(seen) == 3:  # the walk stands inside a/b now
                moved = True
                (tmp_path / "in/a/b").rename(tmp_path / "other/b")

    seen: list[int] = []
    descriptor = os.open(tmp_path / "in", os.O_RDONLY)
    try:
        with pytest.raises(LabboxError, match="moved meanwhile"):
            for _ in range(10):
                usage_below(descriptor, move)
    finally:
        os.close(descriptor)


def test_the_worker_measures_the_home_or_what_it_is_given(lab: Any) -> None:
    lab.project({"a": "x" * 5000})
    home = lab.ask(work.Measure())
    assert home.usages[0].files == 1
    given = lab.ask(work.Measure(), lab.descriptor, lab.descriptor)
    assert len(given.usages) == 2


def test_the_worker_removes_and_is_content_where_nothing_is(lab: Any) -> None:
    lab.project({"a": "x"})
    home = os.open(lab.home, os.O_RDONLY)
    for _ in range(2):
        assert lab.ask(work.Remove(name="study"), home) == work.Removed()
    os.close(home)
    assert list(lab.home.iterdir()) == []
