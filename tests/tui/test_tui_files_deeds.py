"""What the keys of the file manager do to files, to the end: on a real pseudo-terminal, seen on the disk."""

from __future__ import annotations

import os
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path

from panes import END, F3, F5, F8, Panes, there

CTRL_PGUP, CTRL_PGDN = "\x1b[5;5~", "\x1b[6;5~"
ALT_F5, ALT_F6 = "\x1b[15;3~", "\x1b[17;3~"
INSERT = "\x1b[2~"


def begin(home: Path) -> None:
    """Let the next transfer begin."""
    (home / ".begin").write_text("go")


def test_transfers_are_paused_resumed_cancelled_and_tried_again(
    panes: Callable[..., Panes], tmp_path: Path
) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "tree").mkdir()
    for number in range(3000):
        (tmp_path / f"tree/{number}").write_text("content\n" * 30)
    os.mkfifo(tmp_path / ".begin")
    at = panes()

    def copied() -> int:
        into = tmp_path / "out/tree"
        return len(list(into.iterdir())) if into.exists() else 0

    def copy_paused() -> Path:
        at.on("tree")
        at.press(F5)
        at.sees("Copy “tree” to:")
        at.press("\x15~/out/")
        at.sees("3,000 files", "nothing in the way")
        at.press("\r")
        at.calm()
        at.press("\x18j")
        at.sees("My transfers", "Copy tree", "running")
        at.press("p")
        at.sees("paused")
        folder: Path = max((tmp_path / ".jobs").iterdir(), key=lambda each: int(each.name))
        begin(tmp_path)
        at.until(lambda _page: (folder / "paused").exists())
        assert copied() < 3000
        return folder

    copy_paused()
    at.press("u")
    at.sees("succeeded")
    assert copied() == 3000
    at.press("\x1b")
    at.calm()
    # Once more, given up: what was begun goes, and nothing of it is left under another name.
    for path in (tmp_path / "out/tree").iterdir():
        path.unlink()
    (tmp_path / "out/tree").rmdir()
    folder = copy_paused()
    at.press("c")
    at.sees("Cancel job", "what it wrote is kept")
    at.press("y")
    at.sees("cancelled")
    at.until(lambda _page: (folder / "cancelled").exists())
    left = copied()
    assert left < 3000 and not [path for path in tmp_path.rglob("*labbox-part*") if path.is_file()]
    at.press("R")
    at.sees("running")
    begin(tmp_path)
    at.until(lambda page: "running" not in page and page.count("succeeded") == 2)
    assert copied() == 3000
    at.press("\x1b")
    at.calm()
    at.ends()


