from __future__ import annotations

import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from transferring import Desk, picture

from labbox.files.transfer.trash import Trashed, expire, trashed
from labbox.locations import Location, parse


def listed(desk: Desk, *tops: Location) -> list[Trashed]:
    async def ask() -> list[Trashed]:
        async with desk.places() as places:
            return [one async for one in trashed(places, tops)]

    return sorted(asyncio.run(ask()), key=lambda one: one.name)


def test_things_go_to_the_trash_and_come_back(both: Desk) -> None:
    both.write("study/raw/data", "1")
    both.write("note.txt", "first")
    before = picture(both.home)
    summary = both.do("trash", ("~/study", "~/note.txt", "~/none"))
    assert (summary.failed, summary.failures[0].path) == (1, "none")
    assert not (both.home / "study").exists()
    both.write("note.txt", "second")
    both.do("trash", "~/note.txt")
    found = listed(both)
    assert [(one.name, one.folder) for one in found] == [
        ("note (2).txt", False),
        ("note.txt", False),
        ("study", True),
    ]
    assert all(abs(datetime.now(UTC) - one.deleted) < timedelta(minutes=5) for one in found)
    assert both.do("restore", (str(parse(found[2].location)), found[1].location)).failed == 0
    restored = picture(both.home)
    assert {name: restored[name] for name in before} == before
    assert [one.name for one in listed(both)] == ["note (2).txt"]


def test_restored_by_where_it_was_and_taken_names(both: Desk) -> None:
    for text in ("first", "second"):
        both.write("note.txt", text)
        both.do("trash", "~/note.txt")
    assert both.do("restore", "~/note.txt").failed == 0
    assert (both.home / "note.txt").read_text() in ("first", "second")
    summary = both.do("restore", "~/note.txt")
    assert summary.failures[0].code == "conflict"
    assert both.do("restore", "~/note.txt", conflict="rename").failed == 0
    assert {(both.home / name).read_text() for name in ("note.txt", "note (2).txt")} == {"first", "second"}
    assert both.do("restore", "~/note.txt").failures[0].code == "not_found"
    assert listed(both) == []


def test_what_is_in_the_trash_is_erased_with_its_note(both: Desk) -> None:
    both.write("d/x", "1")
    both.do("trash", "~/d")
    both.do("erase", listed(both)[0].location)
    assert listed(both) == []
    assert [name for name, what in picture(both.home).items() if what[0] == "file"] == []


def test_names_of_any_bytes_survive_the_trash(both: Desk) -> None:
    names = [b"\xff new\nline=%41", "é\u202e".encode(), b"n" * 255]
    for name in names:
        Path(os.fsdecode(os.fsencode(both.home) + b"/" + name)).write_bytes(name)
    before = picture(both.home)
    from labbox.locations import path_text

    assert both.do("trash", [f"~/{path_text(os.fsdecode(name))}" for name in names]).failed == 0
    assert both.do("restore", [one.location for one in listed(both)]).failed == 0
    after = picture(both.home)
    assert {name: after.get(name) for name in before} == before


def test_it_expires(both: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    both.write("old/deep/x", "1")
    both.do("trash", "~/old")
    both.write("new", "1")
    both.do("trash", "~/new")
    (both.home / ".local/share/Trash/files/old/deep").chmod(0)
    note = both.home / ".local/share/Trash/info/old.trashinfo"
    text = note.read_text()
    start = text.index("DeletionDate=")
    note.write_text(text[:start] + "DeletionDate=2020-01-02T03:04:05\n")

    async def ask() -> int:
        monkeypatch.undo()
        async with both.places() as places:
            return await expire(places, 30)

    assert asyncio.run(ask()) == 1
    assert [one.name for one in listed(both)] == ["new"]
    assert asyncio.run(ask()) == 0


def test_what_is_too_old_goes_with_the_next_deletion(desk: Desk) -> None:
    for name in ("old", "new"):
        desk.write(name, "1")
        desk.do("trash", f"~/{name}")
    note = desk.home / ".local/share/Trash/info/old.trashinfo"
    note.write_text("[Trash Info]\nPath=~/old\nDeletionDate=2020-01-02T03:04:05\n")
    os.utime(note, (1_578_000_000,) * 2)
    assert [one.name for one in listed(desk)] == ["new", "old"]
    desk.write("other", "1")
    assert desk.do("trash", "~/other").failed == 0
    assert [one.name for one in listed(desk)] == ["new", "other"]


def test_a_shared_folder_has_a_trash_of_its_own(desk: Desk) -> None:
    desk.shared = desk.folder / "shared"
    (desk.shared / "atlas").mkdir(parents=True)
    (desk.shared / "atlas/x").write_text("1")
    assert desk.do("trash", "shared:/atlas/x").failed == 0
    assert (desk.shared / f".Trash-{os.geteuid()}/files/x").read_text() == "1"
    assert listed(desk) == []
    (found,) = listed(desk, parse("shared:/"))
    assert found.origin == "shared:/atlas/x"
    assert desk.do("restore", "shared:/atlas/x").failed == 0
    assert (desk.shared / "atlas/x").read_text() == "1"


@pytest.mark.root
def test_a_trash_that_somebody_else_laid_out_is_not_used(desk: Desk) -> None:
    desk.shared = desk.folder / "shared"
    desk.shared.mkdir()
    (desk.shared / "x").write_text("1")
    bin_ = desk.shared / f".Trash-{os.geteuid()}"
    bin_.symlink_to(desk.folder)
    assert desk.do("trash", "shared:/x").failures[0].code == "forbidden"
    bin_.unlink()
    bin_.mkdir()
    os.chown(bin_, 4321, 4321)
    assert desk.do("trash", "shared:/x").failures[0].code == "forbidden"
    assert (desk.shared / "x").read_text() == "1"


def test_erasing_at_any_depth_and_without_rights(both: Desk) -> None:
    path = both.home / "t"
    path.mkdir()
    top = os.open(path, os.O_RDONLY)
    for _ in range(700):
        os.mkdir("d" * 20, dir_fd=top)
        below = os.open("d" * 20, os.O_RDONLY, dir_fd=top)
        os.close(top)
        top = below
    os.close(top)
    both.write("t/locked/x", "1")
    (both.home / "t/locked").chmod(0o500)
    (both.home / "t/link").symlink_to(both.folder)
    summary = both.do("erase", "~/t")
    assert summary.failed == 0
    assert not path.exists()
    assert both.folder.exists()


def test_homes_and_roots_are_not_deleted(both: Desk) -> None:
    both.write("x", "1")
    for verb in ("trash", "erase"):
        for location in ("~", "/"):
            assert both.do(verb, location).failed == 1
    assert (both.home / "x").exists()