def test_conflicts_are_decided_one_by_one_and_kept_to(panes: Callable[..., Panes], tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    for name in ("a.txt", "b.txt", "c.txt"):
        (tmp_path / name).write_text(f"new {name}")
        if name != "c.txt":
            (tmp_path / "into" / name).write_text("old")
    at = panes()
    at.press("+")
    at.sees("Mark")
    at.press("\x15*.txt\r")
    at.sees("3 items")
    at.press(F5)
    at.sees("Copy 3 items to:")
    at.press("\x15~/into/")
    at.sees("2 are there already", "F3 Each")
    at.press(F3)
    at.sees("Action", "a.txt: ")
    at.press("o")
    at.sees("b.txt: ")
    at.press("s")
    at.sees("b.txt: stays as it is.")
    at.press("\r")
    at.sees("2 of them decided one by one")
    at.press("\r")
    at.calm()
    into = tmp_path / "into"
    at.until(lambda _page: (into / "c.txt").exists() and (into / "a.txt").read_text() != "old")
    at.until(lambda page: "● Copy" not in page)
    assert (into / "a.txt").read_text() == "new a.txt"
    assert (into / "b.txt").read_text() == "old"
    assert (into / "c.txt").read_text() == "new c.txt"
    at.ends()


def test_modes_links_archives_and_synchronising(panes: Callable[..., Panes], tmp_path: Path) -> None:
    (tmp_path / "into").mkdir()
    (tmp_path / "study/raw").mkdir(parents=True)
    (tmp_path / "study/raw/one.csv").write_text("1\n")
    (tmp_path / "run.sh").write_text("true\n")
    (tmp_path / "run.sh").chmod(0o600)
    at = panes()
    at.on("run.sh")
    at.press("\x18c")
    at.sees("Octal", "600")
    at.press("\x15999\r")
    at.sees("cannot read “999” as a mode")
    at.press("\x15750\r")
    at.calm()
    at.until(lambda _page: stat.S_IMODE((tmp_path / "run.sh").stat().st_mode) == 0o750)
    at.press("\x1bz")
    at.sees("Undo: mode of")
    at.press("y")
    at.calm()
    at.until(lambda _page: stat.S_IMODE((tmp_path / "run.sh").stat().st_mode) == 0o600)
    at.press("\t")
    at.on("into")
    at.press("\r")
    at.sees("▸~/into")
    at.press("\t")
    at.on("run.sh")
    at.press("\x18s")
    at.sees("Symbolic link", "~/into/run.sh", "Target")
    at.press("\r")
    at.calm()
    at.until(lambda _page: (tmp_path / "into/run.sh").is_symlink())
    assert (tmp_path / "into/run.sh").samefile(tmp_path / "run.sh")
    # Several things into one archive.
    at.on("run.sh")
    at.press(INSERT, "\x1b[A", INSERT)
    at.sees("2 items")
    at.press(ALT_F5)
    at.sees("Pack 2", "2 files, 2 folders")
    at.press("\x15~/both.zip\r")
    at.calm()
    at.until(lambda _page: there(tmp_path / "both.zip"))
    with zipfile.ZipFile(tmp_path / "both.zip") as both:
        assert {"run.sh", "study/raw/one.csv"} <= set(both.namelist())
    # Packed there, unpacked here: the plan says what is in the way.
    at.on("study")
    at.press(ALT_F5)
    at.sees("Pack “study” into:", "1 file, 2 folders")
    at.press("\x15~/into/study.tar.zst\r")
    at.calm()
    at.until(lambda _page: there(tmp_path / "into/study.tar.zst"))
    at.until(lambda page: "study.tar.zst" in page)
    at.press("\t")
    at.until(lambda page: "▸~/into" in page and "● Pack" not in page)
    at.press(END, ALT_F6)
    at.sees(
        "Unpack “study.tar.zst” into:", "1 file, 2 folders, 2 B", "2 are there already", "  study.tar.zst"
    )
    at.press("\x15~/again")
    at.sees("nothing in the way")
    at.press("\r")
    at.calm()
    at.until(lambda _page: there(tmp_path / "again/study/raw/one.csv"))
    # One pane made like the other, with a look before: what is only there goes to the trash, if it is to.
    (tmp_path / "again/kept").write_text("kept")
    (tmp_path / "study/note").write_text("here\n")
    (tmp_path / "again/note").write_text("there\n")
    at.press("\t")
    at.on("study")
    at.press("\r")
    at.sees("▸~/study ")
    at.press("\t", "\x1bc")
    at.sees("Go to")
    at.press("~/again\r")
    at.sees("▸~/again ", "~/study ")
    at.press("\t", "\x18y")
    at.sees("Synchronise", "Make this like ~/study:", "~/again", "+ study/raw")
    assert "- study/study" not in at.page  # it stays
    at.press("\t", "\t", " ")
    at.sees("[x] trash what only the target", "- study/study")
    at.press(F3)
    at.sees("+ study/raw", "copy", "- study/kept", "to the trash", " differ ──")
    assert "are there already" not in at.page
    at.press(END, "\x1b[A", "\x1b[A")
    at.sees("study/note: the target's is replaced")
    at.press("d")
    at.sees("-here", "+there")
    at.press("\x1b")
    at.sees("to the trash")
    at.press("\x1b[H", " ")
    at.sees("study/kept: stays as it is on both sides.", "leave")
    at.press("\r")
    at.sees("1 of them decided one by one")
    at.press("\r")
    at.calm()
    at.until(lambda _page: there(tmp_path / "again/raw/one.csv") and not (tmp_path / "again/study").exists())
    assert (tmp_path / "again/kept").exists() and (tmp_path / "again/note").read_text() == "here\n"
    at.until(lambda page: "● Synchronise" not in page)
    at.ends()


def test_the_trash_gives_back_and_tabs_turn(panes: Callable[..., Panes], tmp_path: Path) -> None:
    for name in ("sub", "zub"):
        (tmp_path / name).mkdir()
    for name in ("first.txt", "second.txt"):
        (tmp_path / name).write_text(name)
    at = panes()
    for name in ("second.txt", "first.txt"):
        at.until(lambda page: "● Delete" not in page)
        at.on(name)
        at.press(F8)
        at.sees(f"Delete “{name}”?", "1 file")
        at.press("\r")
        at.calm()
        gone = tmp_path / name
        at.until(lambda _page: not gone.exists())  # noqa: B023 - called before the next round
    at.press("\x18t")
    at.sees("first.txt", "second.txt", "2 things")
    at.press("+")
    at.sees("2 marked")
    at.press("r")
    at.sees("nothing in the way")
    at.press("\r")
    at.sees("The trash is empty.")
    at.press("\x1b")
    at.calm()
    assert (tmp_path / "first.txt").read_text() == "first.txt"
    assert (tmp_path / "second.txt").read_text() == "second.txt"

    # Tabs, each in a folder of its own; the keys turn them in a ring.
    at.press("\x14")
    at.until(lambda page: page.splitlines()[1][:54].count(" ~ ") == 2)
    at.on("sub")
    at.press("\r")
    at.until(lambda page: page.splitlines()[2].startswith("▸~/sub "))
    for key in (CTRL_PGDN, CTRL_PGUP):
        at.press(key)
        at.until(lambda page: page.splitlines()[2].startswith("▸~ "))
        at.press(key)
        at.until(lambda page: page.splitlines()[2].startswith("▸~/sub "))
    at.ends()
